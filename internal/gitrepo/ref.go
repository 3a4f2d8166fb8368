package gitrepo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gxpledger/gxpledger/internal/spelling"
)

const (
	idDigits = 40
	shortest = 4  // digits of an abbreviated commit id
	deepest  = 16 // symbolic refs and tags of tags that are followed
)

// prefixes are where a short name of a ref is looked for, in git's order. The last of git's rules, the HEAD of a remote,
// is not among them.
func prefixes() []string {
	return []string{"", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"}
}

// abbreviated looks for the only commit or tag of a commit whose id begins with name. Zero means none.
func (r *refs) abbreviated(name string) (plumbing.Hash, error) {
	if len(name) < shortest || len(name) >= idDigits || !isHex(name) {
		return plumbing.ZeroHash, nil
	}
	ids, err := r.objects.beginning(strings.ToLower(name))
	if err != nil {
		return plumbing.ZeroHash, err
	}
	var commits []string
	var found plumbing.Hash
	for _, id := range ids {
		_, err := r.peel(name, id)
		switch {
		case err == nil:
			commits, found = append(commits, id.String()), id
		case errors.Is(err, ErrRef), errors.Is(err, ErrMissing): // a file or folder, or the tag of one
		default:
			return plumbing.ZeroHash, err // it may be the commit that is meant
		}
	}
	if len(commits) > 1 {
		const most = 5
		more := ""
		if len(commits) > most {
			more = ", ..."
		}
		return plumbing.ZeroHash, problem(ErrRef, nil, "%q is the beginning of %d commit ids in the repository %s (%s%s): give more digits",
			name, len(commits), r.shown, strings.Join(commits[:min(most, len(commits))], ", "), more)
	}
	return found, nil
}

// peel follows tags to the commit that they mark.
func (r *refs) peel(name string, id plumbing.Hash) (plumbing.Hash, error) {
	id, typ, err := r.untag(name, id)
	if err == nil && typ != plumbing.CommitObject {
		err = problem(ErrRef, nil, "%q names a %s, not a commit: give a branch, a tag or a commit", name, typ)
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return id, nil
}

// untag follows tags to what they mark, which may be anything.
func (r *refs) untag(name string, id plumbing.Hash) (plumbing.Hash, plumbing.ObjectType, error) {
	for range deepest {
		typ, err := r.typeOf(id)
		if err != nil || typ != plumbing.TagObject {
			return id, typ, err
		}
		raw, err := r.objects.readBytes(id, plumbing.TagObject, maxCommit)
		if err != nil {
			return id, typ, err
		}
		line, _, _ := strings.Cut(string(raw), "\n")
		target, ok := fullID(strings.TrimPrefix(line, "object "))
		if !ok || !strings.HasPrefix(line, "object ") {
			return id, typ, problem(ErrCorrupt, nil, "the tag %s cannot be decoded (want \"object ID\" in its first line): check the repository with git fsck", id)
		}
		id = target
	}
	return id, plumbing.TagObject, problem(ErrRef, nil, "%q is a tag of a tag, more than %d deep: give the commit", name, deepest)
}

func (r *refs) typeOf(id plumbing.Hash) (plumbing.ObjectType, error) {
	content, err := r.objects.open(id, plumbing.AnyObject)
	if err != nil {
		return plumbing.InvalidObject, err
	}
	return content.typ, content.Close()
}

// unknown says that there is no such revision, and what there is.
func (r *refs) unknown(name string) error {
	names, err := r.store.all()
	if err != nil {
		return unreadable(r.shown, err)
	}
	if r.store.odd > 0 {
		return problem(ErrCorrupt, nil, "the repository %s has no revision %q that can be read, and line %d of its packed-refs is not \"ID NAME\": "+
			"fix that line", r.shown, name, r.store.odd)
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
		return problem(ErrRef, nil, "the repository %s has no revision %q: give a branch, a tag or a commit id; expressions like HEAD~1 "+
			"are read in a repository on disk alone", shown, name)
	}
	near := spelling.Nearest(name, known, 3)
	if len(near) == 0 {
		near = known[:min(3, len(known))]
		return problem(ErrRef, nil, "the repository %s has no revision %q: it has %s, for instance", shown, name, strings.Join(near, ", "))
	}
	return problem(ErrRef, nil, "the repository %s has no revision %q: did you mean %s?", shown, name, strings.Join(near, " or "))
}

func fullID(name string) (plumbing.Hash, bool) {
	if len(name) != idDigits || !isHex(name) {
		return plumbing.ZeroHash, false
	}
	return plumbing.NewHash(name), true
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
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
		infos, _ := o.dir.common.ReadDir(o.dir.common.Join("objects", digits[:2])) // there may be no such folder
		for _, info := range infos {
			if name := digits[:2] + info.Name(); len(name) == idDigits && strings.HasPrefix(name, digits) && isHex(name) {
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
