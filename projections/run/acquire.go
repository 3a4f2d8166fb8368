package run

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// open leases the build of p that is to be written: the active one, or a new one when there is none of p's version. It
// returns nil when the tables of p show position to already.
func (r *Runner) open(ctx context.Context, p projections.Projection, to eventstore.Position) (*target, error) {
	active, err := r.Active(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	if active == nil || active.Checkpoint.Version < p.Version {
		return r.openNew(ctx, p)
	}
	if active.Checkpoint.Version > p.Version {
		return nil, &projections.VersionError{Ref: active.Ref, Found: active.Checkpoint.Version, Known: p.Version}
	}
	if err := r.Belongs(ctx, active.Ref, active.Checkpoint); err != nil {
		return nil, err
	}
	if active.Checkpoint.Position >= to {
		return nil, nil //nolint:nilnil // nothing to do, as documented
	}
	return r.lease(ctx, p, active.Ref)
}

// openNew leases a build of p that readers do not see yet: the one that somebody left unfinished, or else a new one.
//
// The work of a maker that died or was stopped is not done twice, when it is of this version and this log.
func (r *Runner) openNew(ctx context.Context, p projections.Projection) (*target, error) {
	found, err := r.Database.Builds(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found, func(b projections.Build) bool {
		return b.Unfinished() && b.CancelledBy == "" && b.Checkpoint.Version == p.Version
	})
	if i < 0 {
		return r.create(ctx, p)
	}
	t, err := r.lease(ctx, p, found[i].Ref)
	switch {
	case errors.Is(err, projections.ErrLogMismatch), errors.Is(err, projections.ErrNoBuild), errors.Is(err, projections.ErrCancelled):
		return r.create(ctx, p) // it is gone, or the new build replaces it
	case err != nil:
		return nil, err
	}
	return r.skipping(ctx, t)
}

// create leases a new build of p.
func (r *Runner) create(ctx context.Context, p projections.Projection) (*target, error) {
	lease, err := projections.CreateBuild(ctx, r.Database, p, r.leaseRequest())
	if err != nil {
		return nil, err
	}
	b := projections.Build{Checkpoint: projections.Checkpoint{Version: p.Version}}
	b.Lease, b.State = lease, projections.BuildFilling
	return r.skipping(ctx, newTarget(p, b))
}

// lease leases a build that is there.
func (r *Runner) lease(ctx context.Context, p projections.Projection, ref projections.Ref) (*target, error) {
	build, err := projections.Acquire(ctx, r.Database, ref, r.leaseRequest())
	if err != nil {
		return nil, err
	}
	t := newTarget(p, build)
	if err := r.Belongs(ctx, ref, build.Checkpoint); err != nil { // it may have moved before it was ours
		r.release(ctx, t)
		return nil, err
	}
	return t, nil
}

// skipping gives t, whose build is to be filled, the skips of its projection. A rebuild must not wait until an event fails
// again: without indexes, it would only do so at the end.
func (r *Runner) skipping(ctx context.Context, t *target) (*target, error) {
	found, err := r.readSkips(ctx, t.projection)
	if err != nil {
		r.release(ctx, t)
		return nil, err
	}
	t.skips = found
	return t, nil
}

func (r *Runner) leaseRequest() projections.LeaseRequest {
	return projections.LeaseRequest{Holder: r.config.Holder, TTL: r.config.LeaseTTL}
}

// lost reports whether another process has, or had, its hands on the build, so that looking again will tell.
func lost(err error) bool {
	return errors.Is(err, projections.ErrLeaseHeld) || errors.Is(err, projections.ErrLeaseLost) || errors.Is(err, projections.ErrSuperseded) || errors.Is(err, projections.ErrMoved) ||
		errors.Is(err, projections.ErrNoBuild)
}

// renewLeases renews the leases of targets until stop is called, so that only a process that died, or was stopped, loses them.
// Each has a goroutine of its own: a renewal that waits, as for a page that is written, must not let the others expire.
func (r *Runner) renewLeases(ctx context.Context, targets ...*target) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	for _, t := range targets {
		renewing.Go(func() {
			for pause(ctx, r.config.LeaseTTL/3) == nil {
				// A lease that was lost, or a database that does not answer, shows at the next write.
				_, _ = projections.Renew(ctx, r.Database, t.lease)
			}
		})
	}
	return func() {
		cancel()
		renewing.Wait()
	}
}

// release gives up the lease of t, whatever happened, also when ctx has ended: nobody should have to wait for it. A
// database that did not answer is no failure of what was done with the lease, which by then has run out or soon will.
func (r *Runner) release(ctx context.Context, t *target) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.LeaseTTL)
	defer cancel()
	err := projections.Release(ctx, r.Database, t.lease)
	if err != nil && t.err == nil && ctx.Err() == nil && !errors.Is(err, projections.ErrTransient) {
		t.err = err
	}
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
