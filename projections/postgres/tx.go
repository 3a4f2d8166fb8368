package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/projections"
)

// The waits between tries double from the first to the longest.
const (
	firstWait   = 20 * time.Millisecond
	longestWait = time.Second
	// commitTimeout bounds the one step that is not cancelled with its context.
	commitTimeout = 10 * time.Second
)

// once runs do on a connection of pool.
func (db *DB) once(ctx context.Context, pool *pgxpool.Pool, do func(conn *pgx.Conn) error) error {
	err := pg.Run(ctx, func(conn *pgxpool.Conn) error { return db.explain(ctx, conn.Conn(), do(conn.Conn())) }, pool, db.read, db.writer)
	return translate(ctx, err)
}

// explain says which right is missing, see [pg.Schema.Explain].
func (db *DB) explain(ctx context.Context, conn *pgx.Conn, err error) error {
	return db.options.schemaAt("").Explain(ctx, conn, err)
}

// again calls try until it succeeds, fails for another reason than that the server did not answer, or patience ends: try
// must be safe to repeat.
func (db *DB) again(ctx context.Context, try func() error) error {
	deadline, cancel := context.WithTimeout(ctx, db.options.Patience)
	defer cancel()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := try()
		if err == nil || !errors.Is(err, projections.ErrTransient) {
			return err
		}
		if pg.Pause(deadline, wait) != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
}

// look calls do with a connection that reads, again while the server does not answer.
func (db *DB) look(ctx context.Context, do func(conn *pgx.Conn) error) error {
	return db.again(ctx, func() error { return db.once(ctx, db.read, do) })
}

// write runs body in a transaction. It is tried again while the server does not answer and nothing can have been written.
// When the outcome of the commit is unknown, it is ErrTransient.
func (db *DB) write(ctx context.Context, body func(tx pgx.Tx) error) error {
	return db.attempt(ctx, body, func() bool { return false })
}

// repeat is write for a body that may as well be run twice: also when the outcome is unknown, it is tried again.
func (db *DB) repeat(ctx context.Context, body func(tx pgx.Tx) error) error {
	return db.again(ctx, func() error { return db.transact(ctx, body) })
}

// attempt is repeat where repeatable, which is asked after body, says so, and otherwise write.
func (db *DB) attempt(ctx context.Context, body func(tx pgx.Tx) error, repeatable func() bool) error {
	var unknown error
	err := db.again(ctx, func() error {
		err := db.transact(ctx, body)
		if outcome, ok := errors.AsType[*unknownError](err); ok && !repeatable() {
			unknown = outcome.err
			return nil
		}
		return err
	})
	return errors.Join(err, unknown)
}

// unknownError is a commit whose answer was lost. It matches ErrTransient.
type unknownError struct{ err error }

func (e *unknownError) Error() string { return e.err.Error() }

func (e *unknownError) Unwrap() error { return e.err }

// transact runs body in one transaction. Its commit is not cancelled with ctx: whoever gets the error of an ended ctx knows
// that nothing was written.
func (db *DB) transact(ctx context.Context, body func(tx pgx.Tx) error) error {
	if db.writer == nil {
		return fmt.Errorf("%w: they were opened to be read", projections.ErrReadOnly)
	}
	return db.once(ctx, db.writer, func(conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		if err = body(tx); err == nil {
			err = ctx.Err()
		}
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		if err != nil {
			// What cannot be rolled back is a connection that was lost, which rolls back too.
			_ = tx.Rollback(ending)
			return err
		}
		if err := tx.Commit(ending); err != nil {
			return commitFailed(ending, err)
		}
		return nil
	})
}

// commitFailed tells a commit that was refused from one of which nobody knows.
func commitFailed(ctx context.Context, err error) error {
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	if translated := translate(context.WithoutCancel(ctx), err); !errors.Is(translated, projections.ErrTransient) {
		return translated
	}
	return &unknownError{fmt.Errorf("%w: the outcome of the commit is unknown: %w", projections.ErrTransient, err)}
}
