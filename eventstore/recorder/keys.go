package recorder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

	end  eventstore.Expected // where the stream ends
	read int                 // events that were read for it
}

// LoadKeys folds the stream "engine" up to a position; 0 is its end. It reads the whole stream.
func LoadKeys(ctx context.Context, log eventstore.StreamReader, upTo eventstore.Position) (KeysAt, error) {
	at, _, err := foldKeys(ctx, log, KeysAt{end: eventstore.NoStream()}, upTo)
	return at, err
}

// foldKeys continues from at up to a position. It returns the last record that it read; a zero one for none.
func foldKeys(ctx context.Context, log eventstore.StreamReader, at KeysAt, upTo eventstore.Position) (_ KeysAt, last eventstore.Record, err error) {
	for record, err := range log.ReadStream(ctx, eventstore.EngineStream, at.end.Next()) {
		if err != nil {
			return KeysAt{}, last, fmt.Errorf("cannot load the evidence keys: %w", err)
		}
		if upTo > 0 && record.Position > upTo {
			break
		}
		at.end, last = eventstore.AtRevision(record.Revision), record
		at.read++
		if record.Type != eventstore.TypeKeyTrusted && record.Type != eventstore.TypeKeyRevoked {
			continue
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return KeysAt{}, last, fmt.Errorf("cannot load the evidence keys: %w", err)
		}
		revision := int64(record.Revision) //nolint:gosec // no stream has 2^63 events
		at.Keys, at.Revision = domain.EvolveKeys(at.Keys, event), &revision
	}
	return at, last, nil
}

// Keys is [LoadKeys] of the whole log, tried again while the log does not answer. It reads what was recorded since the snapshot of the stream,
// which it saves once that is much: failed attempts make the stream long.
func (r *Recorder) Keys(ctx context.Context) (KeysAt, error) {
	var at KeysAt
	none := 0
	err := r.retry(ctx, &none, func() (err error) {
		var last eventstore.Record
		if at, err = r.keysOfSnapshot(ctx); err != nil {
			at = KeysAt{end: eventstore.NoStream()}
		}
		if at, last, err = foldKeys(ctx, r.log, at, 0); err != nil || at.read < keysSnapshotEvery {
			return err
		}
		r.rememberKeys(ctx, at, last)
		return nil
	})
	return at, err
}

const (
	// keysSnapshotEvery is how many events of the stream "engine" are read before a snapshot spares reading them again.
	keysSnapshotEvery = 200
	// keysVersion is that of the form of [keysState].
	keysVersion = 1
)

// keysState is the data of a snapshot of the keys, behind its digest.
type keysState struct {
	Keys     domain.Keys `json:"keys"`
	Revision *int64      `json:"revision"`
}

// keysOfSnapshot starts at the snapshot of the stream. As that of a repository, it is believed only when its version is ours, its digest fits,
// and the log holds the event that it ends with at the revision that it names.
func (r *Recorder) keysOfSnapshot(ctx context.Context) (KeysAt, error) {
	snapshot, err := r.log.LoadSnapshot(ctx, eventstore.EngineStream)
	if err != nil {
		return KeysAt{}, err
	}
	digest, data, ok := bytes.Cut(snapshot.Data, []byte("\n"))
	var state keysState
	if !ok || snapshot.Version != keysVersion || string(digest) != digestOf(data) || json.Unmarshal(data, &state) != nil {
		return KeysAt{}, eventstore.ErrSnapshotInvalid
	}
	for record, err := range r.log.ReadStream(ctx, eventstore.EngineStream, snapshot.Revision) {
		if err != nil {
			return KeysAt{}, err
		}
		if record.Revision != snapshot.Revision || record.ID != snapshot.EventID {
			break
		}
		return KeysAt{Keys: state.Keys, Revision: state.Revision, end: eventstore.AtRevision(snapshot.Revision)}, nil
	}
	return KeysAt{}, eventstore.ErrSnapshotInvalid
}

// rememberKeys saves a snapshot. One that cannot be saved costs time, not truth.
func (r *Recorder) rememberKeys(ctx context.Context, at KeysAt, last eventstore.Record) {
	data, err := json.Marshal(keysState{Keys: at.Keys, Revision: at.Revision})
	if err != nil {
		return
	}
	_ = r.log.SaveSnapshot(ctx, eventstore.Snapshot{
		Stream: eventstore.EngineStream, Revision: last.Revision, EventID: last.ID, Version: keysVersion,
		Data: append([]byte(digestOf(data)+"\n"), data...),
	})
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
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
