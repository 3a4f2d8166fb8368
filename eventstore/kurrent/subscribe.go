package kurrent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cenkalti/backoff/v5"

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
