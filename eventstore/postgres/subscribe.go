package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// longestWait bounds the time between two tries of a subscription to reach a server that does not answer.
const longestWait = 5 * time.Second

// Subscribe implements [eventstore.Subscriber]. It outlives lost connections and restarts of the server, for as long as
// ctx lets it, and tells the observer of each.
func (l *Log) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		s := &subscription{log: l, filter: filter, at: clamp(uint64(after)), wait: firstWait}
		signal(l.listen)
		for {
			rung := l.wake.next() // before the look, so that nothing that comes after it goes unheard
			goOn, err := s.drain(ctx, yield)
			if err == nil && !goOn {
				return
			}
			if err = s.rest(ctx, rung, err); err != nil {
				yield(eventstore.Record{}, fmt.Errorf("cannot subscribe: %w", err))
				return
			}
		}
	}
}

// subscription is where a subscription is.
type subscription struct {
	log    *Log
	filter eventstore.Filter
	at     int64         // everything up to it was yielded, or passed over by the filter
	wait   time.Duration // before the next try, after a failed one
}

// drain yields what there is. It reports false when the loop broke.
func (s *subscription) drain(ctx context.Context, yield func(eventstore.Record, error) bool) (bool, error) {
	head, err := s.log.head(ctx)
	if err != nil {
		return false, err
	}
	w := newCursor(eventstore.Position(s.at), s.filter, head) //nolint:gosec // not below 0
	for !w.done() {
		records, err := s.log.next(ctx, w)
		if err != nil {
			return false, err
		}
		for _, r := range records {
			if err := s.log.usable(ctx); err != nil {
				return false, err
			}
			if !yield(r, nil) {
				return false, nil
			}
			s.at, s.wait = int64(r.Position), firstWait //nolint:gosec // it was an int64
		}
		if len(w.spans) == 0 {
			s.at = w.next - 1
		}
	}
	s.at, s.wait = max(s.at, head), firstWait
	return true, nil
}

// rest waits until there may be something to read. After an error that is worth another try it waits longer each time;
// another one it returns.
func (s *subscription) rest(ctx context.Context, rung <-chan struct{}, err error) error {
	wait := s.log.options.PollEvery
	if err != nil {
		if !errors.Is(err, eventstore.ErrTransient) || s.log.usable(ctx) != nil {
			return err
		}
		s.log.options.Observe(fmt.Errorf("subscription at position %d: %w", s.at, err))
		wait, rung = s.wait, nil
		s.wait = min(2*s.wait, longestWait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-rung:
	case <-timer.C:
	case <-ctx.Done():
	case <-s.log.closing:
	}
	return s.log.usable(ctx)
}
