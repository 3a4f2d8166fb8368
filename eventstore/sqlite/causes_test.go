package sqlite_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// coded is an error with a result code, as that of the driver.
type coded int

func (c coded) Error() string { return fmt.Sprintf("code %d", int(c)) }
func (c coded) Code() int     { return int(c) }

// An error says what happened, and that somebody else is busy only where that is so.
func TestErrorsOfSQLiteSayTheirCause(t *testing.T) {
	t.Parallel()
	cause := func(number error) error { return fmt.Errorf("%w: %w", number, coded(14)) }
	for name, c := range map[string]struct {
		err  error
		is   []error
		says string
	}{
		"BUSY":                  {coded(5), []error{eventstore.ErrTransient}, "another connection keeps the log locked"},
		"BUSY_SNAPSHOT":         {coded(5 | 2<<8), []error{eventstore.ErrTransient}, "another connection keeps the log locked"},
		"LOCKED":                {coded(6), []error{eventstore.ErrTransient}, "another connection keeps the log locked"},
		"FULL":                  {coded(13), []error{eventstore.ErrTransient, eventstore.ErrDiskFull}, "disk full"},
		"IOERR_WRITE":           {coded(10 | 3<<8), []error{eventstore.ErrTransient}, "disk cannot be read or written"},
		"IOERR_FSYNC":           {coded(10 | 4<<8), []error{eventstore.ErrTransient}, "disk cannot be read or written"},
		"IOERR, no room":        {fmt.Errorf("%w: %w", syscall.ENOSPC, coded(10|19<<8)), []error{eventstore.ErrTransient, eventstore.ErrDiskFull}, "disk full"},
		"IOERR, quota":          {fmt.Errorf("%w: %w", syscall.EDQUOT, coded(10|3<<8)), []error{eventstore.ErrDiskFull}, "disk full"},
		"CANTOPEN":              {coded(14), []error{eventstore.ErrTransient}, "code 14"},
		"CANTOPEN, no right":    {cause(syscall.EACCES), []error{fs.ErrPermission}, syscall.EACCES.Error()},
		"CANTOPEN, read-only":   {cause(syscall.EROFS), []error{syscall.EROFS}, syscall.EROFS.Error()},
		"CANTOPEN, no room":     {cause(syscall.ENOSPC), []error{eventstore.ErrDiskFull}, "disk full"},
		"CANTOPEN, many files":  {cause(syscall.EMFILE), []error{eventstore.ErrTransient, syscall.EMFILE}, syscall.EMFILE.Error()},
		"CANTOPEN, system full": {cause(syscall.ENFILE), []error{eventstore.ErrTransient, syscall.ENFILE}, syscall.ENFILE.Error()},
		"READONLY":              {coded(8), nil, "check the rights"},
		"READONLY_CANTINIT":     {coded(8 | 5<<8), nil, "check the rights"},
		"PERM":                  {coded(3), nil, "check the rights"},
		"NOTADB":                {coded(26), nil, "not a SQLite database"},
		"CORRUPT":               {coded(11), []error{eventstore.ErrCorrupt}, "log is corrupt"},
		"TOOBIG":                {coded(18), []error{eventstore.ErrTooLarge}, "too large"},
		"CONSTRAINT":            {coded(19), nil, "code 19"},
	} {
		got := sqlite.Translate(c.err)
		if !errors.Is(got, c.err) || !strings.Contains(got.Error(), c.says) {
			t.Errorf("%s is %v, want %q in it", name, got, c.says)
		}
		for _, sentinel := range []error{eventstore.ErrTransient, eventstore.ErrDiskFull, eventstore.ErrCorrupt, eventstore.ErrTooLarge} {
			want := false
			for _, is := range c.is {
				want = want || errors.Is(is, sentinel)
			}
			if name == "IOERR, quota" || name == "CANTOPEN, no room" {
				want = want || errors.Is(sentinel, eventstore.ErrTransient) // errors that wrap ErrDiskFull wrap it too
			}
			if errors.Is(got, sentinel) != want {
				t.Errorf("%s is %v; that it matches %v is %t", name, got, sentinel, !want)
			}
		}
		for _, is := range c.is {
			if !errors.Is(got, is) {
				t.Errorf("%s is %v, want %v", name, got, is)
			}
		}
		busy := strings.HasPrefix(name, "BUSY") || name == "LOCKED"
		for _, blame := range []string{"did not answer", "another"} {
			if !busy && strings.Contains(got.Error(), blame) {
				t.Errorf("%s is %v, which nobody else caused", name, got)
			}
		}
	}
}
