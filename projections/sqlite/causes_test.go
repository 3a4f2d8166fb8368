package sqlite_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

// coded is an error with a result code, as that of the driver.
type coded int

func (c coded) Error() string { return fmt.Sprintf("code %d", int(c)) }
func (c coded) Code() int     { return int(c) }

// An error says what happened, and that somebody else is busy only where that is so.
func TestErrorsOfSQLiteSayTheirCause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		is   error // nil for none that the package knows
		says string
	}{
		"BUSY":               {coded(5), projections.ErrTransient, "another connection keeps the tables locked"},
		"LOCKED":             {coded(6 | 1<<8), projections.ErrTransient, "another connection keeps the tables locked"},
		"FULL":               {coded(13), projections.ErrDiskFull, "disk full"},
		"IOERR":              {coded(10), nil, "disk cannot be read or written"},
		"IOERR, no room":     {fmt.Errorf("%w: %w", syscall.ENOSPC, coded(10|19<<8)), projections.ErrDiskFull, "disk full"},
		"CANTOPEN":           {coded(14), projections.ErrReadOnly, "check the rights"},
		"CANTOPEN, no right": {fmt.Errorf("%w: %w", syscall.EACCES, coded(14)), projections.ErrReadOnly, syscall.EACCES.Error()},
		"CANTOPEN, files":    {fmt.Errorf("%w: %w", syscall.EMFILE, coded(14)), projections.ErrTransient, syscall.EMFILE.Error()},
		"READONLY":           {coded(8 | 5<<8), projections.ErrReadOnly, "check the rights"},
		"PERM":               {coded(3), projections.ErrReadOnly, "check the rights"},
		"NOTADB":             {coded(26), projections.ErrDamaged, "damaged"},
		"CORRUPT":            {coded(11), projections.ErrDamaged, "damaged"},
		"TOOBIG":             {coded(18), projections.ErrRefused, "refused"},
		"CONSTRAINT":         {coded(19 | 8<<8), projections.ErrRefused, "refused"},
		"MISMATCH":           {coded(20), projections.ErrRefused, "refused"},
		"NOMEM":              {coded(7), nil, "code 7"},
	} {
		got := sqlite.Translate(c.err)
		if !errors.Is(got, c.err) || !strings.Contains(got.Error(), c.says) {
			t.Errorf("%s is %v, want %q in it", name, got, c.says)
		}
		for _, sentinel := range []error{projections.ErrTransient, projections.ErrDiskFull, projections.ErrReadOnly, projections.ErrDamaged, projections.ErrRefused} {
			// Errors that wrap ErrDiskFull wrap ErrTransient too.
			want := c.is != nil && (errors.Is(c.is, sentinel) || errors.Is(c.is, projections.ErrDiskFull) && errors.Is(sentinel, projections.ErrTransient))
			if errors.Is(got, sentinel) != want {
				t.Errorf("%s is %v; that it matches %v is %t", name, got, sentinel, !want)
			}
		}
		if busy := name == "BUSY" || name == "LOCKED"; !busy && (strings.Contains(got.Error(), "did not answer") || strings.Contains(got.Error(), "another")) {
			t.Errorf("%s is %v, which nobody else caused", name, got)
		}
	}
}
