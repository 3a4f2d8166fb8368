package gitrepo

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Blob is what [fs.FileInfo.Sys] returns for a file of a [Revision]: the git id of its bytes.
type Blob struct{ id string }

// BlobID returns the id, 40 hexadecimal digits.
func (b Blob) BlobID() string { return b.id }

// submodule is the type of a submodule: a folder that is not one of ours, and lists nothing.
const submodule = fs.ModeDir | fs.ModeIrregular

// node is an entry of a folder.
type node struct {
	name string
	mode fs.FileMode // type bits only
	id   string      // of the blob, tree or commit
	size int64       // of a file; unknown until sized

	executable bool // a file that its owner may run
}

// source is where the entries of a file tree come from. Implementations are safe for concurrent use.
type source interface {
	// list returns the entries of a folder.
	list(dir string, at node) ([]node, error)
	// size returns the size of a file without reading it.
	size(file string, at node) (int64, error)
	// open returns the bytes of a file.
	open(file string, at node) (io.ReadCloser, error)
}

// files is a read-only [fs.FS] over a source. Folders are listed when they are first asked for, and kept. It is safe for
// concurrent use. Symbolic links and submodules are entries, and nothing more: they can be neither opened nor passed
// through, and a submodule lists nothing.
type files struct {
	source source
	root   node
	mu     sync.Mutex
	dirs   map[string][]node // guarded by mu; sorted by name
}

var (
	_ fs.ReadDirFS = (*files)(nil)
	_ fs.StatFS    = (*files)(nil)
)

func newFiles(from source, root node) *files {
	return &files{source: from, root: root, dirs: make(map[string][]node)}
}

// Open opens a file or a folder.
func (f *files) Open(name string) (fs.File, error) {
	at, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	if at.mode == fs.ModeDir {
		entries, err := f.ReadDir(name)
		return &folder{entry: &entry{files: f, node: &at, dir: path.Dir(name)}, entries: entries}, err
	}
	if !at.mode.IsRegular() {
		return nil, fault("open", name, errors.New("a symbolic link or submodule, not followed"))
	}
	if at.size, err = f.source.size(name, at); err != nil {
		return nil, fault("open", name, err)
	}
	bytes, err := f.source.open(name, at)
	if err != nil {
		return nil, fault("open", name, err)
	}
	return &file{ReadCloser: bytes, entry: &entry{files: f, node: &at, dir: path.Dir(name)}}, nil
}

// Stat describes a file, a folder, or what is not followed.
func (f *files) Stat(name string) (fs.FileInfo, error) {
	at, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	return (&entry{files: f, node: &at, dir: path.Dir(name)}).Info()
}

// ReadDir lists a folder in the order of names. It reads no file, and knows no size until Info is called.
func (f *files) ReadDir(name string) ([]fs.DirEntry, error) {
	at, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !at.mode.IsDir() {
		return nil, fault("readdir", name, errors.New("not a folder"))
	}
	nodes, err := f.list(name, at)
	if err != nil {
		return nil, fault("readdir", name, err)
	}
	entries := make([]fs.DirEntry, len(nodes))
	all := make([]entry, len(nodes))
	for i := range nodes {
		all[i] = entry{files: f, node: &nodes[i], dir: name}
		entries[i] = &all[i]
	}
	return entries, nil
}

func fault(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// find walks from the root to name.
func (f *files) find(op, name string) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, fault(op, name, fs.ErrInvalid)
	}
	at, dir := f.root, "."
	if name == "." {
		return at, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if !at.mode.IsDir() {
			return node{}, fault(op, name, fs.ErrNotExist)
		}
		entries, err := f.list(dir, at)
		if err != nil {
			return node{}, fault(op, name, err)
		}
		i, ok := slices.BinarySearchFunc(entries, part, func(n node, part string) int { return cmp.Compare(n.name, part) })
		if !ok {
			return node{}, fault(op, name, fs.ErrNotExist)
		}
		at, dir = entries[i], path.Join(dir, part)
	}
	return at, nil
}

func (f *files) list(dir string, at node) ([]node, error) {
	if at.mode == submodule {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if entries, ok := f.dirs[dir]; ok {
		return entries, nil
	}
	entries, err := f.source.list(dir, at)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b node) int { return cmp.Compare(a.name, b.name) })
	for i, n := range entries {
		if i > 0 && entries[i-1].name == n.name {
			return nil, problem(ErrCorrupt, nil, "the folder %q lists the name %q twice: check the repository with git fsck", dir, n.name)
		}
		if !validName(n.name) {
			entries[i].mode = fs.ModeIrregular // to be seen, never to be opened: no path leads to it
		}
	}
	f.dirs[dir] = entries
	return entries, nil
}

// forget frees the lists of folders. They are listed again when they are asked for.
func (f *files) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.dirs)
}

// validName reports whether a path may hold name. A tree may hold names that no folder can.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && utf8.ValidString(name) && !strings.ContainsAny(name, "/\x00")
}

// entry is a [fs.DirEntry]. There may be very many.
type entry struct {
	files *files
	node  *node
	dir   string
}

func (e *entry) path() string { return path.Join(e.dir, e.node.name) }

// Name returns the last element of the path.
func (e *entry) Name() string { return e.node.name }

// IsDir reports whether it is a folder.
func (e *entry) IsDir() bool { return e.node.mode.IsDir() }

// Type returns the type bits: a folder, a symbolic link, irregular for a submodule, or none for a file.
func (e *entry) Type() fs.FileMode { return e.node.mode }

// BlobID returns the git id of a file's bytes, "" for the rest.
func (e *entry) BlobID() string {
	if !e.node.mode.IsRegular() {
		return ""
	}
	return e.node.id
}

// Info finds out the size.
func (e *entry) Info() (fs.FileInfo, error) {
	at := *e.node
	if at.mode.IsRegular() {
		var err error
		if at.size, err = e.files.source.size(e.path(), at); err != nil {
			return nil, fault("stat", e.path(), err)
		}
	}
	return info{at}, nil
}

// info is a [fs.FileInfo].
type info struct{ node node }

// Name returns the last element of the path.
func (i info) Name() string { return i.node.name }

// Size returns the size of a file in bytes, 0 for the rest.
func (i info) Size() int64 { return i.node.size }

// Mode returns the type and whether a file is executable; everybody may read, nobody write.
func (i info) Mode() fs.FileMode {
	if i.node.mode.IsDir() || i.node.executable {
		return i.node.mode | 0o555
	}
	return i.node.mode | 0o444
}

// ModTime is zero: git keeps no times of files.
func (info) ModTime() time.Time { return time.Time{} }

// IsDir reports whether it is a folder.
func (i info) IsDir() bool { return i.node.mode.IsDir() }

// Sys returns a [Blob] for a file, nil for the rest.
func (i info) Sys() any {
	if !i.node.mode.IsRegular() {
		return nil
	}
	return Blob{id: i.node.id}
}

// file is an open file.
type file struct {
	io.ReadCloser
	entry *entry
}

// Stat returns what is known of the file.
func (f *file) Stat() (fs.FileInfo, error) { return info{*f.entry.node}, nil }

// folder is an open folder.
type folder struct {
	entry   *entry
	entries []fs.DirEntry
}

// Stat returns what is known of the folder.
func (f *folder) Stat() (fs.FileInfo, error) { return info{*f.entry.node}, nil }

// Read fails.
func (f *folder) Read([]byte) (int, error) {
	return 0, fault("read", f.entry.path(), errors.New("is a folder"))
}

// Close does nothing.
func (f *folder) Close() error { return nil }

// ReadDir returns the next n entries, or all that are left when n is not positive.
func (f *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(f.entries)
	} else if len(f.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.entries))
	next := f.entries[:n:n]
	f.entries = f.entries[n:]
	return next, nil
}
