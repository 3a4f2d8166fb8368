package gitrepo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/spelling"
)

const (
	shortest = 4  // digits of an abbreviated commit id
	deepest  = 16 // symbolic refs and tags of tags that are followed
)

// prefixes are where a short name of a ref is looked for, in git's order.
func prefixes() []string {
	return []string{"", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"}
}

// refs resolves names in the ref store of a local repository.
type refs struct {
	dir     *dotgit.DotGit
	objects *objects
	shown   string
}

func newRefs(dir *gitDir, objects *objects) *refs {
	return &refs{dir: dotgit.New(dir), objects: objects, shown: dir.shown}
}

// commit returns the commit that name means: HEAD, a branch, a tag, a ref in full, or a commit id, short or full.
func (r *refs) commit(name string) (plumbing.Hash, error) {
	if full, ok := fullID(name); ok {
		return r.peel(name, full)
	}
	found, err := r.named(name)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if found.IsZero() {
		if found, err = r.abbreviated(name); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	if found.IsZero() {
		return plumbing.ZeroHash, r.unknown(name)
	}
	return r.peel(name, found)
}

func fullID(name string) (plumbing.Hash, bool) {
	if len(name) != 40 || !isHex(name) {
		return plumbing.ZeroHash, false
	}
	return plumbing.NewHash(name), true
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
}

// named looks for a ref. A short name of two refs with different ids is refused, not guessed. Zero means none.
func (r *refs) named(name string) (plumbing.Hash, error) {
	var found plumbing.Hash
	var first string
	for _, prefix := range prefixes() {
		full := prefix + name
		id, err := r.follow(plumbing.ReferenceName(full))
		if err != nil {
			return plumbing.ZeroHash, err
		}
		switch {
		case id.IsZero():
		case found.IsZero():
			found, first = id, full
		case id != found:
			return plumbing.ZeroHash, problem(ErrRef, nil, "%q means both %s and %s in the repository %s: give one of them in full", name, first, full, r.shown)
		}
		if prefix == "" && !id.IsZero() {
			break // HEAD, or a ref in full
		}
	}
	return found, nil
}

// follow resolves a ref by its full name. Zero means that there is none.
func (r *refs) follow(name plumbing.ReferenceName) (plumbing.Hash, error) {
	for range deepest {
		ref, err := r.dir.Ref(name)
		switch {
		case errors.Is(err, plumbing.ErrReferenceNotFound), errors.Is(err, dotgit.ErrReferenceNameEscape):
			return plumbing.ZeroHash, nil
		case err != nil:
			return plumbing.ZeroHash, unreadable(r.shown, err)
		case ref.Type() != plumbing.SymbolicReference:
			return ref.Hash(), nil
		}
		name = ref.Target()
	}
	return plumbing.ZeroHash, problem(ErrRef, nil, "the ref %s of the repository %s leads to itself: mend it with git symbolic-ref", name, r.shown)
}

// abbreviated looks for the only commit or tag whose id begins with name. Zero means none.
func (r *refs) abbreviated(name string) (plumbing.Hash, error) {
	if len(name) < shortest || len(name) >= 40 || !isHex(name) {
		return plumbing.ZeroHash, nil
	}
	ids, err := r.objects.beginning(strings.ToLower(name))
	if err != nil {
		return plumbing.ZeroHash, err
	}
	var commits []plumbing.Hash
	for _, id := range ids {
		if _, err := r.peel(name, id); err == nil {
			commits = append(commits, id)
		}
	}
	if len(commits) > 1 {
		return plumbing.ZeroHash, problem(ErrRef, nil, "%q is the beginning of %d commit ids in the repository %s (%s, %s, ...): give more digits",
			name, len(commits), r.shown, commits[0].String()[:12], commits[1].String()[:12])
	}
	if len(commits) == 0 {
		return plumbing.ZeroHash, nil
	}
	return commits[0], nil
}

// peel follows tags to the commit that they mark.
func (r *refs) peel(name string, id plumbing.Hash) (plumbing.Hash, error) {
	for range deepest {
		content, err := r.objects.open(id, plumbing.AnyObject)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		typ := content.typ
		if err := content.Close(); err != nil {
			return plumbing.ZeroHash, err
		}
		if typ == plumbing.CommitObject {
			return id, nil
		}
		if typ != plumbing.TagObject {
			return plumbing.ZeroHash, problem(ErrRef, nil, "%q names a %s, not a commit: give a branch, a tag or a commit", name, typ)
		}
		raw, err := r.objects.read(id, plumbing.TagObject, maxCommit)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		var tag object.Tag
		if err := tag.Decode(raw); err != nil {
			return plumbing.ZeroHash, problem(ErrCorrupt, err, "the tag %s cannot be decoded (%v): check the repository with git fsck", id, err)
		}
		id = tag.Target
	}
	return plumbing.ZeroHash, problem(ErrRef, nil, "%q is a tag of a tag, more than %d deep: give the commit", name, deepest)
}

// unknown says that there is no such revision, and what there is.
func (r *refs) unknown(name string) error {
	list, err := r.dir.Refs()
	if err != nil {
		return unreadable(r.shown, err)
	}
	var names []string
	for _, ref := range list {
		if ref.Type() == plumbing.HashReference {
			names = append(names, ref.Name().String())
		}
	}
	return unknownRef(name, r.shown, names)
}

// unknownRef says that a repository with these refs has no revision called name.
func unknownRef(name, shown string, full []string) error {
	if len(full) == 0 {
		return problem(ErrEmpty, nil, "the repository %s is empty: commit something and scan again", shown)
	}
	known := make([]string, 0, len(full))
	for _, ref := range full {
		known = append(known, shortRef(ref))
	}
	slices.Sort(known)
	known = slices.Compact(known)
	if name == "HEAD" {
		return problem(ErrRef, nil, "HEAD of the repository %s is a branch without a commit: choose a revision with --ref, such as %s", shown, known[0])
	}
	if strings.ContainsAny(name, "~^@:") {
		return problem(ErrRef, nil, "the repository %s has no revision %q: give a branch, a tag or a commit id; expressions like HEAD~1 are not read", shown, name)
	}
	near := spelling.Nearest(name, known, 3)
	if len(near) == 0 {
		near = known[:min(3, len(known))]
		return problem(ErrRef, nil, "the repository %s has no revision %q: it has %s, for instance", shown, name, strings.Join(near, ", "))
	}
	return problem(ErrRef, nil, "the repository %s has no revision %q: did you mean %s?", shown, name, strings.Join(near, " or "))
}

func shortRef(full string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/remotes/"} {
		if short, ok := strings.CutPrefix(full, prefix); ok {
			return short
		}
	}
	return full
}

// beginning returns the ids of all objects that begin with these digits.
func (o *objects) beginning(digits string) ([]plumbing.Hash, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.list(); err != nil {
		return nil, unreadable("object store", err)
	}
	found := make(map[plumbing.Hash]bool)
	for _, p := range o.packs {
		if err := p.beginning(digits, found); err != nil {
			return nil, err
		}
	}
	if o.dir != nil {
		infos, _ := o.dir.ReadDir(o.dir.Join("objects", digits[:2])) // there may be no such folder
		for _, info := range infos {
			if name := digits[:2] + info.Name(); len(name) == 40 && strings.HasPrefix(name, digits) && isHex(name) {
				found[plumbing.NewHash(name)] = true
			}
		}
	}
	ids := make([]plumbing.Hash, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
	return ids, nil
}

func (p *pack) beginning(digits string, found map[plumbing.Hash]bool) error {
	entries, err := p.index.Entries()
	if err != nil {
		return err
	}
	defer entries.Close() //nolint:errcheck // nothing was written
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(hex.EncodeToString(entry.Hash[:]), digits) {
			found[entry.Hash] = true
		}
	}
}
