package kurrent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cenkalti/backoff/v5"

	"github.com/gxpledger/gxpledger/eventstore"
)

// How long a dropped subscription waits before it tries again, with jitter.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 5 * time.Second
)

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
			l.options.Observe(fmt.Errorf("subscription goes on from position %d: %w", s.at, err))
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

// wait waits, or returns why nobody waits any more.
func (l *Log) wait(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-l.clients.closed:
	}
	return l.usable(ctx)
}

// subscriber is one subscription, over all the server's that it takes. It is not safe for concurrent use.
type subscriber struct {
	log      *Log
	filter   eventstore.Filter
	sequence *sequence
	yield    func(eventstore.Record, error) bool

	at    eventstore.Position // up to which all was yielded
	known bool                // at is a position that this server told
	moved bool                // the last run told something
}

// run yields what comes until the loop breaks, which is no error, or the server drops it.
func (s *subscriber) run(ctx context.Context) error {
	s.moved = false
	if err := s.log.usable(ctx); err != nil {
		return err
	}
	if err := s.place(ctx); err != nil {
		return err
	}
	for m, err := range s.log.follow(ctx, s.at, s.log.names.filter(s.filter.StreamPrefix)) {
		if err != nil {
			return err
		}
		if usable := s.log.usable(ctx); usable != nil {
			return usable
		}
		s.moved = true
		if m.kind == messageEvent {
			if err := s.take(m); err != nil {
				if errors.Is(err, errLeft) {
					return nil
				}
				return err
			}
		}
		if m.at > s.at {
			s.at, s.known = m.at, true
		}
	}
	return s.log.usable(ctx)
}

// place checks that the log reaches as far as the subscription is.
func (s *subscriber) place(ctx context.Context) error {
	if s.at == 0 {
		return nil
	}
	end, err := s.log.end(ctx)
	switch {
	case err != nil || s.at <= end:
		return err
	case s.known:
		return fmt.Errorf("%w: it ended at position %d or behind, and ends at %d now: the server lost events, or was restored",
			eventstore.ErrCorrupt, s.at, end)
	default:
		return fmt.Errorf("%w: position %d is behind the end of the log, at %d", errPosition, s.at, end)
	}
}

// errLeft: the loop broke.
var errLeft = errors.New("loop broke")

// take yields the event of m, if it passes the filter.
func (s *subscriber) take(m message) error {
	for e, err := range s.log.choose(func(yield func(*esdb.RecordedEvent, error) bool) { yield(m.event, nil) }, s.filter.StreamPrefix) {
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
