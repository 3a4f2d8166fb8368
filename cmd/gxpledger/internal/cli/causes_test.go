package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// failedLog fails.
type failedLog struct {
	eventstore.Log

	err error
}

func (l failedLog) Head(context.Context) (eventstore.Position, error) { return 0, l.err }

// Of what a log answers, a person is told the cause: not that somebody else is busy, where it is the disk, the rights or the limits.
func TestACauseIsToldAsWhatItIs(t *testing.T) {
	t.Parallel()
	path := func(number syscall.Errno) error {
		return &fs.PathError{Op: "open", Path: "/srv/log.db-shm", Err: number}
	}
	for name, c := range map[string]struct {
		err        error
		code, says string
	}{
		"a full disk":             {eventstore.Transient(fmt.Errorf("%w: code 13", eventstore.ErrDiskFull)), "disk_full", "make room on the disk"},
		"a full disk of tables":   {projections.Transient(fmt.Errorf("%w: code 13", projections.ErrDiskFull)), "disk_full", "make room on the disk"},
		"a full disk of a file":   {eventstore.Transient(path(syscall.ENOSPC)), "disk_full", "the disk is full: make room"},
		"a quota":                 {path(syscall.EDQUOT), "disk_full", "the disk quota is used up"},
		"a right":                 {eventstore.Transient(path(syscall.EACCES)), "permission_denied", "/srv/log.db-shm"},
		"an operation":            {path(syscall.EPERM), "permission_denied", "grant this user access"},
		"a read-only file system": {eventstore.Transient(path(syscall.EROFS)), "permission_denied", "the file system is read-only"},
		"files of the process":    {eventstore.Transient(path(syscall.EMFILE)), "too_many_files", "ulimit -n"},
		"files of the system":     {eventstore.Transient(path(syscall.ENFILE)), "too_many_files", "ulimit -n"},
		"connections":             {eventstore.Transient(fmt.Errorf("%w: sorry", eventstore.ErrTooManyConnections)), "too_many_connections", "raise max_connections"},
		"somebody else":           {fmt.Errorf("%w: locked", eventstore.ErrTransient), "log_busy", "the log is busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _ := recorded(t)
			d.deafen()
			d.log = failedLog{d.log, c.err}
			got := d.run("projections", "status", "--json").wantCode(1)
			var told toldError
			if err := json.Unmarshal([]byte(got.stderr), &told); err != nil {
				t.Fatalf("%v: %q", err, got.stderr)
			}
			if told.Code != c.code || !strings.Contains(told.Error, c.says) || !strings.HasSuffix(told.Error, told.Hint) || told.Hint == "" {
				t.Errorf("it says %+v, want %s and %q", told, c.code, c.says)
			}
			if busy := c.code == "log_busy"; !busy && (strings.Contains(told.Error, "busy") || strings.Contains(told.Error, "interrupted")) {
				t.Errorf("it says %q, which nobody else caused", told.Error)
			}
		})
	}
}
