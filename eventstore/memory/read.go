package memory

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Head implements [eventstore.Reader].
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	records, _, err := l.snapshot(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot read head: %w", err)
	}
	return eventstore.Position(len(records)), nil
}

// At implements [eventstore.Reader].
func (l *Log) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	records, _, err := l.snapshot(ctx)
	if err == nil && (at == 0 || uint64(at) > uint64(len(records))) {
		err = eventstore.ErrNotFound
	}
	if err != nil {
		return eventstore.Record{}, fmt.Errorf("cannot read position %d: %w", at, err)
	}
	r := records[at-1]
	r.Data = bytes.Clone(r.Data)
	return r, nil
}

// snapshot returns all records of this moment and what is closed when there are more. Since records are only ever
// added, the slice stays as it is.
func (l *Log) snapshot(ctx context.Context) ([]eventstore.Record, <-chan struct{}, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.records, l.changed, l.usable(ctx)
}

// Read implements [eventstore.Reader].
func (l *Log) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	records, _, err := l.snapshot(ctx)
	records = records[min(uint64(after), uint64(len(records))):]
	return l.yield(ctx, err, choose(slices.Values(records), filter))
}

// ReadBackwards implements [eventstore.Reader].
func (l *Log) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	records, _, err := l.snapshot(ctx)
	if before > 0 {
		records = records[:min(uint64(before)-1, uint64(len(records)))]
	}
	return l.yield(ctx, err, choose(backwards(records), filter))
}

// ReadStream implements [eventstore.StreamReader].
func (l *Log) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	records, err := l.stream(ctx, stream)
	return l.yield(ctx, err, slices.Values(records[min(uint64(from), uint64(len(records))):]))
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (l *Log) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	records, err := l.stream(ctx, stream)
	return l.yield(ctx, err, backwards(records))
}

func (l *Log) stream(ctx context.Context, stream eventstore.StreamID) ([]eventstore.Record, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	records := make([]eventstore.Record, len(l.streams[stream]))
	for i, at := range l.streams[stream] {
		records[i] = l.records[at-1]
	}
	return records, l.usable(ctx)
}

func choose(records iter.Seq[eventstore.Record], filter eventstore.Filter) iter.Seq[eventstore.Record] {
	return func(yield func(eventstore.Record) bool) {
		for r := range records {
			if filter.Match(r) && !yield(r) {
				return
			}
		}
	}
}

func backwards(records []eventstore.Record) iter.Seq[eventstore.Record] {
	return func(yield func(eventstore.Record) bool) {
		for _, r := range slices.Backward(records) {
			if !yield(r) {
				return
			}
		}
	}
}

// yield gives copies of records until the loop breaks, or the reason why it could not begin or go on.
func (l *Log) yield(ctx context.Context, err error, records iter.Seq[eventstore.Record]) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		if err != nil {
			yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
			return
		}
		for r := range records {
			if err := l.usable(ctx); err != nil {
				yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
				return
			}
			r.Data = bytes.Clone(r.Data)
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Subscribe implements [eventstore.Subscriber].
func (l *Log) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for at := uint64(after); ; {
			records, changed, err := l.snapshot(ctx)
			size := uint64(len(records))
			for r, err := range l.yield(ctx, err, choose(slices.Values(records[min(at, size):]), filter)) {
				if !yield(r, err) || err != nil {
					return
				}
			}
			at = max(at, size)
			select {
			case <-changed:
			case <-ctx.Done():
			case <-l.closed:
			}
		}
	}
}

// ContentHashes implements [eventstore.ContentStore].
func (l *Log) ContentHashes(ctx context.Context) iter.Seq2[string, error] {
	l.mu.RLock()
	defer l.mu.RUnlock()
	hashes := make([]string, 0, len(l.contents))
	for hash := range l.contents {
		hashes = append(hashes, hash)
	}
	err := l.usable(ctx)
	return func(yield func(string, error) bool) {
		if err != nil {
			yield("", fmt.Errorf("cannot list contents: %w", err))
			return
		}
		for _, hash := range hashes {
			if !yield(hash, nil) {
				return
			}
		}
	}
}
