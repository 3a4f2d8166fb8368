package run

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// target is a build that is being written.
type target struct {
	projection projections.Projection
	handles    handled
	lease      projections.Lease
	checkpoint projections.Checkpoint
	state      projections.BuildState
	events     uint64 // folded or skipped
	skips      skips  // events that are passed over; only the writer may change it
	err        error  // why it is no longer written
}

func newTarget(p projections.Projection, b projections.Build) *target {
	return &target{projection: p, handles: handledBy(p), lease: b.Lease, checkpoint: b.Checkpoint, state: b.State}
}

func handledBy(p projections.Projection) handled {
	types := handled{}
	for _, e := range p.Handles {
		types[reflect.TypeOf(e)] = true
	}
	return types
}

// prepared is a page made ready for one target.
type prepared struct {
	decoded decoded
	ops     []projections.Op
	err     error // of decoding or applying
}

func prepare(d decoded, t *target, from start) prepared {
	if from.position >= d.page.records[0].Position {
		return prepared{decoded: d, err: errPartly}
	}
	ops, err := d.apply(applying{t.projection, t.handles, from.skips}, len(d.page.records))
	return prepared{decoded: d, ops: ops, err: err}
}

// errPartly marks a page of which a target has seen the beginning already: it is applied batch by batch.
var errPartly = errors.New("page was partly seen")

// write applies a page to t. Whatever stops it is left in t.err.
func (r *Runner) write(ctx context.Context, t *target, p prepared) {
	if t.err != nil || p.decoded.page.last().Position <= t.checkpoint.Position {
		return
	}
	if p.err == nil {
		p.err = r.commit(ctx, t, p.decoded.page, p.ops)
	}
	if p.err == nil || !isEventFault(p.err) {
		t.err = p.err
		return
	}
	// Something in the page cannot be folded: keep what comes before it, batch by batch, and name it.
	for batch := range p.decoded.page.after(t.checkpoint.Position).batches() {
		if t.err = r.writeBatch(ctx, t, batch); t.err != nil {
			return
		}
	}
}

// isEventFault reports whether the events are at fault, not the circumstances.
func isEventFault(err error) bool {
	for _, circumstance := range []error{
		context.Canceled, context.DeadlineExceeded, projections.ErrLeaseLost, projections.ErrSuperseded, projections.ErrCancelled, projections.ErrPaused, projections.ErrMoved, projections.ErrTransient,
		errDatabase, errLog,
	} {
		if errors.Is(err, circumstance) {
			return false
		}
	}
	return true
}

// errDatabase marks a database error that no retry and no other event would fix.
var errDatabase = errors.New("database failed")

func (r *Runner) writeBatch(ctx context.Context, t *target, batch page) error {
	batch, err := r.held(ctx, t, batch)
	if err != nil {
		return err
	}
	d := r.prepare.decodePage(batch, t.handles)
	for {
		how := applying{t.projection, t.handles, t.skips}
		ops, err := d.apply(how, len(batch.records))
		if err == nil {
			err = r.commit(ctx, t, batch, ops)
		}
		if err == nil || !isEventFault(err) {
			return err
		}
		record := batch.records[d.culprit(how, err)]
		skipped, failure := r.mayPass(ctx, t, record)
		if failure != nil {
			return errors.Join(err, failure)
		}
		if !skipped {
			return r.stop(ctx, t, record, err)
		}
	}
}

// culprit returns the index of the record at which applying fails, or adds the operation that failed. A failure stays
// when more records follow, so that the first record at which it shows is found by halving. Where nobody can tell, as for
// a reference that leads nowhere at the end of the page, it is the last record.
func (d decoded) culprit(how applying, failure error) int {
	var refused *projections.OpError
	byOp := errors.As(failure, &refused)
	return sort.Search(len(d.page.records)-1, func(i int) bool {
		ops, err := d.apply(how, i+1)
		return err != nil || byOp && len(ops) > refused.Index
	})
}

// stop says at which event t stopped, and has the database remember it.
func (r *Runner) stop(ctx context.Context, t *target, record eventstore.Record, err error) error {
	failure := &projections.EventError{
		Projection: t.projection.Name, Position: record.Position, Before: t.checkpoint.Position, ID: record.ID, Type: record.Type, Err: err,
	}
	fault := projections.Fault{Position: record.Position, Event: record.ID, Type: record.Type, Text: err.Error(), At: r.Now()}
	if saved := r.Database.SaveFault(ctx, t.lease, fault); saved != nil {
		return errors.Join(failure, saved)
	}
	return failure
}

// commit writes rows and checkpoint, and tries again while the database does not answer.
func (r *Runner) commit(ctx context.Context, t *target, pg page, ops []projections.Op) error {
	last := pg.last()
	to := projections.Checkpoint{
		Log: r.Log.ID(), Position: last.Position, Event: last.ID, Stream: last.Stream, Revision: last.Revision, Version: t.projection.Version,
	}
	write := projections.Page{Lease: t.lease, From: t.checkpoint, To: to, Tables: t.projection.Tables, Ops: ops}
	var fault error // of the log or of an event, not of the database
	if pg.large > 0 {
		write.More = r.large(ctx, t, pg, &fault)
	}
	err := r.retry(ctx, t.projection.Name, func(attempt int) error {
		fault = nil // that of the try before
		err := r.Database.WritePage(ctx, write)
		if attempt > 1 && errors.Is(err, projections.ErrMoved) && r.arrived(ctx, t, to) {
			return nil // the try before was written although its answer was lost
		}
		return err
	})
	switch {
	case err == nil:
		t.checkpoint = to
		t.events += uint64(pg.events()) //nolint:gosec // not negative
		r.observe(t)
		return nil
	case fault != nil:
		return fault
	case isEventFault(err) && !errors.Is(err, projections.ErrRefused):
		return fmt.Errorf("%w: %w", errDatabase, err)
	default:
		return err
	}
}

func (r *Runner) observe(t *target) {
	if r.config.Observe != nil {
		r.config.Observe(Progress{Ref: t.lease.Ref, State: t.state, Position: t.checkpoint.Position, Events: t.events})
	}
}

// arrived reports whether t's build is at the checkpoint to, written under our lease.
func (r *Runner) arrived(ctx context.Context, t *target, to projections.Checkpoint) bool {
	found, err := r.Database.Builds(ctx, t.lease.Projection)
	return err == nil && slices.ContainsFunc(found, func(b projections.Build) bool {
		return b.Ref == t.lease.Ref && b.Checkpoint == to && b.Lease.Token == t.lease.Token
	})
}

// retry calls try, counted from 1, until it does not fail with ErrTransient, the tries are used up or ctx ends.
func (r *Runner) retry(ctx context.Context, projection string, try func(attempt int) error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = r.config.FirstWait, r.config.LongestWait
	attempt := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		attempt++
		err := try(attempt)
		if err != nil && !errors.Is(err, projections.ErrTransient) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(uint(r.config.Tries)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) { r.retrying(projection, wait, err) }))
	return err
}
