package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/projections"
)

// Builds implements [projections.Database].
func (db *DB) Builds(ctx context.Context, projection string) ([]projections.Build, error) {
	var found []projections.Build
	err := db.look(ctx, func(conn *pgx.Conn) (err error) {
		if db.writer == nil {
			found, err = db.catalogued(ctx, conn, projection)
		} else {
			found, err = db.readBuilds(ctx, conn, projection, " ORDER BY build")
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list builds of %s: %w", projection, err)
	}
	return found, nil
}

// Digests implements [projections.Database].
func (db *DB) Digests(ctx context.Context, ref projections.Ref) ([]projections.Digest, error) {
	var found []projections.Digest
	err := db.look(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, db.sql.digests, ref.Projection, ref.Number)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (projections.Digest, error) {
			var d projections.Digest
			err := row.Scan(&d.Table, &d.Rows, &d.SHA256)
			return d, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read digests of %s build %d: %w", ref.Projection, ref.Number, err)
	}
	return found, nil
}

// Inspect implements [projections.Database]. It holds a connection while look runs.
func (db *DB) Inspect(ctx context.Context, ref projections.Ref, look func(projections.Snapshot) error) error {
	if err := db.inspect(ctx, ref, look); err != nil {
		return fmt.Errorf("cannot inspect %s build %d: %w", ref.Projection, ref.Number, err)
	}
	return nil
}

func (db *DB) inspect(ctx context.Context, ref projections.Ref, look func(projections.Snapshot) error) error {
	var s *snapshot
	err := db.look(ctx, func(conn *pgx.Conn) error {
		tables, err := db.tables(ctx, conn, ref)
		if err == nil {
			s = &snapshot{db: db, locks: make([]string, len(tables))}
		}
		for i, t := range tables {
			s.locks[i] = db.sql.in(t.physical)
		}
		return err
	})
	if err != nil {
		return err
	}
	conn, err := pg.Acquire(ctx, db.read)
	if err != nil {
		return translate(ctx, err)
	}
	defer conn.Release()
	if s.tx, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return translate(ctx, err)
	}
	defer func() { _ = s.tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was written
	if err := s.begin(ctx, ref); err != nil {
		return translate(ctx, err)
	}
	return look(s)
}

// snapshot is a read transaction.
type snapshot struct {
	db    *DB
	tx    pgx.Tx
	locks []string // tables of the build, quoted
	build projections.Build
}

// begin decides what the transaction sees. The tables are locked before, so that they cannot be dropped meanwhile.
func (s *snapshot) begin(ctx context.Context, ref projections.Ref) error {
	if len(s.locks) > 0 {
		_, err := s.tx.Exec(ctx, "LOCK TABLE "+strings.Join(s.locks, ", ")+" IN ACCESS SHARE MODE")
		if pg.HasCode(err, pg.CodeUndefinedTable) {
			return fmt.Errorf("%w: it was dropped: %w", projections.ErrNoBuild, errors.Unwrap(err))
		}
		if err != nil {
			return err
		}
	}
	var err error
	s.build, err = s.db.build(ctx, s.tx, ref)
	return err
}

// Build implements [projections.Snapshot].
func (s *snapshot) Build() projections.Build { return s.build }

// Rows implements [projections.Snapshot]. The server sends the rows as they are asked for; they are decoded here, without
// what the driver would do for each value.
func (s *snapshot) Rows(ctx context.Context, table projections.Table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		name := physical(table.Name, s.build.Number)
		rows, err := s.tx.Query(ctx, "SELECT "+list(columnNames(table))+" FROM "+s.db.sql.in(name)+" ORDER BY "+list(table.Key))
		if err != nil {
			yield(nil, fmt.Errorf("cannot read %s: %w", name, translate(ctx, err)))
			return
		}
		defer rows.Close()
		row := make([]any, len(table.Columns))
		for rows.Next() {
			if err := decodeRow(row, rows, table.Columns); err != nil {
				yield(nil, fmt.Errorf("cannot read %s: %w", name, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, fmt.Errorf("cannot read %s: %w", name, translate(ctx, err)))
		}
	}
}

func decodeRow(row []any, rows pgx.Rows, columns []projections.Column) error {
	fields, raw := rows.FieldDescriptions(), rows.RawValues()
	for i, c := range columns {
		var err error
		if row[i], err = decode(c, fields[i], raw[i]); err != nil {
			return err
		}
	}
	return nil
}

// epoch is where times of the server begin.
func epoch() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// decode turns what the server sent for column c into a value of its type.
func decode(c projections.Column, field pgconn.FieldDescription, raw []byte) (any, error) {
	if raw == nil {
		return nil, nil //nolint:nilnil // nil is the value, NULL
	}
	binaryForm := field.Format == pgx.BinaryFormatCode
	switch c.Type {
	case projections.Text:
		return string(raw), nil
	case projections.JSON:
		return json.RawMessage(append([]byte(nil), raw...)), nil
	case projections.Integer:
		if binaryForm && len(raw) == 8 {
			return int64(binary.BigEndian.Uint64(raw)), nil //nolint:gosec // bits
		}
	case projections.Boolean:
		if binaryForm && len(raw) == 1 {
			return raw[0] != 0, nil
		}
	case projections.Timestamp:
		if binaryForm && len(raw) == 8 {
			microseconds := int64(binary.BigEndian.Uint64(raw)) //nolint:gosec // bits
			at := time.UnixMicro(epoch().UnixMicro() + microseconds).UTC()
			return at.Format(projections.TimestampLayout), nil
		}
	}
	return nil, fmt.Errorf("column %s: the server sent %d bytes of type %d, which is not a value of its type", c.Name, len(raw), field.DataTypeOID)
}
