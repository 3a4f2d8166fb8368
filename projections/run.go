package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cenkalti/backoff/v5"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Run follows the log with every projection until ctx ends, and then returns nil. A projection that stops at an event
// stops alone. While another process writes a build, Run stands by for it. What passes, a log or a database that does not
// answer, or a pause, is waited for.
//
// Run returns before ctx ends when no projection is left, or at once when the log is not the one that the tables were
// built from; with the errors, joined.
func (r *Runner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// One pass for all to the head, then each for itself.
	if head, err := r.log.Head(ctx); err == nil {
		_, _ = r.advance(ctx, r.projections, head) // what went wrong is met again by follow, which knows what to do
	}
	errs := make([]error, len(r.projections))
	var wait sync.WaitGroup
	for i, p := range r.projections {
		wait.Go(func() {
			errs[i] = r.follow(ctx, p)
			if errors.Is(errs[i], ErrLogMismatch) {
				cancel()
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// follow keeps one projection live until ctx ends or it cannot go on.
func (r *Runner) follow(ctx context.Context, p Projection) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = r.config.FirstWait, r.config.LongestWait
	for {
		moved, err := r.followOnce(ctx, p)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // whatever it was came from the end of ctx
		case final(err):
			return err
		}
		if moved {
			wait.Reset()
		}
		delay := wait.NextBackOff()
		switch {
		case lost(err):
			delay = r.config.Poll
		case errors.Is(err, ErrPaused):
			delay = r.config.FirstWait
		}
		if pause(ctx, delay) != nil {
			return nil //nolint:nilerr // ctx has ended, as asked
		}
	}
}

// final reports whether trying again cannot help.
func final(err error) bool {
	var stopped *EventError
	return errors.As(err, &stopped) || errors.Is(err, ErrLogMismatch) || errors.Is(err, ErrNewerVersion) ||
		errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, ErrInvalid)
}

// followOnce leases the build of p and follows the log with it until something ends that. It reports whether the build
// moved.
func (r *Runner) followOnce(ctx context.Context, p Projection) (moved bool, err error) {
	t, err := r.open(ctx, p, forever)
	if err != nil {
		return false, fmt.Errorf("open projection %s: %w", p.Name, err)
	}
	defer r.keep(ctx, t)()
	defer func() { r.release(ctx, t) }()
	if t.state != BuildActive {
		if err := r.fill(ctx, t); err != nil && t.err == nil {
			return false, err
		}
		if r.settle(ctx, t); t.err != nil {
			return false, t.err
		}
	}
	err = r.pump(ctx, r.following(t.checkpoint.Position), []*target{t})
	return t.events > 0, errors.Join(err, t.err)
}

// forever is a position that no log reaches: there is always something to do.
const forever = ^eventstore.Position(0)
