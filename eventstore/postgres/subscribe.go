package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/pg"
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

// notifyEvery is the least time between two hints to other processes. One hint tells of everything before it.
const notifyEvery = 5 * time.Millisecond

// broadcast wakes all who wait for it.
type broadcast struct {
	mu   sync.Mutex // guards rung
	sent chan struct{}
}

// next returns a channel that the next send closes.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.sent)
	b.sent = make(chan struct{})
}

// signal leaves a token in c, which holds one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// channel is where the hints about this log go.
func (l *Log) channel() string {
	return "gxpledger_" + strings.ReplaceAll(l.identity.id.String(), "-", "")
}

// notifyAll sends the hints, outside of the transactions of appends: a NOTIFY inside of one would hold a lock of the
// whole server while it commits. A hint that is lost costs the others one poll.
func (l *Log) notifyAll(ctx context.Context) {
	for {
		select {
		case <-l.hint:
		case <-ctx.Done():
			return
		}
		err := l.once(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
			_, err := conn.Exec(ctx, "SELECT pg_catalog.pg_notify($1, '')", l.channel())
			return err
		})
		if err != nil {
			l.observe(ctx, fmt.Errorf("cannot notify: %w", err))
		}
		if pg.Pause(ctx, notifyEvery) != nil {
			return
		}
	}
}

// listenAll waits for hints of other processes, on a connection of its own, from the first subscription on.
func (l *Log) listenAll(ctx context.Context) {
	select {
	case <-l.listen:
	case <-ctx.Done():
		return
	}
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		heard, err := l.hear(ctx)
		if heard {
			wait = firstWait
		}
		if ctx.Err() != nil {
			return
		}
		l.observe(ctx, fmt.Errorf("cannot listen: %w", err))
		if pg.Pause(ctx, wait) != nil {
			return
		}
	}
}

// hear wakes the readers for each hint until the connection is lost. It reports whether it got to listening.
func (l *Log) hear(ctx context.Context) (bool, error) {
	conn, err := pg.Connect(ctx, l.pool.Config().ConnConfig)
	if err != nil {
		return false, translate(ctx, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // lost, or of no use any more
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{l.channel()}.Sanitize()); err != nil {
		return false, translate(ctx, err)
	}
	l.wake.send() // for what came while nobody listened
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return true, translate(ctx, err)
		}
		l.wake.send()
	}
}
