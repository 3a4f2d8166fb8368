package kurrent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/gxpledger/gxpledger/eventstore"
)

// records are what a log yields.
type records = iter.Seq2[eventstore.Record, error]

// Head implements [eventstore.Reader]. Events of others that came since are read over, one by one.
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	for e, err := range l.backAll(ctx, esdb.End{}) {
		if err != nil {
			return 0, fmt.Errorf("read head: %w", err)
		}
		if _, ok := l.names.batches(e.StreamID); ok {
			return eventstore.Position(e.Position.Commit), nil
		}
	}
	return 0, nil
}

// Read implements [eventstore.Reader]. The server chooses by the filter's prefix; it has no reads that do, and so this
// is a subscription that ends.
func (l *Log) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	end, err := l.end(ctx)
	if err != nil {
		return fail(err)
	}
	return func(yield func(eventstore.Record, error) bool) {
		if err := l.usable(ctx); err != nil || after >= end {
			tell(yield, err)
			return
		}
		found := upTo(l.follow(ctx, after, l.names.filter(filter.StreamPrefix)), end)
		l.read(ctx, l.choose(found, filter.StreamPrefix), upwards(after), filter)(yield)
	}
}

// ReadBackwards implements [eventstore.Reader]. The server does not choose, which it could forwards only.
func (l *Log) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	end, err := l.end(ctx)
	if err != nil {
		return fail(err)
	}
	if before > 0 {
		end = min(end, before-1)
	}
	found := l.choose(l.backUpTo(ctx, end), filter.StreamPrefix)
	return l.read(ctx, found, downwards(), filter)
}

// backUpTo reads $all backwards from the last event that is not behind a position, which need not be one of the server.
func (l *Log) backUpTo(ctx context.Context, end eventstore.Position) events {
	return func(yield func(*esdb.RecordedEvent, error) bool) {
		from := esdb.AllPosition(esdb.End{})
		if next, err := l.eventAt(ctx, end+1); err != nil {
			yield(nil, err)
			return
		} else if next != nil {
			from = exactly(end + 1)
		}
		for e, err := range l.backAll(ctx, from) {
			if err == nil && eventstore.Position(e.Position.Commit) > end {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// ReadStream implements [eventstore.StreamReader].
func (l *Log) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	size, err := l.size(ctx, stream)
	if err != nil {
		return fail(fmt.Errorf("read stream %q: %w", stream, err))
	}
	if uint64(from) >= size {
		return l.nothing(ctx)
	}
	found := l.forthStream(ctx, l.names.stream(stream), uint64(from), size-uint64(from))
	return l.read(ctx, found, upwards(1).begin(stream, uint64(from)), eventstore.Filter{})
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (l *Log) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	size, err := l.size(ctx, stream)
	if err != nil {
		return fail(fmt.Errorf("read stream %q: %w", stream, err))
	}
	if size == 0 {
		return l.nothing(ctx)
	}
	found := l.backStream(ctx, l.names.stream(stream), size-1)
	return l.read(ctx, found, downwards().begin(stream, size-1), eventstore.Filter{})
}

// size returns the number of events of a stream of the log.
func (l *Log) size(ctx context.Context, stream eventstore.StreamID) (uint64, error) {
	if err := l.usable(ctx); err != nil || !possible(stream) {
		return 0, err
	}
	e, err := l.last(ctx, l.names.stream(stream))
	return sizeOf(e), err
}

// possible reports whether there may be a stream of that name.
func possible(stream eventstore.StreamID) bool {
	return stream != "" && !reserved(string(stream)) && !strings.ContainsFunc(string(stream), unprintable)
}

func fail(err error) records {
	return func(yield func(eventstore.Record, error) bool) { yield(eventstore.Record{}, err) }
}

// tell yields err if there is one.
func tell(yield func(eventstore.Record, error) bool, err error) {
	if err != nil {
		yield(eventstore.Record{}, err)
	}
}

// nothing yields no record.
func (l *Log) nothing(ctx context.Context) records {
	return func(yield func(eventstore.Record, error) bool) { tell(yield, l.usable(ctx)) }
}

// choose passes on what is of the log. The server passes on the same, but for reads that it cannot filter.
func (l *Log) choose(found events, prefix string) events {
	return func(yield func(*esdb.RecordedEvent, error) bool) {
		for e, err := range found {
			if err == nil {
				if stream, ok := l.names.batches(e.StreamID); !ok || !strings.HasPrefix(string(stream), prefix) {
					continue
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// read yields what of found passes filter, after checking that nothing is missing in it.
func (l *Log) read(ctx context.Context, found events, s *sequence, filter eventstore.Filter) records {
	return func(yield func(eventstore.Record, error) bool) {
		s := s.again()
		for e, err := range found {
			if err == nil {
				err = l.usable(ctx)
			}
			var r eventstore.Record
			if err == nil {
				r, err = l.check(e, s)
			}
			if errors.Is(err, eventstore.ErrNotFound) {
				err = fmt.Errorf("%w: a stream that was there is gone: %w", eventstore.ErrCorrupt, err)
			}
			if err != nil {
				yield(eventstore.Record{}, fmt.Errorf("read log: %w", err))
				return
			}
			if filter.Match(r) && !yield(r, nil) {
				return
			}
		}
		tell(yield, s.end())
	}
}

// check reads an event and checks that it may follow those before.
func (l *Log) check(e *esdb.RecordedEvent, s *sequence) (eventstore.Record, error) {
	stream, ok := l.names.batches(e.StreamID)
	if !ok {
		return eventstore.Record{}, fmt.Errorf("%w: the server sent an event of stream %q, which is not of this log", eventstore.ErrCorrupt, e.StreamID)
	}
	r, err := record(e, stream)
	if err != nil {
		return eventstore.Record{}, err
	}
	return r, s.check(r)
}
