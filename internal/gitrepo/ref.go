package gitrepo

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path"
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

const (
	maxRefFile  = 64 << 10 // how much of a file of one ref is read: the beginning of FETCH_HEAD is enough
	deepestRefs = 64       // folders below refs that are looked into for names to suggest
)

// refStore reads the refs of a local repository from their files, as gitrepository-layout(5) has them. go-git's reader
// takes any text for an id.
type refStore struct {
	dir    *gitDir
	packed map[string]plumbing.Hash // by full name; nil until read
	odd    int                      // line of packed-refs that cannot be read, or 0
}

// ref is what a ref holds: an id, or the name of another ref. Neither is set where there is no ref.
type ref struct {
	id     plumbing.Hash
	target string
}

// read returns the ref of that full name. One whose text is neither is ErrCorrupt.
func (s *refStore) read(name string) (ref, error) {
	if !validRef(name) {
		return ref{}, nil
	}
	found, err := s.loose(name)
	if err != nil || found != (ref{}) {
		return found, err
	}
	if err := s.readPacked(); err != nil {
		return ref{}, unreadable(s.dir.shown, err)
	}
	return ref{id: s.packed[name]}, nil
}

// place returns where the file of a ref is: refs of one work tree are in its own directory, the others in the common one.
func (s *refStore) place(name string) (sealed, string) {
	if rest, ok := strings.CutPrefix(name, "main-worktree/"); ok {
		return s.dir.common, rest
	}
	if rest, ok := strings.CutPrefix(name, "worktrees/"); ok {
		if _, inner, ok := strings.Cut(rest, "/"); ok && ofOneWorkTree(inner) {
			return s.dir.common, name
		}
	}
	if ofOneWorkTree(name) {
		return s.dir.own, name
	}
	return s.dir.common, name
}

func ofOneWorkTree(name string) bool {
	return !strings.HasPrefix(name, "refs/") || strings.HasPrefix(name, "refs/bisect/") || strings.HasPrefix(name, "refs/worktree/") ||
		strings.HasPrefix(name, "refs/rewritten/")
}

func (s *refStore) loose(name string) (ref, error) {
	dir, file := s.place(name)
	info, err := dir.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir():
		return ref{}, nil
	case errors.Is(err, fs.ErrPermission):
		return ref{}, unreadable(s.dir.shown, err)
	case err != nil: // no name that this system can have, or a file where a folder would be
		return ref{}, nil //nolint:nilerr // there is no such ref
	case info.Mode()&fs.ModeSymlink != 0:
		if target, err := dir.Readlink(file); err == nil && strings.HasPrefix(target, "refs/") && validRef(target) {
			return ref{target: target}, nil
		}
	}
	text, err := head(dir, file)
	if errors.Is(err, fs.ErrNotExist) {
		return ref{}, nil // git packs refs at this moment, or removed it
	}
	if err != nil {
		return ref{}, unreadable(s.dir.shown, err)
	}
	if found, ok := parseRef(text); ok {
		return found, nil
	}
	return ref{}, problem(ErrCorrupt, nil, "the ref %s of the repository %s is broken: want a commit id or \"ref: NAME\" in its file; "+
		"git update-ref mends it", name, s.dir.shown)
}

func head(dir sealed, file string) (string, error) {
	opened, err := dir.Open(file)
	if err != nil {
		return "", err
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(opened, maxRefFile))
	return string(text), err
}

// parseRef reads "ref: NAME", or an id that ends or is followed by space.
func parseRef(text string) (ref, bool) {
	const space = " \t\r\n"
	text = strings.TrimRight(text, space)
	if target, ok := strings.CutPrefix(text, "ref:"); ok {
		target = strings.TrimLeft(target, space)
		return ref{target: target}, validRef(target)
	}
	if i := strings.IndexAny(text, space); i >= 0 {
		text = text[:i]
	}
	id, ok := fullID(text)
	return ref{id: id}, ok
}

// validRef reports whether a ref may have that full name: below refs/, or in capitals such as HEAD, or one of those in
// another work tree. Everything else in the repository's directory is no ref, whatever it holds.
func validRef(name string) bool {
	if !validRefName(name) {
		return false
	}
	if rest, ok := strings.CutPrefix(name, "main-worktree/"); ok {
		return validRef(rest)
	}
	if rest, ok := strings.CutPrefix(name, "worktrees/"); ok {
		_, inner, _ := strings.Cut(rest, "/")
		return validRef(inner)
	}
	return strings.HasPrefix(name, "refs/") || isRootRef(name)
}

func isRootRef(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r != '_' && r != '-' && (r < 'A' || r > 'Z') })
}

// validRefName holds the rules of git check-ref-format.
func validRefName(name string) bool {
	if name == "" || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.ContainsAny(name, " ~^:?*[\\") {
		return false
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f {
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// readPacked reads packed-refs. A line that cannot be read is left out, and told of when a name is not found.
func (s *refStore) readPacked() error {
	if s.packed != nil {
		return nil
	}
	s.packed = make(map[string]plumbing.Hash)
	file, err := s.dir.common.Open("packed-refs")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "^") {
			continue // of what git knows of the file, and what the tag before marks
		}
		digits, name, _ := strings.Cut(line, " ")
		if id, ok := fullID(digits); ok && validRef(name) {
			s.packed[name] = id
		} else {
			s.odd = n
		}
	}
	return lines.Err()
}

// all returns the full names of the refs below refs/.
func (s *refStore) all() ([]string, error) {
	if err := s.readPacked(); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(s.packed))
	for name := range s.packed {
		names = append(names, name)
	}
	for dirs := []string{"refs"}; len(dirs) > 0; dirs = dirs[1:] {
		infos, err := s.dir.common.ReadDir(dirs[0])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, info := range infos {
			full := path.Join(dirs[0], info.Name())
			switch {
			case info.IsDir() && strings.Count(full, "/") < deepestRefs:
				dirs = append(dirs, full)
			case info.IsDir() || !validRef(full):
			default:
				if found, err := s.loose(full); err == nil && found.target == "" {
					names = append(names, full)
				}
			}
		}
	}
	return names, nil
}
