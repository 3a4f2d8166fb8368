package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gxpledger/gxpledger/eventstore"
)

// translate gives what SQLite and database/sql say a meaning in the terms of package eventstore. It is the only place
// that does. Errors that have such a meaning already, and those of a context, pass.
func translate(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	fault, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch fault.Code() & 0xff { // the rest says more about the same
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM:
		return fmt.Errorf("%w: %w", eventstore.ErrTransient, err)
	case sqlite3.SQLITE_CANTOPEN: // too many open files, or no right to read
		return fmt.Errorf("%w: file cannot be opened, check the rights on it and its folder: %w", eventstore.ErrTransient, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	case sqlite3.SQLITE_TOOBIG:
		return fmt.Errorf("%w: %w", eventstore.ErrTooLarge, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("disk is full, make room and call again: %w", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("file cannot be written, check the rights on it and its folder: %w", err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("file is not a SQLite database, check which file is meant: %w", err)
	}
	return err
}

// fault is translate for what happens while l may be closed by somebody else.
func (l *Log) fault(err error) error {
	if err != nil && l.isClosed() && !errors.Is(err, eventstore.ErrClosed) {
		return fmt.Errorf("%w: %w", eventstore.ErrClosed, err)
	}
	return translate(err)
}

func code(err error) int {
	if fault, ok := errors.AsType[*sqlite.Error](err); ok {
		return fault.Code() & 0xff
	}
	return 0
}
