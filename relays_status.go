package gxpledger

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
)

// RelayState says how a relay is. The values are stable.
type RelayState string

// The states, the worst first. A relay has the first that is true of it.
const (
	RelayLost    RelayState = "lost"    // it is recorded, and has no cursor, or one of another log, or one that cannot be read
	RelayEnded   RelayState = "ended"   // the target is gone
	RelayParked  RelayState = "parked"  // the target refused events, which wait with those after them
	RelayFailing RelayState = "failing" // the last attempt to send failed, and is made again
	RelayStopped RelayState = "stopped" // no process relays it
	RelayRunning RelayState = "running"
)

// RelayStatus is what is known of a relay. The JSON names are stable.
type RelayStatus struct {
	Name  string     `json:"name"`
	State RelayState `json:"state"`
	// Why says more of a state that needs attention; "" for others.
	Why string `json:"why,omitempty"`
	// Definition is nil for a relay that is not recorded: gxpledger relay run --to made its cursor.
	Definition *domain.RelayAdded  `json:"definition,omitempty"`
	Position   eventstore.Position `json:"position"` // of the last event that was handled
	Head       eventstore.Position `json:"head"`     // of the log
	// Lag is how many positions it is behind the head; nil where that is not known.
	Lag     *uint64        `json:"lag"`
	SavedAt time.Time      `json:"saved_at,omitzero"` // when the position was last saved
	Holder  string         `json:"holder,omitempty"`  // the process that relays
	Sent    uint64         `json:"sent"`              // events that the target accepted, duplicates included
	Skipped uint64         `json:"skipped"`           // events that an administrator skipped
	Waiting int            `json:"waiting"`           // events that are parked
	Parked  []ParkedStream `json:"parked,omitempty"`
	Failure *RelayFailure  `json:"failure,omitempty"` // why it does not move, or ended
}

// ParkedStream is a repository whose events wait. The JSON names are stable.
type ParkedStream struct {
	Stream   eventstore.StreamID `json:"stream"`
	Position eventstore.Position `json:"position"` // of the first event that waits
	EventID  string              `json:"event_id"`
	Reason   string              `json:"reason"` // what the target answered, without control characters
	Since    time.Time           `json:"since"`
	Count    int                 `json:"count"` // events that wait
	Retrying bool                `json:"retrying,omitempty"`
}

// RelayFailure is the event that could not be sent. The JSON names are stable.
type RelayFailure struct {
	Position eventstore.Position `json:"position"`
	EventID  string              `json:"event_id"`
	Reason   string              `json:"reason"` // without control characters
	Since    time.Time           `json:"since"`
	Attempts int                 `json:"attempts"`
}

// NeedsAttention reports whether an administrator has to look at the relay.
func (s *RelayStatus) NeedsAttention() bool {
	return s.State != RelayRunning && s.State != RelayStopped
}

// Relays returns the status of every relay that is recorded or has a cursor, in the order of their names.
//
// It waits for the log and the store of cursors. Errors: [ErrNoLog], and those of package eventstore.
func (a Admin) Relays(ctx context.Context) ([]RelayStatus, error) {
	s, err := a.openRelays(ctx, config.ToRead, existingStore)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.statuses(ctx)
}

func (s *relays) statuses(ctx context.Context) ([]RelayStatus, error) {
	at, err := recorder.LoadRelays(ctx, s.log)
	if err != nil {
		return nil, err
	}
	cursors, err := s.cursors.List(ctx)
	if err != nil {
		return nil, err
	}
	head, err := s.log.Head(ctx) // after the cursors, which are then not ahead of it
	if err != nil {
		return nil, err
	}
	var all []RelayStatus
	for _, added := range at.Relays {
		all = append(all, RelayStatus{Name: added.Name, Definition: &added, Head: head, State: RelayLost, Why: "there is no cursor"})
	}
	for _, held := range cursors {
		name, ok := strings.CutPrefix(held.Name, relay.CursorPrefix)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(r RelayStatus) bool { return r.Name == name })
		if i < 0 {
			all, i = append(all, RelayStatus{Name: name, Head: head}), len(all)
		}
		s.describe(ctx, &all[i], held)
	}
	slices.SortFunc(all, func(a, b RelayStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// describe says what a cursor tells.
func (s *relays) describe(ctx context.Context, r *RelayStatus, held feed.HeldCursor) {
	r.State, r.Why = RelayLost, ""
	r.Position, r.SavedAt, r.Holder = held.Position, held.UpdatedAt, held.Holder
	if err := relay.CheckCursor(ctx, s.log, held.Cursor); err != nil {
		r.Why = relay.Neutral(err.Error())
		return
	}
	state, err := relay.DecodeState(held.State)
	if err != nil {
		r.Why = relay.Neutral(err.Error())
		return
	}
	lag := eventstore.Distance(held.Position, r.Head)
	r.Lag, r.Sent, r.Skipped, r.Waiting = &lag, state.Sent, state.Skipped, state.Waiting()
	for _, p := range state.Parked {
		r.Parked = append(r.Parked, ParkedStream{
			Stream: p.Stream, Position: p.Position, EventID: p.ID.String(), Reason: p.Reason, Since: p.Since, Count: p.Count, Retrying: p.Retry,
		})
	}
	failure := state.Failure
	if state.Ended != nil {
		failure = state.Ended
	}
	if failure != nil {
		r.Failure = &RelayFailure{
			Position: failure.Position, EventID: failure.ID.String(), Reason: failure.Reason, Since: failure.Since, Attempts: failure.Attempts,
		}
		r.Why = failure.Reason
	}
	switch {
	case state.Ended != nil:
		r.State = RelayEnded
	case len(state.Parked) > 0:
		r.State, r.Why = RelayParked, state.Parked[0].Reason
	case state.Failure != nil:
		r.State = RelayFailing
	case held.Holder == "":
		r.State = RelayStopped
	default:
		r.State = RelayRunning
	}
}
