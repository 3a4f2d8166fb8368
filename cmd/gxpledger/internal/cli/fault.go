package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// faultError is an error with the sentence that a user reads: what is wrong, where, what was expected, what to do.
type faultError struct {
	code int
	text string // "" when everything was said already
	err  error  // the cause, or nil
}

// Error returns the sentence.
func (f *faultError) Error() string { return f.text }

// Unwrap returns the cause.
func (f *faultError) Unwrap() error { return f.err }

// usage is the error of a command that was called wrongly.
func usage(format string, args ...any) error {
	return &faultError{code: exitUsage, text: fmt.Sprintf(format, args...)}
}

// failed is the error of a command that could not do its work. The sentence says all that a user needs of the cause.
func failed(cause error, format string, args ...any) error {
	return &faultError{code: exitFailed, text: fmt.Sprintf(format, args...), err: cause}
}

// found is the error of a command that did its work and found what should not be. The findings are on the screen.
func found() error { return &faultError{code: exitFindings} }

// explain returns the exit code and the sentence of an error.
func explain(ctx context.Context, err error) (code int, text string) {
	if fault, ok := errors.AsType[*faultError](err); ok {
		return fault.code, oneLine(fault.text)
	}
	if ctx.Err() != nil {
		return exitFailed, "stopped: nothing of this command was recorded"
	}
	if problem, ok := errors.AsType[*gitrepo.Error](err); ok {
		return exitFailed, oneLine(problem.Text)
	}
	if stopped, ok := errors.AsType[*projections.EventError](err); ok {
		return exitFailed, oneLine(stopped.Error()) + fmt.Sprintf(": use a gxpledger that can fold it, look at the tables as they were before with "+
			"--as-of pos:%d, or pass over it with gxpledger projections skip %s %d --reason TEXT", stopped.Position-1, stopped.Projection, stopped.Position)
	}
	if mismatch, ok := errors.AsType[*projections.MismatchError](err); ok { // the same of every projection: once is enough
		return exitFailed, oneLine(mismatch.Error()) + ": gxpledger projections rebuild --all --adopt-log --reason TEXT"
	}
	return exitFailed, oneLine(err.Error()) + remedy(err)
}

// makeAnew is what to do about tables that are damaged: nothing is in them that is not in the log.
func makeAnew(err error) string {
	if errors.As(err, new(*pgconn.PgError)) {
		return "see that the server is sound, then run gxpledger projections rebuild --all --reason TEXT: nothing is lost that is in the log"
	}
	return "move that file, and those beside it that end in -wal and -shm, away: the next command makes it anew from the log"
}

// oneLine joins the lines of joined errors.
func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

// remedy says what to do about errors whose texts do not.
func remedy(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{eventstore.ErrCorrupt, ": do not write to this log any more, restore it from a backup and run gxpledger verify"},
		{eventstore.ErrUnknownType, ": a newer gxpledger wrote this log, use that one"},
		{eventstore.ErrTransient, ": another process keeps the log busy, or its server cannot be reached: try again"},
		{projections.ErrTransient, ": another process keeps the tables busy, or their server cannot be reached: try again"},
		{projections.ErrDamaged, ": " + makeAnew(err)},
		{projections.ErrCancelled, ": an administrator ended it, see gxpledger audit"},
		{projections.ErrLeaseHeld, ": wait for it, or look at gxpledger projections status"},
		{fs.ErrPermission, ": give this user the right to it, or choose another folder with --home"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return ""
}
