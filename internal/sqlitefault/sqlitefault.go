// Package sqlitefault says what an error of SQLite means, and why a file could not be used: SQLite itself tells no more than that
// it could not open, read or write one.
package sqlitefault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"syscall"
)

// Class is what an error of SQLite means to whoever made a call.
type Class int

const (
	// Other errors have no meaning here.
	Other Class = iota
	// Busy says that another connection, of this process or another, holds a lock.
	Busy
	// Short says that a call was cut short, or that memory was.
	Short
	// DiskFull says that there is no room on the disk, or that a quota is used up.
	DiskFull
	// Disk says that the disk could not be read or written.
	Disk
	// CantOpen says that a file could not be opened or created.
	CantOpen
	// ReadOnly says that a file may not be written.
	ReadOnly
	// Corrupt says that the file contradicts itself.
	Corrupt
	// NotDatabase says that the file is none of SQLite.
	NotDatabase
	// TooLarge says that a value is above a limit.
	TooLarge
	// Constraint says that a row breaks a rule of its table.
	Constraint
)

// ClassOf returns the class of an error. Its low byte is the primary result code, see https://www.sqlite.org/rescode.html; the
// rest says more about the same.
func ClassOf(err error) Class {
	coded, ok := errors.AsType[interface {
		error
		Code() int
	}](err)
	if !ok {
		return Other
	}
	const ioNoMemory, busy, locked, noMemory, readOnly, interrupt, ioError, corrupt, full, cantOpen, protocol, tooBig, constraint, mismatch, perm, auth, notADB = 10 | 12<<8, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 18, 19, 20, 3, 23, 26
	if coded.Code() == ioNoMemory {
		return Short
	}
	return map[int]Class{
		busy: Busy, locked: Busy, protocol: Busy, // the last after many tries for a lock
		noMemory: Short, interrupt: Short, full: DiskFull, ioError: Disk, cantOpen: CantOpen,
		readOnly: ReadOnly, perm: ReadOnly, auth: ReadOnly, corrupt: Corrupt, notADB: NotDatabase, tooBig: TooLarge,
		constraint: Constraint, mismatch: Constraint,
	}[coded.Code()&0xff]
}

// Explain joins to err, of the database at path, why a file of it or its folder cannot be used, where that can be found out.
// writes says that the call was to write: then it also finds out whether the folder takes a new file.
func Explain(err error, path string, writes bool) error { //revive:disable-line:flag-parameter // as documented
	switch ClassOf(err) {
	case DiskFull, Disk, CantOpen, ReadOnly:
	case Other, Busy, Short, Corrupt, NotDatabase, TooLarge, Constraint:
		return err
	}
	if cause := findCause(path, writes, access); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// IsDiskFull reports whether err says that there is no room, in the words of SQLite or of the operating system.
func IsDiskFull(err error) bool {
	return ClassOf(err) == DiskFull || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// IsRefused reports whether err says that the operating system refuses what was asked of a file, whoever holds its locks.
func IsRefused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// IsShortOfFiles reports whether err says that this process, or the system, has too many files open.
func IsShortOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// findCause returns why one of the files of a database cannot be used, or nil. It opens none of them: closing one again
// would drop the locks that this process holds on it.
func findCause(path string, writes bool, access func(path string, write bool) error) error { //revive:disable-line:flag-parameter // see Explain
	folder := filepath.Dir(path)
	opened, err := os.Open(folder) //nolint:gosec // the operator names it
	if err != nil {
		return refusal(folder, "read", err)
	}
	_ = opened.Close() // nothing was written
	if _, err := os.Stat(path); err != nil {
		return refusal(path, "read", err)
	}
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		if err := access(file, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return refusal(file, "read", err)
		}
		if err := access(file, true); writes && err != nil && !errors.Is(err, fs.ErrNotExist) {
			return refusal(file, "write", err)
		}
	}
	if !writes {
		// Whoever reads shares it, too, and tells others in it what it reads.
		if err := access(path+"-shm", true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return refusal(path+"-shm", "write", err)
		}
		return nil
	}
	probe, err := os.CreateTemp(folder, ".gxpledger-probe-*")
	if err != nil {
		return refusal(folder, "write", err)
	}
	const enough = 64 << 10 // for the largest pages of SQLite
	_, err = probe.Write(make([]byte, enough))
	err = errors.Join(err, probe.Close(), os.Remove(probe.Name()))
	if err != nil {
		return refusal(folder, "write", err)
	}
	return nil
}

// refusal says what the operating system refused to whom.
func refusal(path, do string, err error) error {
	if !IsRefused(err) {
		return err // which names the path
	}
	info, failure := os.Stat(path)
	if failure != nil {
		return err
	}
	who := "this user"
	if u, err := user.Current(); err == nil {
		who = fmt.Sprintf("user %s (id %s)", u.Username, u.Uid)
	}
	return fmt.Errorf("%s may not %s %s, which has mode %s%s: %w", who, do, path, info.Mode(), ownerOf(info), bare(err))
}

// bare returns the error number of an error that also names a path.
func bare(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	return err
}
