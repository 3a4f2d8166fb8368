package gitrepo

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // it is what git closes its index with
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/gxpledger/gxpledger/domain"
)

// Tracked is a path that a repository tracks: in its index or in the tree of its HEAD.
type Tracked struct {
	Repository string // the folder of its work tree
	Path       string // in the repository, as it is spelled there
	Link       bool   // as a symbolic link
}

// FindTracked looks in every repository around path for an entry that is name, or is below it. Spellings count as the same
// that some file system takes for the same. The folder that name is in must be given without symbolic links; name itself
// need not exist. Nil: no repository tracks it. When a repository cannot be read, the answer is an error.
func FindTracked(ctx context.Context, name string) (*Tracked, error) {
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		r := &Repository{shown: dir}
		found, err := r.at(dir)
		if err != nil {
			return nil, err
		}
		if found && r.work != "" {
			rel, err := filepath.Rel(r.work, name)
			if err != nil {
				return nil, problem(ErrNotRepository, err, "cannot tell where %s is in the repository %s: %v", name, r.work, err)
			}
			if tracked, err := r.tracks(ctx, filepath.ToSlash(rel)); err != nil || tracked != nil {
				return tracked, err
			}
		}
		if dir == filepath.Dir(dir) {
			return nil, nil //nolint:nilnil // no repository tracks it, which is no error
		}
	}
}

// tracks looks for rel, or what is below it, in the index and in HEAD. Of several it prefers a link.
func (r *Repository) tracks(ctx context.Context, rel string) (*Tracked, error) {
	w := newTrackedPath(rel)
	found, err := r.inIndex(w)
	if err != nil || found != nil && found.Link {
		return found, err
	}
	committed, err := r.inHead(ctx, w)
	if err != nil || committed != nil && (found == nil || committed.Link) {
		return committed, err
	}
	return found, nil
}

// inHead looks in the tree of HEAD, folder by folder.
func (r *Repository) inHead(ctx context.Context, w trackedPath) (*Tracked, error) {
	head := &Revision{source: domain.Source{Ref: "HEAD"}}
	defer head.Close() //nolint:errcheck // nothing was written
	err := r.openLocal(ctx, head, "HEAD")
	if errors.Is(err, ErrEmpty) || errors.Is(err, ErrRef) {
		return nil, nil //nolint:nilnil // no commit, nothing tracked
	}
	if err != nil {
		return nil, err
	}
	var found *Tracked
	dirs := []string{"."}
	for depth := range w {
		var below []string
		for _, dir := range dirs {
			entries, err := fs.ReadDir(head.files, dir)
			if err != nil {
				return nil, unreadable(r.shown, err)
			}
			for _, e := range entries {
				switch at := path.Join(dir, e.Name()); {
				case !w.same(depth, e.Name()):
				case depth == len(w)-1 && (found == nil || e.Type() == fs.ModeSymlink):
					found = &Tracked{Repository: r.work, Path: at, Link: e.Type() == fs.ModeSymlink}
				case depth < len(w)-1 && e.Type() == fs.ModeDir:
					below = append(below, at)
				}
			}
		}
		dirs = below
	}
	return found, nil
}

// inIndex looks in the index, and in the one that it shares entries with.
func (r *Repository) inIndex(w trackedPath) (*Tracked, error) {
	dir, err := r.open()
	if err != nil {
		return nil, err
	}
	defer dir.close() //nolint:errcheck // nothing was written
	var found *Tracked
	visit := func(name string, link bool) {
		if w.covers(name) && (found == nil || link) {
			found = &Tracked{Repository: r.work, Path: strings.TrimSuffix(name, "/"), Link: link}
		}
	}
	for name := "index"; name != ""; {
		data, err := readWhole(dir.own, name)
		if name == "index" && errors.Is(err, fs.ErrNotExist) {
			return nil, nil //nolint:nilnil // nothing was ever added
		}
		if err == nil {
			name, err = visitIndex(data, visit)
		}
		if err != nil {
			return nil, problem(ErrCorrupt, err, "the index of the repository %s cannot be read (%v): check it with git status", r.shown, err)
		}
	}
	return found, nil
}

func readWhole(from sealed, name string) ([]byte, error) {
	file, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	return io.ReadAll(file)
}

// trackedPath is the names on the way to a path, folded.
type trackedPath []string

func newTrackedPath(rel string) trackedPath {
	names := strings.Split(rel, "/")
	for i, name := range names {
		names[i] = foldName(name)
	}
	return names
}

// covers reports whether the path of an entry is this one or below it.
func (w trackedPath) covers(entry string) bool {
	for i := range w {
		name, rest, deeper := strings.Cut(entry, "/")
		if !w.same(i, name) || !deeper && i < len(w)-1 {
			return false
		}
		entry = rest
	}
	return true
}

// shortName is a name that Windows makes for another one.
var shortName = regexp.MustCompile(`\A([a-z0-9_-]{1,6})~[0-9]+\z`)

// same reports whether some file system takes name for the one at that depth.
func (w trackedPath) same(depth int, name string) bool {
	folded := foldName(name)
	if folded == w[depth] {
		return true
	}
	short := shortName.FindStringSubmatch(folded)
	return short != nil && strings.HasPrefix(strings.ReplaceAll(w[depth], ".", ""), short[1])
}

// foldName maps names to the same text that some file system takes for the same: Unicode's normal form and case do not
// matter, nor do characters that HFS+ ignores, nor what Windows cuts from the end.
func foldName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		}
		return r
	}, name)
	name, _, _ = strings.Cut(name, ":") // a stream of the file, on NTFS
	return cases.Fold().String(norm.NFC.String(strings.TrimRight(name, " .")))
}

var errIndex = errors.New("malformed index")

// visitIndex calls visit for each entry of an index of version 2, 3 or 4, whichever hash the repository uses. It returns the
// name of the file with the entries that the index shares with others, if it does. go-git knows no such index and only SHA-1.
func visitIndex(data []byte, visit func(name string, link bool)) (shared string, err error) {
	const header, stat, namesShared = 12, 40, 4 // from that version on, names share a prefix with the one before
	ids := sha1.Size
	if n := len(data) - sha256.Size; n > 0 && sha256.Sum256(data[:n]) == [sha256.Size]byte(data[n:]) {
		ids = sha256.Size
	}
	if len(data) < header+ids || string(data[:4]) != "DIRC" {
		return "", errIndex
	}
	version, count := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	if version < 2 || version > namesShared {
		return "", fmt.Errorf("%w: version %d", errIndex, version)
	}
	rest := data[header : len(data)-ids]
	var name []byte
	for range count {
		fixed := stat + ids + 2
		if len(rest) < fixed {
			return "", errIndex
		}
		const extended, typeBits, linkType = 0x4000, 0o170000, 0o120000
		if version >= 3 && binary.BigEndian.Uint16(rest[fixed-2:])&extended != 0 {
			fixed += 2
		}
		mode := binary.BigEndian.Uint32(rest[24:])
		if len(rest) < fixed {
			return "", errIndex
		}
		var used int
		if version < namesShared {
			name, used, err = paddedName(rest, fixed)
		} else {
			name, used, err = sharedName(rest, fixed, name)
		}
		if err != nil {
			return "", err
		}
		visit(string(name), mode&typeBits == linkType)
		rest = rest[used:]
	}
	return sharedIndex(rest, ids)
}

// paddedName returns the name of an entry, behind so many bytes, and how long the entry is.
func paddedName(entry []byte, fixed int) (name []byte, used int, err error) {
	const unit = 8
	end := bytes.IndexByte(entry[fixed:], 0)
	if used = (fixed + end + unit) / unit * unit; end < 0 || used > len(entry) {
		return nil, 0, errIndex
	}
	return entry[fixed : fixed+end], used, nil
}

// sharedName is paddedName where an entry says how much of the name before it drops, and then what follows.
func sharedName(entry []byte, fixed int, before []byte) (name []byte, used int, err error) {
	drop, n := indexNumber(entry[fixed:])
	if n == 0 || drop > uint64(len(before)) {
		return nil, 0, errIndex
	}
	fixed += n
	end := bytes.IndexByte(entry[fixed:], 0)
	if end < 0 {
		return nil, 0, errIndex
	}
	return slices.Concat(before[:uint64(len(before))-drop], entry[fixed:fixed+end]), fixed + end + 1, nil
}

// indexNumber reads a number of variable length as git writes it in packs, and how long it is; 0 when it is cut off.
func indexNumber(data []byte) (number uint64, length int) {
	const longest = 9
	for i, b := range data[:min(len(data), longest)] {
		if i > 0 {
			number++
		}
		number = number<<7 | uint64(b&0x7f)
		if b&0x80 == 0 {
			return number, i + 1
		}
	}
	return 0, 0
}

// sharedIndex looks among the extensions of an index for the file that it shares entries with.
func sharedIndex(rest []byte, ids int) (string, error) {
	const head = 8
	for len(rest) >= head {
		size := int64(binary.BigEndian.Uint32(rest[4:]))
		if size > int64(len(rest)-head) {
			return "", errIndex
		}
		body := rest[head : head+size]
		if string(rest[:4]) == "link" && len(body) >= ids && !bytes.Equal(body[:ids], make([]byte, ids)) {
			return "sharedindex." + hex.EncodeToString(body[:ids]), nil
		}
		rest = rest[head+size:]
	}
	return "", nil
}
