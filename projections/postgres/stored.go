package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// queries is what reading needs: a *pgx.Conn or a pgx.Tx.
type queries interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// scanBuild reads a row of statements.builds.
func scanBuild(row pgx.CollectableRow) (projections.Build, error) {
	var b projections.Build
	var faultPosition *int64
	var faultEvent *uuid.UUID
	var faultType, faultText, cancelled *string
	var faultAt *time.Time
	var now time.Time
	err := row.Scan(&b.Projection, &b.Number, &b.Checkpoint.Version, &b.State, &b.Checkpoint.Log, &b.Checkpoint.Position, &b.Checkpoint.Event,
		&b.Lease.Holder, &b.Lease.Token, &b.Lease.TTL, &b.Lease.Expires, &now, &b.CreatedAt, &b.UpdatedAt, &b.Since.At, &b.Since.Position, &cancelled,
		&faultPosition, &faultEvent, &faultType, &faultText, &faultAt,
		&b.Checkpoint.Stream, &b.Checkpoint.Revision)
	if err != nil {
		return b, err
	}
	b.LeaseLeft = builds.LeaseLeft(b.Lease.Expires, now, b.Lease.TTL)
	b.Lease.Ref, b.Point = b.Ref, b.Checkpoint.Point()
	for _, t := range []*time.Time{&b.Lease.Expires, &b.CreatedAt, &b.UpdatedAt, &b.Since.At} {
		*t = t.UTC()
	}
	if cancelled != nil {
		b.CancelledBy = *cancelled
	}
	if faultPosition != nil { // a CHECK has all of a fault or nothing
		b.Fault = &projections.Fault{
			Position: eventstore.Position(*faultPosition), Event: *faultEvent, Type: *faultType, Text: *faultText, At: faultAt.UTC(), //nolint:gosec // was a position
		}
	}
	return b, nil
}

// leaseClock is the parameter for the clock of leases: NULL for the server's.
func (db *DB) leaseClock() *time.Time {
	if db.options.LeaseClock == nil {
		return nil
	}
	now := db.options.LeaseClock()
	return &now
}

// readBuilds reads the builds of projection that where chooses, whose parameters count from 3.
func (db *DB) readBuilds(ctx context.Context, q queries, projection, where string, args ...any) ([]projections.Build, error) {
	rows, err := q.Query(ctx, db.sql.builds+where, append([]any{projection, db.leaseClock()}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBuild)
}

// build reads one build.
func (db *DB) build(ctx context.Context, q queries, ref projections.Ref) (projections.Build, error) {
	found, err := db.readBuilds(ctx, q, ref.Projection, " AND build = $3", ref.Number)
	if err != nil {
		return projections.Build{}, err
	}
	if len(found) == 0 {
		return projections.Build{}, fmt.Errorf("%s build %d: %w", ref.Projection, ref.Number, projections.ErrNoBuild)
	}
	return found[0], nil
}

// storable is a text of somebody else as the server can hold it.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// SaveFault implements [projections.Database].
func (db *DB) SaveFault(ctx context.Context, lease projections.Lease, fault projections.Fault) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		_, s, err := db.load(ctx, tx, lease.Projection, lease.Number)
		if err == nil {
			_, err = s.Allows(lease)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, db.sql.saveFault, lease.Projection, lease.Number, int64(lease.Token), //nolint:gosec // tokens stay far below 2^63
			int64(fault.Position), fault.Event, storable(fault.Type), storable(fault.Text), fault.At) //nolint:gosec // positions stay far below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot record fault of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// Paused implements [projections.Database].
func (db *DB) Paused(ctx context.Context, projection string) (*projections.Pause, error) {
	var pause *projections.Pause
	err := db.look(ctx, func(conn *pgx.Conn) (err error) {
		pause, err = db.loadPause(ctx, conn, projection)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the pause of %s: %w", projection, err)
	}
	return pause, nil
}

func (db *DB) loadPause(ctx context.Context, q queries, projection string) (*projections.Pause, error) {
	return scanPause(q.QueryRow(ctx, db.sql.loadPause, projection))
}

// scanPause reads a hold, nil when there is none.
func scanPause(row pgx.Row) (*projections.Pause, error) {
	var pause projections.Pause
	err := row.Scan(&pause.By, &pause.Reason, &pause.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // none, as documented
	}
	pause.At = pause.At.UTC()
	return &pause, err
}

// Outbox implements [projections.Database].
func (db *DB) Outbox(ctx context.Context) ([]projections.OutboxEntry, error) {
	var found []projections.OutboxEntry
	err := db.look(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, db.sql.outbox)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (projections.OutboxEntry, error) {
			var kept projections.OutboxEntry
			var action []byte
			if err := row.Scan(&kept.Projection, &kept.Number, &action); err != nil {
				return kept, err
			}
			return kept, json.Unmarshal(action, &kept.Action)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the outbox: %w", err)
	}
	return found, nil
}

// RemoveOutboxEntry implements [projections.Database].
func (db *DB) RemoveOutboxEntry(ctx context.Context, id string) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, db.sql.removeOutboxEntry, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot remove admin action %s from the outbox: %w", id, err)
	}
	return nil
}

// catalogued reads what the catalogue tells of the builds of projection, for a user who may see no more.
func (db *DB) catalogued(ctx context.Context, q queries, projection string) ([]projections.Build, error) {
	rows, err := q.Query(ctx, db.sql.catalogued, projection)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (projections.Build, error) {
		var b projections.Build
		err := row.Scan(&b.Projection, &b.Number, &b.Checkpoint.Version, &b.State, &b.Checkpoint.Log, &b.Checkpoint.Position,
			&b.Checkpoint.Event, &b.UpdatedAt, &b.Checkpoint.Stream, &b.Checkpoint.Revision)
		b.Lease.Ref, b.UpdatedAt = b.Ref, b.UpdatedAt.UTC()
		return b, err
	})
}
