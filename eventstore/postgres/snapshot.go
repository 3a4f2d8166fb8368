package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

// LoadSnapshot implements [eventstore.Snapshots].
func (l *Log) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	s := eventstore.Snapshot{Stream: stream}
	var revision, version int64
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		if stream.Validate() != nil {
			return pgx.ErrNoRows // PostgreSQL would refuse the text
		}
		return conn.QueryRow(ctx, l.sql.loadSnapshot, string(stream)).Scan(&revision, (*[16]byte)(&s.EventID), &version, &s.Data)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = eventstore.ErrNotFound
	}
	if err == nil && (revision < 0 || int64(int(version)) != version) {
		err = fmt.Errorf("%w: its row holds no snapshot", eventstore.ErrSnapshotInvalid)
	}
	if err != nil {
		return eventstore.Snapshot{}, fmt.Errorf("cannot load snapshot of stream %q: %w", stream, err)
	}
	s.Revision, s.Version = eventstore.Revision(revision), int(version) //nolint:gosec // both were checked
	return s, nil
}

// SaveSnapshot implements [eventstore.Snapshots].
func (l *Log) SaveSnapshot(ctx context.Context, s eventstore.Snapshot) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("cannot save snapshot: %w", err)
	}
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, l.sql.saveSnapshot, string(s.Stream), int64(s.Revision), [16]byte(s.EventID), s.Version, s.Data) //nolint:gosec // bits
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot save snapshot of stream %q: %w", s.Stream, err)
	}
	return nil
}
