package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

func stamp(t time.Time) string { return t.UTC().Format(projections.TimestampLayout) }

// queries is what reading needs: a *sql.DB, *sql.Conn or *sql.Tx.
type queries interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// A ready build that is marked as revived was left by an older version that could activate a retired build again.
const selectBuilds = `
SELECT build, version, CASE WHEN state = 'ready' AND revived THEN 'retired' ELSE state END, log, position, event, holder, token, ttl, expires_at, created_at, updated_at,
       fault_position, fault_event, fault_type, fault_text, fault_at, since_at, since_position, cancelled_by,
       coalesce(stream, ''), coalesce(revision, 0)
FROM projection_builds WHERE projection = ?`

// readBuilds reads the builds of projection that where chooses.
func readBuilds(ctx context.Context, q queries, projection, where string, args ...any) ([]projections.Build, error) {
	rows, err := q.QueryContext(ctx, selectBuilds+" "+where+" ORDER BY build", append([]any{projection}, args...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []projections.Build
	for rows.Next() {
		b, err := scanBuild(rows, projection)
		if err != nil {
			return nil, err
		}
		found = append(found, b)
	}
	return found, rows.Err()
}

func scanBuild(rows *sql.Rows, projection string) (projections.Build, error) {
	var b projections.Build
	b.Projection = projection
	var ttl int64
	var log, event, expires, created, updated string
	var faultPosition sql.NullInt64
	var faultEvent, faultType, faultText, faultAt, since, cancelled sql.NullString
	if err := rows.Scan(&b.Number, &b.Checkpoint.Version, &b.State, &log, &b.Checkpoint.Position, &event, &b.Lease.Holder, &b.Lease.Token, &ttl,
		&expires, &created, &updated, &faultPosition, &faultEvent, &faultType, &faultText, &faultAt,
		&since, &b.Since.Position, &cancelled, &b.Checkpoint.Stream, &b.Checkpoint.Revision); err != nil {
		return b, err
	}
	var errs [8]error
	b.CancelledBy = cancelled.String
	if since.Valid {
		b.Since.At, errs[7] = time.Parse(projections.TimestampLayout, since.String)
	}
	b.Checkpoint.Log, errs[0] = uuid.Parse(log)
	b.Checkpoint.Event, errs[1] = uuid.Parse(event)
	b.Lease.Ref, b.Lease.TTL = b.Ref, time.Duration(ttl)*time.Microsecond
	b.Lease.Expires, errs[2] = time.Parse(projections.TimestampLayout, expires)
	b.CreatedAt, errs[3] = time.Parse(projections.TimestampLayout, created)
	b.UpdatedAt, errs[4] = time.Parse(projections.TimestampLayout, updated)
	if faultPosition.Valid {
		b.Fault = &projections.Fault{Position: eventstore.Position(faultPosition.Int64), Type: faultType.String, Text: faultText.String} //nolint:gosec // was a position
		b.Fault.Event, errs[5] = uuid.Parse(faultEvent.String)
		b.Fault.At, errs[6] = time.Parse(projections.TimestampLayout, faultAt.String)
	}
	b.Point = b.Checkpoint.Point()
	return b, errors.Join(errs[:]...)
}

func build(ctx context.Context, q queries, ref projections.Ref) (projections.Build, error) {
	found, err := readBuilds(ctx, q, ref.Projection, "AND build = ?", ref.Number)
	if err != nil {
		return projections.Build{}, err
	}
	if len(found) == 0 {
		return projections.Build{}, fmt.Errorf("%s build %d: %w", ref.Projection, ref.Number, projections.ErrNoBuild)
	}
	return found[0], nil
}

// SaveFault implements [projections.Database].
func (db *DB) SaveFault(ctx context.Context, lease projections.Lease, fault projections.Fault) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		_, s, err := db.load(ctx, tx, lease.Projection, lease.Number)
		if err == nil {
			_, err = s.Allows(lease)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
UPDATE projection_builds SET fault_position = ?, fault_event = ?, fault_type = ?, fault_text = ?, fault_at = ?
WHERE projection = ? AND build = ? AND token = ?`,
			int64(fault.Position), fault.Event.String(), fault.Type, fault.Text, stamp(fault.At), //nolint:gosec // positions stay far below 2^63
			lease.Projection, lease.Number, int64(lease.Token)) //nolint:gosec // tokens stay far below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot record fault of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// Paused implements [projections.Database].
func (db *DB) Paused(ctx context.Context, projection string) (*projections.Pause, error) {
	pause, err := loadPause(ctx, db.read, projection)
	if err != nil {
		return nil, fmt.Errorf("cannot read the pause of %s: %w", projection, translate(err))
	}
	return pause, nil
}

func loadPause(ctx context.Context, q queries, projection string) (*projections.Pause, error) {
	var pause projections.Pause
	var at string
	err := q.QueryRowContext(ctx, "SELECT held_by, reason, held_at FROM projection_holds WHERE projection = ?", projection).
		Scan(&pause.By, &pause.Reason, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // none, as documented
	}
	if err == nil {
		pause.At, err = time.Parse(projections.TimestampLayout, at)
	}
	return &pause, err
}

// Outbox implements [projections.Database].
func (db *DB) Outbox(ctx context.Context) ([]projections.OutboxEntry, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT projection, build, act FROM kept_acts ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("cannot read the outbox: %w", translate(err))
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []projections.OutboxEntry
	for rows.Next() {
		var kept projections.OutboxEntry
		var action string
		if err := rows.Scan(&kept.Projection, &kept.Number, &action); err != nil {
			return nil, fmt.Errorf("cannot read the outbox: %w", err)
		}
		if err := json.Unmarshal([]byte(action), &kept.Action); err != nil {
			return nil, fmt.Errorf("cannot read the outbox: %w", err)
		}
		found = append(found, kept)
	}
	return found, translate(rows.Err())
}

// RemoveOutboxEntry implements [projections.Database].
func (db *DB) RemoveOutboxEntry(ctx context.Context, id string) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM kept_acts WHERE id = ?", id)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot remove admin action %s from the outbox: %w", id, err)
	}
	return nil
}
