package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/projections"
)

// OpenExport opens new tables in the empty file at path, to be filled once and then kept as one file that any SQL tool
// reads. Until Close they are as those of [OpenScratch]: a crash leaves a file that is useless, so fill it beside its place.
func OpenExport(ctx context.Context, path string, options Options) (*DB, error) {
	return open(ctx, path, options, scratch())
}

// about is the table that says what exported tables are. Comments are part of what SQLite keeps of it.
const about = `
CREATE TABLE about (                -- one row: what this file is
    log_id      TEXT    NOT NULL,   -- UUID of the log that the tables were replayed from
    position    INTEGER NOT NULL,   -- of the last event that they show
    recorded_at TEXT    NOT NULL,   -- when that event was recorded, by the clock of the engine, UTC
    log_head    INTEGER NOT NULL,   -- position at which the log ended when this file was made
    as_of       TEXT    NOT NULL,   -- the point in time as it was asked for
    made_at     TEXT    NOT NULL,   -- when this file was made, UTC
    made_by     TEXT    NOT NULL    -- by which program and version
) STRICT`

// WriteOrigin adds the table about, which says what the tables are. It may be called once.
func (db *DB) WriteOrigin(ctx context.Context, o projections.Origin) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		if _, err := tx.ExecContext(ctx, about); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO about VALUES (?, ?, ?, ?, ?, ?, ?)", o.Log.String(), int64(o.Position), //nolint:gosec // positions stay far below 2^63
			stamp(o.RecordedAt), int64(o.Head), o.Given, stamp(o.MadeAt), o.MadeBy); err != nil { //nolint:gosec // see above
			return err
		}
		for _, verb := range []string{"UPDATE", "DELETE", "INSERT"} {
			if _, err := tx.ExecContext(ctx, fmt.Sprintf(
				"CREATE TRIGGER about_no_%s BEFORE %s ON about BEGIN SELECT RAISE(ABORT, 'about says what this file is and never changes'); END", verb, verb)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot write the table about: %w", err)
	}
	return nil
}

// IsExport reports whether the database at path has the table about: whether it holds exported tables. It changes nothing.
func IsExport(ctx context.Context, path string) (isExport bool, err error) {
	db, err := OpenReadOnly(ctx, path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'about'").Scan(&isExport); err != nil {
		return false, fmt.Errorf("cannot inspect %s: %w", path, translate(err))
	}
	return isExport, nil
}
