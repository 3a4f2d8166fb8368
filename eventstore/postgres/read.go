package postgres

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Head implements [eventstore.Reader].
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := l.head(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot read head: %w", err)
	}
	return eventstore.Position(head), nil //nolint:gosec // the table allows none below 0
}

// head reads the counter row. Every event up to it is committed, and none below it will ever come (I3).
func (l *Log) head(ctx context.Context) (int64, error) {
	var head int64
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, l.sql.head).Scan(&head)
	})
	return head, err
}

// At implements [eventstore.Reader].
func (l *Log) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	upTo := func(head int64) *pageCursor {
		return newCursor(max(at, 1)-1, eventstore.Filter{}, min(head, clamp(uint64(at))))
	}
	for r, err := range l.records(ctx, upTo) {
		return r, err
	}
	return eventstore.Record{}, fmt.Errorf("cannot read position %d: %w", at, eventstore.ErrNotFound)
}

// Read implements [eventstore.Reader].
func (l *Log) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newCursor(after, filter, head) })
}

// ReadBackwards implements [eventstore.Reader].
func (l *Log) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newBackwardCursor(before, filter, head) })
}

// ReadStream implements [eventstore.StreamReader].
func (l *Log) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newStreamCursor(stream, from, head) })
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (l *Log) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newBackwardStreamCursor(stream, head) })
}

// records yields what a walk up to the head of now gives. No connection is held while the body of the loop runs.
func (l *Log) records(ctx context.Context, begin func(head int64) *pageCursor) iter.Seq2[eventstore.Record, error] {
	head, err := l.head(ctx) // now, not when the loop begins
	return func(yield func(eventstore.Record, error) bool) {
		if err != nil {
			yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
			return
		}
		for w := begin(head); !w.done(); {
			records, err := l.next(ctx, w)
			if err != nil {
				yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
				return
			}
			for _, r := range records {
				if err := l.usable(ctx); err != nil {
					yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
					return
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// next reads the next page of w on a connection of its own.
func (l *Log) next(ctx context.Context, w *pageCursor) ([]eventstore.Record, error) {
	var records []eventstore.Record
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		try := w.clone() // so that another try begins where this one did
		var err error
		if records, err = l.page(ctx, conn, try); err == nil {
			*w = *try
		}
		return err
	})
	return records, err
}

// usable returns why nothing more is yielded.
func (l *Log) usable(ctx context.Context) error {
	select {
	case <-l.closing:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}
