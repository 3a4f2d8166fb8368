package recorder

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// KeysAt is the evidence keys as the stream "engine" holds them.
type KeysAt struct {
	Keys domain.Keys
	// Revision is that of the last event about a key; nil when there is none.
	Revision *int64

	end eventstore.Expected // where the stream ends
}

// LoadKeys folds the stream "engine" up to a position; 0 is its end. It reads the whole stream, which administrators write and scans do not.
func LoadKeys(ctx context.Context, log eventstore.StreamReader, upTo eventstore.Position) (KeysAt, error) {
	at := KeysAt{end: eventstore.NoStream()}
	for record, err := range log.ReadStream(ctx, eventstore.EngineStream, 0) {
		if err != nil {
			return KeysAt{}, fmt.Errorf("cannot load the evidence keys: %w", err)
		}
		if upTo > 0 && record.Position > upTo {
			break
		}
		at.end = eventstore.AtRevision(record.Revision)
		if record.Type != eventstore.TypeKeyTrusted && record.Type != eventstore.TypeKeyRevoked {
			continue
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return KeysAt{}, fmt.Errorf("cannot load the evidence keys: %w", err)
		}
		revision := int64(record.Revision) //nolint:gosec // no stream has 2^63 events
		at.Keys, at.Revision = domain.EvolveKeys(at.Keys, event), &revision
	}
	return at, nil
}

// Keys is [LoadKeys] of the whole log, tried again while the log does not answer.
func (r *Recorder) Keys(ctx context.Context) (KeysAt, error) {
	var at KeysAt
	none := 0
	err := r.retry(ctx, &none, func() (err error) {
		at, err = LoadKeys(ctx, r.log, 0)
		return err
	})
	return at, err
}

// KeyChange is what an administrator does to an evidence key.
type KeyChange struct {
	ID            uuid.UUID // UUIDv7 of the admin action
	Actor, Reason string
	// Decide returns the event that records it, given the keys that the log knows. It is called again when something else was recorded
	// in the stream between.
	Decide func(domain.Keys) (domain.Event, error)
}

// ChangeKeys records what Decide says of the keys, at the revision of the stream "engine" that it was decided by, and returns its position.
// The error is that of Decide, with which nothing was recorded, or ErrOutcomeUnknown: the log may have recorded it.
func (r *Recorder) ChangeKeys(ctx context.Context, change KeyChange) (eventstore.Position, error) {
	var err error
	for range r.config.Rounds {
		var at KeysAt
		if at, err = r.Keys(ctx); err != nil {
			return 0, err
		}
		var event domain.Event
		if event, err = change.Decide(at.Keys); err != nil {
			return 0, err
		}
		var position eventstore.Position
		position, err = r.appendAct(ctx, at.end, act{
			id: change.ID, stream: eventstore.EngineStream, events: []domain.Event{event},
			meta: eventstore.Meta{Actor: change.Actor, Reason: change.Reason},
		})
		if err == nil {
			return position, nil
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			break
		}
	}
	return 0, fmt.Errorf("cannot record the change of an evidence key: %w", err)
}
