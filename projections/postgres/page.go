package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/projections"
)

// WritePage implements [projections.Database].
//
// The checkpoint moves first: that is where fencing is proved, and its row keeps every other writer away until the rows are
// committed with it (I5, I8). The operations follow as a few statements for each table. Where the server refuses one, it
// does not say which operation is to blame: then the page is tried again, one operation after the other, and taken back.
func (db *DB) WritePage(ctx context.Context, page projections.Page) error {
	err := db.writePage(ctx, page)
	if err != nil {
		db.forgetPlan(page.Lease.Ref)
		return fmt.Errorf("cannot write page of %s build %d up to position %d: %w", page.Lease.Projection, page.Lease.Number, page.To.Position, err)
	}
	return nil
}

func (db *DB) writePage(ctx context.Context, page projections.Page) error {
	p := db.plan(page.Lease.Ref, page.Tables)
	effects, refusal := p.fold(page.Ops)
	var w *writer
	err := db.write(ctx, func(tx pgx.Tx) (err error) {
		if w, err = db.beginPage(ctx, tx, page, p); err != nil {
			return err
		}
		if refusal != nil {
			return refusal
		}
		if err := w.write(ctx, effects); err != nil {
			return err
		}
		if err := w.writeMore(ctx, page.More); err != nil {
			return err
		}
		if w.filling {
			return w.flush(ctx) // there are no references yet
		}
		return w.flushAndCheck(ctx)
	})
	switch {
	case err == nil:
		w.remember()
		return nil
	case errors.Is(err, projections.ErrRefused) && !errors.Is(err, errReference) && page.More == nil:
		return db.culprit(ctx, page, err)
	default:
		return err
	}
}

// writeMore writes the operations of a page that do not fit in memory together.
func (w *writer) writeMore(ctx context.Context, more iter.Seq2[[]projections.Op, error]) error {
	if more == nil {
		return nil
	}
	for ops, err := range more {
		if err != nil {
			return err
		}
		effects, err := w.plan.fold(ops)
		if err == nil {
			err = w.write(ctx, effects)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// culprit returns the first refusal of page when its operations are done one after the other. Nothing is written.
func (db *DB) culprit(ctx context.Context, page projections.Page, refusal error) error {
	p := db.newPlan(page.Lease.Ref, page.Tables)
	return db.write(ctx, func(tx pgx.Tx) error {
		w, err := db.beginPage(ctx, tx, page, p)
		if err != nil {
			return err
		}
		for i, op := range page.Ops {
			effects, err := p.fold([]projections.Op{op})
			if refused, ok := errors.AsType[*projections.OpError](err); ok {
				err = refused.Err
			}
			if err == nil {
				err = w.write(ctx, effects)
			}
			if err == nil {
				err = w.flush(ctx)
			}
			err = translate(ctx, err)
			if errors.Is(err, projections.ErrRefused) {
				return &projections.OpError{Index: i, Table: op.Table, Err: err}
			}
			if err != nil {
				return err
			}
		}
		// That would be a mistake of folding. The page is not written: nobody knows what it comes to.
		return fmt.Errorf("operations are refused together, and not one after the other: %w", refusal)
	})
}

// move moves the checkpoint and prolongs the lease. It is where fencing is proved: one row must be the lease's and at the
// expected place (I8). The hold is looked for once the row is ours, so that a pause that was answered holds.
func (db *DB) move(ctx context.Context, tx pgx.Tx, page projections.Page) (projections.BuildState, error) {
	lease, from, to := page.Lease, page.From, page.To
	var questions pgx.Batch
	questions.Queue(db.sql.move, lease.Projection, lease.Number,
		to.Log, int64(to.Position), to.Event, db.options.Now(), lease.TTL, //nolint:gosec // positions stay far below 2^63
		int64(lease.Token), to.Version, from.Log, int64(from.Position), from.Event, db.leaseClock(), //nolint:gosec // tokens stay far below 2^63
		string(to.Stream), int64(to.Revision)) //nolint:gosec // no stream has 2^63 events
	questions.Queue(db.sql.loadPause, lease.Projection)
	answers := tx.SendBatch(ctx, &questions)
	var state projections.BuildState
	moved := answers.QueryRow().Scan(&state)
	pause, err := scanPause(answers.QueryRow())
	if err := errors.Join(err, answers.Close()); err != nil {
		return "", err
	}
	switch {
	case errors.Is(moved, pgx.ErrNoRows):
		return "", db.unmoved(ctx, tx, page)
	case moved != nil:
		return "", moved
	case pause != nil && state == projections.BuildActive:
		return "", &projections.PausedError{Projection: lease.Projection, Pause: *pause}
	}
	return state, nil
}

// unmoved says why a checkpoint did not move.
func (db *DB) unmoved(ctx context.Context, tx pgx.Tx, page projections.Page) error {
	_, s, err := db.load(ctx, tx, page.Lease.Projection, page.Lease.Number)
	if err == nil {
		err = s.Write(page.Lease, page.From.Point())
	}
	if err == nil {
		err = fmt.Errorf("%w: the checkpoint update found no row", projections.ErrMoved)
	}
	return err
}
