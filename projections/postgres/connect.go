package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/projections"
)

const (
	connectTimeout = 5 * time.Second
	pingTimeout    = 5 * time.Second
)

// parse reads an address. Its error does not hold the password.
func parse(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", projections.ErrInvalid, err) // pgx leaves the password out
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "gxpledger"
	}
	config.PingTimeout = pingTimeout
	return config, nil
}

// writing opens the pool of connections that write.
func writing(ctx context.Context, url string, options Options) (*pgxpool.Pool, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = options.MaxConns / 2
	// Statements are planned each time they run, for the rows at hand. A plan that is kept from when a table was empty
	// would read the whole table for each page of a rebuild.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return errors.Join(settle(ctx, conn), become(ctx, conn, options.Writer))
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// reading opens the pool of connections that read.
func reading(ctx context.Context, url string, options Options) (*pgxpool.Pool, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = options.MaxConns - options.MaxConns/2
	// Views are replaced while readers live: what was known of one is asked again each time.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return observe(ctx, conn, options.Schema) }
	return pgxpool.NewWithConfig(ctx, config)
}

// observe makes a connection one that reads. A statement that stands alone is READ COMMITTED: what it sees is decided when it
// has its locks, which may be after a swap that it had to wait for.
func observe(ctx context.Context, conn *pgx.Conn, schema string) error {
	_, err := conn.Exec(ctx, `
		SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident($1), false),
		       pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
		       pg_catalog.set_config('default_transaction_read_only', 'on', false),
		       -- a replay that is compared with a snapshot takes its time
		       pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
		       pg_catalog.set_config('statement_timeout', '0', false)`, schema)
	if err != nil {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	return alive(ctx, conn)
}

// settle makes a connection what writing needs, whatever the defaults of its role and database are.
func settle(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `
		SELECT pg_catalog.set_config('search_path', '', false),
		       pg_catalog.set_config('standard_conforming_strings', 'on', false),
		       pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
		       pg_catalog.set_config('default_transaction_read_only', 'off', false),
		       -- a lease that was given is on disk: its token must not be given twice
		       pg_catalog.set_config('synchronous_commit',
		           pg_catalog.replace(pg_catalog.current_setting('synchronous_commit'), 'off', 'on'), false),
		       -- a process that was stopped must not hold its locks for long
		       pg_catalog.set_config('idle_in_transaction_session_timeout', '10s', false),
		       pg_catalog.set_config('lock_timeout', '2s', false),
		       -- an index takes its time
		       pg_catalog.set_config('statement_timeout', '0', false),
		       -- rows are found by their keys, and the server keeps its plans of how to check references: also those that
		       -- it made while the tables were empty
		       pg_catalog.set_config('enable_seqscan', 'off', false)`)
	if err != nil {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	return alive(ctx, conn)
}

// alive has both ends notice soon that the other is gone.
func alive(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `
		SELECT pg_catalog.set_config('tcp_keepalives_idle', '5', false),
		       pg_catalog.set_config('tcp_keepalives_interval', '2', false),
		       pg_catalog.set_config('tcp_keepalives_count', '3', false)`)
	if err != nil {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	// Not every platform of the server can do this one; the others are enough.
	_, err = conn.Exec(ctx, "SELECT pg_catalog.set_config('client_connection_check_interval', '2s', false)")
	var refused *pgconn.PgError
	if err != nil && !errors.As(err, &refused) {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	return nil
}

// become acts as the writer role where the user is a member of it, so that all that is made belongs to the role and every
// other member can go on with it.
func become(ctx context.Context, conn *pgx.Conn, writer string) error {
	_, err := conn.Exec(ctx, `SELECT pg_catalog.set_config('role', rolname, false) FROM pg_catalog.pg_roles
		WHERE rolname = $1 AND pg_catalog.pg_has_role(oid, 'MEMBER')`, writer)
	if err != nil {
		return fmt.Errorf("act as the role %s: %w", writer, err)
	}
	return nil
}

// checkServer refuses servers on which the tables would not work.
func checkServer(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var encoding string
	err := conn.QueryRow(ctx, "SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_setting('server_encoding')").
		Scan(&version, &encoding)
	switch {
	case err != nil:
		return err
	case version < 140000:
		return fmt.Errorf("server is PostgreSQL %d, want 14 or newer", version/10000)
	case encoding != "UTF8":
		return fmt.Errorf("database has the encoding %s, want UTF8: create it with ENCODING 'UTF8'", encoding)
	}
	return nil
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
		return fmt.Errorf("%w: user %q may not write schema %q: grant it the role %s", projections.ErrReadOnly, user, options.Schema, options.Writer)
	}
	return nil
}
