package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// CreateBuild implements [projections.Builder].
func (db *DB) CreateBuild(ctx context.Context, p projections.Projection, claim projections.Claim) (projections.Lease, error) {
	var lease projections.Lease
	err := checkClaim(claim)
	if err == nil {
		err = p.Validate()
	}
	if err == nil {
		err = db.write(ctx, db.bulk, func(ctx context.Context, tx *sql.Conn) (err error) {
			lease, err = db.createBuild(ctx, tx, p, claim)
			return err
		})
	}
	if err != nil {
		return projections.Lease{}, fmt.Errorf("create build of %s: %w", p.Name, err)
	}
	return lease, nil
}

func (db *DB) createBuild(ctx context.Context, tx *sql.Conn, p projections.Projection, claim projections.Claim) (projections.Lease, error) {
	if err := db.dropRuins(ctx, tx, p.Name); err != nil {
		return projections.Lease{}, err
	}
	if err := checkNames(ctx, tx, p); err != nil {
		return projections.Lease{}, err
	}
	ref := projections.Ref{Projection: p.Name}
	err := tx.QueryRowContext(ctx, `
INSERT INTO projection_counters (projection, builds, tokens) VALUES (?, 1, 0)
ON CONFLICT (projection) DO UPDATE SET builds = builds + 1 RETURNING builds`, p.Name).Scan(&ref.Number)
	if err != nil {
		return projections.Lease{}, err
	}
	lease, err := db.newLease(ctx, tx, ref, claim)
	if err != nil {
		return lease, err
	}
	now := stamp(db.options.Now())
	if _, err := tx.ExecContext(ctx, `
INSERT INTO projection_builds (projection, build, version, state, log, position, event, holder, token, ttl, expires_at, created_at, updated_at, since_at)
VALUES (?, ?, ?, 'filling', ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)`,
		ref.Projection, ref.Number, p.Version, uuid.Nil.String(), uuid.Nil.String(), claim.Holder, int64(lease.Token), //nolint:gosec // tokens stay far below 2^63
		claim.TTL.Microseconds(), stamp(lease.Expires), now, now, now); err != nil {
		return lease, err
	}
	for i, t := range p.Tables {
		if err := createBuildTable(ctx, tx, ref, i+1, t); err != nil {
			return lease, err
		}
	}
	return lease, nil
}

// dropRuins drops unfinished builds that their makers left behind, and refuses while one of them is at work.
func (db *DB) dropRuins(ctx context.Context, tx *sql.Conn, projection string) error {
	ruins, err := builds(ctx, tx, projection, "AND state IN ('filling', 'ready')")
	if err != nil {
		return err
	}
	for _, b := range ruins {
		if err := db.leasedNow(b); err != nil {
			return err
		}
		if err := db.dismiss(ctx, tx, b); err != nil {
			return err
		}
	}
	return nil
}

// checkNames refuses a table whose name another projection or the database itself uses.
func checkNames(ctx context.Context, tx *sql.Conn, p projections.Projection) error {
	for _, t := range p.Tables {
		var owner string
		err := tx.QueryRowContext(ctx, `
SELECT coalesce(max(owner), '') FROM (
    SELECT projection AS owner FROM build_tables WHERE name = ?1 AND projection <> ?2
    UNION ALL SELECT 'the database itself' FROM sqlite_master WHERE name = ?1 AND type <> 'view')`, t.Name, p.Name).Scan(&owner)
		if err != nil {
			return err
		}
		if owner != "" {
			return fmt.Errorf("%w: table %s belongs to %s", projections.ErrInvalid, t.Name, owner)
		}
	}
	return nil
}

func createBuildTable(ctx context.Context, tx *sql.Conn, ref projections.Ref, ordinal int, t projections.Table) error {
	name := physical(t.Name, ref.Number)
	if _, err := tx.ExecContext(ctx, createTable(t, ref.Number)); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO build_tables (projection, build, ordinal, name, physical, append_only, doc) VALUES (?, ?, ?, ?, ?, ?, ?)",
		ref.Projection, ref.Number, ordinal, t.Name, name, bit(t.AppendOnly), t.Doc); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	for i, c := range t.Columns {
		if _, err := tx.ExecContext(ctx, "INSERT INTO build_columns (physical, ordinal, name, type, nullable, key_ordinal, doc) VALUES (?, ?, ?, ?, ?, ?, ?)",
			name, i+1, c.Name, typeName(c.Type), bit(c.Null), slices.Index(t.Key, c.Name)+1, c.Doc); err != nil {
			return fmt.Errorf("table %s: column %s: %w", name, c.Name, err)
		}
	}
	return nil
}

// dismiss drops an unfinished build, or retires it again when it was before.
func (db *DB) dismiss(ctx context.Context, tx *sql.Conn, b projections.Build) error {
	if !b.Revived {
		return db.drop(ctx, tx, b.Ref)
	}
	_, err := tx.ExecContext(ctx, "UPDATE projection_builds SET state = 'retired', revived = 0, cancelled_by = NULL WHERE projection = ? AND build = ?",
		b.Projection, b.Number)
	return err
}

// drop removes the tables of a build and what is recorded of it. REQUIRES: a connection that does not enforce foreign
// keys, or dropping a table would check every row.
func (db *DB) drop(ctx context.Context, tx *sql.Conn, ref projections.Ref) error {
	names, err := strings1(ctx, tx, "SELECT physical FROM build_tables WHERE projection = ? AND build = ? ORDER BY ordinal DESC", ref.Projection, ref.Number)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+quote(name)); err != nil {
			return fmt.Errorf("drop %s: %w", name, err)
		}
	}
	for _, query := range []string{
		"DELETE FROM build_columns WHERE physical IN (SELECT physical FROM build_tables WHERE projection = ? AND build = ?)",
		"DELETE FROM build_tables WHERE projection = ? AND build = ?",
		"DELETE FROM build_digests WHERE projection = ? AND build = ?",
		"DELETE FROM projection_builds WHERE projection = ? AND build = ?",
	} {
		if _, err := tx.ExecContext(ctx, query, ref.Projection, ref.Number); err != nil {
			return fmt.Errorf("drop %s build %d: %w", ref.Projection, ref.Number, err)
		}
	}
	db.forgetPlan(ref)
	return nil
}

// strings1 returns the one column of text that query selects.
func strings1(ctx context.Context, q queries, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, rows.Err()
}

// DropBuild implements [projections.Builder].
func (db *DB) DropBuild(ctx context.Context, lease projections.Lease) error {
	err := db.write(ctx, db.bulk, func(ctx context.Context, tx *sql.Conn) error {
		b, err := leased(ctx, tx, lease)
		if errors.Is(err, projections.ErrCancelled) && b.Lease.Token == lease.Token {
			err = nil // that is why it is dropped
		}
		if err != nil {
			return err
		}
		if b.State == projections.BuildActive {
			return projections.ErrBuildActive
		}
		return db.dismiss(ctx, tx, b)
	})
	if err != nil {
		return fmt.Errorf("drop %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// PruneBuilds implements [projections.Builder].
func (db *DB) PruneBuilds(ctx context.Context, projection string, keep int, act domain.AdminActed) ([]projections.Ref, error) {
	var pruned []projections.Ref
	err := db.write(ctx, db.bulk, func(ctx context.Context, tx *sql.Conn) error {
		retired, err := builds(ctx, tx, projection, "AND state = 'retired'")
		if err != nil {
			return err
		}
		for _, b := range retired[:max(0, len(retired)-max(0, keep))] {
			if err := db.drop(ctx, tx, b.Ref); err != nil {
				return err
			}
			pruned = append(pruned, b.Ref)
		}
		if len(pruned) == 0 {
			return nil
		}
		return keepAct(ctx, tx, projections.KeptAct{Ref: projections.Ref{Projection: projection}, Act: projections.PruneAct(act, pruned)})
	})
	if err != nil {
		return nil, fmt.Errorf("prune builds of %s: %w", projection, err)
	}
	return pruned, nil
}
