package kurrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc/metadata"

	"github.com/gxpledger/gxpledger/eventstore"
)

// longestWait is how long a dropped subscription waits at most before it tries again, with jitter.
const longestWait = 5 * time.Second

// Subscribe implements [eventstore.Subscriber]. When the server drops the subscription or cannot be reached, it goes on
// from where it was, for as long as ctx does, and tells Options.Observe. A position beyond the end of the log is
// ErrInvalid: it is a position of another log.
func (l *Log) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		s := subscriber{log: l, filter: filter, at: after, sequence: upwards(after), yield: yield}
		waits := backoff.NewExponentialBackOff()
		waits.InitialInterval, waits.MaxInterval = firstWait, longestWait
		for {
			err := s.run(ctx)
			switch {
			case err == nil:
				return // the loop broke
			case !errors.Is(err, eventstore.ErrTransient):
				yield(eventstore.Record{}, fmt.Errorf("subscribe: %w", err))
				return
			}
			l.options.Observe(fmt.Errorf("subscription resumes from position %d: %w", s.at, err))
			if s.moved {
				waits.Reset()
			}
			if err := l.wait(ctx, waits.NextBackOff()); err != nil {
				yield(eventstore.Record{}, fmt.Errorf("subscribe: %w", err))
				return
			}
		}
	}
}

// subscriber is one subscription, over all the server's that it takes. It is not safe for concurrent use.
type subscriber struct {
	log      *Log
	filter   eventstore.Filter
	sequence *sequence
	yield    func(eventstore.Record, error) bool

	at    eventstore.Position // up to which all was yielded
	known bool                // at is a position that this server told
	// stranger: the server does not know at, which a caller made up. It tells all, and what is not behind at is passed over.
	stranger bool
	moved    bool // the last run told something
}

// run yields what comes until the loop breaks, which is no error, or the server drops it.
func (s *subscriber) run(ctx context.Context) error {
	s.moved = false
	if err := s.log.usable(ctx); err != nil {
		return err
	}
	from := s.at
	if s.stranger {
		from = 0
	} else if err := s.place(ctx); err != nil {
		return err
	}
	for m, err := range s.log.follow(ctx, s.log.marks.skip(from), s.log.names.filter(s.filter.StreamPrefix)) {
		if errors.Is(err, errPosition) && !s.known && !s.stranger {
			s.stranger = true
			return s.run(ctx)
		}
		if err == nil {
			err = s.hear(ctx, m)
		}
		if errors.Is(err, errLeft) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return s.log.usable(ctx)
}

// hear takes what the server tells.
func (s *subscriber) hear(ctx context.Context, m message) error {
	if err := s.log.usable(ctx); err != nil {
		return err
	}
	s.moved = true
	if m.at <= s.at {
		return nil
	}
	if m.kind == messageEvent {
		if err := s.take(ctx, m); err != nil {
			return err
		}
	}
	s.at, s.known, s.stranger = m.at, true, false
	return nil
}

// place checks that the log reaches as far as the subscription is.
func (s *subscriber) place(ctx context.Context) error {
	if s.at == 0 {
		return nil
	}
	missing := fmt.Errorf("%w: position %d is after the end of the log", errPosition, s.at)
	if s.known {
		missing = fmt.Errorf("%w: it ended at position %d or later, and ends earlier now: the server lost events, or was restored",
			eventstore.ErrCorrupt, s.at)
	}
	return s.log.beyond(ctx, s.at, missing)
}

// take yields the event of m, if it passes the filter.
func (s *subscriber) take(ctx context.Context, m message) error {
	for e, err := range s.log.choose(ctx, func(yield func(*event, error) bool) { yield(m.event, nil) }, s.filter.StreamPrefix) {
		if err != nil {
			return err
		}
		r, err := s.log.check(e, s.sequence)
		if err != nil {
			return err
		}
		if s.filter.Match(r) && !s.yield(r, nil) {
			return errLeft
		}
	}
	return nil
}

// message is what a subscription to $all tells.
type message struct {
	kind  messageKind
	event *event              // of an event
	at    eventstore.Position // up to which all was told; 0 where that is not told
	// before: at is of a checkpoint that stands before the event there, which may come still.
	before bool
}

type messageKind int

const (
	messageOther messageKind = iota
	messageEvent
	messageCheckpoint
	messageCaughtUp
)

// follow yields what comes after a position of the server, 0 being before everything, and passes a filter, for ever.
func (l *Log) follow(ctx context.Context, after eventstore.Position, f *filter) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		ctx, k, err := l.cluster.begin(ctx, l.limit())
		if err != nil {
			yield(message{}, err)
			return
		}
		var trailer metadata.MD
		stream, err := k.streams().Read(ctx, subscribe(after, f))
		if err == nil {
			err = k.listen(stream, after, func(m message) bool { return yield(m, nil) })
			trailer = stream.Trailer()
		}
		if errors.Is(err, errLeft) {
			_ = k.end(nil, nil) //nolint:contextcheck // the call has that of its caller
		} else {
			yield(message{}, k.end(err, trailer)) //nolint:contextcheck // the call has that of its caller
		}
	}
}

// listen hands over what a subscription tells. A checkpoint that stands before an event tells that all up to the checkpoint
// before it was sent, and no more: a server that says early, or again, that it has caught up sends the event there later.
func (k *call) listen(stream api.Streams_ReadClient, last eventstore.Position, emit func(message) bool) error {
	var open eventstore.Position // of the last checkpoint that stands before an event
	for {
		sent, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return passing(k.node.address, "ended the subscription")
		}
		if err != nil {
			return err
		}
		k.listening()
		m, err := told(sent)
		switch {
		case err != nil:
			return err
		case m.kind == messageEvent && (m.at <= last || m.at < open):
			return fmt.Errorf("%w: the server sent the event at position %d after position %d", eventstore.ErrCorrupt, m.at, max(last, open))
		case m.before:
			m.at, open = open, max(m.at, open)
		}
		last = max(last, m.at)
		if !emit(m) {
			return errLeft
		}
	}
}

// told reads a message of a subscription. Kinds that are not known are passed over.
func told(m *api.ReadResp) (message, error) {
	switch content := m.GetContent().(type) {
	case *api.ReadResp_Event:
		e, err := decode(content.Event)
		if err != nil {
			return message{}, err
		}
		return message{kind: messageEvent, event: e, at: e.Position}, nil
	case *api.ReadResp_Checkpoint_:
		commit, prepare := content.Checkpoint.GetCommitPosition(), content.Checkpoint.GetPreparePosition()
		return message{kind: messageCheckpoint, at: eventstore.Position(min(commit, unlimited)), before: prepare < commit}, nil
	case *api.ReadResp_CaughtUp_:
		return message{kind: messageCaughtUp}, nil
	}
	return message{}, nil
}

// span yields the events after a position that pass a filter, up to an end that the server has shown. Where that passes
// the filter itself, it is waited for; where it does not, what is left is read from a leader that reaches the end. After a
// failure it continues within the budget.
//
// A subscription is what passes over the events of others fastest. That it has caught up proves nothing: a node may say so
// before it has sent all that it has, and one that is not the leader says so of what it has. Hence what is left between
// there and the end is read, which only a leader answers.
func (l *Log) span(ctx context.Context, after eventstore.Position, end *event, passes bool, f *filter) events { //revive:disable-line:flag-parameter // a fact, not a switch
	return func(yield func(*event, error) bool) {
		retry := l.retry()
		defer retry.done()
		s := &spanReader{log: l, filter: f, at: after, after: after, end: end.Position, passes: passes, yield: yield}
		for part := s.catchUp; part != nil; {
			before := s.at
			err := part(ctx)
			switch {
			case errors.Is(err, errLeft):
				return
			case errors.Is(err, errPosition) && s.at == after && after != 0:
				s.at = 0 // not a position of this server: all that is before it is passed over
				continue
			case err != nil:
				if s.at > before {
					retry.moved()
				}
				if err := retry.again(ctx, err); err != nil {
					yield(nil, err)
					return
				}
				continue
			case s.at >= s.end:
				return
			case !s.tail:
				s.tail = true
				part = s.readRest
			case !passes:
				return
			default:
				err := retry.again(ctx, &passingError{text: fmt.Sprintf("position %d is not shown any more", s.end)})
				if err != nil {
					yield(nil, err)
					return
				}
			}
		}
	}
}

// spanReader is where a span is. It is not safe for concurrent use.
type spanReader struct {
	log        *Log
	filter     *filter
	at         eventstore.Position // up to which all was yielded
	after, end eventstore.Position
	passes     bool // the end passes the filter
	tail       bool // the subscription has caught up
	yield      func(*event, error) bool
}

// catchUp yields what a subscription tells until it says that it has caught up.
func (s *spanReader) catchUp(ctx context.Context) error {
	for m, err := range s.log.follow(ctx, s.at, s.filter) {
		switch {
		case err != nil:
			return err
		case m.kind == messageCaughtUp:
			return nil
		case m.kind == messageEvent && m.at <= s.end:
			if err := s.pass(m.event); err != nil {
				return err
			}
		}
		if s.at = max(s.at, min(m.at, s.end)); m.at >= s.end {
			return nil
		}
	}
	return nil
}

// pass yields an event that was not yielded before.
func (s *spanReader) pass(e *event) error {
	if e.Position <= s.after || e.Position <= s.at && s.at > s.after {
		return nil
	}
	if !s.yield(e, nil) {
		return errLeft
	}
	s.at = e.Position
	return nil
}

// readRest yields what is left. Where the end will not show that all of it came, the leader must reach the end.
func (s *spanReader) readRest(ctx context.Context) error {
	if s.passes {
		return s.readTail(ctx)
	}
	return s.log.reaching(ctx, s.end, func() error { return s.readTail(ctx) })
}

// reaching makes reads that come from one leader, which shows the end of the server up to a position at least. A new leader may
// show less than the old one did: what it does not show yet would pass for what is not there. That is a passing error.
func (l *Log) reaching(ctx context.Context, at eventstore.Position, read func() error) error {
	term := l.cluster.term()
	newest, err := first(l.fetch(ctx, readAll(backwards, 0, nil, 1)))
	switch {
	case err != nil:
		return err
	case newest == nil || newest.Position < at:
		return &passingError{text: fmt.Sprintf("the leader does not show position %d, which was shown before", at)}
	}
	if err := read(); err != nil {
		return err
	}
	if l.cluster.term() != term {
		return &passingError{text: "another node may lead since"}
	}
	return nil
}

// readTail yields what is left, as far as the leader shows it.
func (s *spanReader) readTail(ctx context.Context) error {
	for {
		from, count, size := s.at, uint64(0), s.log.sizes.lastPage
		var last *event
		for e, err := range s.log.fetch(ctx, readAll(forwards, from, s.filter, size)) {
			switch {
			case err != nil:
				return err
			case last != nil && e.Position <= last.Position:
				return disordered(last, e)
			case e.Position > s.end:
				return nil
			}
			last = e
			count++
			if err := s.pass(e); err != nil {
				return err
			}
		}
		if count < size {
			return nil
		}
		if last.Position <= from {
			return disordered(nil, last)
		}
		s.at = max(s.at, last.Position)
	}
}

// listening says that the call waits for what may never come, from a node that may stop leading without a word.
func (k *call) listening() {
	k.timers[0].Stop()
	k.silence.Store(int64(k.cluster.patience.subscription))
	if k.timers[1] != nil {
		k.timers[1].Reset(k.quiet())
	}
	k.free()
}
