package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// wholeFile is a file that comes to its place whole or not at all: until then it lies beside it under another name. A
// process that is killed leaves that one, and nothing at the place.
type wholeFile struct {
	path      string // the place
	temporary string
}

// newWholeFile makes an empty file beside path, which its owner alone may read. The caller discards it, kept or not.
func newWholeFile(path string) (*wholeFile, error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return nil, failed(err, "no file can be made in %s (%v): name another place", filepath.Dir(path), err)
	}
	return &wholeFile{path: path, temporary: file.Name()}, file.Close()
}

// keep puts the file, which must be closed, on disk and in its place. An existing one is replaced when replace is set, and
// else an error that matches [fs.ErrExist].
func (f *wholeFile) keep(replace bool) error { //revive:disable-line:flag-parameter // what the user said
	file, err := os.OpenFile(f.temporary, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err == nil {
		err = f.put(replace)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}

func (f *wholeFile) put(replace bool) error { //revive:disable-line:flag-parameter // see keep
	if replace {
		return os.Rename(f.temporary, f.path)
	}
	err := os.Link(f.temporary, f.path) // which, unlike a rename, never replaces a file
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) { // a file system without links
		return errors.Join(fs.ErrExist, err)
	}
	return os.Rename(f.temporary, f.path)
}

// discard removes what was not put in its place.
func (f *wholeFile) discard() error {
	if err := os.Remove(f.temporary); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder puts the names in a folder on disk. Systems that cannot do that do not need it.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the operator named it
	if err != nil {
		return err
	}
	err = folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) {
		err = nil
	}
	return errors.Join(err, folder.Close())
}

// plainOrAbsent refuses a place where something other than a plain file is: replacing a device, a pipe or a link would
// destroy it, and writing through a link would change a file that nobody named. flag is the flag that names the place.
func plainOrAbsent(flag, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(err, "cannot write %s (%v): name another file with --%s", path, err, flag)
	}
	what := "not a plain file"
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeSymlink != 0:
		what = "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	}
	return failed(nil, "cannot replace %s with a file, because it is %s: name another file with --%s", path, what, flag)
}

// checkOutput refuses a place that --output must not write: one where a database or no plain file is.
func checkOutput(path string) error {
	if err := plainOrAbsent("output", path); err != nil {
		return err
	}
	if isDatabase(path) {
		return failed(nil, "%s is a database: name another file", path)
	}
	return nil
}

// writeWhole writes the file that --output names in one piece, in the place of the plain file that is there.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if err := checkOutput(path); err != nil {
		return err
	}
	whole, err := newWholeFile(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, whole.discard()) }()
	file, err := os.OpenFile(whole.temporary, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return whole.keep(true)
}

// isDatabase reports whether a file begins as those of SQLite do, such as a log or tables.
func isDatabase(path string) bool {
	const magic = "SQLite format 3\x00"
	file, err := os.Open(path) //nolint:gosec // the operator named it
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // it was only read
	head := make([]byte, len(magic))
	_, err = io.ReadFull(file, head)
	return err == nil && string(head) == magic
}
