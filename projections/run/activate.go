package run

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// work is a build that is being made for readers.
type work struct {
	*target
	replace *projections.Checkpoint // the active build that may be replaced although it is ahead
	action  *domain.AdminActed
	started time.Time
	report  Report
}

// activate finishes the build of w, compares it with the one that readers see, and shows it to them. Since the active
// build may move on meanwhile, it catches up and tries again until it is not behind: each round has less to do than the
// one before.
func (r *Runner) activate(ctx context.Context, w *work) error {
	if w.state == projections.BuildFilling {
		if err := r.Database.FinishBuild(ctx, w.lease, w.projection); err != nil {
			return err
		}
		w.state = projections.BuildReady
	}
	if err := r.compare(ctx, w); err != nil {
		return err
	}
	for {
		if w.err == nil { // a first build that stopped at an event is shown as far as it is
			if err := r.catchUpToHead(ctx, w.target); err != nil {
				return err
			}
		}
		if err := r.Belongs(ctx, w.lease.Ref, w.checkpoint); err != nil {
			return err
		}
		err := r.switchReaders(ctx, w)
		if err == nil {
			w.state = projections.BuildActive
			return nil
		}
		if !errors.Is(err, projections.ErrBehind) {
			return err
		}
	}
}

// errReaders: an activation waited for readers for as long as it may. Nothing was written.
var errReaders = fmt.Errorf("%w: queries of the former tables did not end", projections.ErrTransient)

// switchReaders shows readers the build of w.
func (r *Runner) switchReaders(ctx context.Context, w *work) error {
	if r.config.Activating != nil {
		defer r.config.Activating(w.lease.Ref)()
	}
	bounded := ctx
	if r.config.Wait > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, r.config.Wait)
		defer cancel()
	}
	err := projections.ActivateBuild(bounded, r.Database, w.lease, w.activation())
	if err != nil && bounded.Err() != nil && ctx.Err() == nil { // nothing was written, whatever it waited for
		return fmt.Errorf("cannot show readers build %d of %s: %w within %s; the build is complete, and the next rebuild activates it",
			w.lease.Number, w.lease.Projection, errReaders, r.config.Wait)
	}
	return err
}

func (w *work) activation() projections.Activation {
	a := projections.Activation{Replace: w.replace, Digests: w.report.Digests, At: w.report.Checkpoint.Position}
	if w.action != nil {
		done := *w.action
		done.Outcome, done.Detail = OutcomeSucceeded, w.detail()
		a.Action = &done
	}
	return a
}

// detail describes the outcome of the work, for the audit trail.
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
		if err := errors.Join(r.catchUpTo(ctx, []*target{w.target}, at), w.err); err != nil {
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
	active, err := r.Active(ctx, w.projection.Name)
	if err != nil || active == nil || active.Checkpoint.Version != w.projection.Version {
		return digested{}, err
	}
	d, err := r.digest(ctx, active.Ref, w.projection)
	if errors.Is(err, projections.ErrNoBuild) {
		return digested{}, nil // pruned meanwhile
	}
	return d, err
}

// digested are the digests of a build at a checkpoint.
type digested struct {
	at     projections.Checkpoint
	tables []projections.Digest
}

func (r *Runner) digest(ctx context.Context, ref projections.Ref, p projections.Projection) (digested, error) {
	var d digested
	err := r.Database.Inspect(ctx, ref, func(s projections.Snapshot) (err error) {
		d.at = s.Build().Checkpoint
		d.tables, err = projections.DigestTables(ctx, s, p.Tables)
		return err
	})
	return d, err
}

// catchUpToHead fills a build up to the head of the log.
func (r *Runner) catchUpToHead(ctx context.Context, t *target) error {
	head, err := r.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("cannot read head: %w", err)
	}
	if err := r.catchUpTo(ctx, []*target{t}, head); err != nil {
		return err
	}
	return t.err
}
