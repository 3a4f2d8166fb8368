package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// keeper holds the lease of a cursor and renews it. Where that fails until the lease may have expired, it ends the relay.
type keeper struct {
	cursors feed.Cursors
	ttl     time.Duration
	end     context.CancelCauseFunc // of the relay

	mu    sync.Mutex
	lease feed.Lease
	until time.Time // when it expires at the earliest, by the clock of this process
}

// acquire takes the lease of a cursor, and waits for that while another process holds it.
func (c *Config) acquire(ctx context.Context) (*keeper, feed.Cursor, error) {
	observed := false
	for {
		started := time.Now() //nolint:forbidigo // measures how long a lease is held, on the monotonic clock
		lease, cursor, err := c.Cursors.Acquire(ctx, c.CursorName(), c.Holder, c.LeaseTTL)
		if err == nil {
			return &keeper{cursors: c.Cursors, ttl: c.LeaseTTL, lease: lease, until: started.Add(c.LeaseTTL)}, cursor, nil
		}
		held, ok := errors.AsType[*feed.LeaseHeldError](err)
		if !ok {
			return nil, feed.Cursor{}, fmt.Errorf("cannot take the cursor of relay %q: %w", c.Name, err)
		}
		if !observed {
			observed = true
			c.observe(Progress{Step: StepStandsBy, Err: held})
		}
		if err := wait(ctx, min(c.LeaseTTL/5, time.Second)); err != nil {
			return nil, feed.Cursor{}, err
		}
	}
}

// renew renews the lease until ctx ends.
func (k *keeper) renew(ctx context.Context) {
	for wait(ctx, k.ttl/3) == nil {
		err := k.try(ctx, func(ctx context.Context, lease feed.Lease) error {
			started := time.Now() //nolint:forbidigo // see acquire
			renewed, err := k.cursors.Renew(ctx, lease, k.ttl)
			if err == nil {
				k.mu.Lock()
				k.lease, k.until = renewed, started.Add(k.ttl)
				k.mu.Unlock()
			}
			return err
		})
		if err != nil && ctx.Err() == nil {
			k.end(fmt.Errorf("cannot renew the lease: %w", err))
			return
		}
	}
}

// try does something with the lease, and does it again while that fails for another reason than the lease, as long as
// the lease cannot have expired.
func (k *keeper) try(ctx context.Context, do func(context.Context, feed.Lease) error) error {
	for attempt := 1; ; attempt++ {
		k.mu.Lock()
		lease, until := k.lease, k.until
		k.mu.Unlock()
		started := time.Now() //nolint:forbidigo // see acquire
		within, cancel := context.WithDeadline(ctx, until)
		err := do(within, lease)
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, feed.ErrLeaseLost), errors.Is(err, feed.ErrNoCursor), ctx.Err() != nil:
			return err
		case started.After(until):
			return fmt.Errorf("%w: it could not be extended in time: %w", feed.ErrLeaseLost, err)
		}
		if err := wait(ctx, min(k.ttl/20*time.Duration(attempt), time.Second)); err != nil {
			return err
		}
	}
}

// wait waits, unless ctx ends before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
