package esdbserver

import (
	"context"
	"math"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

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
	if err := f.consider(ctx, v.log.Read(ctx, f.at, eventstore.Filter{})); err != nil {
		return ended(ctx, err)
	}
	if err := f.caughtUp(); err != nil {
		return err
	}
	return ended(ctx, f.consider(ctx, v.log.Subscribe(ctx, f.at, eventstore.Filter{})))
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
	if err := f.catchUp(ctx, v.log, q.from); err != nil {
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
	return ended(ctx, f.follow(ctx, v.log.Subscribe(ctx, head, eventstore.Filter{StreamPrefix: q.stream})))
}

// streamFollower is a subscription to one stream.
type streamFollower struct {
	*sender
	stream eventstore.StreamID
	next   eventstore.Revision // the first that was not considered yet
}

// catchUp sends what the stream holds after from, which may be nothing yet.
func (f *streamFollower) catchUp(ctx context.Context, log eventstore.StreamReader, from place) error {
	if !possibleName(string(f.stream)) {
		return nil
	}
	switch from.kind {
	case placeExact:
		f.next = eventstore.Revision(from.at + 1)
	case placeEnd:
		for r, err := range log.ReadStreamBackwards(ctx, f.stream) {
			f.next = r.Revision + 1
			return err
		}
		return nil
	case placeStart:
	}
	return f.follow(ctx, log.ReadStream(ctx, f.stream, f.next))
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
