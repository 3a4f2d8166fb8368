package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// CatchUp brings every projection to position to or beyond, and returns when the tables show it; 0 means the head of the
// log at the time of the call. A build that another process writes is waited for. A projection without a build of its
// version gets one, beside the older one that readers keep until then.
//
// Errors, joined: a *[ProjectionError] for each projection that did not get there, which never keeps the others from it,
// around an *[EventError] that names the event (also for [eventstore.ErrUnknownType]), a *[PausedError], a
// *[MismatchError], a *[VersionError] or what the database said; or what the log said.
func (r *Runner) CatchUp(ctx context.Context, to eventstore.Position) error {
	head, err := r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("catch up: read head: %w", err)
	}
	if to > head {
		return fmt.Errorf("catch up: %w: position %d is above the head of the log, %d", ErrInvalid, to, head)
	}
	if to == 0 {
		to = head
	}
	var errs []error
	for todo := slices.Clone(r.projections); len(todo) > 0; {
		again, err := r.advance(ctx, todo, to)
		if err != nil {
			errs = append(errs, err)
		}
		if todo = again; len(todo) > 0 {
			if err := pause(ctx, r.config.Poll); err != nil {
				return errors.Join(append(errs, fmt.Errorf("catch up: %w", err))...)
			}
		}
	}
	return errors.Join(errs...)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// advance leases what it can of set and brings it to position to in one pass over the log. It returns which projections
// another process has its hands on, to be looked at again.
func (r *Runner) advance(ctx context.Context, set []Projection, to eventstore.Position) (again []Projection, err error) {
	var targets []*target
	var errs []error
	for _, p := range set {
		t, err := r.open(ctx, p, to)
		switch {
		case err != nil && lost(err):
			again = append(again, p)
		case err != nil:
			errs = append(errs, &ProjectionError{Projection: p.Name, Err: fmt.Errorf("open projection %s: %w", p.Name, err)})
		case t != nil:
			targets = append(targets, t)
		}
	}
	defer r.keep(ctx, targets...)()
	err = r.bring(ctx, targets, to)
	for _, t := range targets {
		if err == nil {
			r.settle(ctx, t)
		}
		r.release(ctx, t)
		switch {
		case t.err != nil && lost(t.err):
			again = append(again, t.projection)
		case t.err != nil:
			errs = append(errs, &ProjectionError{Projection: t.projection.Name, Err: t.err})
		}
	}
	return again, errors.Join(append(errs, err)...)
}

// lost reports whether another process has, or had, its hands on the build, so that looking again will tell.
func lost(err error) bool {
	return errors.Is(err, ErrLeaseHeld) || errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrSuperseded) || errors.Is(err, ErrMoved) ||
		errors.Is(err, ErrNoBuild)
}

// open leases the build of p that is to be written: the active one, or a new one when there is none of p's version. It
// returns nil when the tables of p show position to already.
func (r *Runner) open(ctx context.Context, p Projection, to eventstore.Position) (*target, error) {
	active, err := r.active(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	if active == nil || active.Checkpoint.Version < p.Version {
		return r.openNew(ctx, p)
	}
	if active.Checkpoint.Version > p.Version {
		return nil, &VersionError{Ref: active.Ref, Found: active.Checkpoint.Version, Known: p.Version}
	}
	if err := r.belongs(ctx, active.Ref, active.Checkpoint); err != nil {
		return nil, err
	}
	if active.Checkpoint.Position >= to {
		return nil, nil //nolint:nilnil // nothing to do, as documented
	}
	return r.lease(ctx, p, active.Ref)
}

func (r *Runner) lease(ctx context.Context, p Projection, ref Ref) (*target, error) {
	build, err := r.db.Acquire(ctx, ref, r.claim())
	if err != nil {
		return nil, err
	}
	t := newTarget(p, build.Lease, build.Checkpoint, build.State)
	if err := r.belongs(ctx, ref, build.Checkpoint); err != nil { // it may have moved before it was ours
		r.release(ctx, t)
		return nil, err
	}
	return t, nil
}

// openNew leases a build of p that readers do not see yet: the one that somebody left unfinished, or else a new one.
func (r *Runner) openNew(ctx context.Context, p Projection) (*target, error) {
	t, err := r.takeUp(ctx, p)
	if err == nil && t == nil {
		t, err = r.create(ctx, p)
	}
	return t, err
}

func (r *Runner) create(ctx context.Context, p Projection) (*target, error) {
	lease, err := r.db.CreateBuild(ctx, p, r.claim())
	if err != nil {
		return nil, err
	}
	return r.skipping(ctx, newTarget(p, lease, Checkpoint{Version: p.Version}, BuildFilling))
}

// takeUp leases the unfinished build of p whose maker died or was stopped, so that its work is not done twice. It returns
// nil when there is none, or none of this version and this log.
func (r *Runner) takeUp(ctx context.Context, p Projection) (*target, error) {
	builds, err := r.db.Builds(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	for _, b := range builds {
		unfinished := b.State == BuildFilling || b.State == BuildReady
		if !unfinished || b.Revived || b.CancelledBy != "" || b.Checkpoint.Version != p.Version {
			continue
		}
		t, err := r.lease(ctx, p, b.Ref)
		switch {
		case errors.Is(err, ErrLogMismatch), errors.Is(err, ErrNoBuild), errors.Is(err, ErrCancelled):
			continue // it is gone, or a ruin that the next build clears away
		case err != nil:
			return nil, err
		}
		return r.skipping(ctx, t)
	}
	return nil, nil //nolint:nilnil // none, as documented
}

// active returns the build that readers see, nil when there is none.
func (r *Runner) active(ctx context.Context, projection string) (*Build, error) {
	builds, err := r.db.Builds(ctx, projection)
	if err != nil {
		return nil, err
	}
	for _, b := range builds {
		if b.State == BuildActive {
			return &b, nil
		}
	}
	return nil, nil //nolint:nilnil // none, as documented
}

// settle puts a build that was filled in front of readers. A build that is there already needs nothing.
//
// Where a filled build stopped at an event, readers keep the build before; if there is none, they get what is there, and
// the status says where it stops.
func (r *Runner) settle(ctx context.Context, t *target) {
	if t.state == BuildActive {
		return
	}
	if _, stopped := errors.AsType[*EventError](t.err); stopped {
		old, err := r.active(ctx, t.projection.Name)
		if err != nil || old != nil {
			t.err = errors.Join(t.err, err)
			return
		}
	} else if t.err != nil {
		return
	}
	if err := r.swap(ctx, &work{target: t}); err != nil {
		t.err = errors.Join(t.err, err)
	}
}

// keep renews the leases of targets until stop is called, so that only a process that died, or was stopped, loses them.
func (r *Runner) keep(ctx context.Context, targets ...*target) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(ctx, r.config.LeaseTTL/3) == nil {
			for _, t := range targets {
				// A lease that was lost, or a database that does not answer, shows at the next write.
				_, _ = r.db.Renew(ctx, t.lease)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// release gives up the lease of t, whatever happened, also when ctx has ended: nobody should have to wait for it. A
// database that did not answer is no failure of what was done with the lease, which by then has run out or soon will.
func (r *Runner) release(ctx context.Context, t *target) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.LeaseTTL)
	defer cancel()
	err := r.db.Release(ctx, t.lease)
	if err != nil && t.err == nil && ctx.Err() == nil && !errors.Is(err, ErrTransient) {
		t.err = err
	}
}
