package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// ActionSkip is the action of the admin action that lets a projection pass over the event at which it stopped. It is stored and never
// changes. A skip is in the log and nowhere else, so that live tables, a rebuild, an as-of view and a verification pass
// over the same events (I6): also an as-of view of a time before the skip, which could not be made without it.
const ActionSkip = "projection.skip"

// The arguments of an admin action of skipping.
const (
	skipEvent   = "event"    // id of the event, which survives the copy of a log
	skipAt      = "position" // where it was; for people
	skipType    = "type"     // of the event; for people
	skipVersion = "version"  // of the projection: a later version tries the event again
	skipError   = "error"    // why the projection stopped; for people
)

// SkipAction completes action, which has an id, an actor and a reason: it lets a version of a projection pass over the event of
// its fault. Without a fault it is ErrInvalid.
func SkipAction(action domain.AdminActed, projection string, version int, fault *projections.Fault) (domain.AdminActed, error) {
	if fault == nil {
		return action, fmt.Errorf("skip an event of %s: %w: it did not stop at one", projection, projections.ErrInvalid)
	}
	action.Action, action.Target, action.Outcome = ActionSkip, projection, OutcomeSucceeded
	action.Arguments = map[string]string{
		skipEvent: fault.Event.String(), skipAt: strconv.FormatUint(uint64(fault.Position), 10), skipType: fault.Type,
		skipVersion: strconv.Itoa(version), skipError: fault.Text,
	}
	return action, nil
}

// skips are the events that a projection passes over.
type skips map[eventstore.EventID]bool

// readSkips returns the events that the log lets p pass over.
func (r *Runner) readSkips(ctx context.Context, p projections.Projection) (skips, error) {
	found := skips{}
	for record, err := range r.Log.ReadStream(ctx, eventstore.EngineStream, 0) {
		if err != nil {
			return nil, fmt.Errorf("cannot read the skipped events: %w", err)
		}
		event, err := r.config.Decode(record)
		if errors.Is(err, eventstore.ErrUnknownType) {
			continue // of a newer binary: it lets nothing pass here, and every projection stops at it
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the skipped events: position %d: %w", record.Position, err)
		}
		action, ok := event.(domain.AdminActed)
		if !ok || action.Action != ActionSkip || action.Target != p.Name || action.Arguments[skipVersion] != strconv.Itoa(p.Version) {
			continue
		}
		id, err := uuid.Parse(action.Arguments[skipEvent])
		if err != nil {
			return nil, fmt.Errorf("cannot read the skipped events: position %d: %w: event %w", record.Position, eventstore.ErrCorrupt, err)
		}
		found[id] = true
	}
	return found, nil
}

// mayPass reports whether the log lets t pass over record, of which t does not know yet. A live build asks only when an
// event fails, which is as good: an event is skipped only where it has failed.
func (r *Runner) mayPass(ctx context.Context, t *target, record eventstore.Record) (bool, error) {
	found, err := r.readSkips(ctx, t.projection)
	if err != nil || !found[record.ID] || t.skips[record.ID] {
		return false, err
	}
	all := maps.Clone(t.skips) // the reader may still look at the old one
	if all == nil {
		all = skips{}
	}
	maps.Copy(all, found)
	t.skips = all
	return true, nil
}
