package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// AsOf makes the tables of every projection in into, which must have none, as they were when position at was recorded,
// and returns the position that they show: the end of the batch that at belongs to, since a batch appears in one instant
// (I1). It neither reads nor touches the Runner's own tables.
func (r *Runner) AsOf(ctx context.Context, at eventstore.Position, into projections.Database) (eventstore.Position, error) {
	head, err := r.Log.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot replay as of %d: cannot read head: %w", at, err)
	}
	if at > head {
		return 0, fmt.Errorf("as of %d: %w: the log ends at position %d", at, projections.ErrInvalid, head)
	}
	shown, err := r.asOf(ctx, at, into)
	if err != nil {
		return 0, fmt.Errorf("cannot replay as of %d: %w", at, err)
	}
	return shown, nil
}

func (r *Runner) asOf(ctx context.Context, at eventstore.Position, into projections.Database) (eventstore.Position, error) {
	replay, err := r.Replay(ctx, into, r.Projections...)
	if err != nil {
		return 0, err
	}
	defer replay.Close()
	if err := replay.To(ctx, at); err != nil {
		return 0, err
	}
	refs, err := replay.Finish(ctx)
	if err != nil {
		return 0, err
	}
	shown := at
	for i, t := range replay.targets {
		shown = max(shown, t.checkpoint.Position)
		if err := projections.ActivateBuild(ctx, into, t.lease, projections.Activation{}); err != nil {
			return 0, fmt.Errorf("cannot show build %d: %w", refs[i].Number, err)
		}
		replay.runner.release(ctx, t)
		if t.err != nil {
			return 0, t.err
		}
	}
	return shown, nil
}

// Replay is builds of a database that had none, filled from the log to be looked at: nobody writes them afterwards.
type Replay struct {
	runner  *Runner
	targets []*target
	stop    func()
}

// Replay begins an empty build of each projection of set in into, which must have none. Close what it returns.
func (r *Runner) Replay(ctx context.Context, into projections.Database, set ...projections.Projection) (*Replay, error) {
	other := *r
	other.Database, other.Projections = into, set
	replay := &Replay{runner: &other}
	for _, p := range set {
		found, err := into.Builds(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return nil, fmt.Errorf("%w: the database has a build of %s already, want one without", projections.ErrInvalid, p.Name)
		}
		t, err := other.create(ctx, p)
		if err != nil {
			return nil, err
		}
		replay.targets = append(replay.targets, t)
	}
	replay.stop = other.renewLeases(ctx, replay.targets...)
	return replay, nil
}

// To fills the builds up to position at, and to the end of the batch that it belongs to.
func (p *Replay) To(ctx context.Context, at eventstore.Position) error {
	errs := []error{p.runner.catchUpTo(ctx, p.targets, at)}
	for _, t := range p.targets {
		errs = append(errs, t.err)
	}
	return errors.Join(errs...)
}

// Finish adds keys and indexes, and returns the builds in the order of the projections.
func (p *Replay) Finish(ctx context.Context) ([]projections.Ref, error) {
	var refs []projections.Ref
	for _, t := range p.targets {
		if err := p.runner.Database.FinishBuild(ctx, t.lease, t.projection); err != nil {
			return nil, err
		}
		t.state = projections.BuildReady
		refs = append(refs, t.lease.Ref)
	}
	return refs, nil
}

// Close ends the work. What was filled stays.
func (p *Replay) Close() { p.stop() }
