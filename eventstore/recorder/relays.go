package recorder

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// RelaysAt is the relays as the stream "engine" holds them.
type RelaysAt struct {
	Relays domain.Relays
	// Next is the revision that the next event of the stream gets.
	Next eventstore.Revision

	end eventstore.Expected
}

// LoadRelays folds the stream "engine". It reads the whole stream, which administrators write and scans do not.
func LoadRelays(ctx context.Context, log eventstore.StreamReader) (RelaysAt, error) {
	at := RelaysAt{end: eventstore.NoStream()}
	for record, err := range log.ReadStream(ctx, eventstore.EngineStream, 0) {
		if err != nil {
			return RelaysAt{}, fmt.Errorf("cannot load the relays: %w", err)
		}
		at.end, at.Next = eventstore.AtRevision(record.Revision), record.Revision+1
		if record.Type != eventstore.TypeRelayAdded && record.Type != eventstore.TypeRelayRemoved {
			continue
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return RelaysAt{}, fmt.Errorf("cannot load the relays: %w", err)
		}
		at.Relays = domain.EvolveRelays(at.Relays, event)
	}
	return at, nil
}

// RelayChange is what an administrator does to a relay.
type RelayChange struct {
	ID            uuid.UUID // UUIDv7 of the admin action
	Actor, Reason string
	// Decide returns the event that records it, given the relays that the log knows. It is called again when something else was recorded
	// in the stream between.
	Decide func(domain.Relays) (domain.Event, error)
}

// ChangeRelays records what Decide says of the relays, at the revision of the stream "engine" that it was decided by, and returns its
// position, and the revision that the next event of the stream gets. The error is that of Decide, with which nothing was recorded, or
// ErrOutcomeUnknown: the log may have recorded it.
func (r *Recorder) ChangeRelays(ctx context.Context, change RelayChange) (eventstore.Position, eventstore.Revision, error) {
	var err error
	for range r.config.Rounds {
		var at RelaysAt
		none := 0
		err = r.retry(ctx, &none, func() (err error) {
			at, err = LoadRelays(ctx, r.log)
			return err
		})
		if err != nil {
			return 0, 0, err
		}
		var event domain.Event
		if event, err = change.Decide(at.Relays); err != nil {
			return 0, 0, err
		}
		var position eventstore.Position
		position, err = r.appendAct(ctx, at.end, act{
			id: change.ID, stream: eventstore.EngineStream, events: []domain.Event{event},
			meta: eventstore.Meta{Actor: change.Actor, Reason: change.Reason},
		})
		if err == nil {
			return position, at.Next + 1, nil
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			break
		}
	}
	return 0, 0, fmt.Errorf("cannot record the change of a relay: %w", err)
}
