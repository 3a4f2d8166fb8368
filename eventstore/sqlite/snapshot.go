package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/eventstore"
)

// LoadSnapshot implements [eventstore.Snapshots].
func (l *Log) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	err := l.usable(ctx)
	var revision, id, version, data any // whatever was put there
	if err == nil {
		err = l.readers.QueryRowContext(ctx, "SELECT revision, event_id, version, data FROM snapshots WHERE stream = ?",
			string(stream)).Scan(&revision, &id, &version, &data)
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = eventstore.ErrNotFound
	}
	var s eventstore.Snapshot
	if err == nil {
		s, err = snapshot(stream, revision, id, version, data)
	}
	if err != nil {
		return eventstore.Snapshot{}, fmt.Errorf("cannot load snapshot of stream %q: %w", stream, l.fault(err))
	}
	return s, nil
}

// snapshot makes a snapshot of what a row holds. A row that holds none is [eventstore.ErrSnapshotInvalid].
func snapshot(stream eventstore.StreamID, revision, id, version, data any) (eventstore.Snapshot, error) {
	r, revisionOK := revision.(int64)
	i, idOK := id.([]byte)
	v, versionOK := version.(int64)
	d, dataOK := data.([]byte)
	if !revisionOK || r < 0 || !idOK || len(i) != 16 || !versionOK || int64(int(v)) != v || !dataOK {
		return eventstore.Snapshot{}, fmt.Errorf("%w: its row holds no snapshot", eventstore.ErrSnapshotInvalid)
	}
	return eventstore.Snapshot{Stream: stream, Revision: eventstore.Revision(r), EventID: eventstore.EventID(i), Version: int(v), Data: d}, nil
}

// SaveSnapshot implements [eventstore.Snapshots]. It does not wait for the disk: a crash may lose the snapshot.
func (l *Log) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	if err := snapshot.Validate(); err != nil {
		return fmt.Errorf("cannot save snapshot: %w", err)
	}
	if err := l.saveSnapshot(ctx, snapshot); err != nil {
		return fmt.Errorf("cannot save snapshot of stream %q: %w", snapshot.Stream, l.fault(err))
	}
	return nil
}

func (l *Log) saveSnapshot(ctx context.Context, s eventstore.Snapshot) error {
	if err := l.writable(ctx); err != nil {
		return err
	}
	_, err := l.aside.ExecContext(ctx, `INSERT INTO snapshots (stream, revision, event_id, version, data)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE SET
		revision = excluded.revision, event_id = excluded.event_id, version = excluded.version, data = excluded.data`,
		string(s.Stream), int64(s.Revision), s.EventID[:], s.Version, s.Data) //nolint:gosec // a revision fits
	l.wrote(int64(len(s.Data)))
	return err
}
