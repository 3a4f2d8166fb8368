package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/projections"
)

// FinishBuild implements [projections.Builder]. It works in steps, so that a live projection can write in between; each
// prolongs the lease.
func (db *DB) FinishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	err := db.finishBuild(ctx, lease, p)
	db.forgetPlan(lease.Ref) // whoever writes next finds keys and indexes, or begins anew
	if err != nil {
		return fmt.Errorf("finish %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

func (db *DB) finishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	var steps [][]string
	err := db.step(ctx, lease, func(inside context.Context, tx *sql.Conn) (err error) {
		steps, err = finishingSteps(inside, tx, p, lease.Number)
		return err
	})
	if err != nil {
		return err
	}
	for _, queries := range steps {
		err := db.step(ctx, lease, func(_ context.Context, tx *sql.Conn) error {
			for _, query := range queries {
				if _, err := tx.ExecContext(ctx, query); err != nil { // ctx, so that a long one can be cancelled
					return fmt.Errorf("%s: %w", query, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return db.step(ctx, lease, func(inside context.Context, tx *sql.Conn) error {
		for _, t := range p.Tables {
			if err := checkForeign(ctx, tx, physical(t.Name, lease.Number)); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(inside, "UPDATE projection_builds SET state = 'ready' WHERE projection = ? AND build = ? AND state = 'filling'",
			lease.Projection, lease.Number)
		return err
	})
}

// stepRows is how many rows one step of finishing may go over before others get their turn: about 20 ms. A larger table
// takes a step for each of its indexes; the many small ones of a first scan share one.
const stepRows = 20_000

// finishingSteps returns the statements that finish a build, those of one transaction each together.
func finishingSteps(ctx context.Context, q queries, p projections.Projection, build int) ([][]string, error) {
	var steps [][]string
	room := int64(0) // what is left of stepRows in the last step
	for _, t := range p.Tables {
		var last int64
		err := q.QueryRowContext(ctx, "SELECT coalesce(max(rowid), 0) FROM "+quote(physical(t.Name, build))).Scan(&last)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", t.Name, err)
		}
		for _, query := range finishing(t, build) {
			if room -= last; room < 0 || len(steps) == 0 {
				steps, room = append(steps, nil), stepRows-last
			}
			steps[len(steps)-1] = append(steps[len(steps)-1], query)
		}
	}
	return steps, nil
}

func finishing(t projections.Table, build int) []string {
	var queries []string
	if key := createKey(t, build); key != "" {
		queries = append(queries, key)
	}
	for i, index := range t.Indexes {
		if !index.Words { // the query is a scan
			queries = append(queries, createIndex(t, build, i))
		}
	}
	return append(queries, createGuards(t, build)...)
}

// step runs body in a transaction, for the holder of the lease alone, and prolongs the lease.
func (db *DB) step(ctx context.Context, lease projections.Lease, body func(inside context.Context, tx *sql.Conn) error) error {
	return db.write(ctx, db.bulk, func(inside context.Context, tx *sql.Conn) error {
		if _, err := leased(inside, tx, lease); err != nil {
			return err
		}
		if err := body(inside, tx); err != nil {
			return err
		}
		lease.Expires = db.options.Now().Add(lease.TTL)
		return storeLease(inside, tx, lease)
	})
}

// checkForeign returns ErrRefused when a row of the table refers to none.
func checkForeign(ctx context.Context, q queries, table string) error {
	var row sql.NullInt64
	var parent string
	err := q.QueryRowContext(ctx, `SELECT "rowid", "parent" FROM pragma_foreign_key_check(?)`, table).Scan(&row, &parent)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check foreign keys of %s: %w", table, err)
	}
	return fmt.Errorf("%w: row %d of %s refers to a row that %s does not have", projections.ErrRefused, row.Int64, table, parent)
}

// ActivateBuild implements [projections.Builder].
func (db *DB) ActivateBuild(ctx context.Context, lease projections.Lease, a projections.Activation) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		b, err := leased(ctx, tx, lease)
		if err != nil {
			return err
		}
		if b.State != projections.BuildReady {
			return fmt.Errorf("%w: build is %s, want %s", projections.ErrInvalid, b.State, projections.BuildReady)
		}
		if a.Act == nil {
			if err := unheld(ctx, tx, b.Projection); err != nil {
				return err
			}
		}
		if err := retire(ctx, tx, b, a.Replace); err != nil {
			return err
		}
		if err := showViews(ctx, tx, b.Ref); err != nil {
			return err
		}
		if err := storeDigests(ctx, tx, b.Ref, a); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE projection_builds SET state = 'active', revived = 0, activated_at = ? WHERE projection = ? AND build = ?",
			stamp(db.options.Now()), b.Projection, b.Number)
		if err != nil || a.Act == nil {
			return err
		}
		return keepAct(ctx, tx, projections.KeptAct{Ref: b.Ref, Act: *a.Act})
	})
	if err != nil {
		return fmt.Errorf("activate %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// retire takes the active build out of sight, unless it is ahead of b: readers never go back (I7).
func retire(ctx context.Context, tx *sql.Conn, b projections.Build, replace *projections.Checkpoint) error {
	active, err := builds(ctx, tx, b.Projection, "AND state = 'active'")
	if err != nil || len(active) == 0 {
		return err
	}
	old := active[0]
	sameLog := old.Checkpoint.Log == b.Checkpoint.Log || old.Checkpoint.Position == 0
	ahead := !sameLog || old.Checkpoint.Position > b.Checkpoint.Position
	if ahead && (replace == nil || *replace != old.Checkpoint) {
		return fmt.Errorf("%w: build %d is at position %d of log %s, this one at %d of %s", projections.ErrBehind,
			old.Number, old.Checkpoint.Position, old.Checkpoint.Log, b.Checkpoint.Position, b.Checkpoint.Log)
	}
	names, err := strings1(ctx, tx, "SELECT name FROM build_tables WHERE projection = ? AND build = ?", old.Projection, old.Number)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, "DROP VIEW IF EXISTS "+quote(name)); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE projection_builds SET state = 'retired' WHERE projection = ? AND build = ?", old.Projection, old.Number)
	return err
}

func showViews(ctx context.Context, tx *sql.Conn, ref projections.Ref) error {
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
		if _, err := tx.ExecContext(ctx, view(name, behind, columns)); err != nil {
			return fmt.Errorf("view %s: %w", name, err)
		}
	}
	return nil
}

func storeDigests(ctx context.Context, tx *sql.Conn, ref projections.Ref, a projections.Activation) error {
	if len(a.Digests) > 0 { // of a build that was active before
		if _, err := tx.ExecContext(ctx, "DELETE FROM build_digests WHERE projection = ? AND build = ?", ref.Projection, ref.Number); err != nil {
			return err
		}
	}
	for i, d := range a.Digests {
		if _, err := tx.ExecContext(ctx, "INSERT INTO build_digests (projection, build, ordinal, name, position, row_count, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)",
			ref.Projection, ref.Number, i+1, d.Table, int64(a.At), d.Rows, d.SHA256); err != nil { //nolint:gosec // positions stay far below 2^63
			return fmt.Errorf("digest of %s: %w", d.Table, err)
		}
	}
	return nil
}
