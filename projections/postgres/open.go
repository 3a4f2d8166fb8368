package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gxpledger/gxpledger/projections"
)

var (
	_ projections.Database = (*DB)(nil)
	_ projections.Snapshot = (*snapshot)(nil)
)

// DB is the tables in one schema. It is safe for concurrent use.
type DB struct {
	options Options
	sql     statements
	read    *pgxpool.Pool
	query   *sql.DB       // over read
	writer  *pgxpool.Pool // nil when nothing may be written
	mu      sync.Mutex    // guards plans
	plans   map[projections.Ref]*plan
}

// Open opens the tables at url, a postgres:// address, whose schema [Up] has made. It connects at once, and refuses a
// schema of another form than this binary knows, a server before PostgreSQL 14, a database whose encoding is not UTF-8,
// and, with [projections.ErrReadOnly], a user who may not write.
//
// Errors that wrap ErrTransient are worth another try. The caller closes it.
func Open(ctx context.Context, url string, options Options) (*DB, error) {
	return open(ctx, url, options, func(db *DB) error {
		var err error
		if db.writer, err = writing(ctx, url, db.options); err != nil {
			return err
		}
		return db.once(ctx, db.writer, func(conn *pgx.Conn) error {
			if err := checkServer(ctx, conn); err != nil {
				return err
			}
			// Before the form, which cannot be read without rights.
			if err := checkSchema(ctx, conn, db.options); err != nil {
				return err
			}
			if err := checkRights(ctx, conn, db.options); err != nil {
				return err
			}
			return checkForm(ctx, conn, db.options.Place)
		})
	})
}

// OpenUnwritable opens the tables for a user who may only read them, such as a member of the reader role. Every write
// answers [projections.ErrReadOnly], and of the builds no more is told than the catalogue knows.
func OpenUnwritable(ctx context.Context, url string, options Options) (*DB, error) {
	return open(ctx, url, options, func(db *DB) error {
		return db.once(ctx, db.read, func(conn *pgx.Conn) error {
			if err := checkServer(ctx, conn); err != nil {
				return err
			}
			return checkSchema(ctx, conn, db.options)
		})
	})
}

// OpenReadOnly opens the tables for queries over the views, with the schema as search_path. It works while other processes
// write and rebuild, and never changes anything. A statement sees one state of all tables, a transaction the same one
// throughout: swaps wait for its end. The caller closes it.
func OpenReadOnly(ctx context.Context, url string, place Place) (*sql.DB, error) {
	options := Options{Place: place}.withDefaults()
	config, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("open tables: %w", err)
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	db := sql.OpenDB(observer{stdlib.GetConnector(*config.ConnConfig, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		return observe(ctx, conn, options.Schema)
	}))})
	db.SetMaxOpenConns(int(options.MaxConns / 2))
	var found bool
	err = db.QueryRowContext(ctx, "SELECT pg_catalog.to_regclass('catalogue') IS NOT NULL").Scan(&found)
	if err == nil && !found {
		err = errNoTables(options.Schema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open tables: %w", translate(ctx, err)), db.Close())
	}
	return db, nil
}

func open(ctx context.Context, url string, options Options, check func(*DB) error) (*DB, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("open tables: %w", err)
	}
	db := &DB{options: options, sql: newStatements(options.Schema), plans: map[projections.Ref]*plan{}}
	var err error
	if db.read, err = reading(ctx, url, options); err == nil {
		db.query = sql.OpenDB(observer{stdlib.GetPoolConnector(db.read)})
		db.query.SetMaxIdleConns(0) // they belong to the pool
		err = check(db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open tables: %w", translate(ctx, err)), db.Close())
	}
	return db, nil
}

func errNoTables(schema string) error {
	return fmt.Errorf("schema %q holds no tables of gxpledger: run gxpledger migrate up as a user who may create it", schema)
}

// checkSchema refuses a schema that is not there, or that the user may not use.
func checkSchema(ctx context.Context, conn *pgx.Conn, options Options) error {
	var there, usable bool
	var user string
	err := conn.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(pg_catalog.has_schema_privilege(n.oid, 'USAGE')), false), session_user
		FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'schema_migrations'
		WHERE n.nspname = $1`, options.Schema).Scan(&there, &usable, &user)
	switch {
	case err != nil:
		return err
	case !there:
		return errNoTables(options.Schema)
	case !usable:
		return fmt.Errorf("user %q may not use schema %q: grant it the role %s, or %s to read", user, options.Schema, options.Writer, options.Reader)
	}
	return nil
}

// Query returns the handle for queries over the views and the catalogue, as [OpenReadOnly] opens one. Close closes it.
func (db *DB) Query() *sql.DB { return db.query }

// Close frees what db holds. Closing twice is harmless.
func (db *DB) Close() error {
	var err error
	if db.query != nil {
		err = db.query.Close()
	}
	for _, pool := range []*pgxpool.Pool{db.read, db.writer} {
		if pool != nil {
			pool.Close()
		}
	}
	return err
}
