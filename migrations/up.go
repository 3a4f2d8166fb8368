package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/internal/sqlitetx"
)

// ledger remembers what was applied. It refuses to forget: the history of a database's form belongs to its evidence.
const ledger = `
CREATE TABLE schema_migrations (
    version    INTEGER PRIMARY KEY,
    series     TEXT NOT NULL, -- which set of migrations this database belongs to
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL, -- SHA-256 of the SQL that was run
    applied_at TEXT NOT NULL  -- UTC
);
CREATE TRIGGER schema_migrations_no_update BEFORE UPDATE ON schema_migrations
BEGIN SELECT RAISE(ABORT, 'schema_migrations is append-only'); END;
CREATE TRIGGER schema_migrations_no_delete BEFORE DELETE ON schema_migrations
BEGIN SELECT RAISE(ABORT, 'schema_migrations is append-only'); END;
CREATE TRIGGER schema_migrations_no_replace BEFORE INSERT ON schema_migrations
WHEN EXISTS (SELECT 1 FROM schema_migrations WHERE version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'schema_migrations is append-only'); END;`

// queries is what reading needs: a *sql.DB, *sql.Conn or *sql.Tx.
type queries interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Up upgrades a SQLite database to the version of s. It applies what is missing in one immediate transaction, so that
// several processes may open the same new file at once: one of them migrates, the others wait, as long as the busy
// timeout of db allows, and find it done. A database that lacks nothing is only read.
//
// Errors: *[NewerError], *[ChangedError], *[ForeignError], or those of the database. On any error nothing was changed.
func (s Set) Up(ctx context.Context, db *sql.DB, now func() time.Time) error {
	missing, err := s.Missing(ctx, db)
	if err != nil || len(missing) == 0 {
		return err
	}
	err = onOne(ctx, db, func(conn *sql.Conn) error {
		// A migration may take long: ctx ends it, and a statement that was cancelled is the last.
		return sqlitetx.On(conn).Write(ctx, func(context.Context) error { return s.apply(ctx, conn, now()) })
	})
	if err != nil {
		return fmt.Errorf("cannot migrate %s: %w", s.name, err)
	}
	return nil
}

// Missing returns the migrations that db lacks, in order, without changing it. Its errors are those of Up.
func (s Set) Missing(ctx context.Context, db *sql.DB) (missing []Migration, err error) {
	// In one transaction: else another process may make the tables between two looks.
	err = onOne(ctx, db, func(conn *sql.Conn) error {
		return sqlitetx.On(conn).Read(ctx, func(ctx context.Context) error {
			missing, err = s.missing(ctx, conn)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot check migrations of %s: %w", s.name, err)
	}
	return missing, nil
}

func onOne(ctx context.Context, db *sql.DB, use func(conn *sql.Conn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives the connection back; a fault of it shows in the next use
	return use(conn)
}

// apply runs what is missing, in a transaction. It looks again: another process may have been faster.
func (s Set) apply(ctx context.Context, conn *sql.Conn, now time.Time) error {
	missing, err := s.missing(ctx, conn)
	if err != nil {
		return err
	}
	for _, m := range missing {
		if err := s.step(ctx, conn, m, now); err != nil {
			return fmt.Errorf("%04d_%s: %w", m.Version, m.Name, err)
		}
	}
	return nil
}

func (s Set) step(ctx context.Context, conn *sql.Conn, m Migration, now time.Time) error {
	if m.Version == 1 {
		if _, err := conn.ExecContext(ctx, ledger); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, m.SQL); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx,
		"INSERT INTO schema_migrations (version, series, name, checksum, applied_at) VALUES (?, ?, ?, ?, ?)",
		m.Version, s.name, m.Name, m.Checksum, now.UTC().Format(time.RFC3339Nano))
	return err
}

func (s Set) missing(ctx context.Context, db queries) ([]Migration, error) {
	held, err := hasLedger(ctx, db)
	if err != nil {
		return nil, err
	}
	if !held {
		return s.Migrations(), s.refuseForeign(ctx, db)
	}
	applied, err := s.applied(ctx, db)
	if err != nil {
		return nil, err
	}
	return s.Migrations()[applied:], nil
}

func hasLedger(ctx context.Context, db queries) (bool, error) {
	var one int
	err := db.QueryRowContext(ctx, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// refuseForeign keeps a mistyped path from adding our tables to somebody else's database.
func (s Set) refuseForeign(ctx context.Context, db queries) error {
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return &ForeignError{Set: s.name}
	}
	return nil
}

// applied checks every applied migration against s and returns how many there are.
func (s Set) applied(ctx context.Context, db queries) (n int, err error) {
	rows, err := db.QueryContext(ctx, "SELECT version, series, name, checksum FROM schema_migrations ORDER BY version")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var series string
		var m Migration
		if err := rows.Scan(&m.Version, &series, &m.Name, &m.Checksum); err != nil {
			return 0, err
		}
		if series != s.name {
			return 0, &ForeignError{Set: s.name, Held: series}
		}
		if m.Version <= len(s.migrations) {
			if err := s.sameAs(m); err != nil {
				return 0, err
			}
		}
		n = m.Version
	}
	if n > len(s.migrations) {
		return 0, &NewerError{Set: s.name, Found: n, Known: len(s.migrations)}
	}
	return n, rows.Err()
}

func (s Set) sameAs(applied Migration) error {
	known := s.migrations[applied.Version-1]
	if known.Checksum == applied.Checksum {
		return nil
	}
	return &ChangedError{
		Set: s.name, Version: known.Version, Name: known.Name,
		Applied: applied.Checksum, Available: known.Checksum,
	}
}
