package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// RebuildOptions say how to rebuild. The zero value is the safe one.
type RebuildOptions struct {
	// AdoptLog lets a build take the place of one that was made from another log, or from more of this log than there
	// is now. Without it a rebuild refuses that with a *MismatchError: what the old tables show might be all that is
	// left of lost events.
	AdoptLog bool
	// Fresh begins anew where a rebuild that was stopped could be gone on with.
	Fresh bool
	// Act, when set, is the act of the administrator who asked for it, without an outcome. It is kept from the beginning,
	// so that it is not lost when this process dies, and gets its outcome in the transaction that swaps, or when the
	// rebuild fails. The caller moves it to the log, see [Controller]. It is not kept when the error is a *HeldError.
	Act *domain.AdminActed
}

// Report says what a rebuild did.
type Report struct {
	Ref                          // the new build
	Before   *Ref                // the build that was active before; nil when there was none
	From     eventstore.Position // from which it went on, when it took up what was left unfinished; 0 for a whole one
	Events   uint64              // folded or skipped
	Duration time.Duration
	// Checkpoint is where the digests were taken, before the build was put in front of readers.
	Checkpoint Checkpoint
	Digests    []Digest
	// Compared reports whether the tables before, of the same version and at the same position, were compared with the
	// new ones; Differs names the tables that were not what the log says. Unreadable says why they could not be read.
	Compared   bool
	Differs    []string
	Unreadable string
}

// The outcomes of an act.
const (
	OutcomeSucceeded   = "succeeded"
	OutcomeFailed      = "failed"
	OutcomeCancelled   = "cancelled"
	OutcomeInterrupted = "interrupted" // its process died or was stopped
)

// Rebuild fills a new build of the projection beside the active one, which goes on living and serving readers, lets it
// catch up, and swaps it in, in one instant (I7). If it fails, is cancelled or killed, the old build stays active and
// nothing has to be cleaned up by hand. A rebuild whose ctx ended, or whose process died, is gone on with by the next
// one. Errors: those of CatchUp, a *[HeldError] when it is being rebuilt already, and [ErrCancelled].
func (r *Runner) Rebuild(ctx context.Context, name string, options RebuildOptions) (Report, error) {
	report, err := r.rebuild(ctx, name, options)
	if err != nil {
		return report, fmt.Errorf("rebuild %s: %w", name, errors.Join(err, r.keepFailed(ctx, name, options.Act, err)))
	}
	return report, nil
}

// keepFailed keeps an act that came to nothing before it had a build. One that another process kept from beginning is the
// caller's, who may try again.
func (r *Runner) keepFailed(ctx context.Context, name string, act *domain.AdminActed, cause error) error {
	if act == nil || act.Outcome != "" || errors.Is(cause, ErrLeaseHeld) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.LeaseTTL)
	defer cancel()
	act.Outcome, act.Detail = OutcomeFailed, cause.Error()
	return r.db.KeepAct(ctx, KeptAct{Act: *act, Ref: Ref{Projection: name}})
}

func (r *Runner) rebuild(ctx context.Context, name string, options RebuildOptions) (Report, error) {
	p, err := r.projection(name)
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
	w := &work{target: t, replace: replace, act: options.Act, started: r.config.Now()}
	w.report = Report{Ref: t.lease.Ref, Before: before, From: t.checkpoint.Position}
	return r.carryOut(ctx, w)
}

// work is a build on its way to readers.
type work struct {
	*target
	replace *Checkpoint // the active build that may be replaced although it is ahead
	act     *domain.AdminActed
	started time.Time
	report  Report
}

// carryOut brings the build of w to the head and in front of readers.
func (r *Runner) carryOut(ctx context.Context, w *work) (Report, error) {
	defer r.keep(ctx, w.target)()
	err := r.keepAct(ctx, w, "", "")
	if err == nil {
		err = r.fill(ctx, w.target)
	}
	if err == nil {
		err = r.swap(ctx, w)
	}
	if err != nil {
		return w.report, errors.Join(err, r.giveUp(ctx, w, err))
	}
	r.release(ctx, w.target)
	w.report.Events, w.report.Duration = w.events, r.config.Now().Sub(w.started)
	return w.report, w.err
}

// keepAct has the database remember how far the act of w is.
func (r *Runner) keepAct(ctx context.Context, w *work, outcome, detail string) error {
	if w.act == nil {
		return nil
	}
	w.act.Outcome, w.act.Detail = outcome, detail
	return r.db.KeepAct(ctx, KeptAct{Act: *w.act, Ref: w.lease.Ref})
}

// giveUp ends the work on a build that is not put in front of readers, also when ctx has ended. One that was only stopped
// is left for the next rebuild to go on with; another is dropped, and one that cannot be is a ruin that the next rebuild
// drops.
func (r *Runner) giveUp(ctx context.Context, w *work, cause error) error {
	stopped := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.LeaseTTL)
	defer cancel()
	outcome, detail := OutcomeFailed, cause.Error()
	switch {
	case stopped:
		outcome, detail = OutcomeInterrupted, fmt.Sprintf("build %d was stopped at position %d, and can be gone on with", w.lease.Number, w.checkpoint.Position)
	case errors.Is(cause, ErrCancelled):
		outcome = OutcomeCancelled
	}
	err := r.keepAct(ctx, w, outcome, detail)
	if stopped {
		return errors.Join(err, r.db.Release(ctx, w.lease))
	}
	if dropped := r.db.DropBuild(ctx, w.lease); dropped != nil && !lost(dropped) {
		err = errors.Join(err, dropped)
	}
	return err
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

// swap finishes the build of w, compares it with the one that readers see, and puts it in front of them. Since the active
// build may move on meanwhile, it catches up and tries again until it is not behind: each round has less to do than the
// one before.
func (r *Runner) swap(ctx context.Context, w *work) error {
	if w.state == BuildFilling {
		if err := r.db.FinishBuild(ctx, w.lease, w.projection); err != nil {
			return err
		}
		w.state = BuildReady
	}
	if err := r.compare(ctx, w); err != nil {
		return err
	}
	for {
		if w.err == nil { // a first build that stopped at an event is shown as far as it is
			if err := r.fill(ctx, w.target); err != nil {
				return err
			}
		}
		if err := r.belongs(ctx, w.lease.Ref, w.checkpoint); err != nil {
			return err
		}
		err := r.db.ActivateBuild(ctx, w.lease, w.activation())
		if err == nil {
			w.state = BuildActive
			return nil
		}
		if !errors.Is(err, ErrBehind) {
			return err
		}
	}
}

func (w *work) activation() Activation {
	a := Activation{Replace: w.replace, Digests: w.report.Digests, At: w.report.Checkpoint.Position}
	if w.act != nil {
		done := *w.act
		done.Outcome, done.Detail = OutcomeSucceeded, w.detail()
		a.Act = &done
	}
	return a
}

// detail says what came of the work, for the audit trail.
func (w *work) detail() string {
	text := fmt.Sprintf("build %d up to position %d", w.lease.Number, w.checkpoint.Position)
	if w.report.Before != nil {
		text += fmt.Sprintf(" in place of build %d", w.report.Before.Number)
	}
	switch {
	case len(w.report.Differs) > 0:
		text += fmt.Sprintf(", which differed from the log in %s", strings.Join(w.report.Differs, ", "))
	case w.report.Compared:
		text += ", which was equal"
	case w.report.Unreadable != "":
		text += ", which could not be read"
	}
	return text
}

// compare takes the digests of the new build, at the position of the active one if it can be, so that the two can be
// compared: what the old tables showed is a fact for the audit trail. A comparison that cannot be made is no failure.
func (r *Runner) compare(ctx context.Context, w *work) error {
	var now digested
	var failure error
	var both sync.WaitGroup
	both.Go(func() { now, failure = r.digest(ctx, w.lease.Ref, w.projection) })
	old, err := r.shown(ctx, w)
	both.Wait()
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		old, w.report.Unreadable = digested{}, err.Error() // tables that are damaged are what a rebuild is for
	}
	if at := old.at.Position; w.err == nil && at > w.checkpoint.Position && w.replace == nil {
		if err := errors.Join(r.bring(ctx, []*target{w.target}, at), w.err); err != nil {
			return err
		}
		now, failure = r.digest(ctx, w.lease.Ref, w.projection) // it was taken too early
	}
	if failure != nil {
		return failure
	}
	w.report.Checkpoint, w.report.Digests = now.at, now.tables
	if old.at != now.at {
		return nil
	}
	w.report.Compared = true
	for i, d := range now.tables {
		if old.tables[i] != d {
			w.report.Differs = append(w.report.Differs, d.Table)
		}
	}
	return nil
}

// shown returns the digests of what readers see, none when it is of another version or there is nothing.
func (r *Runner) shown(ctx context.Context, w *work) (digested, error) {
	active, err := r.active(ctx, w.projection.Name)
	if err != nil || active == nil || active.Checkpoint.Version != w.projection.Version {
		return digested{}, err
	}
	d, err := r.digest(ctx, active.Ref, w.projection)
	if errors.Is(err, ErrNoBuild) {
		return digested{}, nil // pruned meanwhile
	}
	return d, err
}

// digested are the digests of a build at a checkpoint.
type digested struct {
	at     Checkpoint
	tables []Digest
}

func (r *Runner) digest(ctx context.Context, ref Ref, p Projection) (digested, error) {
	var d digested
	err := r.db.Inspect(ctx, ref, func(s Snapshot) (err error) {
		d.at = s.Build().Checkpoint
		d.tables, err = DigestTables(ctx, s, p.Tables)
		return err
	})
	return d, err
}
