package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/eventstore"
)

// AsOf makes the tables of every projection in into, which must have none, as they were when position at was recorded,
// and returns the position that they show: the end of the batch that at belongs to, since a batch appears in one instant
// (I1). It neither reads nor touches the Runner's own tables.
func (r *Runner) AsOf(ctx context.Context, at eventstore.Position, into Database) (eventstore.Position, error) {
	head, err := r.log.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("as of %d: read head: %w", at, err)
	}
	if at > head {
		return 0, fmt.Errorf("as of %d: %w: the log ends at position %d", at, ErrInvalid, head)
	}
	shown, err := r.on(into, r.projections...).asOf(ctx, at)
	if err != nil {
		return 0, fmt.Errorf("as of %d: %w", at, err)
	}
	return shown, nil
}

func (r *Runner) asOf(ctx context.Context, at eventstore.Position) (eventstore.Position, error) {
	targets, err := r.replay(ctx, at)
	if err != nil {
		return 0, err
	}
	shown := at
	for _, t := range targets {
		shown = max(shown, t.checkpoint.Position)
		if err := r.show(ctx, t); err != nil {
			return 0, err
		}
	}
	return shown, nil
}

// replay fills a new build of every projection up to position at, in a database that has none.
func (r *Runner) replay(ctx context.Context, at eventstore.Position) ([]*target, error) {
	var targets []*target
	for _, p := range r.projections {
		builds, err := r.db.Builds(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		if len(builds) > 0 {
			return nil, fmt.Errorf("%w: the database has a build of %s already, want one without", ErrInvalid, p.Name)
		}
		t, err := r.openNew(ctx, p)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	defer r.keep(ctx, targets...)()
	if err := r.bring(ctx, targets, at); err != nil {
		return nil, err
	}
	var errs []error
	for _, t := range targets {
		errs = append(errs, t.err)
	}
	return targets, errors.Join(errs...)
}

// show finishes and activates a build where it is.
func (r *Runner) show(ctx context.Context, t *target) error {
	if err := r.db.FinishBuild(ctx, t.lease, t.projection); err != nil {
		return err
	}
	if err := r.db.ActivateBuild(ctx, t.lease, Activation{}); err != nil {
		return err
	}
	t.state = BuildActive
	r.release(ctx, t)
	return t.err
}
