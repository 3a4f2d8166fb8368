package recorder

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// loaded is a repository's state as the log holds it, and where the log stands with it.
type loaded struct {
	stream   eventstore.StreamID
	state    domain.State
	expected eventstore.Expected
	since    int // events folded that the snapshot does not hold
}

// load folds a repository's stream, from its snapshot where there is a valid one.
func (r *Recorder) load(ctx context.Context, stream eventstore.StreamID) (loaded, error) {
	var out loaded
	none := 0
	err := r.retry(ctx, &none, func() error {
		var err error
		out, err = r.fromSnapshot(ctx, stream)
		if errors.Is(err, eventstore.ErrSnapshotInvalid) || errors.Is(err, eventstore.ErrNotFound) {
			out, err = r.fold(ctx, loaded{stream: stream, expected: eventstore.NoStream()})
		}
		return err
	})
	if err != nil {
		return loaded{}, fmt.Errorf("cannot load %s: %w", stream, err)
	}
	return out, nil
}

// fromSnapshot starts at the snapshot. It is believed only when its version is ours, its digest fits, and the log holds
// the event that it ends with at the revision that it names.
func (r *Recorder) fromSnapshot(ctx context.Context, stream eventstore.StreamID) (loaded, error) {
	snapshot, err := r.log.LoadSnapshot(ctx, stream)
	if err != nil {
		return loaded{}, err
	}
	state, err := eventstore.DecodeState(snapshot)
	if err != nil {
		return loaded{}, err
	}
	for record, err := range r.log.ReadStream(ctx, stream, snapshot.Revision) {
		if err != nil {
			return loaded{}, err
		}
		if record.Revision != snapshot.Revision || record.ID != snapshot.EventID {
			return loaded{}, eventstore.ErrSnapshotInvalid
		}
		return r.fold(ctx, loaded{stream: stream, state: state, expected: eventstore.AtRevision(snapshot.Revision)})
	}
	return loaded{}, eventstore.ErrSnapshotInvalid
}

// fold continues from at to the end of the stream.
func (r *Recorder) fold(ctx context.Context, at loaded) (loaded, error) {
	for record, err := range r.log.ReadStream(ctx, at.stream, at.expected.Next()) {
		if err != nil {
			return loaded{}, err
		}
		if record.Revision != at.expected.Next() {
			return loaded{}, fmt.Errorf("%w: %s holds revision %d where %d was expected",
				eventstore.ErrCorrupt, at.stream, record.Revision, at.expected.Next())
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return loaded{}, fmt.Errorf("cannot decode position %d: %w", record.Position, err)
		}
		at.state = domain.Evolve(at.state, event)
		at.expected = eventstore.AtRevision(record.Revision)
		at.since++
	}
	return at, nil
}

// remember saves a snapshot of the state after a batch of size events. A snapshot that cannot be saved costs time, not truth: the error
// is only observed.
func (s *session) remember(ctx context.Context, after loaded, size int, appended eventstore.Appended) {
	data, err := eventstore.EncodeState(after.state)
	if err == nil {
		err = s.log.SaveSnapshot(ctx, eventstore.Snapshot{
			Stream: after.stream, Revision: appended.LastRevision, EventID: eventstore.DeriveEventID(s.request.Scan, size-1),
			Version: domain.StateVersion, Data: data,
		})
	}
	if err != nil {
		s.observe(Retry{Attempt: s.attempt, Err: fmt.Errorf("cannot save snapshot of %s: %w", after.stream, err)})
	}
}
