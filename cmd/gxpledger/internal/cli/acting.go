package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
)

// The acts on projections, as the log names them. They are stored and never change; see also [run.ActionSkip]. A log
// may also hold "projection.rollback", which older versions recorded.
const (
	actRebuild = "projection.rebuild"
	actCancel  = "projection.cancel"
	actPause   = "projection.pause"
	actResume  = "projection.resume"
	actPrune   = "projection.prune"
)

// acting is an act of an administrator on projections: who does it, why, and to which.
type acting struct {
	app           *app
	actor, reason string
	all           bool
	names         []string
}

// addWhy adds the flags that say who and why.
func (o *acting) addWhy(flags *pflag.FlagSet) {
	flags.StringVar(&o.reason, "reason", "", "`WHY` it is done; required")
	flags.StringVar(&o.actor, "actor", "", "`WHO` does it (default: the user of the operating system)")
}

// addAll adds the flag that means every projection.
func (o *acting) addAll(flags *pflag.FlagSet) {
	flags.BoolVar(&o.all, "all", false, "every projection")
}

// why checks who does it and why.
func (o *acting) why() error {
	if o.reason == "" {
		return usage("the flag --reason is required: say why it is done; it is recorded")
	}
	if o.actor == "" {
		o.actor = gxpledger.DefaultActor()
	}
	return nil
}

// which checks the projections that are named: one, or with --all every one.
func (o *acting) which(args []string) error {
	known := projectionNames()
	switch {
	case len(args) == 1 && o.all:
		return usage("%s and --all exclude each other: give one of them", args[0])
	case o.all:
		o.names = known
	case len(args) == 0:
		return usage("no projection is named: give one of %s, or --all", strings.Join(known, ", "))
	case !slices.Contains(known, args[0]):
		return usage("there is no projection %q: %s", args[0], didYouMean(args[0], known, "want one of "+strings.Join(known, ", ")))
	default:
		o.names = args
	}
	return nil
}

// act begins an act on a projection. Its outcome is still open.
func (o *acting) act(action, projection string) (domain.AdminActed, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return domain.AdminActed{}, fmt.Errorf("make an id: %w", err)
	}
	return domain.AdminActed{
		ID: id.String(), Action: action, Target: projection, Actor: o.actor, Reason: o.reason, At: o.app.system.Now(),
	}, nil
}

// steering is the log, the tables and what moves acts from the one to the other.
type steering struct {
	*opened
	recorder *recorder.Recorder
}

// steer opens the log for appending and the tables as they are for the time of one call of use. Acts that the log does not
// have yet, of earlier processes too, are recorded before and after, and what was recorded is shown by the tables that can
// show it.
func (a *app) steer(ctx context.Context, use func(steering) error) (err error) {
	v, err := a.openStill(ctx, a.openLog)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	records, err := a.newRecorder(v.log)
	if err != nil {
		return err
	}
	s := steering{v, records}
	if err := settle(ctx, v.runner, v.tables, records); err != nil {
		return err
	}
	err = use(s)
	if settled := s.settle(ctx); settled != nil {
		return errors.Join(err, failed(settled, "what was done is kept in the tables and could not be recorded in the log yet (%s): "+
			"the next gxpledger projections command records it", oneLine(settled.Error())))
	}
	return err
}

// settle records what was done, also when the context has ended meanwhile: that somebody stopped it is a fact too.
func (s steering) settle(ctx context.Context) error {
	const grace = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return settle(ctx, s.runner, s.tables, s.recorder)
}

// actKeeper is what settle needs of the tables.
type actKeeper interface {
	Outbox(ctx context.Context) ([]projections.OutboxEntry, error)
	RemoveOutboxEntry(ctx context.Context, id string) error
}

// settle moves the acts that ended from the tables to the log. Two processes that do it at once record each act once.
func settle(ctx context.Context, runner *run.Runner, tables actKeeper, records *recorder.Recorder) error {
	if _, err := runner.Interrupt(ctx); err != nil {
		return err
	}
	kept, err := tables.Outbox(ctx)
	if err != nil {
		return err
	}
	for _, k := range kept {
		if k.Action.Outcome == "" {
			continue // it is at work
		}
		// An act that the log has with another outcome was interrupted, and its process found out later.
		if _, err := records.RecordAction(ctx, k.Action); err != nil && !errors.Is(err, eventstore.ErrIDReused) {
			return err
		}
		if err := tables.RemoveOutboxEntry(ctx, k.Action.ID); err != nil {
			return err
		}
	}
	return nil
}

// showActs brings the tables to what was just recorded. A projection that cannot show it is no failure of the act.
func (s steering) showActs(ctx context.Context, a *app) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := a.ledger.CatchUp(ctx, 0); err != nil {
		a.notes().Line("the tables do not show the act yet (%s): see gxpledger projections status", oneLine(err.Error()))
	}
	return nil
}

// outwait does the work of act, and does it again when it was kept from it by a lease that then runs out: the process that
// held it has died. One that lives prolongs its lease, and then the act has failed.
func (s steering) outwait(ctx context.Context, a *app, act *domain.AdminActed, work func() (run.Report, error)) (run.Report, error) {
	report, err := work()
	held, ok := errors.AsType[*projections.LeaseHeldError](err)
	if !ok {
		return report, err
	}
	a.notes().Line("%s: waiting until then, in case it has died", held.Error())
	timer := time.NewTimer(held.Left + time.Millisecond) // the database keeps times to the microsecond
	defer timer.Stop()
	select {
	case <-timer.C:
		report, err = work()
	case <-ctx.Done():
	}
	if !errors.Is(err, projections.ErrLeaseHeld) {
		return report, err
	}
	failure := *act
	failure.Outcome, failure.Detail = run.OutcomeFailed, held.Error()
	kept := projections.OutboxEntry{Action: failure, Ref: projections.Ref{Projection: held.Projection}}
	return report, errors.Join(err, projections.SaveOutboxEntry(context.WithoutCancel(ctx), s.tables, kept))
}
