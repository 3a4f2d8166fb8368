package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// FinishBuild implements [projections.Database]. It works in steps, so that a live projection can write in between; each
// prolongs the lease.
func (db *DB) FinishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	err := db.finishBuild(ctx, lease, p)
	db.forgetPlan(lease.Ref) // whoever writes next finds keys and indexes, or begins again
	if err != nil {
		return fmt.Errorf("cannot finish %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

func (db *DB) finishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	renew := func(s builds.State) (builds.State, error) {
		s, _, err := s.Renew(lease)
		return s, err
	}
	var steps [][]string
	err := db.step(ctx, lease, renew, func(inside context.Context, tx *sql.Conn) (err error) {
		steps, err = finishingSteps(inside, tx, p, lease.Number)
		return err
	})
	if err != nil {
		return err
	}
	for _, queries := range steps {
		err := db.step(ctx, lease, renew, func(_ context.Context, tx *sql.Conn) error {
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
	finish := func(s builds.State) (builds.State, error) { return s.Finish(lease) }
	return db.step(ctx, lease, finish, func(_ context.Context, tx *sql.Conn) error {
		for _, t := range p.Tables {
			if err := checkForeign(ctx, tx, physical(t.Name, lease.Number)); err != nil {
				return err
			}
		}
		return nil
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

func createIndex(t projections.Table, build, ordinal int) string {
	index := t.Indexes[ordinal]
	unique := ""
	if index.Unique {
		unique = "UNIQUE "
	}
	name := physical(t.Name, build)
	return fmt.Sprintf("CREATE %sINDEX IF NOT EXISTS %s ON %s (%s)",
		unique, quote(fmt.Sprintf("%s_i%d", name, ordinal+1)), quote(name), list(index.Columns))
}

// createGuards returns the triggers that make an append-only table refuse UPDATE and DELETE (I10), and the INSERT OR
// REPLACE that would delete without firing a DELETE trigger.
func createGuards(t projections.Table, build int) []string {
	if !t.AppendOnly {
		return nil
	}
	name := physical(t.Name, build)
	refuse := func(event, when string) string {
		return fmt.Sprintf("CREATE TRIGGER IF NOT EXISTS %s BEFORE %s ON %s %s\nBEGIN SELECT RAISE(ABORT, '%s is append-only'); END",
			quote(name+"_no_"+strings.ToLower(event)), event, quote(name), when, t.Name)
	}
	same := make([]string, len(t.Key))
	for i, k := range t.Key {
		same[i] = quote(k) + " = NEW." + quote(k)
	}
	held := fmt.Sprintf("WHEN EXISTS (SELECT 1 FROM %s WHERE %s)", quote(name), strings.Join(same, " AND "))
	return []string{refuse("UPDATE", ""), refuse("DELETE", ""), refuse("INSERT", held)}
}

// step runs body in a transaction, for the holder of the lease alone, and then stores what next makes of its build.
func (db *DB) step(
	ctx context.Context, lease projections.Lease, next func(builds.State) (builds.State, error), body func(inside context.Context, tx *sql.Conn) error,
) error {
	return db.write(ctx, db.bulk, func(inside context.Context, tx *sql.Conn) error {
		_, before, err := db.load(inside, tx, lease.Projection, lease.Number)
		if err == nil {
			_, err = before.Allows(lease)
		}
		if err == nil {
			err = body(inside, tx)
		}
		if err != nil {
			return err
		}
		before.LeaseNow = db.options.Now() // body may have taken long
		after, err := next(before)
		if err != nil {
			return err
		}
		return db.store(inside, tx, before, projections.Decision{State: after})
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
		return fmt.Errorf("cannot check foreign keys of %s: %w", table, err)
	}
	return fmt.Errorf("%w: row %d of %s refers to a row that %s does not have", projections.ErrRefused, row.Int64, table, parent)
}
