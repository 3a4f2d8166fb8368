package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// Admin is what administrators do with a ledger: rebuild and pause its tables, copy its log, retire repositories, upgrade
// schemas. Each action is recorded in the log with its actor and reason, and so is in the audit trail.
//
// An action on tables is stored with its effect in one transaction and moved to the log right after. Where that fails, the
// method returns an [*UnrecordedError], and the next action on tables moves it.
type Admin struct{ ledger *Ledger }

// Admin returns what administrators do with the ledger.
func (l *Ledger) Admin() Admin { return Admin{ledger: l} }

// The actions on projections, as the log names them. They are stored and never change; see also [run.ActionSkip]. A log may
// also hold "projection.rollback", which older versions recorded.
const (
	actionRebuild = "projection.rebuild"
	actionCancel  = "projection.cancel"
	actionPause   = "projection.pause"
	actionResume  = "projection.resume"
	actionPrune   = "projection.prune"
)

// ActionRequest says which projections to act on, and why.
type ActionRequest struct {
	// Projections are those to act on: [Artifacts], [Audit], [History]. Nil for all: those for which there is nothing to do
	// are then no error.
	Projections []string
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// PruneRequest says of which projections to remove retired builds, and why.
type PruneRequest struct {
	// Projections are those to prune. Nil for all.
	Projections []string
	// Keep is how many retired builds of each stay, the newest.
	Keep int
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// SkipRequest says which event to skip, and why.
type SkipRequest struct {
	// Position is where the projection stopped.
	Position eventstore.Position
	// Projection is the one that stopped there. It may be empty when only one did.
	Projection string
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// ActionResult is the outcome of an action on projections.
type ActionResult struct {
	// Actions are what was done, in the order of the projections.
	Actions []ProjectionAction
	// NotProjected says why the audit trail does not show it yet; nil when it does, and while the audit trail is paused.
	NotProjected error
}

// ProjectionAction is what was done to one projection.
type ProjectionAction struct {
	Projection string
	// Recorded is the action as the log has it; nil where there was nothing to do.
	Recorded *domain.AdminActed
	// Builds are the numbers of the builds that were cancelled or removed.
	Builds []int
}

// UnrecordedError says that an action, or that it failed, is not in the log yet. The tables keep it, and the next action on
// projections records it.
type UnrecordedError struct {
	Err   error // why the log could not record it
	Cause error // the error of the action itself; nil when it succeeded
}

// Error says what happened to the action and what to do.
func (e *UnrecordedError) Error() string {
	action := "the action succeeded but"
	if e.Cause != nil {
		action = e.Cause.Error() + "; this"
	}
	return fmt.Sprintf("%s is not in the audit log yet: %v; the next action on projections records it", action, e.Err)
}

// Unwrap returns both errors.
func (e *UnrecordedError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Cause, e.Err}
}

// NotFaultedError says that no projection, or more than one, stopped at a position. Nothing was done.
type NotFaultedError struct {
	Position   eventstore.Position
	Projection string   // that was named; "" for none
	Faulted    []string // the projections that stopped there: none or several
}

// Error says which projections stopped there.
func (e *NotFaultedError) Error() string {
	switch {
	case len(e.Faulted) > 0:
		return fmt.Sprintf("cannot skip position %d: more than one projection stopped there, %q; name one of them", e.Position, e.Faulted)
	case e.Projection != "":
		return fmt.Sprintf("cannot skip position %d: projection %s did not stop there", e.Position, e.Projection)
	}
	return fmt.Sprintf("cannot skip position %d: no projection stopped there", e.Position)
}

// Pause keeps the tables of projections as they are until [Admin.Resume], whichever process writes them. Scans are recorded
// all the same, and views say that the tables are behind. It waits for a page that is being written, not for a rebuild.
//
// Errors of all actions: [ErrInvalid] without a reason or for an unknown projection, [ErrNoLog], [ErrLogLost], an
// [*UnrecordedError], and those of the packages projections and eventstore. An action that failed for one projection leaves
// what was done to those before it, which the result holds.
func (a Admin) Pause(ctx context.Context, r ActionRequest) (ActionResult, error) {
	return a.act(ctx, actionPause, r, func(s *adminSession, projection string, act *domain.AdminActed) ([]int, error) {
		pause := projections.Pause{By: act.Actor, Reason: act.Reason, At: act.At}
		return nil, projections.PauseProjection(ctx, s.tables, projection, pause, *act)
	})
}

// Resume ends a pause and catches up the tables, for which it waits. Errors: those of [Admin.Pause], and
// [projections.ErrNotPaused] for a projection that is named and not paused.
func (a Admin) Resume(ctx context.Context, r ActionRequest) (ActionResult, error) {
	return a.act(ctx, actionResume, r, func(s *adminSession, projection string, act *domain.AdminActed) ([]int, error) {
		return nil, projections.ResumeProjection(ctx, s.tables, projection, *act)
	})
}

// Cancel ends the rebuild of projections, whichever process runs it, and discards the unfinished build. Readers keep the
// tables that they see. The process that runs it finds out with its next page; Cancel does not wait for it. Errors: those of
// [Admin.Pause], and [projections.ErrNoBuild] for a projection that is named and not being rebuilt.
func (a Admin) Cancel(ctx context.Context, r ActionRequest) (ActionResult, error) {
	return a.act(ctx, actionCancel, r, func(s *adminSession, projection string, act *domain.AdminActed) ([]int, error) {
		ref, err := projections.CancelBuild(ctx, s.tables, projection, act.Actor, *act)
		return []int{ref.Number}, err
	})
}

// Prune removes retired builds: the tables that readers saw before the present ones. It waits for readers of these, for
// [Config].Wait at most. Errors: those of [Admin.Pause].
func (a Admin) Prune(ctx context.Context, r PruneRequest) (ActionResult, error) {
	if r.Keep < 0 {
		return ActionResult{}, fmt.Errorf("cannot prune: %w: Keep is %d, want 0 or more", ErrInvalid, r.Keep)
	}
	request := ActionRequest{Projections: r.Projections, Actor: r.Actor, Reason: r.Reason}
	return a.act(ctx, actionPrune, request, func(s *adminSession, projection string, act *domain.AdminActed) ([]int, error) {
		defer s.ledger.await("queries of the retired tables of " + projection + ", to remove these")()
		wait := cmp.Or(s.ledger.config.Wait, config.DefaultWait)
		bounded, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		pruned, err := projections.PruneBuilds(bounded, s.tables, projection, r.Keep, *act)
		if err != nil && bounded.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: queries of the retired tables of %s did not end within %s; nothing was removed, prune again later: %w",
				projections.ErrTransient, projection, wait, err)
		}
		if err == nil && len(pruned) == 0 {
			return nil, errNothingToDo
		}
		*act = projections.WithPrunedBuilds(*act, pruned)
		var numbers []int
		for _, ref := range pruned {
			numbers = append(numbers, ref.Number)
		}
		return numbers, err
	})
}

// Skip lets a projection pass over the event at which it stopped, live and in every rebuild, view of the past and
// verification; its tables lack what the event says. A later version of the projection tries the event again. It waits until
// the tables have caught up. Errors: those of [Admin.Pause], and a [*NotFaultedError].
func (a Admin) Skip(ctx context.Context, r SkipRequest) (result ActionResult, err error) {
	request := ActionRequest{Actor: r.Actor, Reason: r.Reason}
	if r.Projection != "" {
		request.Projections = []string{r.Projection}
	}
	names, err := a.check("skip", &request)
	if err != nil {
		return result, err
	}
	result.NotProjected, err = a.session(ctx, func(s *adminSession) error {
		stopped, err := s.stoppedAt(ctx, names, r)
		if err != nil {
			return err
		}
		act, err := a.newAction(run.ActionSkip, stopped.Name, request)
		if err == nil {
			act, err = run.SkipAction(act, stopped.Name, stopped.Version, stopped.Fault)
		}
		if err != nil {
			return err
		}
		if _, err := s.recorder.RecordAction(ctx, act); err != nil {
			return err
		}
		result.Actions = []ProjectionAction{{Projection: stopped.Name, Recorded: &act}}
		return nil
	})
	return result, err
}

// stoppedAt returns the status of the projection that stopped at a position.
func (s *adminSession) stoppedAt(ctx context.Context, names []string, r SkipRequest) (inspect.Status, error) {
	all, err := inspect.Statuses(ctx, s.runner.Pipeline, inspect.StatusOptions{})
	if err != nil {
		return inspect.Status{}, err
	}
	var found []inspect.Status
	refused := &NotFaultedError{Position: r.Position, Projection: r.Projection}
	for _, status := range all {
		if status.Fault != nil && status.Fault.Position == r.Position && slices.Contains(names, status.Name) {
			found, refused.Faulted = append(found, status), append(refused.Faulted, status.Name)
		}
	}
	if len(found) != 1 {
		return inspect.Status{}, refused
	}
	return found[0], nil
}

// errNothingToDo says that an action would change nothing.
var errNothingToDo = errors.New("nothing to do")

// act does one action on each projection. do may complete the action as it is recorded.
func (a Admin) act(
	ctx context.Context, action string, r ActionRequest, do func(*adminSession, string, *domain.AdminActed) ([]int, error),
) (result ActionResult, err error) {
	names, err := a.check(action, &r)
	if err != nil {
		return result, err
	}
	result.NotProjected, err = a.session(ctx, func(s *adminSession) error {
		for _, name := range names {
			act, err := a.newAction(action, name, r)
			if err != nil {
				return err
			}
			act.Outcome = run.OutcomeSucceeded
			done := ProjectionAction{Projection: name, Recorded: &act}
			done.Builds, err = do(s, name, &act)
			idle := errors.Is(err, projections.ErrNotPaused) || errors.Is(err, projections.ErrNoBuild)
			switch {
			case errors.Is(err, errNothingToDo), idle && r.Projections == nil:
				done = ProjectionAction{Projection: name}
			case err != nil:
				s.began = append(s.began, act.ID) // whether it was done may be unknown
				return err
			default:
				s.began = append(s.began, act.ID)
			}
			result.Actions = append(result.Actions, done)
		}
		return nil
	})
	return result, err
}

// check completes a request and returns the projections that it names.
func (a Admin) check(action string, r *ActionRequest) (names []string, err error) {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("cannot %s: %w: "+format, append([]any{strings.TrimPrefix(action, "projection."), ErrInvalid}, args...)...)
	}
	r.Actor = cmp.Or(r.Actor, a.ledger.config.Actor)
	known := Projections()
	switch {
	case r.Reason == "":
		return nil, refuse("a reason is required")
	case max(len(r.Actor), len(r.Reason)) > longestText:
		return nil, refuse("Actor and Reason have at most %d bytes", longestText)
	case len(r.Projections) == 0:
		return known, nil
	}
	for _, name := range r.Projections {
		if !slices.Contains(known, name) {
			return nil, refuse("there is no projection %q", name)
		}
	}
	return r.Projections, nil
}

// Projections returns the names of all projections.
func Projections() []string {
	var names []string
	for _, p := range tables.All() {
		names = append(names, p.Name)
	}
	return names
}

// newAction returns an action that begins now. Its outcome is open.
func (a Admin) newAction(action, projection string, r ActionRequest) (domain.AdminActed, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return domain.AdminActed{}, fmt.Errorf("make an id: %w", err)
	}
	return domain.AdminActed{
		ID: id.String(), Action: action, Target: projection, Actor: r.Actor, Reason: r.Reason, At: a.ledger.config.Now(),
	}, nil
}

// adminSession is the log, the tables and a recorder for the time of one call.
type adminSession struct {
	ledger   *Ledger
	log      eventstore.Log
	tables   config.TablesDB
	runner   *run.Runner
	recorder *recorder.Recorder           // nil when the log was opened to be read
	began    []string                     // the ids of the actions of this session that may be in the outbox
	recorded map[string]domain.AdminActed // the actions that it moved from the outbox to the log, by id
}

// openSession opens the tables as they are, and the log. The caller closes the session.
func (a Admin) openSession(ctx context.Context, access config.Access) (_ *adminSession, err error) {
	l := a.ledger
	if l.config.OpenedLog == nil {
		if err := l.settings.RequireLog(); err != nil {
			return nil, err
		}
	}
	s := &adminSession{ledger: l, recorded: map[string]domain.AdminActed{}}
	if s.log, err = l.openLog(ctx, access); err != nil {
		return nil, err
	}
	if s.tables, err = l.openTables(ctx); err != nil {
		return nil, err
	}
	s.runner, err = l.newRunner(s.log, s.tables, nil, nil)
	if err == nil && access == config.ToAppend {
		s.recorder, err = l.newRecorder(s.log)
	}
	if err != nil {
		return nil, errors.Join(err, s.tables.Close())
	}
	return s, nil
}

// session opens a session for the time of one call of use. Actions that the log does not have yet, of earlier processes too,
// are recorded before and after. notProjected is why the audit trail does not show them yet.
func (a Admin) session(ctx context.Context, use func(*adminSession) error) (notProjected, err error) {
	s, err := a.openSession(ctx, config.ToAppend)
	if err != nil {
		return nil, err
	}
	if err := s.flushOutbox(ctx); err != nil {
		return nil, errors.Join(err, s.tables.Close())
	}
	return s.end(ctx, use(s))
}

// end records what was done, also when ctx has ended, catches up the audit trail so that it shows that, and closes the tables.
// Tables that cannot be caught up are no failure of the action, nor is an earlier action that the log refuses. It returns the
// error of the action.
func (s *adminSession) end(ctx context.Context, action error) (notProjected, err error) {
	if failure := s.flushAtEnd(ctx); failure != nil {
		waits, unread := s.awaitsRecord(ctx, action == nil)
		switch {
		case waits:
			action = &UnrecordedError{Err: failure, Cause: action}
		case unread != nil:
			action = errors.Join(action, failure)
		default:
			s.ledger.observe(fmt.Errorf("an earlier action is not in the audit log yet: %w", failure))
		}
	}
	if action == nil {
		notProjected = s.ledger.catchUp(ctx, s.runner, 0, []string{Audit})
	}
	return notProjected, errors.Join(action, s.tables.Close())
}

// awaitsRecord reports whether the tables keep an action of this session that the log does not have. Where they cannot be
// read, actions that were done are kept, and of others it is unknown.
func (s *adminSession) awaitsRecord(ctx context.Context, done bool) (bool, error) { //revive:disable-line:flag-parameter // as documented
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	entries, err := s.tables.Outbox(ctx)
	return slices.ContainsFunc(s.began, func(id string) bool {
		_, recorded := s.recorded[id]
		kept := err != nil && done || slices.ContainsFunc(entries, func(entry projections.OutboxEntry) bool { return entry.Action.ID == id })
		return kept && !recorded
	}), err
}

// flushTimeout bounds what a session waits for at its end, whatever its context says.
const flushTimeout = 10 * time.Second

func (s *adminSession) flushAtEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	return s.flushOutbox(ctx)
}

// flushOutbox moves actions that ended from the tables to the log. Two processes that do it at once record each once.
func (s *adminSession) flushOutbox(ctx context.Context) error {
	if _, err := s.runner.Interrupt(ctx); err != nil {
		return err
	}
	entries, err := s.tables.Outbox(ctx)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Action.Outcome == "" {
			continue // its process is at work
		}
		// An action that the log has with another outcome was interrupted, and its process found out later.
		switch _, err := s.recorder.RecordAction(ctx, entry.Action); {
		case err == nil:
			s.recorded[entry.Action.ID] = entry.Action
		case !errors.Is(err, eventstore.ErrIDReused):
			return err
		}
		if err := s.tables.RemoveOutboxEntry(ctx, entry.Action.ID); err != nil {
			return err
		}
	}
	return nil
}
