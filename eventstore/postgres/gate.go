package postgres

import (
	"context"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

// gate counts the calls that are inside, and ends them when the log closes.
type gate struct {
	mu     sync.Mutex // guards all below
	closed bool
	last   uint64
	inside map[uint64]context.CancelCauseFunc

	calls sync.WaitGroup
}

func newGate() *gate { return &gate{inside: map[uint64]context.CancelCauseFunc{}} }

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
