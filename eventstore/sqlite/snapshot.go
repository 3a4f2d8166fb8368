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
	s := eventstore.Snapshot{Stream: stream}
	err := l.usable(ctx)
	if err == nil {
		err = l.readers.QueryRowContext(ctx, "SELECT revision, event_id, version, data FROM snapshots WHERE stream = ?",
			string(stream)).Scan(&s.Revision, &s.EventID, &s.Version, &s.Data)
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = eventstore.ErrNotFound
	}
	if err != nil {
		return eventstore.Snapshot{}, fmt.Errorf("load snapshot of stream %q: %w", stream, l.fault(err))
	}
	return s, nil
}

// SaveSnapshot implements [eventstore.Snapshots]. It does not wait for the disk: a crash may lose the snapshot.
func (l *Log) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	if err := snapshot.Validate(); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	if err := l.saveSnapshot(ctx, snapshot); err != nil {
		return fmt.Errorf("save snapshot of stream %q: %w", snapshot.Stream, l.fault(err))
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
