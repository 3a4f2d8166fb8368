package relay

import (
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// The actions of administrators on a relay, as [domain.AdminActed] names them. They are stored and never change.
const (
	ActionRetry     = "relay.retry"
	ActionSkip      = "relay.skip"
	ActionRedeliver = "relay.redeliver"
	// ActionForget removes the cursor of a relay that is not recorded.
	ActionForget = "relay.forget"
)

// The arguments of actions, see [Action].
const (
	argStream     = "stream"
	argPosition   = "position"
	argAfter      = "after"
	argAfterEvent = "after_event"
)

// Action is what an administrator asked of a relay.
type Action struct {
	Name string // one of the constants, or "" for a relay that was removed
	// Stream is the parked stream that is retried; "" for all.
	Stream eventstore.StreamID
	// Position is that of the event to skip.
	Position eventstore.Position
	// After is the position after which events are sent again, and AfterEvent the event there; both zero for all events.
	After      eventstore.Position
	AfterEvent eventstore.EventID

	revision eventstore.Revision // of the event that records it
}

// Arguments returns what the log records of an action.
func (a Action) Arguments() map[string]string {
	decimal := func(p eventstore.Position) string { return strconv.FormatUint(uint64(p), 10) }
	switch a.Name {
	case ActionRetry:
		if a.Stream == "" {
			return nil
		}
		return map[string]string{argStream: string(a.Stream)}
	case ActionSkip:
		return map[string]string{argPosition: decimal(a.Position)}
	case ActionRedeliver:
		return map[string]string{argAfter: decimal(a.After), argAfterEvent: a.AfterEvent.String()}
	}
	return nil
}

// actionOn returns what a record of the stream "engine" asks of a relay; false when it is about something else.
func actionOn(name string, r eventstore.Record) (Action, bool, error) {
	if r.Type != eventstore.TypeAdminActed && r.Type != eventstore.TypeRelayRemoved {
		return Action{}, false, nil
	}
	event, err := eventstore.Decode(r)
	if err != nil {
		return Action{}, false, fmt.Errorf("cannot read the action at position %d: %w", r.Position, err)
	}
	if removed, ok := event.(domain.RelayRemoved); ok {
		return Action{revision: r.Revision}, removed.Name == name, nil
	}
	acted, ok := event.(domain.AdminActed)
	if !ok || acted.Target != name {
		return Action{}, false, nil
	}
	action, known, err := parseAction(acted)
	if err != nil {
		return Action{}, false, fmt.Errorf("cannot read the action at position %d: %w: %w", r.Position, eventstore.ErrCorrupt, err)
	}
	action.revision = r.Revision
	return action, known, nil
}

// parseAction is the inverse of [Action.Arguments].
func parseAction(acted domain.AdminActed) (action Action, known bool, err error) {
	position := func(name string) eventstore.Position {
		at, failed := strconv.ParseUint(acted.Arguments[name], 10, 64)
		if failed != nil && err == nil {
			err = fmt.Errorf("%s of %s: %w", name, acted.Action, failed)
		}
		return eventstore.Position(at)
	}
	action.Name = acted.Action
	switch acted.Action {
	case ActionRetry:
		action.Stream = eventstore.StreamID(acted.Arguments[argStream])
	case ActionSkip:
		action.Position = position(argPosition)
	case ActionRedeliver:
		action.After = position(argAfter)
		if id, failed := uuid.Parse(acted.Arguments[argAfterEvent]); failed == nil {
			action.AfterEvent = id
		} else if err == nil {
			err = fmt.Errorf("%s of %s: %w", argAfterEvent, acted.Action, failed)
		}
	case ActionForget:
		action.Name = ""
	default:
		return Action{}, false, nil
	}
	return action, true, err
}
