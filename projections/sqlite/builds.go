package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// load reads what the rules of builds need: of the one build that is named, of all of projection when it is 0. The
// transaction has the lock of the file.
func (db *DB) load(ctx context.Context, tx *sql.Conn, projection string, number int) ([]projections.Build, builds.State, error) {
	s := builds.State{Projection: projection, Now: db.options.Now()}
	s.LeaseNow = s.Now
	found, err := readBuilds(ctx, tx, projection, "AND ?2 IN (0, build)", number)
	if err != nil {
		return nil, s, err
	}
	for _, b := range found {
		s.Builds = append(s.Builds, b.Build)
	}
	if s.Paused, err = loadPause(ctx, tx, projection); err != nil || number > 0 {
		return found, s, err
	}
	err = tx.QueryRowContext(ctx, "SELECT builds, tokens FROM projection_counters WHERE projection = ?", projection).Scan(&s.Numbers, &s.Tokens)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return found, s, err
}

// ChangeBuilds implements [projections.Database].
func (db *DB) ChangeBuilds(ctx context.Context, projection string, decide func(builds.State) (projections.Decision, error)) (found []projections.Build, err error) {
	var held *projections.LeaseHeldError
	err = db.write(ctx, db.bulk, func(ctx context.Context, tx *sql.Conn) error {
		var before builds.State
		var err error
		if found, before, err = db.load(ctx, tx, projection, 0); err != nil {
			return err
		}
		d, err := decide(before)
		if errors.As(err, &held) {
			return db.store(ctx, tx, before, projections.Decision{State: d.State})
		}
		if err != nil {
			return err
		}
		return db.store(ctx, tx, before, d)
	})
	if err == nil && held != nil {
		err = held
	}
	return found, err
}

// store writes what a decision changes. REQUIRES: a connection that does not enforce foreign keys, or dropping a table would
// check every row.
func (db *DB) store(ctx context.Context, tx *sql.Conn, before builds.State, d projections.Decision) error {
	c := builds.Diff(before, d.State)
	if c.Counters {
		if _, err := tx.ExecContext(ctx, `INSERT INTO projection_counters (projection, builds, tokens) VALUES (?, ?, ?)
			ON CONFLICT (projection) DO UPDATE SET builds = excluded.builds, tokens = excluded.tokens`, d.State.Projection, d.State.Numbers, d.State.Tokens); err != nil {
			return err
		}
	}
	for _, b := range c.Dropped {
		if err := db.drop(ctx, tx, b.Ref); err != nil {
			return err
		}
	}
	for _, b := range c.Created {
		if err := create(ctx, tx, b, d.Tables); err != nil {
			return err
		}
	}
	for _, b := range c.Updated {
		if _, err := tx.ExecContext(ctx, `UPDATE projection_builds
			SET state = ?, holder = ?, token = ?, ttl = ?, expires_at = ?, since_at = nullif(?, ''), since_position = ?, cancelled_by = nullif(?, '')
			WHERE projection = ? AND build = ?`,
			b.State, b.Lease.Holder, b.Lease.Token, b.Lease.TTL.Microseconds(), stamp(b.Lease.Expires), stampOrNone(b.Since.At), b.Since.Position, b.CancelledBy,
			b.Projection, b.Number); err != nil {
			return err
		}
	}
	if c.Activated != nil {
		if err := activate(ctx, tx, c, d); err != nil {
			return err
		}
	}
	if c.Pause {
		if err := storePause(ctx, tx, d.State); err != nil {
			return err
		}
	}
	if d.Outbox == nil {
		return nil
	}
	action, err := json.Marshal(d.Outbox.Action)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
INSERT INTO kept_acts (id, projection, build, act) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET projection = excluded.projection, build = excluded.build, act = excluded.act`,
		d.Outbox.Action.ID, d.Outbox.Projection, d.Outbox.Number, string(action))
	return err
}

// stampOrNone is stamp, but "" for no time.
func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

func create(ctx context.Context, tx *sql.Conn, b builds.Build, tables []projections.Table) error {
	if err := checkNames(ctx, tx, b.Projection, tables); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
INSERT INTO projection_builds (projection, build, version, state, log, position, event, holder, token, ttl, expires_at, created_at, updated_at, since_at)
VALUES (?1, ?2, ?3, ?4, ?5, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)`,
		b.Projection, b.Number, b.Point.Version, b.State, uuid.Nil.String(), b.Lease.Holder, b.Lease.Token,
		b.Lease.TTL.Microseconds(), stamp(b.Lease.Expires), stamp(b.CreatedAt), stamp(b.Since.At)); err != nil {
		return err
	}
	for i, t := range tables {
		if err := createBuildTable(ctx, tx, b.Ref, i+1, t); err != nil {
			return err
		}
	}
	return nil
}

// activate points the views to the tables of the build that becomes active, and stores the evidence of it.
func activate(ctx context.Context, tx *sql.Conn, c builds.Changes, d projections.Decision) error {
	if c.Retired != nil {
		names, err := strings1(ctx, tx, "SELECT name FROM build_tables WHERE projection = ? AND build = ?", c.Retired.Projection, c.Retired.Number)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, err := tx.ExecContext(ctx, "DROP VIEW IF EXISTS "+quote(name)); err != nil {
				return err
			}
		}
	}
	ref := c.Activated.Ref
	tables, err := strings1(ctx, tx, "SELECT name FROM build_tables WHERE projection = ? AND build = ? ORDER BY ordinal", ref.Projection, ref.Number)
	if err != nil {
		return err
	}
	for _, name := range tables {
		behind := physical(name, ref.Number)
		columns, err := strings1(ctx, tx, "SELECT name FROM build_columns WHERE physical = ? ORDER BY ordinal", behind)
		if err != nil {
			return err
		}
		if err := clearName(ctx, tx, name, ref.Number); err != nil {
			return fmt.Errorf("view %s: %w", name, err)
		}
		if _, err := tx.ExecContext(ctx, view(name, behind, columns)); err != nil {
			return fmt.Errorf("view %s: %w", name, err)
		}
	}
	for i, digest := range d.Digests {
		if _, err := tx.ExecContext(ctx, "INSERT INTO build_digests (projection, build, ordinal, name, position, row_count, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)",
			ref.Projection, ref.Number, i+1, digest.Table, uint64(d.At), digest.Rows, digest.SHA256); err != nil {
			return fmt.Errorf("digest of %s: %w", digest.Table, err)
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE projection_builds SET activated_at = ? WHERE projection = ? AND build = ?", stamp(d.State.Now), ref.Projection, ref.Number)
	return err
}

// clearName removes what is in the place of a view, whoever made it: another view and an index are dropped, and a table is put
// aside under a name of its own, since its rows may be nowhere else.
func clearName(ctx context.Context, tx *sql.Conn, name string, build int) error {
	var kind string
	err := tx.QueryRowContext(ctx, "SELECT type FROM sqlite_schema WHERE name = ? AND type <> 'trigger'", name).Scan(&kind)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case kind == "table":
		_, err = tx.ExecContext(ctx, "ALTER TABLE "+quote(name)+" RENAME TO "+quote(projections.AsideName(name, build)))
	default:
		_, err = tx.ExecContext(ctx, "DROP "+strings.ToUpper(kind)+" "+quote(name))
	}
	return err
}

func storePause(ctx context.Context, tx *sql.Conn, s builds.State) error {
	if s.Paused == nil {
		_, err := tx.ExecContext(ctx, "DELETE FROM projection_holds WHERE projection = ?", s.Projection)
		return err
	}
	_, err := tx.ExecContext(ctx, `
INSERT INTO projection_holds (projection, held_by, reason, held_at) VALUES (?, ?, ?, ?)
ON CONFLICT (projection) DO UPDATE SET held_by = excluded.held_by, reason = excluded.reason, held_at = excluded.held_at`,
		s.Projection, s.Paused.By, s.Paused.Reason, stamp(s.Paused.At))
	return err
}

// checkNames refuses a table whose name another projection or the database itself uses. Of a projection that had builds before, its
// names were its own: what has one now was put there since, and is cleared away.
func checkNames(ctx context.Context, tx *sql.Conn, projection string, tables []projections.Table) error {
	for _, t := range tables {
		var owner string
		err := tx.QueryRowContext(ctx, `
SELECT coalesce(max(owner), '') FROM (
    SELECT projection AS owner FROM build_tables WHERE name = ?1 AND projection <> ?2
    UNION ALL SELECT 'the database itself' FROM sqlite_master WHERE name = ?1 AND type <> 'view'
        AND NOT EXISTS (SELECT 1 FROM projection_counters WHERE projection = ?2 AND builds > 1))`, t.Name, projection).Scan(&owner)
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
	// The number was never given before: what has the name is left of a build that nothing is recorded of.
	if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+quote(name)); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	if _, err := tx.ExecContext(ctx, createTable(t, ref.Number)); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO build_tables (projection, build, ordinal, name, physical, append_only, doc) VALUES (?, ?, ?, ?, ?, ?, ?)",
		ref.Projection, ref.Number, ordinal, t.Name, name, bit(t.AppendOnly), t.Doc); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	for i, c := range t.Columns {
		if _, err := tx.ExecContext(ctx, "INSERT INTO build_columns (physical, ordinal, name, type, nullable, key_ordinal, doc) VALUES (?, ?, ?, ?, ?, ?, ?)",
			name, i+1, c.Name, c.Type.String(), bit(c.Null), slices.Index(t.Key, c.Name)+1, c.Doc); err != nil {
			return fmt.Errorf("table %s: column %s: %w", name, c.Name, err)
		}
	}
	return nil
}

// drop removes the tables of a build and what is recorded of it. REQUIRES: as store.
func (db *DB) drop(ctx context.Context, tx *sql.Conn, ref projections.Ref) error {
	// By the catalogue of any build: that of this one may be lost.
	names, err := strings1(ctx, tx, `SELECT name || '__b' || ?2 FROM build_tables WHERE projection = ?1
		GROUP BY name ORDER BY max(ordinal) DESC`, ref.Projection, ref.Number)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+quote(name)); err != nil {
			return fmt.Errorf("cannot drop %s: %w", name, err)
		}
	}
	for _, query := range []string{
		"DELETE FROM build_columns WHERE physical IN (SELECT physical FROM build_tables WHERE projection = ? AND build = ?)",
		"DELETE FROM build_tables WHERE projection = ? AND build = ?",
		"DELETE FROM build_digests WHERE projection = ? AND build = ?",
		"DELETE FROM projection_builds WHERE projection = ? AND build = ?",
	} {
		if _, err := tx.ExecContext(ctx, query, ref.Projection, ref.Number); err != nil {
			return fmt.Errorf("cannot drop %s build %d: %w", ref.Projection, ref.Number, err)
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
