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

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
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
		_ = s.tx.Rollback(context.WithoutCancel(ctx)) // what is missing is asked outside it
		return translate(ctx, db.explain(ctx, conn.Conn(), err))
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

// queries is what reading needs: a *pgx.Conn or a pgx.Tx.
type queries interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// scanBuild reads a row of statements.builds.
func scanBuild(row pgx.CollectableRow) (projections.Build, error) {
	var b projections.Build
	var faultPosition *int64
	var faultEvent *uuid.UUID
	var faultType, faultText, cancelled *string
	var faultAt *time.Time
	var now time.Time
	err := row.Scan(&b.Projection, &b.Number, &b.Checkpoint.Version, &b.State, &b.Checkpoint.Log, &b.Checkpoint.Position, &b.Checkpoint.Event,
		&b.Lease.Holder, &b.Lease.Token, &b.Lease.TTL, &b.Lease.Expires, &now, &b.CreatedAt, &b.UpdatedAt, &b.Since.At, &b.Since.Position, &cancelled,
		&faultPosition, &faultEvent, &faultType, &faultText, &faultAt,
		&b.Checkpoint.Stream, &b.Checkpoint.Revision)
	if err != nil {
		return b, err
	}
	b.LeaseLeft = builds.LeaseLeft(b.Lease.Expires, now, b.Lease.TTL)
	b.Lease.Ref, b.Point = b.Ref, b.Checkpoint.Point()
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

// leaseClock is the parameter for the clock of leases: NULL for the server's.
func (db *DB) leaseClock() *time.Time {
	if db.options.LeaseClock == nil {
		return nil
	}
	now := db.options.LeaseClock()
	return &now
}

// readBuilds reads the builds of projection that where chooses, whose parameters count from 3.
func (db *DB) readBuilds(ctx context.Context, q queries, projection, where string, args ...any) ([]projections.Build, error) {
	rows, err := q.Query(ctx, db.sql.builds+where, append([]any{projection, db.leaseClock()}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBuild)
}

// build reads one build.
func (db *DB) build(ctx context.Context, q queries, ref projections.Ref) (projections.Build, error) {
	found, err := db.readBuilds(ctx, q, ref.Projection, " AND build = $3", ref.Number)
	if err != nil {
		return projections.Build{}, err
	}
	if len(found) == 0 {
		return projections.Build{}, fmt.Errorf("%s build %d: %w", ref.Projection, ref.Number, projections.ErrNoBuild)
	}
	return found[0], nil
}

// storable is a text of somebody else as the server can hold it.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// SaveFault implements [projections.Database].
func (db *DB) SaveFault(ctx context.Context, lease projections.Lease, fault projections.Fault) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		_, s, err := db.load(ctx, tx, lease.Projection, lease.Number)
		if err == nil {
			_, err = s.Allows(lease)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, db.sql.saveFault, lease.Projection, lease.Number, int64(lease.Token), //nolint:gosec // tokens stay far below 2^63
			int64(fault.Position), fault.Event, storable(fault.Type), storable(fault.Text), fault.At) //nolint:gosec // positions stay far below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot record fault of %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// Paused implements [projections.Database].
func (db *DB) Paused(ctx context.Context, projection string) (*projections.Pause, error) {
	var pause *projections.Pause
	err := db.look(ctx, func(conn *pgx.Conn) (err error) {
		pause, err = db.loadPause(ctx, conn, projection)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the pause of %s: %w", projection, err)
	}
	return pause, nil
}

func (db *DB) loadPause(ctx context.Context, q queries, projection string) (*projections.Pause, error) {
	return scanPause(q.QueryRow(ctx, db.sql.loadPause, projection))
}

// scanPause reads a hold, nil when there is none.
func scanPause(row pgx.Row) (*projections.Pause, error) {
	var pause projections.Pause
	err := row.Scan(&pause.By, &pause.Reason, &pause.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // none, as documented
	}
	pause.At = pause.At.UTC()
	return &pause, err
}

// Outbox implements [projections.Database].
func (db *DB) Outbox(ctx context.Context) ([]projections.OutboxEntry, error) {
	var found []projections.OutboxEntry
	err := db.look(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, db.sql.outbox)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (projections.OutboxEntry, error) {
			var kept projections.OutboxEntry
			var action []byte
			if err := row.Scan(&kept.Projection, &kept.Number, &action); err != nil {
				return kept, err
			}
			return kept, json.Unmarshal(action, &kept.Action)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the outbox: %w", err)
	}
	return found, nil
}

// RemoveOutboxEntry implements [projections.Database].
func (db *DB) RemoveOutboxEntry(ctx context.Context, id string) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, db.sql.removeOutboxEntry, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot remove admin action %s from the outbox: %w", id, err)
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
		err := row.Scan(&b.Projection, &b.Number, &b.Checkpoint.Version, &b.State, &b.Checkpoint.Log, &b.Checkpoint.Position,
			&b.Checkpoint.Event, &b.UpdatedAt, &b.Checkpoint.Stream, &b.Checkpoint.Revision)
		b.Lease.Ref, b.UpdatedAt = b.Ref, b.UpdatedAt.UTC()
		return b, err
	})
}
