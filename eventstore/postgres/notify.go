package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/internal/pg"
)

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

// announce tells this process and the others that there is something to read.
func (l *Log) announce() {
	l.wake.send()
	signal(l.hint)
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
