// Package sqlitetx runs transactions on one connection to SQLite, whatever happens to the context meanwhile.
//
// The driver may answer that a statement was cancelled although it was carried out. A BEGIN with that answer leaves a
// transaction open, which nobody ends: later writes on the connection fail, other processes find the database locked, and
// later reads see what was there when it began. And a statement that is cancelled inside a transaction may end it, so that
// those after it are each committed by itself.
package sqlitetx

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// The statements that begin and end transactions.
const (
	BeginRead  = "BEGIN"
	BeginWrite = "BEGIN IMMEDIATE" // a deferred one would read first and then fail to upgrade under contention
	Commit     = "COMMIT"
	Rollback   = "ROLLBACK"
)

// Transaction is how to run a transaction.
type Transaction struct {
	// Exec runs a statement, one of the above, on the connection. Nobody else may use it meanwhile. Required.
	Exec func(ctx context.Context, statement string) error
	// Again reports whether BEGIN is to be tried once more after it failed. Nil: it is not.
	Again func(err error) bool
	// Drop closes the connection, since a transaction on it could not be ended: it would lock others out, and who got the
	// connection from a pool would read what was there when it began. It may also be called where SQLite had ended the
	// transaction. Required.
	Drop func()
}

// On runs transactions on conn.
func On(conn *sql.Conn) Transaction {
	return Transaction{Drop: func() { Drop(conn) }, Exec: func(ctx context.Context, statement string) error {
		_, err := conn.ExecContext(ctx, statement)
		return err
	}}
}

// Drop closes a connection for good: it goes back to no pool.
func Drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// Write runs work in a transaction that has the write lock from its start, and commits it unless work fails or ctx has
// ended by then. ctx can end the waiting for the lock; the rest runs to a definite end, with a context that does not end.
// After an error the transaction is over and nothing of it is there.
func (t Transaction) Write(ctx context.Context, work func(ctx context.Context) error) error {
	return t.WriteAll(ctx, func(uncancelled context.Context) error {
		if err := work(uncancelled); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// WriteAll is Write for work of which ctx is not the only one: ctx ends the waiting for the lock, and nothing else.
func (t Transaction) WriteAll(ctx context.Context, work func(ctx context.Context) error) error {
	if err := t.begin(ctx, BeginWrite); err != nil {
		return err
	}
	uncancelled := context.WithoutCancel(ctx)
	err := work(uncancelled)
	if err == nil {
		err = t.Exec(uncancelled, Commit)
	}
	if err != nil {
		t.end(uncancelled)
	}
	return err
}

// Read runs work in a transaction that sees one state of the database. ctx can end it at any time.
func (t Transaction) Read(ctx context.Context, work func(ctx context.Context) error) error {
	if err := t.begin(ctx, BeginRead); err != nil {
		return err
	}
	defer t.end(context.WithoutCancel(ctx)) // there is nothing to commit
	return work(ctx)
}

// begin begins a transaction. Where that fails, none is open: it may have begun all the same.
func (t Transaction) begin(ctx context.Context, statement string) error {
	for {
		err := t.Exec(ctx, statement)
		if err == nil {
			return nil
		}
		_ = t.Exec(context.WithoutCancel(ctx), Rollback) // where there is none, it fails and changes nothing
		if ctx.Err() != nil || t.Again == nil || !t.Again(err) {
			return err
		}
	}
}

// end takes back what a transaction did.
func (t Transaction) end(uncancelled context.Context) {
	if t.Exec(uncancelled, Rollback) != nil {
		t.Drop()
	}
}
