package gitrepo

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
)

// refs resolves names in a local repository as git rev-parse does, save that a name with two meanings is refused. Objects
// are what they are: replacements (git replace) and grafts are not applied. In a store that was fetched there are no refs
// to look up, only ids.
type refs struct {
	store   *refStore // nil for a fetched pack
	objects *objects
	shown   string
	full    string // the ref that was found last, in full; "" for none
}

func newRefs(dir *gitDir, objects *objects) *refs {
	return &refs{store: &refStore{dir: dir}, objects: objects, shown: dir.shown}
}

// commit returns the commit that name means: HEAD or @, a branch, a tag, a ref in full, a commit id, short or full, or
// what git describe says, and behind any of these, in any number, ^ ~ ^N ~N ^{commit} ^{tag} ^{object} ^{}.
func (r *refs) commit(ctx context.Context, name string) (plumbing.Hash, error) {
	if err := readable(name, r.shown); err != nil {
		return plumbing.ZeroHash, err
	}
	r.full = ""
	id, err := r.resolve(ctx, name)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if i := strings.IndexAny(name, "~^"); i >= 0 && r.full != "" {
		r.full = fullRef(r.full, name[i:])
	}
	return r.peel(name, id)
}

// readable refuses what git reads and this program does not: it depends on the time, on a place or on a search.
func readable(name, shown string) error {
	for mark, what := range map[string]string{"@{": "a reflog, an upstream or a former branch", "^{/": "a search", ":": "a file or a search"} {
		if strings.Contains(name, mark) {
			return problem(ErrRef, nil, "%q names %s, which is not read from the repository %s: give the commit id that git rev-parse prints for it", name, what, shown)
		}
	}
	if strings.Contains(name, "..") && !strings.ContainsAny(name, "/\\") {
		return problem(ErrRef, nil, "%q is a range, no revision of the repository %s: give one commit", name, shown)
	}
	return nil
}

// resolve takes one suffix after the other from the end of name, as git does.
func (r *refs) resolve(ctx context.Context, name string) (plumbing.Hash, error) {
	rest := strings.TrimRight(name, "0123456789")
	if strings.HasSuffix(rest, "^") || strings.HasSuffix(rest, "~") {
		return r.back(ctx, name, rest)
	}
	base, kind, ok := cutKind(name)
	if !ok {
		return r.base(name)
	}
	id, err := r.resolve(ctx, base)
	if err != nil {
		return id, err
	}
	return r.ofKind(name, id, kind)
}

// back resolves name, which is rest and a number, if any, behind its last ~ or ^.
func (r *refs) back(ctx context.Context, name, rest string) (plumbing.Hash, error) {
	n := 1
	if digits := name[len(rest):]; digits != "" {
		var err error
		if n, err = strconv.Atoi(digits); err != nil {
			return plumbing.ZeroHash, problem(ErrRef, err, "%q counts further than any history of the repository %s goes", name, r.shown)
		}
	}
	base := rest[:len(rest)-1]
	id, err := r.resolve(ctx, base)
	if err != nil {
		return id, err
	}
	if id, err = r.peel(base, id); err != nil {
		return id, err
	}
	if strings.HasSuffix(rest, "~") {
		return r.ancestor(ctx, name, id, n)
	}
	return r.parent(name, id, n)
}

// cutKind splits NAME^{KIND}.
func cutKind(name string) (base, kind string, ok bool) {
	inner, ok := strings.CutSuffix(name, "}")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndex(inner, "^{")
	if i < 0 {
		return "", "", false
	}
	return inner[:i], inner[i+2:], true
}

// ofKind peels id until it is of a kind.
func (r *refs) ofKind(name string, id plumbing.Hash, kind string) (plumbing.Hash, error) {
	switch kind {
	case "":
		id, _, err := r.untag(name, id)
		return id, err
	case "object":
		_, err := r.typeOf(id)
		return id, err
	case "commit":
		return r.peel(name, id)
	case "tag":
		typ, err := r.typeOf(id)
		if err == nil && typ != plumbing.TagObject {
			err = problem(ErrRef, nil, "%q names a %s, not a tag: leave out ^{tag}", name, typ)
		}
		return id, err
	}
	return plumbing.ZeroHash, problem(ErrRef, nil, "%q names no commit: only ^{commit}, ^{tag}, ^{object} and ^{} are read", name)
}

// parent returns the nth parent of a commit, the commit itself for 0.
func (r *refs) parent(name string, id plumbing.Hash, n int) (plumbing.Hash, error) {
	if n == 0 {
		return id, nil
	}
	commit, err := r.objects.commit(id)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if n <= len(commit.parents) {
		return r.past(id, commit.parents[n-1])
	}
	return plumbing.ZeroHash, problem(ErrRef, nil, "there is no %q in the repository %s: commit %s has %s", name, r.shown, id, count(len(commit.parents), "parent"))
}

// ancestor goes n first parents back.
func (r *refs) ancestor(ctx context.Context, name string, id plumbing.Hash, n int) (plumbing.Hash, error) {
	for range n {
		if err := ctx.Err(); err != nil {
			return plumbing.ZeroHash, err
		}
		next, err := r.parent(name, id, 1)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		id = next
	}
	return id, nil
}

// past makes sure that a parent is here: it is not beyond the border of a shallow clone.
func (r *refs) past(child, parent plumbing.Hash) (plumbing.Hash, error) {
	_, err := r.objects.size(parent)
	if errors.Is(err, ErrMissing) && r.store != nil && r.store.dir.shallow(child) {
		err = problem(ErrMissing, err, "the repository %s is a shallow clone that ends at commit %s: git fetch --unshallow gets its past", r.shown, child)
	}
	return parent, err
}

// shallow reports whether the history of the repository was cut off at a commit.
func (d *gitDir) shallow(id plumbing.Hash) bool {
	text, err := head(d.common, "shallow")
	return err == nil && strings.Contains(text, id.String())
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "one " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// base resolves a name without a suffix.
func (r *refs) base(name string) (plumbing.Hash, error) {
	if name == "@" {
		name = "HEAD"
	}
	if full, ok := fullID(name); ok {
		return full, nil
	}
	found, err := r.named(name)
	if err != nil || !found.IsZero() {
		return found, err
	}
	if i := strings.LastIndex(name, "-g"); i > 0 { // what git describe says
		if found, err = r.abbreviated(name[i+2:]); err != nil || !found.IsZero() {
			return found, err
		}
	}
	if found, err = r.abbreviated(name); err == nil && found.IsZero() {
		err = r.unknown(name)
	}
	return found, err
}

// named looks for a ref. A short name of several refs is refused, not guessed, unless all lead to one commit. Zero means
// none.
func (r *refs) named(name string) (plumbing.Hash, error) {
	var found plumbing.Hash
	var first string
	candidates := make([]string, 0, len(prefixes())+1)
	for _, prefix := range prefixes() {
		candidates = append(candidates, prefix+name)
	}
	for _, full := range append(candidates, "refs/remotes/"+name+"/HEAD") {
		id, last, err := r.follow(full)
		switch {
		case err != nil:
			return plumbing.ZeroHash, err
		case id.IsZero():
			continue
		case found.IsZero():
			found, first = id, full
			r.full = fullRef(last, "")
		case id != found:
			if err := r.same(name, [2]string{first, full}, [2]plumbing.Hash{found, id}); err != nil {
				return plumbing.ZeroHash, err
			}
		}
		if full == name {
			break // HEAD, or a ref in full
		}
	}
	return found, nil
}

// same refuses a name that means two commits.
func (r *refs) same(name string, refs [2]string, ids [2]plumbing.Hash) error {
	var commits [2]plumbing.Hash
	for i, id := range ids {
		var err error
		if commits[i], _, err = r.untag(refs[i], id); err != nil {
			return err
		}
	}
	if commits[0] == commits[1] {
		return nil
	}
	return problem(ErrRef, nil, "%q means both %s and %s in the repository %s: give one of them in full", name, refs[0], refs[1], r.shown)
}

// fullRef returns a ref below refs/, and the way from there to what it leads to, such as ~1; "" for others, such as a HEAD that is on no branch.
// Of one that should not be stored, since the name may be of the other side, it says no more than whether it is a tag: no ref has such a name.
func fullRef(name, way string) string {
	if !strings.HasPrefix(name, "refs/") {
		return ""
	}
	const longest = 1000
	if len(name)+len(way) <= longest && (nameable(name) || name == unnamed || name == unnamedTag) {
		return name + way
	}
	if strings.HasPrefix(name, tagPrefix) {
		return unnamedTag
	}
	return unnamed
}

// What stands for a ref whose name is not stored.
const (
	unnamed    = "refs/~"
	unnamedTag = "refs/tags/~"
)

func nameable(name string) bool { return utf8.ValidString(name) && validRef(name) }

// follow resolves a ref by its full name, and says to which it leads last. Zero means that there is none.
func (r *refs) follow(name string) (id plumbing.Hash, last string, err error) {
	for range deepest {
		found, err := r.store.read(name)
		if err != nil || found.target == "" {
			return found.id, name, err
		}
		name = found.target
	}
	return plumbing.ZeroHash, name, problem(ErrRef, nil, "the ref %s of the repository %s leads to itself: fix it with git symbolic-ref", name, r.shown)
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
