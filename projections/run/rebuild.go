package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// RebuildOptions say how to rebuild. The zero value is the safe one.
type RebuildOptions struct {
	// AdoptLog lets a build take the place of one that was made from another log, or from more of this log than there
	// is now. Without it a rebuild refuses that with a *MismatchError: what the old tables show might be all that is
	// left of lost events.
	AdoptLog bool
	// Fresh starts over where a rebuild that was stopped could be resumed.
	Fresh bool
	// Action, when set, is the admin action that asked for it, without an outcome. It is kept from the beginning,
	// so that it is not lost when this process dies, and gets its outcome in the transaction that swaps, or when the
	// rebuild fails. The caller moves it to the log, see [Controller]. It is not kept when the error is a *LeaseHeldError.
	Action *domain.AdminActed
}

// Report says what a rebuild did.
type Report struct {
	projections.Ref                     // the new build
	Before          *projections.Ref    // the build that was active before; nil when there was none
	From            eventstore.Position // from which it went on, when it took up what was left unfinished; 0 for a whole one
	Events          uint64              // folded or skipped
	Duration        time.Duration
	// Checkpoint is where the digests were taken, before the build was activated.
	Checkpoint projections.Checkpoint
	Digests    []projections.Digest
	// Compared reports whether the tables before, of the same version and at the same position, were compared with the
	// new ones; Differs names the tables that were not what the log says. Unreadable says why they could not be read.
	Compared   bool
	Differs    []string
	Unreadable string
}

// Rebuild fills a new build of the projection beside the active one, which stays live and serves readers, lets it
// catch up, and swaps it in, in one instant (I7). If it fails, is cancelled or killed, the old build stays active and
// nothing has to be cleaned up by hand. A rebuild whose ctx ended, or whose process died, is resumed by the next
// one. Errors: those of CatchUp, a *[projections.LeaseHeldError] when it is being rebuilt already, and [projections.ErrCancelled].
func (r *Runner) Rebuild(ctx context.Context, name string, options RebuildOptions) (Report, error) {
	report, err := r.rebuild(ctx, name, options)
	if err != nil {
		return report, fmt.Errorf("cannot rebuild %s: %w", name, errors.Join(err, r.saveFailure(ctx, name, options.Action, err)))
	}
	return report, nil
}

// saveFailure keeps an admin action that failed before it had a build. One that another process kept from beginning is the
// caller's, who may try again.
func (r *Runner) saveFailure(ctx context.Context, name string, action *domain.AdminActed, cause error) error {
	if action == nil || action.Outcome != "" || errors.Is(cause, projections.ErrLeaseHeld) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.LeaseTTL)
	defer cancel()
	action.Outcome, action.Detail = OutcomeFailed, cause.Error()
	return projections.SaveOutboxEntry(ctx, r.Database, projections.OutboxEntry{Action: *action, Ref: projections.Ref{Projection: name}})
}

func (r *Runner) rebuild(ctx context.Context, name string, options RebuildOptions) (Report, error) {
	p, err := r.Projection(name)
	if err != nil {
		return Report{}, err
	}
	before, replace, err := r.replaceable(ctx, name, options)
	if err != nil {
		return Report{}, err
	}
	begin := r.openNew
	if options.Fresh {
		begin = r.create
	}
	t, err := begin(ctx, p)
	if err != nil {
		return Report{}, err
	}
	w := &work{target: t, replace: replace, action: options.Action, started: r.Now()}
	w.report = Report{Ref: t.lease.Ref, Before: before, From: t.checkpoint.Position}
	defer r.renewLeases(ctx, t)()
	err = r.saveOutcome(ctx, w, "", "")
	if err == nil {
		err = r.catchUpToHead(ctx, t)
	}
	if err == nil {
		err = r.activate(ctx, w)
	}
	if err != nil {
		return w.report, errors.Join(err, r.abandon(ctx, w, err))
	}
	r.release(ctx, t)
	w.report.Events, w.report.Duration = t.events, r.Now().Sub(w.started)
	return w.report, t.err
}

// replaceable looks at what a rebuild would replace. It returns the checkpoint that may be given up, nil when the new
// build has to reach it.
func (r *Runner) replaceable(ctx context.Context, name string, options RebuildOptions) (*projections.Ref, *projections.Checkpoint, error) {
	active, err := r.Active(ctx, name)
	if err != nil || active == nil {
		return nil, nil, err
	}
	err = r.Belongs(ctx, active.Ref, active.Checkpoint)
	if errors.Is(err, projections.ErrLogMismatch) && options.AdoptLog {
		return &active.Ref, &active.Checkpoint, nil
	}
	return &active.Ref, nil, err
}

// abandon ends the work on a build that readers will not see, also when ctx has ended. One that was only stopped
// is left for the next rebuild to resume; another is dropped, and one that cannot be is an orphaned build that the next rebuild
// drops.
func (r *Runner) abandon(ctx context.Context, w *work, cause error) error {
	stopped := ctx.Err() != nil || errors.Is(cause, errReaders)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.LeaseTTL)
	defer cancel()
	outcome, detail := OutcomeFailed, cause.Error()
	switch {
	case stopped:
		outcome, detail = OutcomeInterrupted, fmt.Sprintf("build %d was stopped at position %d, and can be resumed", w.lease.Number, w.checkpoint.Position)
	case errors.Is(cause, projections.ErrCancelled):
		outcome = OutcomeCancelled
	}
	err := r.saveOutcome(ctx, w, outcome, detail)
	if stopped {
		return errors.Join(err, projections.Release(ctx, r.Database, w.lease))
	}
	if dropped := projections.DropBuild(ctx, r.Database, w.lease); dropped != nil && !lost(dropped) {
		err = errors.Join(err, dropped)
	}
	return err
}
