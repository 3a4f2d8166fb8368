package kurrent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"sync"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/metadata"

	"github.com/gxpledger/gxpledger/eventstore"
)

// events are what a server yields.
type events = iter.Seq2[*event, error]

// fetch yields what one plain read answers, which is no more than count events. A stream that is not there is ErrNotFound.
func (l *Log) fetch(ctx context.Context, request *api.ReadReq) events {
	return l.fetchWithin(ctx, l.limit(), request)
}

// fetchWithin is fetch with another limit of one answer.
func (l *Log) fetchWithin(ctx context.Context, limit time.Duration, request *api.ReadReq) events {
	return func(yield func(*event, error) bool) {
		ctx, k, err := l.cluster.begin(ctx, limit)
		if err != nil {
			yield(nil, err)
			return
		}
		var trailer metadata.MD
		stream, err := k.streams().Read(ctx, request)
		if err == nil {
			err = k.receive(stream, request.GetOptions().GetCount(), func(e *event) bool { return yield(e, nil) })
			trailer = stream.Trailer()
		}
		if errors.Is(err, io.EOF) || errors.Is(err, errLeft) {
			_ = k.end(nil, nil) //nolint:contextcheck // the call has that of its caller
		} else {
			yield(nil, k.end(err, trailer)) //nolint:contextcheck // the call has that of its caller
		}
	}
}

// errLeft: the loop broke.
var errLeft = errors.New("loop broke")

// receive hands over up to count events of a plain read. It ends with io.EOF, also where the server would send more.
func (k *call) receive(stream api.Streams_ReadClient, count uint64, emit func(*event) bool) error {
	for count > 0 {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		e, err := readEvent(m)
		if err != nil {
			return err
		}
		if e == nil {
			continue // a kind of message that no reader needs
		}
		count--
		k.pause()
		if !emit(e) {
			return errLeft
		}
		k.wait()
	}
	return io.EOF
}

// readEvent returns the event of a message of a plain read, nil for one that has none.
func readEvent(m *api.ReadResp) (*event, error) {
	switch content := m.GetContent().(type) {
	case *api.ReadResp_Event:
		return decode(content.Event)
	case *api.ReadResp_StreamNotFound_:
		return nil, eventstore.ErrNotFound
	}
	return nil, nil //nolint:nilnil // nothing is an answer here
}

// pager reads page after page. It is not safe for concurrent use.
type pager struct {
	size uint64
	// page asks for count events behind the last, nil for the first page. It is nil where there are none.
	page func(last *event, count uint64) *api.ReadReq
	// follows reports whether e may be what comes behind last, nil for the first event.
	follows func(last, e *event) bool
	// shown: the server showed the position at which the first page begins.
	shown bool

	last *event
}

// pages yields what p reads, and within the budget continues after a failure.
func (l *Log) pages(ctx context.Context, p *pager) events {
	return func(yield func(*event, error) bool) {
		p := *p // for a reader that ranges over it again
		retry := l.retry()
		defer retry.done()
		for {
			request := p.page(p.last, p.size)
			if request == nil {
				return
			}
			count, err := p.read(l.fetch(ctx, request), func(e *event) bool {
				retry.moved()
				return yield(e, nil)
			})
			switch {
			case errors.Is(err, errLeft):
				return
			case err != nil:
				if errors.Is(err, errPosition) && (p.shown || p.last != nil) {
					err = &passingError{text: "the leader does not show a position that was shown before"}
				}
				if err := retry.again(ctx, err); err != nil {
					yield(nil, err)
					return
				}
			case count < p.size:
				return
			default:
				p.size = min(8*p.size, max(p.size, l.sizes.lastPage))
			}
		}
	}
}

// read hands over the events of a page, and returns their number.
func (p *pager) read(found events, emit func(*event) bool) (count uint64, err error) {
	for e, err := range found {
		if err != nil {
			return count, err
		}
		if !p.follows(p.last, e) {
			return count, disordered(p.last, e)
		}
		if !emit(e) {
			return count, errLeft
		}
		p.last = e
		count++
	}
	return count, nil
}

func disordered(last, e *event) error {
	if last == nil {
		return fmt.Errorf("%w: the server sent event %d of stream %q, at position %d, for which it was not asked",
			eventstore.ErrCorrupt, e.Revision, e.Stream, e.Position)
	}
	return fmt.Errorf("%w: the server sent event %d of stream %q, at position %d, after event %d of stream %q, at position %d",
		eventstore.ErrCorrupt, e.Revision, e.Stream, e.Position, last.Revision, last.Stream, last.Position)
}

// allBackwards reads what passes a filter in $all backwards, from before a position of the server on.
func (l *Log) allBackwards(before eventstore.Position, f *filter) *pager {
	return &pager{
		size: l.sizes.firstPage,
		page: func(last *event, count uint64) *api.ReadReq {
			if last == nil {
				return readAll(backwards, before, f, count)
			}
			return readAll(backwards, last.Position, f, count)
		},
		follows: func(last, e *event) bool { return last == nil || e.Position < last.Position },
	}
}

// backStream reads a stream backwards, from an event on.
func (l *Log) backStream(ctx context.Context, stream string, at uint64) events {
	return l.pages(ctx, &pager{
		size: l.sizes.firstPage,
		page: func(last *event, count uint64) *api.ReadReq {
			from := at
			switch {
			case last == nil:
			case last.Revision == 0:
				return nil
			default:
				from = last.Revision - 1
			}
			return readStream(stream, backwards, &from, count)
		},
		follows: func(last, e *event) bool { return e.Stream == stream && (last == nil || e.Revision < last.Revision) },
	})
}

// forthStream reads up to count events of a stream, from an event on.
func (l *Log) forthStream(ctx context.Context, stream string, from, count uint64) events {
	return l.pages(ctx, &pager{
		size: count,
		page: func(last *event, _ uint64) *api.ReadReq {
			next := from
			if last != nil {
				next = last.Revision + 1
			}
			if next >= from+count {
				return nil
			}
			return readStream(stream, forwards, &next, from+count-next)
		},
		follows: func(last, e *event) bool { return e.Stream == stream && (last == nil || e.Revision > last.Revision) },
	})
}

// last returns the last event of a stream, nil if the stream has none. Whoever cut the stream is found out.
func (l *Log) last(ctx context.Context, stream string) (*event, error) {
	e, err := l.one(ctx, readStream(stream, backwards, nil, 1))
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, l.guard.look(ctx, l, stream) // what is not there may have been deleted
	}
	if e.Stream != stream {
		return nil, fmt.Errorf("%w: the server was asked for stream %q and sent an event of %q", eventstore.ErrCorrupt, stream, e.Stream)
	}
	if e.Revision > math.MaxInt64-1 {
		return nil, fmt.Errorf("%w: stream %q", errDeleted, stream)
	}
	return e, l.guard.lookOnce(ctx, l, stream)
}

// one returns the first event that a read answers, nil if there is none, and tries again within the budget.
func (l *Log) one(ctx context.Context, request *api.ReadReq) (found *event, err error) {
	err = l.try(ctx, func() error {
		found, err = first(l.fetch(ctx, request))
		return err
	})
	if errors.Is(err, eventstore.ErrNotFound) {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	return found, err
}

// first returns the first of found, nil if there is none.
func first(found events) (*event, error) {
	for e, err := range found {
		return e, err
	}
	return nil, nil //nolint:nilnil // nothing is an answer here
}

// newestOfAll returns the last event of the server, whosever it is, nil when it has none.
func (l *Log) newestOfAll(ctx context.Context) (*event, error) {
	return l.one(ctx, readAll(backwards, 0, nil, 1))
}

// indexing is how long a leader may take to show the rest of a batch.
const indexing = 5 * time.Second

// indexed is about how long a leader takes mostly.
const indexed = 5 * time.Millisecond

// errCutShort: a leader that answers does not show the rest of a batch.
var errCutShort = errors.New("the rest of a batch does not come")

// whole returns the last event of the batch of e, which is the newest that is shown, or nil. It waits for one that is not
// shown yet: a while where the same leader answers all the time, and then it returns e, so that who reads up to it finds
// that a part is missing; else within the budget, after which nobody knows.
func (l *Log) whole(ctx context.Context, e *event) (*event, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	rest := l.rest(e)
	if rest == 0 {
		return e, nil
	}
	patience := min(indexing, l.budget.total/2) // the rest of the budget is for a leader that does not answer
	if l.short.Load() == int64(e.Position) {    //nolint:gosec // a position is below 2^63
		patience = 0 // it was waited for before
	}
	last, err := l.awaitRevision(ctx, e.Stream, e.Revision+rest, patience)
	switch {
	case errors.Is(err, errCutShort):
		l.short.Store(int64(e.Position)) //nolint:gosec // a position is below 2^63
		return e, nil
	}
	return last, err
}

// rest returns how many events of the batch of e come after it, 0 for an event that is not of a batch of the log.
func (l *Log) rest(e *event) uint64 {
	stream, ok := l.names.batches(e.Stream)
	if !ok {
		return 0
	}
	r, err := record(e, stream)
	if err != nil {
		return 0 // whoever reads it will tell
	}
	return uint64(r.Meta.Size - 1 - r.Meta.Index) //nolint:gosec // an index is below its size
}

// awaitRevision returns an event of a stream that the server has, and need not show yet. A leader that answers, and does not
// show it for longer than patience, is errCutShort.
func (l *Log) awaitRevision(ctx context.Context, stream string, revision uint64, patience time.Duration) (*event, error) {
	var found *event
	begin, term := time.Now(), l.cluster.term() //nolint:forbidigo // a duration, not a time that is recorded
	err := l.tryAfter(ctx, indexed, func() error {
		if now := l.cluster.term(); now != term {
			begin, term = time.Now(), now //nolint:forbidigo // likewise
		}
		e, err := first(l.fetch(ctx, readStream(stream, forwards, &revision, 1)))
		switch {
		case err != nil && !errors.Is(err, eventstore.ErrNotFound):
			return err
		case (e == nil || err != nil) && l.cluster.term() == term && time.Since(begin) >= patience: //nolint:forbidigo // a duration
			return errCutShort
		case e == nil || err != nil:
			return &passingError{text: fmt.Sprintf("revision %d of stream %q is not shown yet", revision, stream)}
		case e.Stream != stream || e.Revision != revision:
			return cutOrOther(stream, revision, e)
		}
		found = e
		return nil
	})
	if err == nil {
		l.budget.giveBack(time.Since(begin)) //nolint:forbidigo // a duration; nothing failed
	}
	return found, err
}

func cutOrOther(stream string, revision uint64, e *event) error {
	return fmt.Errorf("%w: the server was asked for revision %d of stream %q and sent %d of %q: events were truncated, deleted or tampered with",
		eventstore.ErrCorrupt, revision, stream, e.Revision, e.Stream)
}

// guard finds out who told the server to cut streams of the log. It is safe for concurrent use.
type guard struct {
	mu     sync.Mutex
	looked map[string]bool // streams whose metadata was found to be harmless
}

// lookOnce is look, but for a stream that was looked at before. What was cut since then shows as missing revisions.
func (g *guard) lookOnce(ctx context.Context, l *Log, stream string) error {
	g.mu.Lock()
	looked := g.looked[stream]
	g.mu.Unlock()
	if looked {
		return nil
	}
	if err := g.look(ctx, l, stream); err != nil {
		return err
	}
	g.mu.Lock()
	g.looked[stream] = true
	g.mu.Unlock()
	return nil
}

// look returns ErrCorrupt if the metadata of a stream makes the server cut it or hide it.
func (g *guard) look(ctx context.Context, l *Log, stream string) error {
	e, err := l.one(ctx, readStream(settingsPrefix+stream, backwards, nil, 1))
	switch {
	case err != nil:
		return fmt.Errorf("read metadata of stream %q: %w", stream, err)
	case e == nil:
		return nil
	}
	var settings map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &settings); err != nil {
		return fmt.Errorf("%w: metadata of stream %q: %w", eventstore.ErrCorrupt, stream, err)
	}
	for name, value := range settings {
		if slices.Contains([]string{"$maxCount", "$maxAge", "$tb"}, name) {
			return fmt.Errorf("%w: metadata of stream %q sets %s to %s, which makes the server cut the log: its events were "+
				"truncated, deleted or tampered with", eventstore.ErrCorrupt, stream, name, value)
		}
	}
	return nil
}
