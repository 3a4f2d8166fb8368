package gitrepo

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

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
		"git update-ref fixes it", name, s.dir.shown)
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
