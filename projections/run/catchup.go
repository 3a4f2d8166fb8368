package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// CatchUp moves every projection to position to or beyond, and returns when the tables show it; 0 means the head of the
// log at the time of the call. A build that another process writes is waited for, for Config.Wait in all. A projection without a build of its
// version gets one, beside the older one that readers keep until then.
//
// Errors, joined: a *[projections.ProjectionError] for each projection that did not get there, which never keeps the others from it,
// around an *[projections.EventError] that names the event (also for [eventstore.ErrUnknownType]), a *[projections.PausedError], a
// *[projections.MismatchError], a *[projections.VersionError], a *[projections.LeaseHeldError] of one that was waited for long
// enough, or an error of the database; or an error of the log.
func (r *Runner) CatchUp(ctx context.Context, to eventstore.Position) error {
	head, err := r.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("cannot catch up: cannot read head: %w", err)
	}
	if to > head {
		return fmt.Errorf("cannot catch up: %w: position %d is above the head of the log, %d", projections.ErrInvalid, to, head)
	}
	if to == 0 {
		to = head
	}
	var errs []error
	w := turnWait{config: r.config}
	defer w.end()
	for todo := slices.Clone(r.Projections); len(todo) > 0; {
		again, err := r.advance(ctx, todo, to)
		if err != nil {
			errs = append(errs, err)
		}
		if w.over(again) {
			for _, late := range again {
				errs = append(errs, &projections.ProjectionError{Projection: late.Name, Err: fmt.Errorf("waited for %s: %w", r.config.Wait, late.err)})
			}
			break
		}
		todo = nil
		for _, late := range again {
			todo = append(todo, late.Projection)
		}
		if len(todo) > 0 {
			if err := pause(ctx, r.config.Poll); err != nil {
				return errors.Join(append(errs, fmt.Errorf("cannot catch up: %w", err))...)
			}
		}
	}
	return errors.Join(errs...)
}

// late is a projection that another process has its hands on, and the error that says so.
type late struct {
	projections.Projection

	err error
}

// turnWait is the waiting of one call for other processes.
type turnWait struct {
	config Config
	limit  <-chan time.Time // nil until the wait begins, and for none
	done   []func()
}

// over reports whether the projections in again were waited for long enough. It begins the wait with the first that another
// process writes.
func (w *turnWait) over(again []late) bool {
	select {
	case <-w.limit:
		return len(again) > 0
	default:
	}
	for _, l := range again {
		held, ok := errors.AsType[*projections.LeaseHeldError](l.err)
		if !ok || w.done != nil {
			continue
		}
		w.done = []func(){func() {}}
		if w.config.Waiting != nil {
			w.done = append(w.done, w.config.Waiting(held))
		}
		if w.config.Wait > 0 {
			timer := time.NewTimer(w.config.Wait)
			w.limit, w.done = timer.C, append(w.done, func() { timer.Stop() })
		}
	}
	return false
}

func (w *turnWait) end() {
	for _, done := range w.done {
		done()
	}
}

// advance leases what it can of set and moves it to position to in one pass over the log. It returns which projections
// another process has its hands on, to be looked at again.
func (r *Runner) advance(ctx context.Context, set []projections.Projection, to eventstore.Position) (again []late, err error) {
	var targets []*target
	var errs []error
	for _, p := range set {
		t, err := r.open(ctx, p, to)
		switch {
		case err != nil && lost(err):
			again = append(again, late{p, err})
		case err != nil:
			errs = append(errs, &projections.ProjectionError{Projection: p.Name, Err: fmt.Errorf("cannot open projection %s: %w", p.Name, err)})
		case t != nil:
			targets = append(targets, t)
		}
	}
	defer r.renewLeases(ctx, targets...)()
	err = r.catchUpTo(ctx, targets, to)
	for _, t := range targets {
		if err == nil {
			r.activateFilled(ctx, t)
		}
		r.release(ctx, t)
		switch {
		case t.err != nil && lost(t.err):
			again = append(again, late{t.projection, t.err})
		case t.err != nil:
			errs = append(errs, &projections.ProjectionError{Projection: t.projection.Name, Err: t.err})
		}
	}
	return again, errors.Join(append(errs, err)...)
}

// activateFilled shows readers a build that was filled. An active one needs nothing.
//
// Where a filled build stopped at an event, readers keep the build before; if there is none, they get what is there, and
// the status says where it stops.
func (r *Runner) activateFilled(ctx context.Context, t *target) {
	if t.state == projections.BuildActive {
		return
	}
	if _, stopped := errors.AsType[*projections.EventError](t.err); stopped {
		old, err := r.Active(ctx, t.projection.Name)
		if err != nil || old != nil {
			t.err = errors.Join(t.err, err)
			return
		}
	} else if t.err != nil {
		return
	}
	if err := r.activate(ctx, &work{target: t}); err != nil {
		t.err = errors.Join(t.err, err)
	}
}
