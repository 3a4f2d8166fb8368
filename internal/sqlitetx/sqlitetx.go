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
	"errors"
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
}

// On runs transactions on conn.
func On(conn *sql.Conn) Transaction {
	return Transaction{Exec: func(ctx context.Context, statement string) error {
		_, err := conn.ExecContext(ctx, statement)
		return err
	}}
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
	return t.run(ctx, BeginWrite, func(uncancelled context.Context) error {
		if err := work(uncancelled); err != nil {
			return err
		}
		return t.Exec(uncancelled, Commit)
	})
}

// Read runs work in a transaction that sees one state of the database. ctx can end it at any time.
func (t Transaction) Read(ctx context.Context, work func(ctx context.Context) error) error {
	done := errors.New("done")
	err := t.run(ctx, BeginRead, func(context.Context) error {
		if err := work(ctx); err != nil {
			return err
		}
		return done // there is nothing to commit
	})
	if err == done { //nolint:errorlint // it is this very one
		return nil
	}
	return err
}

// run takes everything back unless work ends the transaction, also after a BEGIN that failed, which may have started.
// Where there is no transaction to end, ROLLBACK fails and changes nothing.
func (t Transaction) run(ctx context.Context, begin string, work func(uncancelled context.Context) error) (err error) {
	uncancelled := context.WithoutCancel(ctx)
	defer func() {
		if err != nil {
			_ = t.Exec(uncancelled, Rollback)
		}
	}()
	for {
		if err = t.Exec(ctx, begin); err == nil {
			return work(uncancelled)
		}
		if ctx.Err() != nil || t.Again == nil || !t.Again(err) {
			return err
		}
	}
}
