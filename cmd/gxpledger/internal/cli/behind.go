package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// bring brings the tables to position to or beyond, 0 for the head of the log. Tables that stay behind because an
// administrator wants it so are no failure, and those of a projection that stopped at an event are one only where they are
// among needed, the projections whose tables the command shows; nil needs all. Either is said on standard error, since
// who reads tables must know that they are old.
func (a *app) bring(ctx context.Context, runner *projections.Runner, to eventstore.Position, needed []string) error {
	behind, rest := projections.Behind(runner.CatchUp(ctx, to))
	errs := []error{rest}
	for _, b := range behind {
		shown := needed == nil || slices.Contains(needed, b.Projection)
		paused, held := errors.AsType[*projections.PausedError](b)
		stopped, failed := errors.AsType[*projections.EventError](b)
		switch {
		case held && shown:
			a.notes().Line("the tables are behind the log: %s", paused.Error())
		case held:
		case failed && !shown:
			a.notes().Line("%s: see gxpledger projections status", oneLine(stopped.Error()))
		default:
			errs = append(errs, b)
		}
	}
	return errors.Join(errs...)
}
