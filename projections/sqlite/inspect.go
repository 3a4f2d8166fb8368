package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/gxpledger/gxpledger/internal/sqlitetx"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// Builds implements [projections.Database].
func (db *DB) Builds(ctx context.Context, projection string) ([]projections.Build, error) {
	found, err := readBuilds(ctx, db.read, projection, "")
	if err != nil {
		return nil, fmt.Errorf("cannot list builds of %s: %w", projection, translate(err))
	}
	now := db.options.Now()
	for i := range found {
		found[i].LeaseLeft = builds.LeaseLeft(found[i].Lease.Expires, now, found[i].Lease.TTL)
	}
	return found, nil
}

// Digests implements [projections.Database].
func (db *DB) Digests(ctx context.Context, ref projections.Ref) ([]projections.Digest, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT name, row_count, sha256 FROM build_digests WHERE projection = ? AND build = ? ORDER BY ordinal",
		ref.Projection, ref.Number)
	if err != nil {
		return nil, fmt.Errorf("cannot read digests of %s build %d: %w", ref.Projection, ref.Number, translate(err))
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []projections.Digest
	for rows.Next() {
		var d projections.Digest
		if err := rows.Scan(&d.Table, &d.Rows, &d.SHA256); err != nil {
			return nil, fmt.Errorf("cannot read digests of %s build %d: %w", ref.Projection, ref.Number, err)
		}
		found = append(found, d)
	}
	return found, translate(rows.Err())
}

// Inspect implements [projections.Database].
func (db *DB) Inspect(ctx context.Context, ref projections.Ref, look func(projections.Snapshot) error) error {
	if err := db.inspect(ctx, ref, look); err != nil {
		return fmt.Errorf("cannot inspect %s build %d: %w", ref.Projection, ref.Number, translate(err))
	}
	return nil
}

func (db *DB) inspect(ctx context.Context, ref projections.Ref, look func(projections.Snapshot) error) (err error) {
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return sqlitetx.On(conn).Read(ctx, func(ctx context.Context) error {
		b, err := build(ctx, conn, ref) // the first query decides what the transaction sees
		if err != nil {
			return err
		}
		return look(&snapshot{conn: conn, build: b})
	})
}

// snapshot is a read transaction.
type snapshot struct {
	conn  *sql.Conn
	build projections.Build
}

// Build implements [projections.Snapshot].
func (s *snapshot) Build() projections.Build { return s.build }

// Rows implements [projections.Snapshot]. It reads below database/sql, whose conversions would take most of the time.
func (s *snapshot) Rows(ctx context.Context, table projections.Table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		name := physical(table.Name, s.build.Number)
		query := "SELECT " + list(columnNames(table)) + " FROM " + quote(name) + " ORDER BY " + list(table.Key)
		stopped := false
		err := s.conn.Raw(func(c any) error {
			queryer, ok := c.(driver.QueryerContext)
			if !ok {
				return fmt.Errorf("driver connection %T cannot query", c)
			}
			rows, err := queryer.QueryContext(ctx, query, nil)
			if err != nil {
				return err
			}
			err = eachRow(rows, table, func(row []any) bool {
				stopped = !yield(row, nil)
				return !stopped
			})
			return errors.Join(err, rows.Close())
		})
		if err != nil && !stopped {
			yield(nil, fmt.Errorf("cannot read %s: %w", name, translate(err)))
		}
	}
}

func eachRow(rows driver.Rows, table projections.Table, use func(row []any) bool) error {
	stored := make([]driver.Value, len(table.Columns))
	row := make([]any, len(table.Columns))
	for {
		err := rows.Next(stored)
		if errors.Is(err, io.EOF) {
			return nil
		}
		for i := 0; err == nil && i < len(row); i++ {
			row[i], err = column(table.Columns[i], stored[i])
		}
		if err != nil {
			return err
		}
		if !use(row) {
			return nil
		}
	}
}
