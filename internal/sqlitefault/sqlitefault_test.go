package sqlitefault_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gxpledger/gxpledger/internal/sqlitefault"
)

// coded is an error with a result code, as that of the driver.
type coded int

func (c coded) Error() string { return fmt.Sprintf("code %d", int(c)) }
func (c coded) Code() int     { return int(c) }

func TestResultCodesAreClassified(t *testing.T) {
	t.Parallel()
	for class, codes := range map[sqlitefault.Class][]int{
		sqlitefault.Other:       {0, 1, 4, 12, 17, 21, 27, 1 | 2<<8},
		sqlitefault.Busy:        {5, 5 | 1<<8, 5 | 2<<8, 5 | 3<<8, 6, 6 | 1<<8, 15},
		sqlitefault.Short:       {7, 9, 10 | 12<<8},
		sqlitefault.DiskFull:    {13},
		sqlitefault.Disk:        {10, 10 | 1<<8, 10 | 3<<8, 10 | 4<<8, 10 | 5<<8, 10 | 13<<8, 10 | 15<<8, 10 | 18<<8, 10 | 19<<8, 10 | 33<<8},
		sqlitefault.CantOpen:    {14, 14 | 2<<8, 14 | 5<<8},
		sqlitefault.ReadOnly:    {8, 8 | 1<<8, 8 | 2<<8, 8 | 3<<8, 8 | 4<<8, 8 | 5<<8, 8 | 6<<8, 3, 23},
		sqlitefault.Corrupt:     {11, 11 | 1<<8},
		sqlitefault.NotDatabase: {26},
		sqlitefault.TooLarge:    {18},
		sqlitefault.Constraint:  {19, 19 | 8<<8, 20},
	} {
		for _, code := range codes {
			if got := sqlitefault.ClassOf(fmt.Errorf("commit: %w", coded(code))); got != class {
				t.Errorf("%d has class %d, want %d", code, got, class)
			}
		}
	}
	if got := sqlitefault.ClassOf(errors.New("x")); got != sqlitefault.Other {
		t.Errorf("another error has class %d", got)
	}
}

// database makes the files of a database.
func database(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.db")
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// SQLite alone says "unable to open database file", "attempt to write a readonly database" or "disk I/O error".
func TestTheFileThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	path := database(t)
	refuse := func(file string, writing bool, number syscall.Errno) func(string, bool) error {
		return func(path string, write bool) error {
			if strings.HasSuffix(path, file) && write == writing {
				return &fs.PathError{Op: "access", Path: path, Err: number}
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		access func(string, bool) error
		writes bool
		is     error
		says   []string
	}{
		"a -shm of mode 0444, to write":       {refuse("-shm", true, syscall.EACCES), true, fs.ErrPermission, []string{"may not write " + path + "-shm, which has mode -rw-------", "user ", "(id "}},
		"a -shm of mode 0444, to read":        {refuse("-shm", true, syscall.EACCES), false, fs.ErrPermission, []string{"may not write " + path + "-shm"}},
		"a -wal that is not ours":             {refuse("-wal", false, syscall.EPERM), false, fs.ErrPermission, []string{"may not read " + path + "-wal"}},
		"a file that is not ours":             {refuse("log.db", false, syscall.EACCES), true, fs.ErrPermission, []string{"may not read " + path + ", which"}},
		"a file system that is read-only":     {refuse("log.db", true, syscall.EROFS), true, syscall.EROFS, []string{"may not write " + path + ", which", syscall.EROFS.Error()}},
		"a file that is not ours, to read it": {refuse("log.db", true, syscall.EACCES), false, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sqlitefault.FindCause(path, c.writes, c.access)
			if !errors.Is(err, c.is) {
				t.Fatalf("cause is %v, want %v", err, c.is)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("cause is %v, want %q in it", err, part)
				}
			}
		})
	}
}

func TestAMissingFileOrFolderIsNamed(t *testing.T) {
	t.Parallel()
	path := database(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{path, filepath.Join(filepath.Dir(path), "none", "log.db")} {
		err := sqlitefault.Explain(coded(14), gone, true)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), filepath.Dir(gone)) || sqlitefault.ClassOf(err) != sqlitefault.CantOpen {
			t.Errorf("error is %v, want that %s is missing", err, gone)
		}
	}
}

func TestAHealthyFileHasNoCauseAndIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := database(t)
	for _, err := range []error{nil, coded(5), coded(10), coded(19), errors.New("x")} {
		if got := sqlitefault.Explain(err, path, true); !errors.Is(got, err) || got != err { //nolint:errorlint // it is this very one
			t.Errorf("%v is explained as %v", err, got)
		}
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 3 {
		t.Errorf("the folder holds %v, %v, want what was there", all, err)
	}
}

func TestWordsOfTheOperatingSystem(t *testing.T) {
	t.Parallel()
	type kind struct{ full, refused, short bool }
	for number, want := range map[error]kind{
		syscall.ENOSPC: {full: true}, syscall.EDQUOT: {full: true}, coded(13): {full: true},
		syscall.EACCES: {refused: true}, syscall.EPERM: {refused: true}, syscall.EROFS: {refused: true},
		syscall.EMFILE: {short: true}, syscall.ENFILE: {short: true}, syscall.EIO: {}, coded(10): {},
	} {
		err := fmt.Errorf("write: %w", number)
		if got := (kind{sqlitefault.IsDiskFull(err), sqlitefault.IsRefused(err), sqlitefault.IsShortOfFiles(err)}); got != want {
			t.Errorf("%v is %+v, want %+v", number, got, want)
		}
	}
}
