package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/sqlitefault"
)

// translate gives what SQLite and database/sql say a meaning in the terms of package eventstore. It is the only place
// that does. Errors that have such a meaning already, and those of a context, pass.
func translate(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	class := sqlitefault.ClassOf(err)
	if class == sqlitefault.Other {
		return err
	}
	switch { // what the operating system says is the cause of what SQLite says
	case sqlitefault.IsDiskFull(err):
		return eventstore.Transient(fmt.Errorf("%w, make room and call again: %w", eventstore.ErrDiskFull, err))
	case sqlitefault.IsRefused(err):
		return err
	case sqlitefault.IsShortOfFiles(err):
		return eventstore.Transient(err)
	}
	switch class {
	case sqlitefault.Busy:
		return fmt.Errorf("%w: another connection keeps the log locked: %w", eventstore.ErrTransient, err)
	case sqlitefault.Short:
		return fmt.Errorf("%w: %w", eventstore.ErrTransient, err)
	case sqlitefault.Disk:
		return eventstore.Transient(fmt.Errorf("disk cannot be read or written, check it: %w", err))
	case sqlitefault.CantOpen:
		return eventstore.Transient(err)
	case sqlitefault.Corrupt:
		return fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	case sqlitefault.TooLarge:
		return fmt.Errorf("%w: %w", eventstore.ErrTooLarge, err)
	case sqlitefault.ReadOnly:
		return fmt.Errorf("file cannot be written, check the rights on it and its folder: %w", err)
	case sqlitefault.NotDatabase:
		return fmt.Errorf("file is not a SQLite database, check which file is meant: %w", err)
	case sqlitefault.Other, sqlitefault.DiskFull, sqlitefault.Constraint:
	}
	return err
}

// fault is translate for what happens while l may be closed by somebody else.
func (l *Log) fault(err error) error {
	if err != nil && l.isClosed() && !errors.Is(err, eventstore.ErrClosed) {
		return fmt.Errorf("%w: %w", eventstore.ErrClosed, err)
	}
	return translate(sqlitefault.Explain(err, l.path, l.writer != nil))
}
