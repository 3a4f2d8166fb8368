package sqlite

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Head implements [eventstore.Reader].
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := l.number(ctx, "SELECT coalesce(max(last), 0) FROM chunks")
	if err != nil {
		return 0, fmt.Errorf("cannot read head: %w", err)
	}
	return eventstore.Position(head), nil //nolint:gosec // not negative
}

// number reads one number, or says why it cannot.
func (l *Log) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := l.usable(ctx); err != nil {
		return 0, err
	}
	err = l.readers.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, l.fault(err)
}

// At implements [eventstore.Reader].
func (l *Log) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return eventstore.Record{}, fmt.Errorf("cannot read position %d: %w", at, err)
	}
	if at > 0 && at <= head {
		for r, err := range l.read(ctx, upwards(at-1, at), eventstore.Filter{}) {
			return r, err
		}
	}
	return eventstore.Record{}, fmt.Errorf("cannot read position %d: %w", at, eventstore.ErrNotFound)
}

// Read implements [eventstore.Reader].
func (l *Log) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	head, err := l.Head(ctx)
	if err != nil {
		return fail(err)
	}
	return l.read(ctx, upwards(after, head), filter)
}

// ReadBackwards implements [eventstore.Reader].
func (l *Log) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	head, err := l.Head(ctx)
	if err != nil {
		return fail(err)
	}
	if before > 0 {
		head = min(head, before-1)
	}
	return l.read(ctx, downwards(head), filter)
}

// ReadStream implements [eventstore.StreamReader].
func (l *Log) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	end, err := l.streamEnd(ctx, stream)
	if err != nil {
		return fail(err)
	}
	return l.read(ctx, alongStream(stream, int64(min(from, math.MaxInt64)), end), eventstore.Filter{})
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (l *Log) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	end, err := l.streamEnd(ctx, stream)
	if err != nil {
		return fail(err)
	}
	return l.read(ctx, backAlongStream(stream, end), eventstore.Filter{})
}

// streamEnd returns the last revision of stream, -1 when it has none.
func (l *Log) streamEnd(ctx context.Context, stream eventstore.StreamID) (int64, error) {
	end, err := l.number(ctx, `SELECT coalesce(max(last_revision), -1) FROM chunks
		WHERE stream = (SELECT id FROM streams WHERE name = ?)`, string(stream))
	if err != nil {
		return 0, fmt.Errorf("cannot read end of stream %q: %w", stream, err)
	}
	return end, nil
}

func fail(err error) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) { yield(eventstore.Record{}, err) }
}

// read yields what of a way passes filter, with errors in the terms of package eventstore.
func (l *Log) read(ctx context.Context, w rangeScan, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range w.records(ctx, l.readers, l.sizes.pageChunks) {
			if err == nil {
				err = l.usable(ctx)
			}
			if err != nil {
				yield(eventstore.Record{}, fmt.Errorf("cannot read log: %w", l.fault(err)))
				return
			}
			if filter.Match(r) && !yield(r, nil) {
				return
			}
		}
	}
}
