package kurrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/gxpledger/gxpledger/eventstore"
)

// events are what a server yields.
type events = iter.Seq2[*esdb.RecordedEvent, error]

// opener begins to read.
type opener func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error)

// fetch yields what open reads.
func (l *Log) fetch(ctx context.Context, open opener) events {
	return flight[*esdb.RecordedEvent]{
		clients: l.clients, timeout: l.options.Timeout,
		do: func(ctx context.Context, client *esdb.Client, emit func(*esdb.RecordedEvent) bool) error {
			stream, err := open(ctx, client)
			if err != nil {
				return err
			}
			defer stream.Close()
			for {
				resolved, err := stream.Recv()
				switch {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return err
				}
				e, err := original(resolved)
				if err != nil {
					return err
				}
				if !emit(e) {
					return nil
				}
			}
		},
	}.yield(ctx)
}

// original returns the event itself: links are not followed.
func original(e *esdb.ResolvedEvent) (*esdb.RecordedEvent, error) {
	if event := e.OriginalEvent(); event != nil {
		return event, nil
	}
	return nil, fmt.Errorf("%w: the server sent no event", eventstore.ErrTransient)
}

// Reads come in pages, each larger than the last: many want a few events only, and the server would send all.
const (
	firstPage = 32
	lastPage  = 4096
)

// pages yields what page reads, page after page. A page begins behind the last event of the one before, nil for the first.
func (l *Log) pages(ctx context.Context, page func(last *esdb.RecordedEvent, count uint64) opener) events {
	return func(yield func(*esdb.RecordedEvent, error) bool) {
		var last *esdb.RecordedEvent
		for size := uint64(firstPage); ; size = min(8*size, lastPage) {
			open, count := page(last, size), uint64(0)
			if open == nil {
				return
			}
			for e, err := range l.fetch(ctx, open) {
				if !yield(e, err) || err != nil {
					return
				}
				last = e
				count++
			}
			if count < size {
				return
			}
		}
	}
}

// backAll reads $all backwards, from before a position on.
func (l *Log) backAll(ctx context.Context, before esdb.AllPosition) events {
	return l.pages(ctx, func(last *esdb.RecordedEvent, count uint64) opener {
		from := before
		if last != nil {
			from = last.Position
		}
		return func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			return client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: from}, count)
		}
	})
}

// backStream reads a stream backwards, from an event on.
func (l *Log) backStream(ctx context.Context, stream string, at uint64) events {
	return l.pages(ctx, func(last *esdb.RecordedEvent, count uint64) opener {
		from := at
		switch {
		case last == nil:
		case last.EventNumber == 0:
			return nil
		default:
			from = last.EventNumber - 1
		}
		return readStream(stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.Revision(from)}, count)
	})
}

func readStream(stream string, options esdb.ReadStreamOptions, count uint64) opener {
	return func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
		return client.ReadStream(ctx, stream, options, count)
	}
}

// forthStream reads up to count events of a stream, from an event on.
func (l *Log) forthStream(ctx context.Context, stream string, from, count uint64) events {
	return l.fetch(ctx, readStream(stream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Revision(from)}, count))
}

// last returns the last event of a stream, nil if the stream has none. Whoever cut the stream is found out.
func (l *Log) last(ctx context.Context, stream string) (*esdb.RecordedEvent, error) {
	open := readStream(stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	e, err := first(l.fetch(ctx, open))
	if err != nil && !errors.Is(err, eventstore.ErrNotFound) {
		return nil, err
	}
	if e == nil {
		return nil, l.guard.look(ctx, l, stream) // what is not there may have been deleted
	}
	if e.EventNumber > math.MaxInt64-1 {
		return nil, fmt.Errorf("%w: stream %q", errDeleted, stream)
	}
	return e, l.guard.lookOnce(ctx, l, stream)
}

// first returns the first of found, nil if there is none.
func first(found events) (*esdb.RecordedEvent, error) {
	for e, err := range found {
		return e, err
	}
	return nil, nil //nolint:nilnil // nothing is an answer here
}

// end returns the position of the last event of the server, whosever it is, 0 when it has none.
func (l *Log) end(ctx context.Context) (eventstore.Position, error) {
	e, err := first(l.fetch(ctx, func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
		return client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	}))
	if e == nil {
		return 0, err
	}
	return eventstore.Position(e.Position.Commit), err
}
