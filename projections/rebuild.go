package projections

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RebuildOptions say how to rebuild. The zero value is the safe one.
type RebuildOptions struct {
	// AdoptLog lets a build take the place of one that was made from another log, or from more of this log than there
	// is now. Without it a rebuild refuses that with a *MismatchError: what the old tables show might be all that is
	// left of lost events.
	AdoptLog bool
}

// Report says what a rebuild did.
type Report struct {
	Ref             // the new build
	Before   *Ref   // the build that was active before; nil when there was none
	Events   uint64 // folded or skipped
	Duration time.Duration
	// Checkpoint is where the digests were taken, before the build was put in front of readers.
	Checkpoint Checkpoint
	Digests    []Digest
}

// Rebuild fills a new build of the projection beside the active one, which goes on living and serving readers, lets it
// catch up, and swaps it in, in one instant (I7). If it fails, is cancelled or killed, the old build stays active and
// nothing has to be cleaned up by hand. Errors: those of CatchUp, and a *[HeldError] when it is being rebuilt already.
func (r *Runner) Rebuild(ctx context.Context, name string, options RebuildOptions) (Report, error) {
	report, err := r.rebuild(ctx, name, options)
	if err != nil {
		return report, fmt.Errorf("rebuild %s: %w", name, err)
	}
	return report, nil
}

func (r *Runner) rebuild(ctx context.Context, name string, options RebuildOptions) (Report, error) {
	started := r.config.Now()
	p, err := r.projection(name)
	if err != nil {
		return Report{}, err
	}
	before, replace, err := r.replaceable(ctx, name, options)
	if err != nil {
		return Report{}, err
	}
	t, err := r.openNew(ctx, p)
	if err != nil {
		return Report{}, err
	}
	defer r.keep(ctx, t)()
	report := Report{Ref: t.lease.Ref, Before: before}
	if err := r.fill(ctx, t); err != nil {
		return report, errors.Join(err, r.discard(ctx, t))
	}
	digests, err := r.swap(ctx, t, replace)
	if err != nil {
		return report, errors.Join(err, r.discard(ctx, t))
	}
	r.release(ctx, t)
	report.Events, report.Duration = t.events, r.config.Now().Sub(started)
	report.Checkpoint, report.Digests = digests.at, digests.tables
	return report, t.err
}

// replaceable looks at what a rebuild would replace. It returns the checkpoint that may be given up, nil when the new
// build has to reach it.
func (r *Runner) replaceable(ctx context.Context, name string, options RebuildOptions) (*Ref, *Checkpoint, error) {
	active, err := r.active(ctx, name)
	if err != nil || active == nil {
		return nil, nil, err
	}
	err = r.belongs(ctx, active.Ref, active.Checkpoint)
	if errors.Is(err, ErrLogMismatch) && options.AdoptLog {
		return &active.Ref, &active.Checkpoint, nil
	}
	return &active.Ref, nil, err
}

// fill brings a new build to the head of the log.
func (r *Runner) fill(ctx context.Context, t *target) error {
	head, err := r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	if err := r.bring(ctx, []*target{t}, head); err != nil {
		return err
	}
	return t.err
}

// digested are the digests of a build at a checkpoint.
type digested struct {
	at     Checkpoint
	tables []Digest
}

// swap finishes the build of t and puts it in front of readers. Since the active build may move on meanwhile, it catches
// up and tries again until it is not behind: each round has less to do than the one before.
func (r *Runner) swap(ctx context.Context, t *target, replace *Checkpoint) (digested, error) {
	if err := r.db.FinishBuild(ctx, t.lease, t.projection); err != nil {
		return digested{}, err
	}
	t.state = BuildReady
	var d digested
	err := r.db.Inspect(ctx, t.lease.Ref, func(s Snapshot) (err error) {
		d.at = s.Build().Checkpoint
		d.tables, err = DigestTables(ctx, s, t.projection.Tables)
		return err
	})
	if err != nil {
		return d, err
	}
	for {
		if t.err == nil { // a first build that stopped at an event is shown as far as it is
			if err := r.fill(ctx, t); err != nil {
				return d, err
			}
		}
		if err := r.belongs(ctx, t.lease.Ref, t.checkpoint); err != nil {
			return d, err
		}
		err := r.db.ActivateBuild(ctx, t.lease, Activation{Replace: replace, Digests: d.tables, At: d.at.Position})
		if err == nil {
			t.state = BuildActive
			return d, nil
		}
		if !errors.Is(err, ErrBehind) {
			return d, err
		}
	}
}

// discard removes a build that will not be used, also when ctx has ended. One that could not be removed is a ruin that
// the next rebuild drops.
func (r *Runner) discard(ctx context.Context, t *target) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.LeaseTTL)
	defer cancel()
	if err := r.db.DropBuild(ctx, t.lease); err != nil && !lost(err) {
		return err
	}
	return nil
}
