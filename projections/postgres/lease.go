package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// queries is what reading needs: a *pgx.Conn or a pgx.Tx.
type queries interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// scanBuild reads a row of statements.builds.
func scanBuild(row pgx.CollectableRow) (projections.Build, error) {
	var b projections.Build
	var position, token, since int64
	var faultPosition *int64
	var faultEvent *uuid.UUID
	var faultType, faultText, cancelled *string
	var faultAt *time.Time
	err := row.Scan(&b.Projection, &b.Number, &b.Checkpoint.Version, &b.State, &b.Checkpoint.Log, &position, &b.Checkpoint.Event,
		&b.Lease.Holder, &token, &b.Lease.TTL, &b.Lease.Expires, &b.CreatedAt, &b.UpdatedAt, &b.Since.At, &since, &b.Revived, &cancelled,
		&faultPosition, &faultEvent, &faultType, &faultText, &faultAt)
	if err != nil {
		return b, err
	}
	b.Checkpoint.Position = eventstore.Position(position) //nolint:gosec // a CHECK keeps it from being negative
	b.Since.Position = eventstore.Position(since)         //nolint:gosec // a CHECK keeps it from being negative
	b.Lease.Ref, b.Lease.Token = b.Ref, uint64(token)     //nolint:gosec // a CHECK keeps it from being negative
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

// builds reads the builds of projection that where chooses.
func (db *DB) builds(ctx context.Context, q queries, projection, where string, args ...any) ([]projections.Build, error) {
	rows, err := q.Query(ctx, db.sql.builds+where, append([]any{projection}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBuild)
}

// build reads one build. lock is "FOR UPDATE" to keep it as it is until the transaction ends, or "".
func (db *DB) build(ctx context.Context, q queries, ref projections.Ref, lock string) (projections.Build, error) {
	found, err := db.builds(ctx, q, ref.Projection, " AND build = $2 "+lock, ref.Number)
	if err != nil {
		return projections.Build{}, err
	}
	if len(found) == 0 {
		return projections.Build{}, fmt.Errorf("%s build %d: %w", ref.Projection, ref.Number, projections.ErrNoBuild)
	}
	return found[0], nil
}

// leased locks and returns the build of lease, or says why lease does not allow to write it.
func (db *DB) leased(ctx context.Context, tx pgx.Tx, lease projections.Lease) (projections.Build, error) {
	b, err := db.build(ctx, tx, lease.Ref, "FOR UPDATE")
	return b, allows(b, err, lease)
}

// allows says why lease does not allow to write b, which was read with err.
func allows(b projections.Build, err error, lease projections.Lease) error {
	switch {
	case errors.Is(err, projections.ErrNoBuild): // only a build whose lease ran out is dropped by others
		return fmt.Errorf("%w: %w", projections.ErrLeaseLost, err)
	case err != nil:
		return err
	case b.State == projections.BuildRetired:
		return projections.ErrSuperseded
	case b.CancelledBy != "":
		return fmt.Errorf("%w by %s", projections.ErrCancelled, b.CancelledBy)
	case b.Lease.Token != lease.Token:
		return fmt.Errorf("%w: token %d was given to %s, ours is %d", projections.ErrLeaseLost, b.Lease.Token, b.Lease.Holder, lease.Token)
	}
	return nil
}

// alone keeps every other act on projection waiting until the transaction ends. Pages are no acts: they lock the one row of
// their build. Whoever locks both locks this first.
func (db *DB) alone(ctx context.Context, tx pgx.Tx, projection string) error {
	_, err := tx.Exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))",
		"gxpledger projection "+db.options.Schema+"."+projection)
	return err
}

// nextToken gives a token that was never given for projection, and higher than all before. REQUIRES: alone.
func (db *DB) nextToken(ctx context.Context, tx pgx.Tx, projection string) (uint64, error) {
	var token int64
	err := tx.QueryRow(ctx, db.sql.nextToken, projection).Scan(&token)
	return uint64(token), err //nolint:gosec // counts from 1
}

func (db *DB) newLease(ctx context.Context, tx pgx.Tx, ref projections.Ref, claim projections.Claim) (projections.Lease, error) {
	token, err := db.nextToken(ctx, tx, ref.Projection)
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
		err = db.write(ctx, func(tx pgx.Tx) (err error) {
			b, err = db.acquire(ctx, tx, ref, claim)
			return err
		})
	}
	if err != nil {
		return projections.Build{}, fmt.Errorf("lease %s build %d: %w", ref.Projection, ref.Number, err)
	}
	return b, nil
}

func (db *DB) acquire(ctx context.Context, tx pgx.Tx, ref projections.Ref, claim projections.Claim) (projections.Build, error) {
	if err := db.alone(ctx, tx, ref.Projection); err != nil {
		return projections.Build{}, err
	}
	b, err := db.build(ctx, tx, ref, "FOR UPDATE")
	if err != nil {
		return b, err
	}
	switch {
	case b.State == projections.BuildRetired:
		return b, projections.ErrSuperseded
	case b.CancelledBy != "":
		return b, fmt.Errorf("%w by %s", projections.ErrCancelled, b.CancelledBy)
	}
	if err := db.paused(ctx, tx, b); err != nil {
		return b, err
	}
	if err := db.leasedNow(b); err != nil {
		return b, err
	}
	return db.take(ctx, tx, b, claim)
}

// take gives b to claim. REQUIRES: alone.
func (db *DB) take(ctx context.Context, tx pgx.Tx, b projections.Build, claim projections.Claim) (projections.Build, error) {
	var err error
	if b.Lease, err = db.newLease(ctx, tx, b.Ref, claim); err != nil {
		return b, err
	}
	b.Since = projections.Since{At: db.options.Now(), Position: b.Checkpoint.Position}
	_, err = tx.Exec(ctx, db.sql.take, b.Projection, b.Number, claim.Holder, int64(b.Lease.Token), claim.TTL, b.Lease.Expires, b.Since.At) //nolint:gosec // tokens stay far below 2^63
	return b, err
}

// Renew implements [projections.Leaser].
func (db *DB) Renew(ctx context.Context, lease projections.Lease) (projections.Lease, error) {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		lease.Expires = db.options.Now().Add(lease.TTL)
		return db.prove(ctx, tx, lease)
	})
	if err != nil {
		return lease, fmt.Errorf("renew lease of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return lease, nil
}

// prolong moves the end of a lease. It fails unless the token is the last one that was given.
func (db *DB) prolong(ctx context.Context, tx pgx.Tx, lease projections.Lease) error {
	done, err := tx.Exec(ctx, db.sql.prolong, lease.Projection, lease.Number, int64(lease.Token), lease.Expires) //nolint:gosec // tokens stay far below 2^63
	if err == nil && done.RowsAffected() != 1 {
		err = projections.ErrLeaseLost
	}
	return err
}

// Release implements [projections.Leaser]. The build gets a token that nobody holds, so that a renewal under way cannot
// bring the lease back to life, and a time that is past by every clock.
func (db *DB) Release(ctx context.Context, lease projections.Lease) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		if err := db.alone(ctx, tx, lease.Projection); err != nil {
			return err
		}
		token, err := db.nextToken(ctx, tx, lease.Projection)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // there never was such a projection
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, db.sql.release, lease.Projection, lease.Number, int64(lease.Token), time.Unix(0, 0), int64(token)) //nolint:gosec // tokens stay far below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("release lease of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// SaveFault implements [projections.Writer].
func (db *DB) SaveFault(ctx context.Context, lease projections.Lease, fault projections.Fault) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		if _, err := db.leased(ctx, tx, lease); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, db.sql.saveFault, lease.Projection, lease.Number, int64(lease.Token), //nolint:gosec // tokens stay far below 2^63
			int64(fault.Position), fault.Event, storable(fault.Type), storable(fault.Text), fault.At) //nolint:gosec // positions stay far below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("record fault of %s build %d: %w", lease.Projection, lease.Number, err)
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
		var position int64
		err := row.Scan(&b.Projection, &b.Number, &b.Checkpoint.Version, &b.State, &b.Checkpoint.Log, &position, &b.Checkpoint.Event, &b.UpdatedAt)
		b.Checkpoint.Position, b.Lease.Ref, b.UpdatedAt = eventstore.Position(position), b.Ref, b.UpdatedAt.UTC() //nolint:gosec // a CHECK keeps it from being negative
		return b, err
	})
}
