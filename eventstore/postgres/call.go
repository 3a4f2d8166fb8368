package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/pg"
)

const (
	// tries is how often a call is tried when the server does not answer. The caller of the log tries again after that,
	// with longer waits.
	tries = 3
	// firstWait is the wait before the second try. It doubles.
	firstWait = 50 * time.Millisecond
)

// call runs do on a connection of the pool, again while the server does not answer: do must be safe to repeat. The
// context of do ends when the log closes. What call returns is translated.
func (l *Log) call(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	ctx, leave, err := l.gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return l.retry(ctx, func() error { return l.once(ctx, do) })
}

// once runs do on a connection of the pool.
func (l *Log) once(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	return translate(ctx, pg.Run(ctx, func(conn *pgxpool.Conn) error { return do(ctx, conn) }, l.pool))
}

// retry calls do until it succeeds, fails for another reason than that the server did not answer, or has failed often.
func (l *Log) retry(ctx context.Context, do func() error) error {
	wait := firstWait
	for n := 1; ; n++ {
		err := do()
		if err == nil || !errors.Is(err, eventstore.ErrTransient) || n == tries || ctx.Err() != nil {
			return err
		}
		if err := pg.Pause(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// gate counts the calls that are inside, and ends them when the log closes.
type gate struct {
	mu     sync.Mutex // guards all below
	closed bool
	last   uint64
	inside map[uint64]context.CancelCauseFunc

	calls sync.WaitGroup
}

// enter returns a context that ends with the log, with ErrClosed as its cause, and what is to be called at the end.
func (g *gate) enter(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil, eventstore.ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	g.last++
	number := g.last
	g.inside[number] = cancel
	g.calls.Add(1)
	return ctx, func() {
		g.mu.Lock()
		delete(g.inside, number)
		g.mu.Unlock()
		cancel(nil)
		g.calls.Done()
	}, nil
}

// close refuses new calls and ends those inside. It reports whether it was the first to do so.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.closed = true
	for _, cancel := range g.inside {
		cancel(eventstore.ErrClosed)
	}
	return true
}

// wait waits until nobody is inside.
func (g *gate) wait() { g.calls.Wait() }
