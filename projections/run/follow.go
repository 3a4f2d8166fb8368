package run

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
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
	if head, err := r.Log.Head(ctx); err == nil {
		_, _ = r.advance(ctx, r.Projections, head) // what went wrong is met again by follow, which knows what to do
	}
	errs := make([]error, len(r.Projections))
	var wait sync.WaitGroup
	for i, p := range r.Projections {
		wait.Go(func() {
			errs[i] = r.follow(ctx, p)
			if errors.Is(errs[i], projections.ErrLogMismatch) {
				cancel()
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// follow keeps one projection live until ctx ends or it cannot go on.
func (r *Runner) follow(ctx context.Context, p projections.Projection) error {
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
		case errors.Is(err, projections.ErrPaused):
			delay = r.config.FirstWait
		case err != nil:
			r.retrying(p.Name, delay, err)
		}
		if pause(ctx, delay) != nil {
			return nil //nolint:nilerr // ctx has ended, as asked
		}
	}
}

func (r *Runner) retrying(projection string, wait time.Duration, err error) {
	if r.config.Retrying != nil {
		r.config.Retrying(Retry{Projection: projection, Wait: wait, Err: err})
	}
}

// final reports whether trying again cannot help.
func final(err error) bool {
	var stopped *projections.EventError
	return errors.As(err, &stopped) || errors.Is(err, projections.ErrLogMismatch) || errors.Is(err, projections.ErrNewerVersion) ||
		errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, projections.ErrInvalid)
}

// followOnce leases the build of p and follows the log with it until something ends that. It reports whether the build
// moved.
func (r *Runner) followOnce(ctx context.Context, p projections.Projection) (moved bool, err error) {
	t, err := r.open(ctx, p, forever)
	if err != nil {
		return false, fmt.Errorf("cannot open projection %s: %w", p.Name, err)
	}
	defer r.renewLeases(ctx, t)()
	defer func() { r.release(ctx, t) }()
	if t.state != projections.BuildActive {
		if err := r.catchUpToHead(ctx, t); err != nil && t.err == nil {
			return false, err
		}
		if r.activateFilled(ctx, t); t.err != nil {
			return false, t.err
		}
	}
	err = r.pump(ctx, r.following(t.checkpoint.Position), []*target{t})
	return t.events > 0, errors.Join(err, t.err)
}

// following returns the log behind after, without an end.
func (r *Runner) following(after eventstore.Position) source {
	return source{head: r.Log.Head, open: func(ctx context.Context) iter.Seq2[eventstore.Record, error] {
		return r.Log.Subscribe(ctx, after, eventstore.Filter{})
	}}
}

// forever is a position that no log reaches: there is always something to do.
const forever = ^eventstore.Position(0)
