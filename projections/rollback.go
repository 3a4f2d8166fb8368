package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
)

// Rollback puts the build that readers saw before the present one in front of them again. It first catches up beside the
// present one, so that readers never go back; the present one is retired, and a second rollback returns to it. act may be
// nil; see [RebuildOptions].
//
// Errors: [ErrNoBuild] when there is no build before, a *[VersionError] when it is of another version than this binary
// knows, and those of [Runner.Rebuild].
func (r *Runner) Rollback(ctx context.Context, name string, act *domain.AdminActed) (Report, error) {
	report, err := r.rollback(ctx, name, act)
	if err != nil {
		return report, fmt.Errorf("roll back %s: %w", name, errors.Join(err, r.keepFailed(ctx, name, act, err)))
	}
	return report, nil
}

func (r *Runner) rollback(ctx context.Context, name string, act *domain.AdminActed) (Report, error) {
	p, err := r.projection(name)
	if err != nil {
		return Report{}, err
	}
	active, before, err := r.activeAndBefore(ctx, name)
	switch {
	case err != nil:
		return Report{}, err
	case before == nil:
		return Report{}, fmt.Errorf("%w before the one that readers see", ErrNoBuild)
	case before.Checkpoint.Version != p.Version:
		return Report{}, &VersionError{Ref: before.Ref, Found: before.Checkpoint.Version, Known: p.Version}
	}
	if err := r.belongs(ctx, before.Ref, before.Checkpoint); err != nil {
		return Report{}, err
	}
	build, err := r.db.ReviveBuild(ctx, before.Ref, r.claim())
	if err != nil {
		return Report{}, err
	}
	t, err := r.skipping(ctx, newTarget(p, build.Lease, build.Checkpoint, build.State))
	if err != nil {
		return Report{}, err
	}
	w := &work{target: t, act: act, started: r.config.Now()}
	w.report = Report{Ref: build.Ref, From: build.Checkpoint.Position}
	if active != nil {
		w.report.Before = &active.Ref
	}
	return r.carryOut(ctx, w)
}

// activeAndBefore returns the build that readers see and the newest of those that they saw before, nil where there is none.
func (r *Runner) activeAndBefore(ctx context.Context, projection string) (active, before *Build, err error) {
	builds, err := r.db.Builds(ctx, projection)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range builds {
		if b.State == BuildActive {
			active = &b
		}
		if revivable := b.State == BuildRetired || b.Revived; revivable && b.CancelledBy == "" {
			before = &b
		}
	}
	return active, before, nil
}

// Interrupt ends, as interrupted, every act that is under way on a build whose holder is gone, and fences that holder off,
// so that an act never ends twice. It returns how many it ended. Whoever moves kept acts to the log calls it first.
func (r *Runner) Interrupt(ctx context.Context) (int, error) {
	kept, err := r.db.KeptActs(ctx)
	if err != nil {
		return 0, fmt.Errorf("interrupt acts: %w", err)
	}
	ended := 0
	for _, k := range kept {
		if k.Act.Outcome != "" || k.Number == 0 {
			continue
		}
		done, err := r.interrupt(ctx, k)
		if err != nil {
			return ended, fmt.Errorf("interrupt act %s: %w", k.Act.ID, err)
		}
		if done {
			ended++
		}
	}
	return ended, nil
}

func (r *Runner) interrupt(ctx context.Context, kept KeptAct) (bool, error) {
	detail := fmt.Sprintf("build %d is gone", kept.Number)
	b, err := r.db.Acquire(ctx, kept.Ref, r.claim())
	switch {
	case errors.Is(err, ErrLeaseHeld):
		return false, nil // it is at work
	case err == nil:
		detail = fmt.Sprintf("build %d was left at position %d, and can be gone on with", kept.Number, b.Checkpoint.Position)
		defer func() { _ = r.db.Release(ctx, b.Lease) }() // a lease that cannot be released runs out
	case !lost(err) && !errors.Is(err, ErrCancelled) && !errors.Is(err, ErrPaused):
		return false, err
	}
	if open, err := r.underWay(ctx, kept.Act.ID); err != nil || !open {
		return false, err // it ended before its holder was fenced off
	}
	kept.Act.Outcome, kept.Act.Detail = OutcomeInterrupted, detail
	return true, r.db.KeepAct(ctx, kept)
}

// underWay reports whether an act is kept without an outcome.
func (r *Runner) underWay(ctx context.Context, act string) (bool, error) {
	all, err := r.db.KeptActs(ctx)
	for _, k := range all {
		if k.Act.ID == act {
			return k.Act.Outcome == "", err
		}
	}
	return false, err
}
