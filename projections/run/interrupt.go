package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/projections"
)

// The outcomes of an admin action.
const (
	OutcomeSucceeded   = "succeeded"
	OutcomeFailed      = "failed"
	OutcomeCancelled   = "cancelled"
	OutcomeInterrupted = "interrupted" // its process died or was stopped
)

// saveOutcome has the database remember how far the admin action of w is.
func (r *Runner) saveOutcome(ctx context.Context, w *work, outcome, detail string) error {
	if w.action == nil {
		return nil
	}
	w.action.Outcome, w.action.Detail = outcome, detail
	return projections.SaveOutboxEntry(ctx, r.Database, projections.OutboxEntry{Action: *w.action, Ref: w.lease.Ref})
}

// Interrupt ends every admin action that is running on a build whose holder is gone, as cancelled where the build was, else as
// interrupted, and fences that holder off, so that an admin action never ends twice. An admin action whose holder lives is the holder's to end. It returns how many it ended. Whoever moves outbox entries to the log calls it first.
func (r *Runner) Interrupt(ctx context.Context) (int, error) {
	entry, err := r.Database.Outbox(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot interrupt admin actions: %w", err)
	}
	ended := 0
	for _, k := range entry {
		if k.Action.Outcome != "" || k.Number == 0 {
			continue
		}
		done, err := r.interrupt(ctx, k)
		if err != nil {
			return ended, fmt.Errorf("cannot interrupt admin action %s: %w", k.Action.ID, err)
		}
		if done {
			ended++
		}
	}
	return ended, nil
}

func (r *Runner) interrupt(ctx context.Context, entry projections.OutboxEntry) (bool, error) {
	outcome, detail := OutcomeInterrupted, fmt.Sprintf("build %d no longer exists", entry.Number)
	b, err := projections.Acquire(ctx, r.Database, entry.Ref, r.leaseRequest())
	switch {
	case errors.Is(err, projections.ErrLeaseHeld):
		return false, nil // it is at work
	case err == nil:
		detail = fmt.Sprintf("build %d was left at position %d, and can be resumed", entry.Number, b.Checkpoint.Position)
		defer func() { _ = projections.Release(ctx, r.Database, b.Lease) }() // a lease that cannot be released runs out
	case errors.Is(err, projections.ErrCancelled): // its holder died before it noticed
		outcome, detail = OutcomeCancelled, err.Error()
	case !lost(err) && !errors.Is(err, projections.ErrPaused):
		return false, err
	}
	if open, err := r.isRunning(ctx, entry.Action.ID); err != nil || !open {
		return false, err // it ended before its holder was fenced off
	}
	entry.Action.Outcome, entry.Action.Detail = outcome, detail
	return true, projections.SaveOutboxEntry(ctx, r.Database, entry)
}

// isRunning reports whether an admin action is kept without an outcome.
func (r *Runner) isRunning(ctx context.Context, action string) (bool, error) {
	all, err := r.Database.Outbox(ctx)
	for _, k := range all {
		if k.Action.ID == action {
			return k.Action.Outcome == "", err
		}
	}
	return false, err
}
