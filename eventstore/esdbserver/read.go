package esdbserver

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// records is what a log yields.
type records = iter.Seq2[eventstore.Record, error]

// read answers Streams.Read: a page of a stream or of $all, or a subscription to it.
func (v *service) read(ctx context.Context, c call) error {
	var request wire.ReadReq
	if err := c.receive(&request); err != nil {
		return err
	}
	q, err := parseQuery(&request)
	if err != nil {
		return err
	}
	p := v.newPace(ctx, c)
	s := &sender{call: c, pace: p, textIDs: q.textIDs}
	defer func() { _ = p.rest(ctx, v.stopping) }() // a page that is on its way is in memory
	switch {
	case q.live && q.all:
		return v.followAll(ctx, s, q)
	case q.live && strings.HasPrefix(q.stream, "$"):
		return noLinks(q.stream)
	case q.live:
		return v.followStream(ctx, s, q)
	case q.all:
		return v.readAll(ctx, s, q)
	default:
		return v.readStream(ctx, s, q)
	}
}

// noLinks refuses to subscribe to a stream that only a server with projections or metadata of streams writes: it would stay silent for
// ever. It says what to subscribe to instead.
func noLinks(stream string) error {
	instead := "subscribe to $all"
	if category, ok := strings.CutPrefix(stream, "$ce-"); ok {
		instead += fmt.Sprintf(" with a filter of the prefix %q on stream names", category+"-")
	} else if name, ok := strings.CutPrefix(stream, "$et-"); ok {
		instead += fmt.Sprintf(" with a filter of the prefix %q on event types", name)
	}
	return refuse(codes.Unimplemented, strings.ToValidUTF8(fmt.Sprintf("cannot subscribe to %q: a gxpledger log has no projections, "+
		"links and metadata of streams, and no event would ever come; %s", stream, instead), "?"))
}

func (v *service) readAll(ctx context.Context, s *sender, q query) error {
	found, err := v.pageOfAll(ctx, q)
	if err != nil {
		return err
	}
	return s.sendPage(ctx, s.laps(ctx, found, func(last eventstore.Record) records {
		if q.backwards {
			return v.before(ctx, last.Position)
		}
		return v.log.Read(ctx, last.Position, eventstore.Filter{})
	}), q)
}

// before returns what is before a position, newest first.
func (v *service) before(ctx context.Context, at eventstore.Position) records {
	if at <= 1 {
		return nothing
	}
	return v.log.ReadBackwards(ctx, at, eventstore.Filter{})
}

// pageOfAll returns what $all holds from a place on: forwards from it, backwards from before it.
func (v *service) pageOfAll(ctx context.Context, q query) (records, error) {
	if q.from.kind != placeExact {
		switch {
		case (q.from.kind == placeEnd) != q.backwards:
			return nothing, nil
		case q.backwards:
			return v.log.ReadBackwards(ctx, 0, eventstore.Filter{}), nil
		default:
			return v.log.Read(ctx, 0, eventstore.Filter{}), nil
		}
	}
	head, err := v.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	switch beyond := eventstore.Distance(head, eventstore.Position(q.from.at)); {
	case beyond > 0 && !q.backwards:
		return nothing, nil
	case beyond > 1:
		return nil, invalidPosition()
	case beyond == 1: // the one after the head is where a reader that has all goes on
		return v.log.ReadBackwards(ctx, 0, eventstore.Filter{}), nil
	}
	at, err := v.lastBy(ctx, q.from.at)
	if err != nil {
		return nil, err
	}
	exact := uint64(at) == q.from.at
	switch {
	case q.backwards && at == 0:
		return nothing, nil
	case q.backwards:
		before := v.log.ReadBackwards(ctx, at, eventstore.Filter{})
		if exact {
			return before, nil
		}
		return v.with(ctx, at, before), nil
	default:
		behind := v.log.Read(ctx, at, eventstore.Filter{}) // what there is now
		if !exact {
			return behind, nil
		}
		return v.with(ctx, at, behind), nil
	}
}

func nothing(func(eventstore.Record, error) bool) {}

func (v *service) readStream(ctx context.Context, s *sender, q query) error {
	end, err := v.endOf(ctx, eventstore.StreamID(q.stream))
	if err != nil {
		return err
	}
	if end > 0 {
		page := s.laps(ctx, v.pageOfStream(ctx, q), func(last eventstore.Record) records {
			switch {
			case !q.backwards:
				return v.log.ReadStream(ctx, last.Stream, last.Revision+1)
			case last.Revision == 0:
				return nothing
			default:
				return v.backFrom(ctx, last.Stream, uint64(last.Revision)-1)
			}
		})
		if err := s.sendPage(ctx, page, q); err != nil || !q.endings {
			return err
		}
		return s.sendEnding(ctx, max(end, streamEnd(s.next)), q) // what came later than the page is none of its business
	}
	if hash, ok := contentHash(q.stream); ok {
		if err := s.begin(ctx); err != nil {
			return err
		}
		found, err := v.heldContent(ctx, hash)
		if err != nil {
			return err
		}
		if found != nil {
			return s.sendHeldContent(ctx, found, q)
		}
	}
	return s.send(&wire.ReadResp{Content: &wire.ReadResp_StreamNotFound_{StreamNotFound: &wire.ReadResp_StreamNotFound{
		StreamIdentifier: streamIdentifier(q.stream),
	}}})
}

// pageOfStream returns what a stream holds from a place on, that included.
func (v *service) pageOfStream(ctx context.Context, q query) records {
	stream := eventstore.StreamID(q.stream)
	switch {
	case !q.backwards && q.from.kind == placeEnd:
		return nothing
	case !q.backwards:
		return v.log.ReadStream(ctx, stream, eventstore.Revision(q.from.at))
	case q.from.kind == placeEnd:
		return v.log.ReadStreamBackwards(ctx, stream)
	default:
		return v.backFrom(ctx, stream, q.from.at)
	}
}

// backPage and backBytes bound the records that are held to turn them round, and their data.
const (
	backPage  = 32
	backBytes = 4 << 20
)

// backFrom yields the records of stream in falling order from revision at on. Logs read backwards from the end only: this
// reads page after page forwards, so that the middle of a long stream costs no more than its end.
func (v *service) backFrom(ctx context.Context, stream eventstore.StreamID, at uint64) records {
	return func(yield func(eventstore.Record, error) bool) {
		for end, err := range v.log.ReadStreamBackwards(ctx, stream) {
			if err != nil {
				yield(eventstore.Record{}, err)
				return
			}
			at = min(at, uint64(end.Revision))
			break
		}
		for left := at + 1; left > 0; {
			from := left - min(left, backPage)
			page, err := v.pageUpTo(ctx, stream, eventstore.Revision(from), left-from)
			for _, r := range slices.Backward(page) {
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(eventstore.Record{}, err)
				return
			}
			left = from
			if len(page) > 0 {
				left = uint64(page[0].Revision)
			}
		}
	}
}

// pageUpTo returns the last of size records of stream from a revision on: as many as backBytes has room for, and at least one.
func (v *service) pageUpTo(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, size uint64) ([]eventstore.Record, error) {
	var page []eventstore.Record
	var held int
	for r, err := range v.log.ReadStream(ctx, stream, from) {
		if err != nil {
			return nil, err
		}
		page, held = append(page, r), held+len(r.Data)
		for held > backBytes && len(page) > 1 {
			held -= len(page[0].Data)
			page = slices.Delete(page, 0, 1)
		}
		if size--; size == 0 {
			break
		}
	}
	return page, nil
}

// A subscription reads what there is, tells that it caught up, and follows the log from there. It reads at the pace of
// its client: sending blocks when the client does not receive, and nothing is buffered or dropped.

// untilStop returns a context that ends with a subscription's call, and with the server.
func (v *service) untilStop(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-v.stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// ended returns why a subscription ended: the server's reason rather than what the log made of it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (v *service) followAll(ctx context.Context, s *sender, q query) error {
	ctx, cancel := v.untilStop(ctx)
	defer cancel(nil)
	head, err := v.log.Head(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	f := &allFollower{sender: s, filter: q.filter}
	switch {
	case q.from.kind == placeEnd:
		f.at = head
	case q.from.at > uint64(head): // a checkpoint of another log: nothing is new before the log is that long
		f.at, f.told, f.after = head, head, eventstore.Position(q.from.at)
	default:
		if f.at, err = v.lastBy(ctx, q.from.at); err != nil {
			return ended(ctx, err)
		}
	}
	if err := s.sendConfirmation(); err != nil {
		return err
	}
	if err := f.considerNew(ctx); err != nil {
		return ended(ctx, err)
	}
	if err := f.caughtUp(); err != nil {
		return err
	}
	return ended(ctx, v.whenever(ctx, head, func(head eventstore.Position) error {
		return f.consider(ctx, f.recent(ctx, f.at, head))
	}))
}

// whenever calls read with the head of the log, each time that it is behind seen, until ctx ends.
func (v *service) whenever(ctx context.Context, seen eventstore.Position, read func(head eventstore.Position) error) error {
	tail := v.tail.join(ctx, seen)
	defer v.tail.leave(tail)
	for {
		var err error
		if seen, err = tail.beyond(ctx, seen); err != nil {
			return err
		}
		if err := read(seen); err != nil {
			return err
		}
	}
}

// allFollower is a subscription to $all.
type allFollower struct {
	*sender
	filter     *filter
	at         eventstore.Position // of the last record considered
	after      eventstore.Position // records up to it are not sent, also when they come later
	considered uint64              // records since the last checkpoint
	told       eventstore.Position // of the last checkpoint
}

// considerNew considers what there is behind the last record.
func (f *allFollower) considerNew(ctx context.Context) error {
	read := func(last eventstore.Record) records { return f.log.Read(ctx, last.Position, eventstore.Filter{}) }
	return f.consider(ctx, f.laps(ctx, read(eventstore.Record{Position: f.at}), read))
}

// consider sends what of found passes the filter, and a checkpoint each interval of a filter.
func (f *allFollower) consider(ctx context.Context, found records) error {
	for r, err := range found {
		if err != nil {
			return err
		}
		f.at = r.Position
		if r.Position <= f.after {
			continue
		}
		if f.filter.match(r) {
			if err := f.sendRecord(ctx, r); err != nil {
				return err
			}
		}
		f.considered++
		if f.filter != nil && f.considered >= f.filter.interval {
			if err := f.checkpoint(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *allFollower) checkpoint() error {
	f.considered, f.told = 0, f.at
	return f.sendCheckpoint(f.at)
}

// caughtUp tells that all that there was is sent, with a checkpoint before it: what did not pass the filter must not be
// considered again after a reconnection.
func (f *allFollower) caughtUp() error {
	message := &wire.ReadResp_CaughtUp{}
	if f.at > 0 {
		if f.filter != nil && f.told != f.at {
			if err := f.checkpoint(); err != nil {
				return err
			}
		}
		f.give(f.at)
		message.Position = &wire.Position{CommitPosition: uint64(f.at), PreparePosition: uint64(f.at)}
	}
	return f.sendCaughtUp(message)
}

func (v *service) followStream(ctx context.Context, s *sender, q query) error {
	ctx, cancel := v.untilStop(ctx)
	defer cancel(nil)
	head, err := v.log.Head(ctx) // before reading the stream, so that no record falls between
	if err != nil {
		return ended(ctx, err)
	}
	f := &streamFollower{sender: s, stream: eventstore.StreamID(q.stream)}
	if err := s.sendConfirmation(); err != nil {
		return err
	}
	if err := f.locate(ctx, q.from); err != nil {
		return ended(ctx, err)
	}
	if err := f.sendNew(ctx); err != nil {
		return ended(ctx, err)
	}
	message := &wire.ReadResp_CaughtUp{}
	if f.next > 0 {
		last := int64(min(f.next-1, math.MaxInt64))
		message.StreamRevision = &last
	}
	if err := s.sendCaughtUp(message); err != nil {
		return err
	}
	return ended(ctx, v.whenever(ctx, head, func(now eventstore.Position) error {
		seen := head
		head = now
		if v.pages.has(seen) {
			return f.follow(ctx, f.recent(ctx, seen, now))
		}
		return f.sendNew(ctx) // far behind: the stream alone is shorter
	}))
}

// streamFollower is a subscription to one stream.
type streamFollower struct {
	*sender
	stream eventstore.StreamID
	next   eventstore.Revision // the first that was not considered yet
}

// locate finds the first revision that is sent.
func (f *streamFollower) locate(ctx context.Context, from place) error {
	switch from.kind {
	case placeExact:
		f.next = eventstore.Revision(from.at + 1)
	case placeEnd:
		end, err := f.endOf(ctx, f.stream)
		f.next = eventstore.Revision(end)
		return err
	case placeStart:
	}
	return nil
}

// sendNew sends what the stream holds from the next revision on, which may be nothing yet.
func (f *streamFollower) sendNew(ctx context.Context) error {
	read := func(last eventstore.Record) records { return f.log.ReadStream(ctx, f.stream, last.Revision+1) }
	return f.follow(ctx, f.laps(ctx, f.log.ReadStream(ctx, f.stream, f.next), read))
}

// follow sends what of found is of the stream and new.
func (f *streamFollower) follow(ctx context.Context, found records) error {
	for r, err := range found {
		if err != nil {
			return err
		}
		if r.Stream != f.stream || r.Revision < f.next {
			continue
		}
		if err := f.sendRecord(ctx, r); err != nil {
			return err
		}
		f.next = r.Revision + 1
	}
	return nil
}
