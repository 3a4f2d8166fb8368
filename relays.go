package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/run"
)

// AddRelayRequest says what a relay sends, where to, from which event on, and why.
type AddRelayRequest struct {
	// Relay is its definition. Repositories are names or ids.
	Relay domain.RelayDefinition
	// From is where it begins: see [Admin.Redeliver]. "" is now: what is recorded from now on.
	From string
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// RelayRequest names a relay, and says why something is done with it.
type RelayRequest struct {
	Relay string // its name
	// Repository is that whose events are retried, by name or id; "" for all. Only [Admin.RetryRelay] has it.
	Repository string
	// Position is that of the event that is skipped. Only [Admin.SkipRelayed] has it.
	Position eventstore.Position
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// RedeliverRequest says which events a relay sends again, and why.
type RedeliverRequest struct {
	Relay string // its name
	// From is the first event: a date, a time of RFC 3339, pos:N, or beginning.
	From string
	// DryRun only counts the events.
	DryRun bool
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required, but for a dry run.
	Actor, Reason string
}

// RelayChange is what was recorded of a relay. The JSON names are stable.
type RelayChange struct {
	Relay  string `json:"relay"`
	Action string `json:"action"` // added, removed, retry, skip or redeliver
	To     string `json:"to,omitempty"`
	Actor  string `json:"actor,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Position is that of the event that records it; 0 for a dry run.
	Position eventstore.Position `json:"position,omitempty"`
	// After is the position after which events are sent, where the action moves the relay or adds it.
	After eventstore.Position `json:"after"`
	// Events is how many events are sent again, or for the first time; nil where that was not counted.
	Events *int `json:"events,omitempty"`
}

// AddRelay records a relay and creates its cursor. It sends nothing: [Admin.RunRelays] does.
//
// It waits for the log and for the store of cursors and, where repositories are named, until the tables have caught up.
//
// Errors: [ErrNoLog], [ErrInvalid] without a reason or for a From that is no point in time, [ErrSecret] where the definition may hold a password,
// a *[query.UnknownError] for a repository, a *[domain.RelayNotChangedError] where the definition cannot be used or the relay exists,
// [feed.ErrCursorExists] where a removed relay of that name left a cursor, and [eventstore.ErrOutcomeUnknown]: look whether it was
// recorded.
func (a Admin) AddRelay(ctx context.Context, request AddRelayRequest) (RelayChange, error) {
	added := domain.RelayAdded{
		RelayDefinition: request.Relay, Actor: cmp.Or(request.Actor, a.ledger.config.Actor), Reason: request.Reason, AddedAt: a.ledger.config.Now().UTC(),
	}
	if err := checkRelayRequest(request.Relay.Name, added.Actor, added.Reason, request.Relay.To); err != nil {
		return RelayChange{}, fmt.Errorf("cannot add relay: %w", err)
	}
	if err := added.Check(); err != nil {
		return RelayChange{}, &domain.RelayNotChangedError{Name: added.Name, Why: "cannot be added: " + err.Error()}
	}
	s, err := a.openRelays(ctx, config.ToAppend, newStore)
	if err != nil {
		return RelayChange{}, err
	}
	defer s.close()
	if added.Repositories, err = s.repositoryIDs(ctx, added.Repositories); err != nil {
		return RelayChange{}, err
	}
	start, err := s.locate(ctx, cmp.Or(request.From, FromNow), nil)
	if err != nil {
		return RelayChange{}, err
	}
	if held, err := s.cursor(ctx, added.Name); err != nil || held != nil {
		return RelayChange{}, errors.Join(err, exists(held))
	}
	done := RelayChange{Relay: added.Name, Action: "added", To: added.To, Actor: added.Actor, Reason: added.Reason, After: start.after}
	at, next, err := s.change(ctx, done, func(relays domain.Relays) (domain.Event, error) { return domain.AddRelay(relays, added) })
	if err != nil {
		return RelayChange{}, err
	}
	done.Position = at
	return done, s.create(ctx, added.Name, start, next)
}

func exists(held *feed.HeldCursor) error {
	if held == nil {
		return nil
	}
	return fmt.Errorf("cannot add relay: cursor %q: %w", held.Name, feed.ErrCursorExists)
}

// RemoveRelay records that a relay sends nothing any more, and removes its cursor. A process that relays ends the relay as soon as it reads
// that, and this waits for it.
//
// It waits for the log, the store of cursors, and for at most [Config.Wait] for a process that holds the cursor.
//
// Errors: [ErrNoLog], [ErrInvalid] without a reason, a *[domain.RelayNotChangedError] where there is no such relay, a *[feed.LeaseHeldError] where a
// process still holds the cursor (remove the relay again), and [eventstore.ErrOutcomeUnknown]: look whether it was recorded.
func (a Admin) RemoveRelay(ctx context.Context, request RelayRequest) (RelayChange, error) {
	done := RelayChange{Relay: request.Relay, Action: "removed", Actor: cmp.Or(request.Actor, a.ledger.config.Actor), Reason: request.Reason}
	if err := checkRelayRequest(done.Relay, done.Actor, done.Reason, ""); err != nil {
		return RelayChange{}, fmt.Errorf("cannot remove relay: %w", err)
	}
	s, err := a.openRelays(ctx, config.ToAppend, existingStore)
	if err != nil {
		return RelayChange{}, err
	}
	defer s.close()
	at, err := recorder.LoadRelays(ctx, s.log)
	if err != nil {
		return RelayChange{}, err
	}
	held, err := s.cursor(ctx, done.Relay)
	if err != nil {
		return RelayChange{}, err
	}
	if at.Relays.Find(done.Relay) == nil && held != nil { // of a relay that is not recorded, or that a removal left
		done.Position, err = s.record(ctx, done, relay.Action{Name: relay.ActionForget})
	} else {
		done.Position, _, err = s.change(ctx, done, func(relays domain.Relays) (domain.Event, error) {
			if known := relays.Find(done.Relay); known != nil {
				done.To = known.To
			}
			return domain.RemoveRelay(relays, domain.RelayRemoved{
				Name: done.Relay, Actor: done.Actor, Reason: done.Reason, RemovedAt: a.ledger.config.Now().UTC(),
			})
		})
	}
	if err != nil || held == nil {
		return done, err
	}
	return done, s.removeCursor(ctx, done.Relay)
}

// RetryRelay records that a relay sends what it parked again: of a repository, or of all. It also starts a relay again whose target was gone.
//
// It waits for the log and the store of cursors, and not for the relay.
//
// Errors: [ErrNoLog], [ErrInvalid] without a reason, a *[query.UnknownError] for the repository, a *[domain.RelayNotChangedError] where there is no
// such relay or nothing to retry, and [eventstore.ErrOutcomeUnknown].
func (a Admin) RetryRelay(ctx context.Context, request RelayRequest) (RelayChange, error) {
	return a.actOnRelay(ctx, request, "retry", func(ctx context.Context, s *relays, state relay.State) (relay.Action, error) {
		action := relay.Action{Name: relay.ActionRetry}
		if request.Repository == "" {
			if len(state.Parked) == 0 && state.Ended == nil && state.Failure == nil {
				return action, &domain.RelayNotChangedError{Name: request.Relay, Why: "has nothing to retry"}
			}
			return action, nil
		}
		if request.Repository == string(eventstore.EngineStream) {
			action.Stream = eventstore.EngineStream
		} else {
			ids, err := s.repositoryIDs(ctx, []domain.RepositoryID{domain.RepositoryID(request.Repository)})
			if err != nil {
				return action, err
			}
			action.Stream = eventstore.RepositoryStream(ids[0])
		}
		for _, p := range state.Parked {
			if p.Stream == action.Stream {
				return action, nil
			}
		}
		return action, &domain.RelayNotChangedError{Name: request.Relay, Why: "has parked nothing of " + request.Repository}
	})
}

// SkipRelayed records that a relay passes over one event: the first that it parked of a repository, whose others are then sent, or the one that
// it cannot send now.
//
// It waits for the log and the store of cursors, and not for the relay.
//
// Errors: [ErrNoLog], [ErrInvalid] without a reason, a *[domain.RelayNotChangedError] where there is no such relay or it does not wait at that
// position, and [eventstore.ErrOutcomeUnknown].
func (a Admin) SkipRelayed(ctx context.Context, request RelayRequest) (RelayChange, error) {
	return a.actOnRelay(ctx, request, "skip", func(_ context.Context, _ *relays, state relay.State) (relay.Action, error) {
		action := relay.Action{Name: relay.ActionSkip, Position: request.Position}
		if state.Failure != nil && state.Failure.Position == request.Position {
			return action, nil
		}
		for _, p := range state.Parked {
			if p.Position == request.Position {
				return action, nil
			}
		}
		return action, &domain.RelayNotChangedError{Name: request.Relay, Why: fmt.Sprintf("does not wait at position %d", request.Position)}
	})
}

// Redeliver records that a relay sends its events again from a point in time on, and says how many; a dry run only counts them. A relay
// whose cursor was lost gets a new one there. From is a date (its first instant in UTC), a time of RFC 3339, pos:N (that event is the first),
// or beginning.
//
// It waits for the log, of which it reads what is after the point, and for the store of cursors, and not for the relay.
//
// Errors: [ErrNoLog], [ErrInvalid] without a reason or for a From that is none of these, a *[domain.RelayNotChangedError] where there is no such
// relay, and [eventstore.ErrOutcomeUnknown].
func (a Admin) Redeliver(ctx context.Context, request RedeliverRequest) (RelayChange, error) {
	done := RelayChange{Relay: request.Relay, Action: "redeliver", Actor: cmp.Or(request.Actor, a.ledger.config.Actor), Reason: request.Reason}
	access, use, reason := config.ToAppend, newStore, done.Reason
	if request.DryRun {
		access, use, reason = config.ToRead, existingStore, "none is recorded"
	}
	if err := checkRelayRequest(done.Relay, done.Actor, reason, ""); err != nil {
		return RelayChange{}, fmt.Errorf("cannot redeliver: %w", err)
	}
	s, err := a.openRelays(ctx, access, use)
	if err != nil {
		return RelayChange{}, err
	}
	defer s.close()
	known, held, err := s.find(ctx, done.Relay)
	if err != nil {
		return RelayChange{}, err
	}
	filter := relay.Filter{}
	if known != nil {
		filter, done.To = filterOf(&known.RelayDefinition), known.To
	}
	start, err := s.locate(ctx, request.From, &filter)
	if err != nil {
		return RelayChange{}, err
	}
	done.After, done.Events = start.after, &start.events
	if request.DryRun {
		done.Actor, done.Reason = "", ""
		return done, nil
	}
	if done.Position, err = s.record(ctx, done, relay.Action{Name: relay.ActionRedeliver, After: start.after, AfterEvent: start.event}); err != nil || held != nil {
		return done, err
	}
	at, err := recorder.LoadRelays(ctx, s.log)
	if err != nil {
		return done, err
	}
	return done, s.create(ctx, done.Relay, start, at.Next)
}

// actOnRelay records an action on a relay that decide makes, given its state.
func (a Admin) actOnRelay(
	ctx context.Context, request RelayRequest, name string, decide func(context.Context, *relays, relay.State) (relay.Action, error),
) (RelayChange, error) {
	done := RelayChange{Relay: request.Relay, Action: name, Actor: cmp.Or(request.Actor, a.ledger.config.Actor), Reason: request.Reason}
	if err := checkRelayRequest(done.Relay, done.Actor, done.Reason, ""); err != nil {
		return RelayChange{}, fmt.Errorf("cannot %s: %w", name, err)
	}
	s, err := a.openRelays(ctx, config.ToAppend, existingStore)
	if err != nil {
		return RelayChange{}, err
	}
	defer s.close()
	known, held, err := s.find(ctx, done.Relay)
	if err != nil {
		return RelayChange{}, err
	}
	if known != nil {
		done.To = known.To
	}
	if held == nil {
		return RelayChange{}, &domain.RelayNotChangedError{Name: done.Relay, Why: "has no cursor: redeliver from a point in time, which makes one"}
	}
	state, err := relay.DecodeState(held.State)
	if err != nil {
		return RelayChange{}, err
	}
	action, err := decide(ctx, s, state)
	if err != nil {
		return RelayChange{}, err
	}
	done.After = held.Position
	done.Position, err = s.record(ctx, done, action)
	return done, err
}

func checkRelayRequest(name, actor, reason, to string) error {
	switch {
	case reason == "":
		return fmt.Errorf("%w: a reason is required", ErrInvalid)
	case max(len(name), len(actor), len(reason)) > longestText:
		return fmt.Errorf("%w: names, Actor and Reason have at most %d bytes", ErrInvalid, longestText)
	case len(rosie.FindSecrets([]byte(to), 1)) > 0:
		return fmt.Errorf("%w: the address may hold a password: name a file or an environment variable that has it", ErrSecret)
	}
	return nil
}

// filterOf is the filter of a definition.
func filterOf(d *domain.RelayDefinition) relay.Filter {
	return relay.Filter{Types: d.Types, Repositories: d.Repositories, Kinds: d.Kinds, Risks: d.Risks}
}

// The names of points in time that are no times.
const (
	FromNow       = "now"
	FromBeginning = "beginning"
)

// startPoint is where a relay begins.
type startPoint struct {
	after  eventstore.Position
	event  eventstore.EventID
	events int // that are sent from there on, up to the head, where they were counted
}

// relays is what the methods about relays use. Close it.
type relays struct {
	admin   Admin
	log     eventstore.Log
	cursors feed.Cursors
	close   func()
}

// openRelays opens the log and the store of cursors, which it makes where that is asked for. Without a store there is no cursor.
func (a Admin) openRelays(ctx context.Context, access config.Access, creates storeUse) (*relays, error) {
	if a.ledger.config.OpenedLog == nil {
		if err := a.ledger.settings.RequireLog(); err != nil {
			return nil, err
		}
	}
	log, err := a.ledger.openLog(ctx, access)
	if err != nil {
		return nil, err
	}
	cursors, err := a.ledger.openCursors(ctx, creates)
	if err != nil {
		return nil, err
	}
	return &relays{admin: a, log: log, cursors: cursors, close: func() {
		if a.ledger.config.OpenedCursors == nil {
			_ = cursors.Close() // what was saved is saved
		}
	}}, nil
}

// storeUse says whether a store of cursors is made when there is none.
type storeUse int

const (
	existingStore storeUse = iota
	newStore               // an administrator names where a relay begins
)

// openCursors opens the store of cursors. The caller closes it, unless the configuration gives it.
func (l *Ledger) openCursors(ctx context.Context, use storeUse) (feed.Cursors, error) {
	if l.config.OpenedCursors != nil {
		return l.config.OpenedCursors, nil
	}
	if use == newStore {
		return l.settings.CreateCursors(ctx)
	}
	cursors, err := l.settings.OpenCursors(ctx)
	if errors.Is(err, feed.ErrNoStore) {
		return noCursors{}, nil
	}
	return cursors, err
}

// noCursors is the store where there is none: every cursor is lost.
type noCursors struct{ feed.Cursors }

// List implements [feed.Cursors].
func (noCursors) List(context.Context) ([]feed.HeldCursor, error) { return nil, nil }

// Acquire implements [feed.Cursors].
func (noCursors) Acquire(context.Context, string, string, time.Duration) (feed.Lease, feed.Cursor, error) {
	return feed.Lease{}, feed.Cursor{}, feed.ErrNoCursor
}

// Remove implements [feed.Cursors].
func (noCursors) Remove(context.Context, string) error { return feed.ErrNoCursor }

// Close implements [feed.Cursors].
func (noCursors) Close() error { return nil }

// cursor returns the cursor of a relay; nil when there is none.
func (s *relays) cursor(ctx context.Context, name string) (*feed.HeldCursor, error) {
	all, err := s.cursors.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot list the cursors: %w", err)
	}
	for i := range all {
		if all[i].Name == relay.CursorPrefix+name {
			return &all[i], nil
		}
	}
	return nil, nil //nolint:nilnil // none, as documented
}

// find returns the definition and the cursor of a relay, of which one may be nil.
func (s *relays) find(ctx context.Context, name string) (*domain.RelayAdded, *feed.HeldCursor, error) {
	at, err := recorder.LoadRelays(ctx, s.log)
	if err != nil {
		return nil, nil, err
	}
	held, err := s.cursor(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	known := at.Relays.Find(name)
	if known == nil && held == nil {
		return nil, nil, &domain.RelayNotChangedError{Name: name, Why: "does not exist"}
	}
	return known, held, nil
}

// create creates the cursor of a relay.
func (s *relays) create(ctx context.Context, name string, start startPoint, actions eventstore.Revision) error {
	state := relay.State{Actions: actions}
	data, err := state.Encode()
	if err != nil {
		return err
	}
	err = s.cursors.Create(ctx, feed.Cursor{
		Name: relay.CursorPrefix + name, LogID: s.log.ID(), Position: start.after, EventID: start.event, State: data,
	})
	if err != nil {
		return fmt.Errorf("cannot create the cursor of relay %q, which is recorded: %w", name, err)
	}
	return nil
}

// removeCursor removes a cursor, and waits for a process that holds it.
func (s *relays) removeCursor(ctx context.Context, name string) error {
	limit := time.NewTimer(cmp.Or(s.admin.ledger.config.Wait, config.DefaultWait))
	defer limit.Stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := s.cursors.Remove(ctx, relay.CursorPrefix+name)
		if errors.Is(err, feed.ErrNoCursor) {
			return nil
		}
		if !errors.As(err, new(*feed.LeaseHeldError)) {
			return err
		}
		select {
		case <-again.C:
		case <-limit.C:
			return fmt.Errorf("cannot remove the cursor of relay %q, which is recorded as removed: %w", name, err)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// change records a change of the relays, and returns its position and the next revision of the stream.
func (s *relays) change(ctx context.Context, done RelayChange, decide func(domain.Relays) (domain.Event, error)) (eventstore.Position, eventstore.Revision, error) {
	records, err := s.admin.ledger.newRecorder(s.log)
	if err != nil {
		return 0, 0, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return 0, 0, fmt.Errorf("cannot create an id: %w", err)
	}
	return records.ChangeRelays(ctx, recorder.RelayChange{ID: id, Actor: done.Actor, Reason: done.Reason, Decide: decide})
}

// record records an action on a relay, which reads it from the log.
func (s *relays) record(ctx context.Context, done RelayChange, action relay.Action) (eventstore.Position, error) {
	records, err := s.admin.ledger.newRecorder(s.log)
	if err != nil {
		return 0, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return 0, fmt.Errorf("cannot create an id: %w", err)
	}
	return records.RecordAction(ctx, domain.AdminActed{
		ID: id.String(), Action: action.Name, Target: done.Relay, Arguments: action.Arguments(), Actor: done.Actor, Reason: done.Reason,
		Outcome: run.OutcomeSucceeded, At: s.admin.ledger.config.Now().UTC(),
	})
}

// repositoryIDs returns the ids of repositories that are given by name, address or id.
func (s *relays) repositoryIDs(ctx context.Context, given []domain.RepositoryID) ([]domain.RepositoryID, error) {
	if len(given) == 0 {
		return nil, nil
	}
	all, err := s.admin.ledger.repositories(ctx, s.log)
	if err != nil {
		return nil, err
	}
	ids := make([]domain.RepositoryID, len(given))
	for i, name := range given {
		found := findRepository(all, string(name))
		if found == nil {
			return nil, &query.UnknownError{What: "repository", Given: string(name)}
		}
		ids[i] = found.ID
	}
	return ids, nil
}

// locate finds where a relay begins that sends from a point in time on. It counts what the filter chooses from there on, nil for no count.
func (s *relays) locate(ctx context.Context, from string, filter *relay.Filter) (startPoint, error) {
	isBefore, err := parseFrom(from)
	if err != nil {
		return startPoint{}, err
	}
	var start startPoint
	for r, err := range s.log.ReadBackwards(ctx, 0, eventstore.Filter{}) {
		if err != nil {
			return startPoint{}, fmt.Errorf("cannot find where to begin: %w", err)
		}
		if isBefore(r) {
			start.after, start.event = r.Position, r.ID
			break
		}
		if filter == nil {
			continue
		}
		match, err := filter.Match(r)
		if err != nil {
			return startPoint{}, err
		}
		if match {
			start.events++
		}
	}
	return start, nil
}

// parseFrom returns whether a record is before a point in time.
func parseFrom(from string) (isBefore func(eventstore.Record) bool, err error) {
	if digits, ok := strings.CutPrefix(from, "pos:"); ok {
		first, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || first == 0 {
			return nil, fmt.Errorf("%w: %.100q: want pos:N with a position of the log, from 1", ErrInvalid, from)
		}
		return func(r eventstore.Record) bool { return uint64(r.Position) < first }, nil
	}
	switch from {
	case FromNow:
		return func(eventstore.Record) bool { return true }, nil
	case FromBeginning:
		return func(eventstore.Record) bool { return false }, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, from); err == nil {
			return func(r eventstore.Record) bool { return r.RecordedAt.Before(at) }, nil
		}
	}
	return nil, fmt.Errorf("%w: %.100q: want a date, a time such as 2026-03-01T12:00:00Z, pos:N, beginning or now", ErrInvalid, from)
}
