// Package wholefile writes files that appear in their place complete or not at all.
package wholefile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/gxpledger/gxpledger/internal/durable"
)

// Error says why no file can be written at a path.
type Error struct {
	Path    string
	Problem string // of which the path is the subject
	Err     error  // the cause, or nil
}

// Error names the path and says why.
func (e *Error) Error() string { return e.Path + " " + e.Problem }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// File is a file that is written under a temporary name beside its place, and then put there. A process that is killed leaves
// the temporary one, which the next one at the same place removes, and nothing at the place.
type File struct {
	// Temporary is the path to write to.
	Temporary string
	path      string
}

// New creates an empty file beside path, which its owner alone may read. The caller discards it, kept or not.
func New(path string) (*File, error) {
	removeAbandoned(path)
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"."+processName(os.Getpid())+".*.part")
	if err != nil {
		return nil, &Error{Path: path, Problem: fmt.Sprintf("cannot be created (%v)", err), Err: err}
	}
	return &File{path: path, Temporary: file.Name()}, file.Close()
}

// processName is how temporary files name a process of this machine.
func processName(pid int) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if space, err := os.Readlink("/proc/self/ns/pid"); err == nil { // containers of one host count processes each for itself
		host += " " + space
	}
	sum := sha256.Sum256([]byte(host))
	return hex.EncodeToString(sum[:4]) + "-" + strconv.Itoa(pid)
}

// abandoned is what follows the name of the place in that of a temporary file, and of what SQLite lays beside one.
var abandoned = regexp.MustCompile(`^\.([0-9a-f]{8}-([0-9]+))\.[0-9]+\.part(-journal|-wal|-shm)?$`)

// removeAbandoned removes the temporary files and folders of path whose process, on this machine, is gone. One that cannot be removed is
// no failure of whoever writes the next.
func removeAbandoned(path string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, entry := range entries {
		rest, ours := strings.CutPrefix(entry.Name(), filepath.Base(path))
		parts := abandoned.FindStringSubmatch(rest)
		if !ours || parts == nil || !entry.Type().IsRegular() && !entry.IsDir() {
			continue
		}
		pid, err := strconv.Atoi(parts[2])
		if err == nil && parts[1] == processName(pid) && isGone(pid) {
			_ = os.RemoveAll(filepath.Join(filepath.Dir(path), entry.Name()))
		}
	}
}

// isGone reports whether there is no process with a number, for certain.
func isGone(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false // on Windows, where it may be the process of another user
	}
	defer func() { _ = process.Release() }()
	err = process.Signal(syscall.Signal(0))
	return errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH)
}

// Keep flushes the file, which must be closed, to disk and puts it in its place. An existing one is replaced when replace is
// set, and else an error that matches [fs.ErrExist].
func (f *File) Keep(replace bool) error { //revive:disable-line:flag-parameter // what the caller asked for
	file, err := os.OpenFile(f.Temporary, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err == nil {
		err = f.put(replace)
	}
	if err == nil {
		err = durable.SyncFolder(filepath.Dir(f.path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}

func (f *File) put(replace bool) error { //revive:disable-line:flag-parameter // see Keep
	if replace {
		return os.Rename(f.Temporary, f.path)
	}
	err := os.Link(f.Temporary, f.path) // which, unlike a rename, never replaces a file
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) { // a file system without links
		return errors.Join(fs.ErrExist, err)
	}
	return os.Rename(f.Temporary, f.path)
}

// Discard removes what was not put in its place.
func (f *File) Discard() error {
	if err := os.Remove(f.Temporary); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// CheckPlain refuses a path where something other than a plain file is: replacing a device, a pipe or a link would destroy
// it, and writing through a link would change a file that nobody named. The error is an [*Error].
func CheckPlain(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &Error{Path: path, Problem: fmt.Sprintf("cannot be written (%v)", err), Err: err}
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
	return &Error{Path: path, Problem: "cannot be replaced with a file, because it is " + what}
}

// Check refuses a path that [Write] must not write: one where a database or no plain file is. The error is an [*Error].
func Check(path string) error {
	if err := CheckPlain(path); err != nil {
		return err
	}
	if IsDatabase(path) {
		return &Error{Path: path, Problem: "is a database"}
	}
	return nil
}

// Write writes a file, in the place of the plain file that is there. Errors: those of [Check].
func Write(path string, write func(io.Writer) error) (err error) {
	if err := Check(path); err != nil {
		return err
	}
	whole, err := New(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, whole.Discard()) }()
	file, err := os.OpenFile(whole.Temporary, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return whole.Keep(true)
}

// IsDatabase reports whether a file begins as those of SQLite do, such as a log or tables.
func IsDatabase(path string) bool {
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
