package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/gxpledger/gxpledger/projections"
)

// Builds implements [projections.Inspector].
func (db *DB) Builds(ctx context.Context, projection string) ([]projections.Build, error) {
	found, err := builds(ctx, db.read, projection, "")
	if err != nil {
		return nil, fmt.Errorf("list builds of %s: %w", projection, translate(err))
	}
	return found, nil
}

// Digests implements [projections.Inspector].
func (db *DB) Digests(ctx context.Context, ref projections.Ref) ([]projections.Digest, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT name, row_count, sha256 FROM build_digests WHERE projection = ? AND build = ? ORDER BY ordinal",
		ref.Projection, ref.Number)
	if err != nil {
		return nil, fmt.Errorf("read digests of %s build %d: %w", ref.Projection, ref.Number, translate(err))
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []projections.Digest
	for rows.Next() {
		var d projections.Digest
		if err := rows.Scan(&d.Table, &d.Rows, &d.SHA256); err != nil {
			return nil, fmt.Errorf("read digests of %s build %d: %w", ref.Projection, ref.Number, err)
		}
		found = append(found, d)
	}
	return found, translate(rows.Err())
}

// Inspect implements [projections.Inspector].
func (db *DB) Inspect(ctx context.Context, ref projections.Ref, look func(projections.Snapshot) error) (err error) {
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("inspect %s build %d: %w", ref.Projection, ref.Number, translate(err))
	}
	// Nothing was written: how the transaction ends does not matter, but a fault of it should be seen.
	defer func() {
		if end := tx.Rollback(); end != nil && !errors.Is(end, sql.ErrTxDone) {
			err = errors.Join(err, end)
		}
	}()
	b, err := build(ctx, tx, ref)
	if err != nil {
		return fmt.Errorf("inspect: %w", translate(err))
	}
	return look(&snapshot{tx: tx, build: b})
}

// snapshot is a read transaction: its first query fixed what it sees.
type snapshot struct {
	tx    *sql.Tx
	build projections.Build
}

// Build implements [projections.Snapshot].
func (s *snapshot) Build() projections.Build { return s.build }

// Rows implements [projections.Snapshot].
func (s *snapshot) Rows(ctx context.Context, table projections.Table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		name := physical(table.Name, s.build.Number)
		query := fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", list(columnNames(table)), quote(name), list(table.Key))
		rows, err := s.tx.QueryContext(ctx, query)
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", name, translate(err)))
			return
		}
		defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
		stored := make([]any, len(table.Columns))
		targets := make([]any, len(stored))
		for i := range stored {
			targets[i] = &stored[i]
		}
		row := make([]any, len(stored))
		for rows.Next() {
			err := rows.Scan(targets...)
			for i := 0; err == nil && i < len(row); i++ {
				row[i], err = column(table.Columns[i], stored[i])
			}
			if err != nil {
				yield(nil, fmt.Errorf("read %s: %w", name, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, fmt.Errorf("read %s: %w", name, translate(err)))
		}
	}
}
