// Package pg connects to PostgreSQL servers. Every connection of the program, of whichever kind, is made from a
// configuration that [Parse] returns, so that its session is configured as the program needs it.
package pg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 5 * time.Second
	pingTimeout    = 5 * time.Second
	// cacheCapacity is how many statements, or their descriptions, a connection remembers. Without any, pgx refuses to run
	// in the modes that use them.
	cacheCapacity = 512
)

// Parse reads an address. A connection that is made from the configuration has the session parameters of [Parameters],
// whatever its role, its database, the address and PGOPTIONS say, before anything else is run on it. Statements run as
// pgx does by default, whatever the address says. The error does not hold the password.
func Parse(address string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.PingTimeout = pingTimeout
	c := config.ConnConfig
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, connectTimeout)
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = cacheCapacity, cacheCapacity
	start(&c.Config)
	watchProgress(&c.Config)
	return config, nil
}

// MaxConns returns how many connections a process may open: option if that is not 0, else pool_max_conns of address, but
// at least least, else preset. Pools share the number, which [Parse] does not set.
func MaxConns(address string, option, least, preset int32) (int32, error) {
	if option != 0 {
		return option, nil
	}
	// What pgxpool makes of it does not tell the parameter from its absence.
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return 0, err
	}
	text, given := config.RuntimeParams["pool_max_conns"]
	if !given {
		return preset, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("pool_max_conns of the address: %q, want a number above 0", text)
	}
	return max(int32(n), least), nil
}

// What a server shows a connection by, and the program for which no other is given.
const (
	applicationName = "application_name"
	program         = "gxpledger"
)

// start has connections start with the parameters that the server takes that early, and get all of them as soon as they
// are there. What kills or refuses the first statement must not be in force when it arrives.
func start(c *pgconn.Config) {
	maps.DeleteFunc(c.RuntimeParams, func(name, _ string) bool {
		return slices.ContainsFunc(Parameters(), func(p Parameter) bool { return strings.EqualFold(p.Name, name) })
	})
	if c.RuntimeParams[applicationName] == "" {
		c.RuntimeParams[applicationName] = program
	}
	for _, p := range Parameters() {
		if p.stage != afterwards {
			c.RuntimeParams[p.Name] = p.Value
		}
	}
	var pooled atomic.Bool // a server that is reached refuses parameters of stage atStart
	c.AfterNetConnect = func(_ context.Context, c *pgconn.Config, conn net.Conn) (net.Conn, error) {
		if pooled.Load() {
			for _, p := range Parameters() {
				if p.stage == atStart {
					delete(c.RuntimeParams, p.Name) // c is the copy of this connection
				}
			}
		}
		return conn, nil
	}
	closes := c.OnPgError
	c.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if refusedStart(err) {
			pooled.Store(true)
		}
		return closes(conn, err)
	}
	validate := c.ValidateConnect
	c.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if err := configure(ctx, conn); err != nil {
			return err
		}
		if validate == nil {
			return nil
		}
		return validate(ctx, conn) // what it asks depends on the parameters
	}
}

// configure sets the parameters. The transaction is one in which a standby answers, too.
func configure(ctx context.Context, conn *pgconn.PgConn) error {
	if _, err := conn.Exec(ctx, configuration(conn.ParameterStatus("server_version"))).ReadAll(); err != nil {
		return &configureError{err}
	}
	// Not every platform of the server can do this one; the others are enough.
	_, err := conn.Exec(ctx, "SET client_connection_check_interval = '2s'").ReadAll()
	if _, refused := errors.AsType[*pgconn.PgError](err); err != nil && !refused {
		return &configureError{err}
	}
	return nil
}

// configuration returns the statements that set the parameters. Names, operators and types are those of pg_catalog,
// whatever search_path says; the transaction says itself what it is. serverVersion is what the server reports.
func configuration(serverVersion string) string {
	var rows []string
	for _, p := range Parameters() {
		rows = append(rows, fmt.Sprintf("('%s', '%s', '%s')", p.Name, p.Value, cmp.Or(p.Keep, p.Value)))
	}
	begin := "BEGIN ISOLATION LEVEL READ COMMITTED;\n"
	if major, _, _ := strings.Cut(serverVersion, "."); len(major) == 2 && major >= "17" {
		// At once: a short one ends the transaction while the server makes a plan for the rest.
		begin += "SET transaction_timeout = 0;\n"
	}
	return begin +
		"SELECT pg_catalog.set_config(name, value, false) FROM (VALUES " + strings.Join(rows, ", ") + ") AS p (name, value, keep)\n" +
		// It is NULL where the server does not know the parameter.
		"WHERE pg_catalog.current_setting(name, true) OPERATOR(pg_catalog.<>) keep;\n" +
		"COMMIT"
}

// configureError says that a connection could not be configured.
type configureError struct{ err error }

func (e *configureError) Error() string {
	if server, ok := errors.AsType[*pgconn.PgError](e.err); ok && server.Code == "42501" {
		return "cannot configure the session: a parameter that only a superuser may change differs from what is needed; " +
			"reset it with ALTER ROLE or ALTER DATABASE, see docs/operations.md: " + e.err.Error()
	}
	return "cannot configure the session: " + e.err.Error()
}

func (e *configureError) Unwrap() error { return e.err }

// refusedStart reports whether a server, or a pooler before it, refused to start a session with the parameters that were
// sent: each pooler has a code of its own for it.
func refusedStart(err *pgconn.PgError) bool {
	return cmp.Or(err.SeverityUnlocalized, err.Severity) == "FATAL" && slices.Contains([]string{"08P01", "0A000", "22023", "42704"}, err.Code)
}

// attempts bounds how often Try connects: once more where a pooler refuses parameters at the start, and again when a
// time-out of the session struck before it could be switched off.
const attempts = 5

// Try calls connect, which makes a connection from a configuration that [Parse] returned, and calls it again at once where
// that is likely to help.
func Try[T any](ctx context.Context, connect func(context.Context) (T, error)) (T, error) {
	for n := 1; ; n++ {
		conn, err := connect(ctx)
		if n == attempts || err == nil || ctx.Err() != nil || !again(err, n) {
			return conn, err
		}
	}
}

// again reports whether another attempt, after n, may end otherwise.
func again(err error, n int) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	if refusedStart(server) {
		return n == 1
	}
	// Also a session that starts is a transaction that a time-out can end.
	return slices.Contains([]string{"57014", "57P05", "25P03", "25P04"}, server.Code)
}

// Connect makes one connection.
func Connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	return Try(ctx, func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, config) })
}

// Acquire takes a connection of pool.
func Acquire(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	return Try(ctx, pool.Acquire)
}
