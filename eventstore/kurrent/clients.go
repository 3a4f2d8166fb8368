package kurrent

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/gxpledger/gxpledger/eventstore"
)

// clients owns the official client, which cannot be relied on: it dies for good when it finds no server, and it keeps
// callers waiting, whatever their context says, while it looks for one. So each client is one of a row of generations:
//
//   - one goroutine looks for a server with clients that give up after one round each, and then makes the one that is used;
//     all others wait for that here, where their contexts count, and when nobody waits any more it ends;
//   - one that lost its server, or died, gets no new calls, and the next call makes another;
//   - one that was given up is closed when its last call has ended, since closing it earlier makes those calls panic.
//
// The client that is used looks for a server for ever when it has lost its own, since calls that are inside a client that
// dies never return. It is safe for concurrent use.
type clients struct {
	config   *esdb.Configuration
	maxCalls int
	closed   chan struct{} // closed by close

	mu      sync.Mutex // guards all below and the fields of generations that say so
	current *generation
	ended   bool
	flights int           // under way, of all generations
	landed  chan struct{} // closed when closed and no flight is under way
	stops   map[*context.CancelFunc]bool
}

// generation is one client.
type generation struct {
	client  *esdb.Client  // set before ready is closed; nil when err is not
	ready   chan struct{} // closed when the probe ended
	err     error         // why there is no client of use; set before ready is closed
	slots   chan struct{} // one token for each call that the client works on
	trouble atomic.Pointer[string]

	flights int  // under way; guarded by clients.mu
	retired bool // gets no new ones; guarded by clients.mu
}

func newClients(config *esdb.Configuration, maxCalls int) *clients {
	return &clients{
		config: config, maxCalls: maxCalls, closed: make(chan struct{}), landed: make(chan struct{}),
		stops: map[*context.CancelFunc]bool{},
	}
}

// onClose makes close call stop, which it does not once the result was called.
func (c *clients) onClose(stop context.CancelFunc) (forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		stop()
	}
	c.stops[&stop] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.stops, &stop)
	}
}

// board returns a client that had a server a moment ago, and takes one of its slots. The caller must leave it.
func (c *clients) board(ctx context.Context) (*generation, error) {
	g, err := c.join()
	if err != nil {
		return nil, err
	}
	if err := c.enter(ctx, g); err != nil {
		c.leave(g)
		return nil, err
	}
	return g, nil
}

func (c *clients) enter(ctx context.Context, g *generation) error {
	select {
	case <-g.ready:
	case <-c.closed:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return g.explain(context.Cause(ctx))
	}
	if g.err != nil {
		c.retire(g)
		return fmt.Errorf("%w: %w", eventstore.ErrTransient, g.err)
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-c.closed:
		return eventstore.ErrClosed
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), eventstore.ErrTransient) {
			c.retire(g) // it is stuck with all the calls that it may have
		}
		return context.Cause(ctx)
	}
}

// explain adds what the client last complained about to the reason why somebody waits no longer.
func (g *generation) explain(cause error) error {
	if trouble := g.trouble.Load(); trouble != nil && errors.Is(cause, eventstore.ErrTransient) {
		return fmt.Errorf("%w: %s", cause, *trouble)
	}
	return cause
}

// join counts a flight with the current generation, and makes one if there is none.
func (c *clients) join() (*generation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, eventstore.ErrClosed
	}
	if c.current == nil {
		g := &generation{ready: make(chan struct{}), slots: make(chan struct{}, c.maxCalls)}
		c.current = g
		g.flights++ // the probe is one, too; nobody waits for it when the log is closed
		go c.probe(g)
	}
	c.flights++
	c.current.flights++
	return c.current, nil
}

// listen keeps what the client complains about while it looks for a server; it has no other way to say that. Once the log
// is closed it ends the search, which the client itself never would: it is called by the goroutine that searches.
func (c *clients) listen(g *generation, level esdb.LogLevel, format string, args []any) {
	switch level {
	case esdb.LogWarn:
		text := fmt.Sprintf(format, args...)
		g.trouble.Store(&text)
	case esdb.LogInfo:
		select {
		case <-c.closed:
			if format == attempting {
				runtime.Goexit()
			}
		default:
		}
	}
}

// attempting is what the client logs before each attempt of a search.
const attempting = "discovery attempt %v/%v"

// probe finds a server for g.
func (c *clients) probe(g *generation) {
	defer c.release(g)
	defer close(g.ready)
	for attempt := 1; ; attempt++ {
		scout, err := c.dial(g, 1)
		if err == nil {
			_ = scout.Close() // it has no error to give
			break
		}
		if errors.Is(err, eventstore.ErrInvalid) || attempt >= c.config.MaxDiscoverAttempts || !c.awaited(g) {
			g.err = err
			return
		}
	}
	g.client, g.err = c.dial(g, c.config.MaxDiscoverAttempts)
}

// dial makes a client and lets it look for a server. One that finds none is closed.
func (c *clients) dial(g *generation, attempts int) (*esdb.Client, error) {
	config := *c.config
	config.MaxDiscoverAttempts = attempts
	config.Logger = func(level esdb.LogLevel, format string, args ...any) { c.listen(g, level, format, args) }
	client, err := esdb.NewClient(&config)
	if err != nil {
		return nil, fmt.Errorf("%w: make client: %w", eventstore.ErrInvalid, err)
	}
	err = contain(func() error {
		_, err := client.GetServerVersion()
		return err
	})
	if err != nil {
		_ = client.Close() // it has no error to give
		return nil, err
	}
	return client, nil
}

// awaited reports whether somebody waits for g to be ready. One that nobody waits for gets no callers any more.
func (c *clients) awaited(g *generation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.flights > 1 && !c.ended {
		return true
	}
	c.abandon(g)
	return false
}

// retire keeps new calls from g.
func (c *clients) retire(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandon(g)
}

// abandon needs mu.
func (c *clients) abandon(g *generation) {
	g.retired = true
	if c.current == g {
		c.current = nil
	}
}

// leave ends a flight with g.
func (c *clients) leave(g *generation) {
	c.mu.Lock()
	if c.flights--; c.ended && c.flights == 0 {
		close(c.landed)
	}
	c.mu.Unlock()
	c.release(g)
}

// release closes the client of g when nobody is inside any more and nobody will be.
func (c *clients) release(g *generation) {
	c.mu.Lock()
	g.flights--
	last := g.retired && g.flights == 0
	c.mu.Unlock()
	if last && g.client != nil {
		_ = g.client.Close() // it has no error to give
	}
}

// closing is how long close waits for calls to end. They do at once, but for those that are stuck in a client.
const closing = 2 * time.Second

// close ends everything with ErrClosed. It is called once.
func (c *clients) close() {
	c.mu.Lock()
	c.ended = true
	close(c.closed)
	for stop := range c.stops {
		(*stop)()
	}
	if c.flights == 0 {
		close(c.landed)
	}
	g := c.current
	idle := g != nil && g.flights == 0
	if g != nil {
		g.retired = true
		c.current = nil
	}
	c.mu.Unlock()
	if idle && g.client != nil {
		_ = g.client.Close()
	}
	patience := time.NewTimer(closing)
	defer patience.Stop()
	select {
	case <-c.landed:
	case <-patience.C:
	}
}

// errPanicked is a fault of the client.
var errPanicked = errors.New("client panicked")

// contain turns a panic of the client, which does that on answers that it does not expect, into an error.
func contain(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %w: %v", eventstore.ErrTransient, errPanicked, r)
		}
	}()
	return do()
}
