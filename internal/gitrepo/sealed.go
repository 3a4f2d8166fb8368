package gitrepo

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
)

// maxMetadata is the largest file of a repository, other than objects and packs, that is read: packed-refs, config.
const maxMetadata = 64 << 20

// sealed is a directory as go-git sees it: read-only, and without an exit, whatever symbolic links are in it.
type sealed struct{ root *os.Root }

var _ billy.Filesystem = sealed{}

func seal(path string) (sealed, error) {
	root, err := os.OpenRoot(path)
	return sealed{root: root}, err
}

// Open opens a regular file. It refuses pipes and devices, on which reading might block for ever, and metadata above
// maxMetadata.
func (s sealed) Open(name string) (billy.File, error) {
	name = filepath.Clean(name)
	info, err := s.root.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("want a regular file: %w", fs.ErrInvalid)}
	case info.Size() > maxMetadata && !strings.HasPrefix(filepath.ToSlash(name), "objects/"):
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%d bytes, more than %d: %w", info.Size(), maxMetadata, fs.ErrInvalid)}
	}
	file, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	return sealedFile{File: file, name: name}, nil
}

// OpenFile is Open for reading and refuses everything else.
func (s sealed) OpenFile(name string, flag int, _ fs.FileMode) (billy.File, error) {
	if flag != os.O_RDONLY {
		return nil, billy.ErrReadOnly
	}
	return s.Open(name)
}

// Stat follows symbolic links that stay inside.
func (s sealed) Stat(name string) (fs.FileInfo, error) { return s.root.Stat(filepath.Clean(name)) }

// Lstat follows none.
func (s sealed) Lstat(name string) (fs.FileInfo, error) { return s.root.Lstat(filepath.Clean(name)) }

// Readlink returns the target of a symbolic link.
func (s sealed) Readlink(name string) (string, error) { return s.root.Readlink(filepath.Clean(name)) }

// ReadDir lists a directory in the order of names. A file that vanishes meanwhile is left out.
func (s sealed) ReadDir(name string) ([]fs.FileInfo, error) {
	dir, err := s.root.Open(filepath.Clean(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	infos, err := dir.Readdir(-1)
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return infos, err
}

// Join joins with the separator of the system.
func (sealed) Join(elem ...string) string { return filepath.Join(elem...) }

// Root returns where the directory is.
func (s sealed) Root() string { return s.root.Name() }

// Close frees the directory. Files opened from it stay open.
func (s sealed) Close() error { return s.root.Close() }

// Create is refused, as is everything below: this is a file system to read.
func (sealed) Create(string) (billy.File, error) { return nil, billy.ErrReadOnly }

// Rename is refused.
func (sealed) Rename(string, string) error { return billy.ErrReadOnly }

// Remove is refused.
func (sealed) Remove(string) error { return billy.ErrReadOnly }

// TempFile is refused.
func (sealed) TempFile(string, string) (billy.File, error) { return nil, billy.ErrReadOnly }

// MkdirAll is refused.
func (sealed) MkdirAll(string, fs.FileMode) error { return billy.ErrReadOnly }

// Symlink is refused.
func (sealed) Symlink(string, string) error { return billy.ErrReadOnly }

// Chroot is refused: go-git asks for it to follow alternates and to enter submodules.
func (sealed) Chroot(string) (billy.Filesystem, error) { return nil, billy.ErrNotSupported }

// sealedFile is a file opened for reading, under the name that opens it again.
type sealedFile struct {
	*os.File
	name string
}

// Name returns the path within the sealed directory.
func (f sealedFile) Name() string { return f.name }

// Write is refused.
func (sealedFile) Write([]byte) (int, error) { return 0, billy.ErrReadOnly }

// Truncate is refused.
func (sealedFile) Truncate(int64) error { return billy.ErrReadOnly }

// Lock does nothing: nothing here writes.
func (sealedFile) Lock() error { return nil }

// Unlock does nothing.
func (sealedFile) Unlock() error { return nil }
