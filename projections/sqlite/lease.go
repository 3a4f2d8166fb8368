package sqlite

import (
	"context"
	"database/sql"
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

const selectBuilds = `
SELECT build, version, state, log, position, event, holder, token, ttl, expires_at, created_at, updated_at,
       fault_position, fault_event, fault_type, fault_text, fault_at, since_at, since_position, revived, cancelled_by
FROM projection_builds WHERE projection = ?`

// builds reads the builds of projection that where chooses.
func builds(ctx context.Context, q queries, projection, where string, args ...any) ([]projections.Build, error) {
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
	b := projections.Build{Ref: projections.Ref{Projection: projection}}
	var position, token, ttl int64
	var log, event, expires, created, updated string
	var faultPosition sql.NullInt64
	var faultEvent, faultType, faultText, faultAt, since, cancelled sql.NullString
	var sincePosition int64
	if err := rows.Scan(&b.Number, &b.Checkpoint.Version, &b.State, &log, &position, &event, &b.Lease.Holder, &token, &ttl,
		&expires, &created, &updated, &faultPosition, &faultEvent, &faultType, &faultText, &faultAt,
		&since, &sincePosition, &b.Revived, &cancelled); err != nil {
		return b, err
	}
	var errs [8]error
	b.CancelledBy = cancelled.String
	b.Since = projections.Since{Position: eventstore.Position(sincePosition)} //nolint:gosec // a CHECK keeps it from being negative
	if since.Valid {
		b.Since.At, errs[7] = time.Parse(projections.TimestampLayout, since.String)
	}
	b.Checkpoint.Position = eventstore.Position(position) //nolint:gosec // a CHECK keeps it from being negative
	b.Checkpoint.Log, errs[0] = uuid.Parse(log)
	b.Checkpoint.Event, errs[1] = uuid.Parse(event)
	b.Lease.Ref, b.Lease.TTL = b.Ref, time.Duration(ttl)*time.Microsecond
	b.Lease.Token = uint64(token) //nolint:gosec // a CHECK keeps it from being negative
	b.Lease.Expires, errs[2] = time.Parse(projections.TimestampLayout, expires)
	b.CreatedAt, errs[3] = time.Parse(projections.TimestampLayout, created)
	b.UpdatedAt, errs[4] = time.Parse(projections.TimestampLayout, updated)
	if faultPosition.Valid {
		b.Fault = &projections.Fault{Position: eventstore.Position(faultPosition.Int64), Type: faultType.String, Text: faultText.String} //nolint:gosec // was a position
		b.Fault.Event, errs[5] = uuid.Parse(faultEvent.String)
		b.Fault.At, errs[6] = time.Parse(projections.TimestampLayout, faultAt.String)
	}
	return b, errors.Join(errs[:]...)
}

func build(ctx context.Context, q queries, ref projections.Ref) (projections.Build, error) {
	found, err := builds(ctx, q, ref.Projection, "AND build = ?", ref.Number)
	if err != nil {
		return projections.Build{}, err
	}
	if len(found) == 0 {
		return projections.Build{}, fmt.Errorf("%s build %d: %w", ref.Projection, ref.Number, projections.ErrNoBuild)
	}
	return found[0], nil
}

// leased returns the build of lease, or why lease does not allow to write it.
func leased(ctx context.Context, q queries, lease projections.Lease) (projections.Build, error) {
	b, err := build(ctx, q, lease.Ref)
	switch {
	case errors.Is(err, projections.ErrNoBuild): // only a build whose lease ran out is dropped by others
		return b, fmt.Errorf("%w: %w", projections.ErrLeaseLost, err)
	case err != nil:
		return b, err
	case b.State == projections.BuildRetired:
		return b, projections.ErrSuperseded
	case b.CancelledBy != "":
		return b, fmt.Errorf("%w by %s", projections.ErrCancelled, b.CancelledBy)
	case b.Lease.Token != lease.Token:
		return b, fmt.Errorf("%w: token %d was given to %s, ours is %d", projections.ErrLeaseLost, b.Lease.Token, b.Lease.Holder, lease.Token)
	}
	return b, nil
}

func (db *DB) stateOf(ctx context.Context, ref projections.Ref) (projections.BuildState, error) {
	var state projections.BuildState
	err := db.read.QueryRowContext(ctx, "SELECT state FROM projection_builds WHERE projection = ? AND build = ?",
		ref.Projection, ref.Number).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%w: %w", projections.ErrLeaseLost, projections.ErrNoBuild)
	}
	return state, translate(err)
}

// nextToken gives a token that was never given for projection, and higher than all before.
func nextToken(ctx context.Context, tx *sql.Conn, projection string) (uint64, error) {
	var token int64
	err := tx.QueryRowContext(ctx, "UPDATE projection_counters SET tokens = tokens + 1 WHERE projection = ? RETURNING tokens", projection).Scan(&token)
	return uint64(token), err //nolint:gosec // counts from 1
}

func (db *DB) newLease(ctx context.Context, tx *sql.Conn, ref projections.Ref, claim projections.Claim) (projections.Lease, error) {
	token, err := nextToken(ctx, tx, ref.Projection)
	if err != nil {
		return projections.Lease{}, err
	}
	return projections.Lease{Ref: ref, Claim: claim, Token: token, Expires: db.options.Now().Add(claim.TTL)}, nil
}

func checkClaim(claim projections.Claim) error {
	if claim.Holder == "" || claim.TTL < time.Microsecond {
		return fmt.Errorf("%w: a claim needs a holder and a time to live", projections.ErrInvalid)
	}
	return nil
}

// leasedNow returns a *HeldError if the lease of b is live.
func (db *DB) leasedNow(b projections.Build) error {
	if db.options.Now().Before(b.Lease.Expires) {
		return &projections.HeldError{Ref: b.Ref, Holder: b.Lease.Holder, Until: b.Lease.Expires}
	}
	return nil
}

// Acquire implements [projections.Leaser].
func (db *DB) Acquire(ctx context.Context, ref projections.Ref, claim projections.Claim) (projections.Build, error) {
	var b projections.Build
	err := checkClaim(claim)
	if err == nil {
		err = db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) (err error) {
			b, err = db.acquire(ctx, tx, ref, claim)
			return err
		})
	}
	if err != nil {
		return projections.Build{}, fmt.Errorf("lease %s build %d: %w", ref.Projection, ref.Number, err)
	}
	return b, nil
}

func (db *DB) acquire(ctx context.Context, tx *sql.Conn, ref projections.Ref, claim projections.Claim) (projections.Build, error) {
	b, err := build(ctx, tx, ref)
	if err != nil {
		return b, err
	}
	switch {
	case b.State == projections.BuildRetired:
		return b, projections.ErrSuperseded
	case b.CancelledBy != "":
		return b, fmt.Errorf("%w by %s", projections.ErrCancelled, b.CancelledBy)
	}
	if err := paused(ctx, tx, b); err != nil {
		return b, err
	}
	if err := db.leasedNow(b); err != nil {
		return b, err
	}
	return db.take(ctx, tx, b, claim)
}

// take gives b to claim.
func (db *DB) take(ctx context.Context, tx *sql.Conn, b projections.Build, claim projections.Claim) (projections.Build, error) {
	var err error
	if b.Lease, err = db.newLease(ctx, tx, b.Ref, claim); err != nil {
		return b, err
	}
	b.Since = projections.Since{At: db.options.Now(), Position: b.Checkpoint.Position}
	if err := storeLease(ctx, tx, b.Lease); err != nil {
		return b, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE projection_builds SET since_at = ?, since_position = position WHERE projection = ? AND build = ?",
		stamp(b.Since.At), b.Projection, b.Number)
	return b, err
}

func storeLease(ctx context.Context, tx *sql.Conn, lease projections.Lease) error {
	_, err := tx.ExecContext(ctx, "UPDATE projection_builds SET holder = ?, token = ?, ttl = ?, expires_at = ? WHERE projection = ? AND build = ?",
		lease.Holder, int64(lease.Token), lease.TTL.Microseconds(), stamp(lease.Expires), lease.Projection, lease.Number) //nolint:gosec // tokens stay far below 2^63
	return err
}

// Renew implements [projections.Leaser].
func (db *DB) Renew(ctx context.Context, lease projections.Lease) (projections.Lease, error) {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		if _, err := leased(ctx, tx, lease); err != nil {
			return err
		}
		lease.Expires = db.options.Now().Add(lease.TTL)
		return storeLease(ctx, tx, lease)
	})
	if err != nil {
		return lease, fmt.Errorf("renew lease of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return lease, nil
}

// Release implements [projections.Leaser]. The build gets a token that nobody holds, so that a renewal under way cannot
// bring the lease back to life, and a time that is past by every clock.
func (db *DB) Release(ctx context.Context, lease projections.Lease) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		token, err := nextToken(ctx, tx, lease.Projection)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE projection_builds SET expires_at = ?, token = ? WHERE projection = ? AND build = ? AND token = ?",
			stamp(time.Unix(0, 0)), int64(token), lease.Projection, lease.Number, int64(lease.Token)) //nolint:gosec // tokens stay far below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("release lease of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// SaveFault implements [projections.Writer].
func (db *DB) SaveFault(ctx context.Context, lease projections.Lease, fault projections.Fault) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		if _, err := leased(ctx, tx, lease); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
UPDATE projection_builds SET fault_position = ?, fault_event = ?, fault_type = ?, fault_text = ?, fault_at = ?
WHERE projection = ? AND build = ? AND token = ?`,
			int64(fault.Position), fault.Event.String(), fault.Type, fault.Text, stamp(fault.At), //nolint:gosec // positions stay far below 2^63
			lease.Projection, lease.Number, int64(lease.Token)) //nolint:gosec // tokens stay far below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("record fault of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}
