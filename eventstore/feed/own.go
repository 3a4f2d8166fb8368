package feed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// ErrMoved says that a cursor is not where its consumer left it: another consumer moved it. The transaction must be rolled back.
var ErrMoved = errors.New("cursor was moved by another consumer")

// Tx is a transaction of a consumer's own database. [SQLTx] makes one of database/sql, and postgres.Tx in package feed/postgres one of pgx.
type Tx interface {
	// Exec runs a statement with the placeholders $1, $2 and so on, and returns how many rows it changed.
	Exec(ctx context.Context, statement string, args ...any) (rows int64, err error)
	// QueryRow reads one row into dest. Without a row, its error wraps [sql.ErrNoRows].
	QueryRow(ctx context.Context, dest []any, query string, args ...any) error
}

// OwnCursor is a cursor that a consumer keeps in its own database, in the transaction that writes its rows: what it makes of an event is there
// exactly once. Take the events from a [Subscriber] without a cursor, or from a log, after the position that Load returns.
type OwnCursor struct {
	// Table is the name of the table, of ASCII letters, digits and _, with a schema before it where it needs one.
	Table string
	// Name is that of the cursor: see [CheckCursorName].
	Name string
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

func (c OwnCursor) check() error {
	if !tableName.MatchString(c.Table) {
		return fmt.Errorf("%w: table %.100q: want a name of letters, digits and _", eventstore.ErrInvalid, c.Table)
	}
	return CheckCursorName(c.Name)
}

// Schema is the statement that makes the table where there is none. It fits SQLite and PostgreSQL.
func (c OwnCursor) Schema() (string, error) {
	if err := c.check(); err != nil {
		return "", fmt.Errorf("cannot make a table of cursors: %w", err)
	}
	return "CREATE TABLE IF NOT EXISTS " + c.Table +
		" (name text PRIMARY KEY, log text NOT NULL, position bigint NOT NULL, event text NOT NULL, updated_at text NOT NULL)", nil
}

// Load returns how far the consumer came, or [ErrNoCursor].
func (c OwnCursor) Load(ctx context.Context, tx Tx) (Cursor, error) {
	out := Cursor{Name: c.Name}
	if err := c.check(); err != nil {
		return Cursor{}, fmt.Errorf("cannot load a cursor: %w", err)
	}
	var log, event, updated string
	var position int64
	err := tx.QueryRow(ctx, []any{&log, &position, &event, &updated}, "SELECT log, position, event, updated_at FROM "+c.Table+" WHERE name = $1", c.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return Cursor{}, fmt.Errorf("cannot load cursor %q: %w", c.Name, ErrNoCursor)
	}
	if err != nil {
		return Cursor{}, fmt.Errorf("cannot load cursor %q: %w", c.Name, err)
	}
	var faults [3]error
	out.LogID, faults[0] = uuid.Parse(log)
	out.EventID, faults[1] = uuid.Parse(event)
	out.UpdatedAt, faults[2] = time.Parse(time.RFC3339Nano, updated)
	if err := errors.Join(faults[:]...); err != nil || position < 0 {
		return Cursor{}, fmt.Errorf("cannot load cursor %q: %w: its row holds what no cursor has", c.Name, eventstore.ErrInvalid)
	}
	out.Position = eventstore.Position(position)
	return out, nil
}

// Create makes the cursor at a position of a log. Errors: [ErrCursorExists].
func (c OwnCursor) Create(ctx context.Context, tx Tx, at Cursor) error {
	at.Name = c.Name
	if err := errors.Join(c.check(), at.Validate()); err != nil {
		return fmt.Errorf("cannot create a cursor: %w", err)
	}
	rows, err := tx.Exec(ctx, "INSERT INTO "+c.Table+" (name, log, position, event, updated_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING",
		c.Name, at.LogID.String(), int64(at.Position), at.EventID.String(), at.UpdatedAt.UTC().Format(time.RFC3339Nano)) //nolint:gosec // validated
	if err == nil && rows == 0 {
		err = ErrCursorExists
	}
	if err != nil {
		return fmt.Errorf("cannot create cursor %q: %w", c.Name, err)
	}
	return nil
}

// Move moves the cursor from where it was loaded, or moved to before, to the event that the transaction handles, and returns it as it is then. The
// position must grow, and the event be of the same log. On [ErrMoved] the transaction must be rolled back: another consumer handled the event.
func (c OwnCursor) Move(ctx context.Context, tx Tx, from Cursor, to eventstore.Record, now time.Time) (Cursor, error) {
	next := Cursor{Name: c.Name, LogID: from.LogID, Position: to.Position, EventID: to.ID, UpdatedAt: now.UTC()}
	err := errors.Join(c.check(), next.Validate())
	if err == nil && to.Position <= from.Position {
		err = fmt.Errorf("%w: position %d is not after %d", eventstore.ErrInvalid, to.Position, from.Position)
	}
	if err != nil {
		return Cursor{}, fmt.Errorf("cannot move a cursor: %w", err)
	}
	rows, err := tx.Exec(ctx, "UPDATE "+c.Table+" SET position = $1, event = $2, updated_at = $3 WHERE name = $4 AND log = $5 AND position = $6 AND event = $7",
		int64(next.Position), next.EventID.String(), next.UpdatedAt.Format(time.RFC3339Nano), //nolint:gosec // validated
		c.Name, from.LogID.String(), int64(from.Position), from.EventID.String()) //nolint:gosec // validated when it was loaded
	if err == nil && rows != 1 {
		err = ErrMoved
	}
	if err != nil {
		return Cursor{}, fmt.Errorf("cannot move cursor %q: %w", c.Name, err)
	}
	return next, nil
}

// SQLTx is a transaction of database/sql. The driver must take the placeholders $1, $2 and so on.
func SQLTx(tx *sql.Tx) Tx { return sqlTx{tx} }

type sqlTx struct{ tx *sql.Tx }

func (t sqlTx) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := t.tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t sqlTx) QueryRow(ctx context.Context, dest []any, query string, args ...any) error {
	return t.tx.QueryRowContext(ctx, query, args...).Scan(dest...)
}
