package gitrepo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/gxpledger/gxpledger/domain"
)

// maxListed is how many commits a history may list.
const maxListed = 2_000_000

// History is the history of the revision that the options of a repository name, opened once for all of its commits. Close it.
type History struct {
	repository *Repository
	store      *objects
	tip        plumbing.Hash
	full       string
	find       func(ctx context.Context, name string) (plumbing.Hash, error)
	tags       map[plumbing.Hash]string // by the commit that they mark
	closes     []func() error
	gxp        map[plumbing.Hash]string // id of .gxp of each commit; "" for none
}

// HistoryOptions say which commits of a history are listed.
type HistoryOptions struct {
	// Since is the revision to begin with; "" begins with the first commit.
	Since string
	// After is the id of the commit that was recorded last: it and its ancestors are left out. "" for none.
	After string
	// Recorded are the ids of commits that were recorded, which are left out.
	Recorded map[string]bool
	// FirstParent follows the first parent of merges alone.
	FirstParent bool
	// Tags lists the commits that a tag marks, instead of all.
	Tags bool
	// OfBranch lets each step be of the branch whose history it is, also one that a tag names.
	OfBranch bool
}

// Step is a commit of a history that changed .gxp, compared with its parents or, of tags, with the one before.
type Step struct {
	Commit  string
	Ref     string // the tag that marks it, or else the commit
	FullRef string // that of the tag where tags are listed or no ref was named, otherwise that of the branch whose history it is; "" for none
}

// OpenHistory finds the revision that the options of r name, and fetches its history with all tags if r is remote. Errors are of type
// *Error, or the context's. The caller closes the history.
func (r *Repository) OpenHistory(ctx context.Context) (*History, error) {
	ref := r.options.Ref
	if ref == "" {
		ref = "HEAD"
	}
	h := &History{repository: r, tags: map[plumbing.Hash]string{}, gxp: map[plumbing.Hash]string{}}
	open := h.openLocal
	if r.address != nil {
		open = h.openRemote
	}
	if err := open(ctx, ref); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Close frees what the history holds, and removes what was fetched.
func (h *History) Close() error {
	var errs []error
	for _, free := range slices.Backward(h.closes) {
		errs = append(errs, free())
	}
	h.closes = nil
	return errors.Join(errs...)
}

// Source names the last revision of the history.
func (h *History) Source() domain.Source {
	return domain.Source{Ref: h.repository.options.Ref, Commit: h.tip.String(), FullRef: h.full}
}

// Last is the step of the last revision of the history, by the name that was asked for.
func (h *History) Last() Step {
	source := h.Source()
	return Step{Commit: source.Commit, Ref: cmp.Or(source.Ref, "HEAD"), FullRef: source.FullRef}
}

func (h *History) openLocal(ctx context.Context, ref string) error {
	dir, err := h.repository.open()
	if err != nil {
		return err
	}
	h.store = newObjects(dir)
	h.closes = append(h.closes, h.store.close)
	look := newRefs(dir, h.store)
	h.find = look.commit
	if h.tip, err = look.commit(ctx, ref); err != nil {
		return err
	}
	h.full = look.full
	names, err := look.store.all()
	if err != nil {
		return unreadable(h.repository.shown, err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, tagPrefix) {
			continue
		}
		id, _, err := look.follow(name)
		if err != nil {
			return err
		}
		h.tag(look, name, id)
	}
	return nil
}

const tagPrefix = "refs/tags/"

// tag remembers what a tag marks, if it marks a commit that is here. Of several tags of one commit the first by name counts.
func (h *History) tag(look *refs, name string, id plumbing.Hash) {
	commit, err := look.peel(name, id)
	if err != nil || fullRef(name, "") != name {
		return
	}
	if before, ok := h.tags[commit]; !ok || name < before {
		h.tags[commit] = name
	}
}

func (h *History) openRemote(ctx context.Context, ref string) error {
	dir, err := os.MkdirTemp(h.repository.options.TempDir, "gxpledger-fetch-*")
	if err != nil {
		return problem(ErrRemote, err, "no temporary folder can be made (%v): set TMPDIR to a folder that this user may write", err)
	}
	h.closes = append(h.closes, func() error { return os.RemoveAll(dir) })
	f := &fetch{repository: h.repository, dir: dir, ref: ref}
	type result struct {
		store   *objects
		offered *packp.AdvRefs
		err     error
	}
	done := make(chan result, 1)
	go func() { // see Repository.openRemote
		var got result
		got.store, got.offered, got.err = f.whole(ctx)
		done <- got
	}()
	var got result
	select {
	case <-ctx.Done():
		return ctx.Err()
	case got = <-done:
	}
	if got.err != nil {
		return f.failed(ctx, got.err)
	}
	h.store, h.closes = got.store, append(h.closes, got.store.close)
	look := &refs{objects: h.store, shown: h.repository.shown}
	h.find = func(_ context.Context, name string) (plumbing.Hash, error) {
		f.ref, f.full = name, ""
		want, err := f.choose(got.offered)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		return want.resolve(f, h.store)
	}
	if h.tip, err = h.find(ctx, ref); err != nil {
		return err
	}
	h.full = f.full
	for name, id := range got.offered.References {
		if strings.HasPrefix(name, tagPrefix) {
			h.tag(look, name, id)
		}
	}
	return nil
}

// whole fetches the whole history of the ref, and what tags mark.
func (f *fetch) whole(ctx context.Context) (*objects, *packp.AdvRefs, error) {
	session, err := f.connect()
	if err != nil {
		return nil, nil, err
	}
	defer session.Close() //nolint:errcheck // what was wanted is here, or an error is on its way already
	if f.free != nil {
		defer f.free()
	}
	offered, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, nil, err
	}
	want, err := f.choose(offered)
	if err != nil {
		return nil, nil, err
	}
	request := packp.NewUploadPackRequestFromCapabilities(offered.Capabilities)
	request.Wants = slices.Clone(want.ids)
	for name, id := range offered.References {
		if strings.HasPrefix(name, tagPrefix) && !slices.Contains(request.Wants, id) {
			request.Wants = append(request.Wants, id)
		}
	}
	store, err := f.download(ctx, session, request)
	return store, offered, err
}

// Open opens a commit of the history. The caller closes the revision, before the history.
func (h *History) Open(_ context.Context, step Step) (*Revision, error) {
	id, _ := fullID(step.Commit)
	revision := &Revision{source: domain.Source{Ref: step.Ref, FullRef: step.FullRef}, past: h, rests: []func(){h.store.rest}}
	if err := revision.at(h.store, id); err != nil {
		return nil, err
	}
	return revision, nil
}

func (h *History) walk(_ context.Context, _ plumbing.Hash, look func(*objects) (bool, error)) (string, error) {
	_, err := look(h.store)
	return fmt.Sprintf("the repository %s does not hold enough of its history", h.repository.shown), err
}

// Steps lists what the options choose, the oldest first: each after its parents. A history that does not continue from the commit that was
// recorded last is refused, and so is one that is not all here. Errors are of type *Error, or the context's.
func (h *History) Steps(ctx context.Context, options HistoryOptions) ([]Step, error) {
	left, since, err := h.leftOut(ctx, options)
	if err != nil {
		return nil, err
	}
	listed, err := h.list(ctx, left, options)
	if err != nil {
		return nil, err
	}
	return h.choose(ctx, domain.OldestFirst(listed), since, options)
}

// leftOut returns the commits to leave out, and the one to begin with; zero for none.
func (h *History) leftOut(ctx context.Context, options HistoryOptions) (left map[plumbing.Hash]bool, since plumbing.Hash, err error) {
	left = map[plumbing.Hash]bool{}
	if options.After != "" {
		after, _ := fullID(options.After)
		if err := h.follows(ctx, after); err != nil {
			return nil, since, err
		}
		if err := h.ancestors(ctx, left, after); err != nil {
			return nil, since, err
		}
	}
	if options.Since == "" {
		return left, since, nil
	}
	if since, err = h.find(ctx, options.Since); err != nil {
		return nil, since, err
	}
	switch relation, err := domain.Relate(since, h.tip, maxListed, h.store.parents(ctx)); {
	case err != nil:
		return nil, since, err
	case relation != domain.RelationDescendant && relation != domain.RelationSame:
		return nil, since, problem(ErrRef, nil, "%q, commit %s, is not known as an ancestor of commit %s: give --since a revision of its history", options.Since, since, h.tip)
	}
	commit, err := h.store.commit(since)
	if err != nil {
		return nil, since, err
	}
	return left, since, h.ancestors(ctx, left, commit.parents...)
}

// follows refuses a history that does not continue from after.
func (h *History) follows(ctx context.Context, after plumbing.Hash) error {
	relation, err := domain.Relate(after, h.tip, maxListed, h.store.parents(ctx))
	if err != nil {
		return err
	}
	const nothing = "nothing of it is recorded, since what is older than the last recorded commit never is"
	switch relation {
	case domain.RelationSame, domain.RelationDescendant:
		return nil
	case domain.RelationAncestor:
		return problem(ErrRef, ErrOrder, "commit %s is an ancestor of %s, the commit recorded last: %s; give --ref a later revision", h.tip, after, nothing)
	case domain.RelationUnrelated:
		return problem(ErrRef, ErrOrder, "commit %s does not descend from %s, the commit recorded last: %s; give --ref a revision that does, or scan this one alone", h.tip, after, nothing)
	case domain.RelationUnknown:
	}
	return problem(ErrMissing, ErrOrder, "it is unknown whether commit %s descends from %s, the commit recorded last, since the repository %s does not hold all of its history: "+
		"get it with git fetch --unshallow", h.tip, after, h.repository.shown)
}

// ancestors adds commits and all of their ancestors that are here.
func (h *History) ancestors(ctx context.Context, to map[plumbing.Hash]bool, commits ...plumbing.Hash) error {
	parents := h.store.parents(ctx)
	for next := slices.Clone(commits); len(next) > 0; {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if to[at] {
			continue
		}
		to[at] = true
		ids, _, err := parents(at)
		if err != nil {
			return err
		}
		next = append(next, ids...)
	}
	return nil
}

// list returns the commits of the history that are not left out.
func (h *History) list(ctx context.Context, left map[plumbing.Hash]bool, options HistoryOptions) ([]domain.PastCommit, error) {
	var out []domain.PastCommit
	seen := map[plumbing.Hash]bool{h.tip: true}
	for next := []plumbing.Hash{h.tip}; len(next) > 0; {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if left[at] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(out) == maxListed {
			return nil, problem(ErrTooLarge, nil, "the history of %s has more than %d commits: begin later with --since", h.repository.shown, maxListed)
		}
		commit, err := h.store.commit(at)
		if errors.Is(err, ErrMissing) {
			return nil, problem(ErrMissing, err, "commit %s is not in the repository %s, so that its history is not known: get it with git fetch --unshallow, "+
				"or begin later with --since", at, h.repository.shown)
		}
		if err != nil {
			return nil, err
		}
		past := domain.PastCommit{ID: at.String(), At: commit.committer.when}
		for _, parent := range h.followed(commit, options) {
			past.Parents = append(past.Parents, parent.String())
			if !seen[parent] {
				seen[parent] = true
				next = append(next, parent)
			}
		}
		out = append(out, past)
	}
	return out, nil
}

// followed returns the parents of a commit that are followed.
func (h *History) followed(commit *commitObject, options HistoryOptions) []plumbing.Hash {
	if options.FirstParent {
		return commit.parents[:min(1, len(commit.parents))]
	}
	return commit.parents
}

// choose returns the steps among commits, which are the oldest first.
func (h *History) choose(ctx context.Context, commits []domain.PastCommit, since plumbing.Hash, options HistoryOptions) ([]Step, error) {
	steps, before := []Step{}, ""
	if options.After != "" {
		var err error
		if before, err = h.gxpOf(plumbing.NewHash(options.After)); err != nil {
			return nil, err
		}
	}
	for _, c := range commits {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := plumbing.NewHash(c.ID)
		if _, tagged := h.tags[id]; options.Tags && !tagged && id != since {
			continue
		}
		own, err := h.gxpOf(id)
		if err != nil {
			return nil, err
		}
		changed, err := h.changed(own, before, c.Parents, options)
		if err != nil {
			return nil, err
		}
		if !changed && id != since {
			continue
		}
		if before = own; !options.Recorded[c.ID] {
			steps = append(steps, h.step(id, options))
		}
	}
	return steps, nil
}

// step names a commit by the tag that marks it, if there is one.
func (h *History) step(id plumbing.Hash, options HistoryOptions) Step {
	step := Step{Commit: id.String(), Ref: id.String(), FullRef: h.full}
	if tag, tagged := h.tags[id]; tagged {
		step.Ref = strings.TrimPrefix(tag, tagPrefix)
		if h.full == "" || options.Tags && !options.OfBranch {
			step.FullRef = tag
		}
	}
	return step
}

// changed reports whether .gxp differs from that of every parent or, of tags, from that of the step before.
func (h *History) changed(own, before string, parents []string, options HistoryOptions) (bool, error) {
	if options.Tags {
		return own != before, nil
	}
	if len(parents) == 0 {
		return own != "", nil
	}
	for _, parent := range parents {
		of, err := h.gxpOf(plumbing.NewHash(parent))
		if errors.Is(err, ErrMissing) {
			continue // an ancestor of what was recorded: what is unknown counts as changed
		}
		if err != nil || of == own {
			return false, err
		}
	}
	return true, nil
}

// gxpOf returns the id of .gxp of a commit, "" when it has none.
func (h *History) gxpOf(id plumbing.Hash) (string, error) {
	if known, ok := h.gxp[id]; ok {
		return known, nil
	}
	commit, err := h.store.commit(id)
	if err != nil {
		return "", err
	}
	entries, err := gitTree{h.store}.list(".", treeRoot(commit.tree))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.name == scanned {
			h.gxp[id] = e.id
			return e.id, nil
		}
	}
	h.gxp[id] = ""
	return "", nil
}
