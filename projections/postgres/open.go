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

	"github.com/gxpledger/gxpledger/internal/pg"
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
			if err := pg.CheckServer(ctx, conn); err != nil {
				return err
			}
			// Before the form, which cannot be read without rights.
			if err := checkSchema(ctx, conn, db.options); err != nil {
				return err
			}
			if err := checkRights(ctx, conn, db.options); err != nil {
				return err
			}
			return db.options.schemaAt("").Check(ctx, conn)
		})
	})
}

// OpenUnwritable opens the tables for a user who may only read them, such as a member of the reader role. Every write
// answers [projections.ErrReadOnly], and of the builds no more is told than the catalogue knows.
func OpenUnwritable(ctx context.Context, url string, options Options) (*DB, error) {
	return open(ctx, url, options, func(db *DB) error {
		return db.once(ctx, db.read, func(conn *pgx.Conn) error {
			if err := pg.CheckServer(ctx, conn); err != nil {
				return err
			}
			return checkSchema(ctx, conn, db.options)
		})
	})
}

// OpenReadOnly opens the tables for queries over the views, with the schema as search_path. It works while other processes
// write and rebuild, and never changes anything. A statement sees one state of all tables, a transaction the same one
// throughout: swaps wait for its end. The caller closes it.
func OpenReadOnly(ctx context.Context, url string, namespace Namespace) (*sql.DB, error) {
	options := Options{Namespace: namespace}.withDefaults()
	config, err := parse(url, options.MaxConns)
	if err != nil {
		return nil, fmt.Errorf("cannot open tables: %w", err)
	}
	session := readingSession(options.Schema)
	config.ConnConfig.DefaultQueryExecMode = session.Mode
	db := sql.OpenDB(observer{
		stdlib.GetConnector(*config.ConnConfig, stdlib.OptionAfterConnect(session.Configure)), options.schemaAt(""),
	})
	db.SetMaxOpenConns(int(config.MaxConns / 2))
	if err := checkReadable(ctx, db, options); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open tables: %w", translate(ctx, err)), db.Close())
	}
	return db, nil
}

func open(ctx context.Context, url string, options Options, check func(*DB) error) (*DB, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("cannot open tables: %w", err)
	}
	db := &DB{options: options, sql: newStatements(options.Schema), plans: map[projections.Ref]*plan{}}
	var err error
	if db.read, err = reading(ctx, url, options); err == nil {
		db.query = sql.OpenDB(observer{stdlib.GetPoolConnector(db.read), options.schemaAt("")})
		db.query.SetMaxIdleConns(0) // they belong to the pool
		err = check(db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open tables: %w", translate(ctx, err)), db.Close())
	}
	return db, nil
}

// parse reads an address. MaxConns of the configuration are the connections of all pools, of which maxConns is the option.
// Its error does not hold the password.
func parse(url string, maxConns int32) (*pgxpool.Config, error) {
	config, err := pg.Parse(url)
	if err == nil {
		config.MaxConns, err = pg.MaxConns(url, maxConns, leastConns, DefaultMaxConns)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", projections.ErrInvalid, err)
	}
	return config, nil
}

// writing opens the pool of connections that write.
func writing(ctx context.Context, url string, options Options) (*pgxpool.Pool, error) {
	config, err := parse(url, options.MaxConns)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.Tracer = options.tracer
	config.MaxConns /= 2
	return pg.NewPool(ctx, config, pg.Session{
		// Statements are planned each time they run, for the rows at hand. A plan that is kept from when a table was empty
		// would read the whole table for each page of a rebuild.
		Mode:        pgx.QueryExecModeCacheDescribe,
		Application: options.Application,
		Blocked:     options.Blocked,
		Parameters: []pg.Parameter{
			{Name: "idle_in_transaction_session_timeout", Value: "10s", Why: "a process that was stopped holds its locks for long"},
			{Name: "lock_timeout", Value: "2s", Why: "a writer waits for a lock longer than its lease lives"},
			{Name: "enable_seqscan", Value: "off", Why: "plans of how to check references, made while the tables were empty, are kept"},
			{Name: "jit", Value: "off", Why: "a table without an index looks so expensive that code is compiled for ten rows"},
		},
		Role: options.Writer, // what is made belongs to it, and every other member can use it
	}, options.Now)
}

// reading opens the pool of connections that read.
func reading(ctx context.Context, url string, options Options) (*pgxpool.Pool, error) {
	config, err := parse(url, options.MaxConns)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.Tracer = options.tracer
	config.MaxConns -= config.MaxConns / 2
	session := readingSession(options.Schema)
	session.Application, session.Blocked = options.Application, options.Blocked
	return pg.NewPool(ctx, config, session, options.Now)
}

// readingSession is that of a connection that reads. A statement that stands alone is READ COMMITTED, see package pg: what it
// sees is decided when it has its locks, which may be after a swap that it had to wait for.
func readingSession(schema string) pg.Session {
	return pg.Session{
		// Views are replaced while readers live: what was known of one is asked again each time.
		Mode: pgx.QueryExecModeDescribeExec,
		Parameters: []pg.Parameter{
			{Name: "search_path", Value: pgx.Identifier{schema}.Sanitize(), Why: "people name views without their schema"},
			{Name: "default_transaction_read_only", Value: "on", Why: "a reader may write"},
		},
	}
}

// checkRights refuses a user who may not make builds.
func checkRights(ctx context.Context, conn *pgx.Conn, options Options) error {
	var user string
	var may bool
	err := conn.QueryRow(ctx, `SELECT session_user, pg_catalog.has_schema_privilege($1, 'CREATE')
		AND pg_catalog.has_table_privilege(pg_catalog.quote_ident($1) || '.projection_builds', 'UPDATE')`, options.Schema).Scan(&user, &may)
	if err != nil {
		return err
	}
	if !may {
		if why := explain(ctx, conn, options); why != nil {
			return fmt.Errorf("%w: %w", projections.ErrReadOnly, why)
		}
		return fmt.Errorf("%w: user %q may not write schema %q: grant it the role %s", projections.ErrReadOnly, user, options.Schema, options.Writer)
	}
	return nil
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
		return options.schemaAt("").Empty(options.Schema)
	case !usable:
		if why := explain(ctx, conn, options); why != nil {
			return why
		}
		return fmt.Errorf("user %q may not use schema %q: grant it the role %s, or %s to read", user, options.Schema, options.Writer, options.Reader)
	}
	return nil
}

// checkReadable is checkSchema for a handle.
func checkReadable(ctx context.Context, db *sql.DB, options Options) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(observing)
		if !ok {
			return fmt.Errorf("driver connection %T is not that of a reader", driver)
		}
		return checkSchema(ctx, c.Conn.Conn(), options)
	})
	return errors.Join(err, conn.Close())
}

// explain says which right the user lacks, nil for none.
func explain(ctx context.Context, conn *pgx.Conn, options Options) error {
	m, err := options.migrations()
	if err != nil {
		return err
	}
	return m.Explain(ctx, conn)
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
