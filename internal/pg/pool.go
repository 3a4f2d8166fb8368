package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Session is what a connection of a pool is configured with, beside [Parameters].
type Session struct {
	Parameters []Parameter // Name, Value and Why
	// Mode is how statements are run; 0 for the mode that [Parse] sets.
	Mode pgx.QueryExecMode
	// Application is the application_name, unless the address has one; "" for the program's name.
	Application string
	// Blocked is told which session of the server holds a lock that is waited for, once that is known: after a second, over one more
	// connection. It must not block. Nil for nobody, and then the server is not asked.
	Blocked func(who string)
	// Role is the role that the connection takes, where the user is a member of it; "" for none.
	Role string
}

// Configure configures a connection.
func (s Session) Configure(ctx context.Context, conn *pgx.Conn) error {
	var settings []string
	for _, p := range s.Parameters {
		settings = append(settings, fmt.Sprintf("pg_catalog.set_config('%s', '%s', false)", p.Name, strings.ReplaceAll(p.Value, "'", "''")))
	}
	if _, err := conn.Exec(ctx, "SELECT "+strings.Join(settings, ", ")); err != nil {
		return fmt.Errorf("cannot configure the session: %w", err)
	}
	if s.Role == "" {
		return nil
	}
	_, err := conn.Exec(ctx, `SELECT pg_catalog.set_config('role', rolname, false) FROM pg_catalog.pg_roles
		WHERE rolname = $1 AND pg_catalog.pg_has_role(oid, 'MEMBER')`, s.Role)
	if err != nil {
		return fmt.Errorf("cannot take the role %s: %w", s.Role, err)
	}
	return nil
}

// NewPool opens a pool of connections of a configuration that [Parse] returned.
func NewPool(ctx context.Context, config *pgxpool.Config, session Session, now func() time.Time) (*pgxpool.Pool, error) {
	if session.Mode != 0 {
		config.ConnConfig.DefaultQueryExecMode = session.Mode
	}
	if parameters := config.ConnConfig.RuntimeParams; session.Application != "" && parameters[applicationName] == program {
		parameters[applicationName] = session.Application
	}
	config.AfterConnect = session.Configure
	if session.Blocked != nil {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			conn.PgConn().CustomData()[keyBlocked] = session.Blocked
			return session.Configure(ctx, conn)
		}
	}
	leaveReplicas(config, now)
	return pgxpool.NewWithConfig(ctx, config)
}

// Run runs do on a connection of the first pool. When the server turns out to be a replica, which does not do what was
// asked, the connections of all pools are replaced: the address may lead to the primary by now.
func Run(ctx context.Context, do func(*pgxpool.Conn) error, pool *pgxpool.Pool, others ...*pgxpool.Pool) error {
	conn, err := Acquire(ctx, pool)
	if err != nil {
		return err
	}
	defer conn.Release()
	watch := watchLock(ctx, conn.Conn())
	err = watch.end(ctx, do(conn))
	if !refused(conn.Conn(), err) {
		return err
	}
	for _, p := range append(others, pool) {
		if p != nil {
			p.Reset()
		}
	}
	return &replicaError{err}
}

// replicaAge is how long a connection to a replica is used. Nothing that is read over it tells that the address leads to
// the primary by now, and a primary that was demoted may never hear of what its successor does.
const replicaAge = time.Second

// connectedAt is the key under which a connection keeps when it was ready.
const connectedAt = "connected at"

// leaveReplicas has the pools of config close a connection to a replica a second after it was made, so that they find the
// primary again. Call it when AfterConnect is set.
func leaveReplicas(config *pgxpool.Config, now func() time.Time) {
	after := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if after != nil {
			if err := after(ctx, conn); err != nil {
				return err
			}
		}
		if onReplica(conn) {
			conn.PgConn().CustomData()[connectedAt] = now()
		}
		return nil
	}
	config.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) {
		return !onReplica(conn) || now().Sub(since(conn)) <= replicaAge, nil
	}
}

// since returns when conn, which leads to a replica, was made.
func since(conn *pgx.Conn) time.Time {
	at, _ := conn.PgConn().CustomData()[connectedAt].(time.Time)
	return at
}

// onReplica reports whether the server of conn has reported that it is a replica. It does so by itself, from PostgreSQL 14 on.
func onReplica(conn *pgx.Conn) bool { return conn.PgConn().ParameterStatus("in_hot_standby") == "on" }

// replicaError is an error of a server that is a replica.
type replicaError struct{ err error }

func (e *replicaError) Error() string { return "the server is a replica: " + e.err.Error() }

func (e *replicaError) Unwrap() error { return e.err }

// refused reports whether err, which came over conn, says that a replica does not do what was asked.
func refused(conn *pgx.Conn, err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch server.Code {
	case "25006": // read-only transaction, LISTEN or NOTIFY during recovery
		return true
	case "0A000", "55000": // a transaction that may write, a lock, or a function that recovery has not got
		return onReplica(conn)
	}
	return false
}

// Pause waits, or returns why ctx ended first.
func Pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// CheckServer refuses servers on which nothing of the program would work.
func CheckServer(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var encoding string
	var backend uint32
	err := conn.QueryRow(ctx, "SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_setting('server_encoding'), "+
		"pg_catalog.pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&version, &encoding, &backend)
	switch {
	case err != nil:
		return err
	case version < 140000:
		return fmt.Errorf("server is PostgreSQL %d, want 14 or newer", version/10000)
	case encoding != "UTF8":
		return fmt.Errorf("database has the encoding %s, want UTF8: create it with ENCODING 'UTF8'", encoding)
	case backend != conn.PgConn().PID(): // something between that is not the server named the session
		return refuseTransactionPooler(ctx, conn, backend)
	}
	return nil
}

// ErrTransactionPooler says that the address leads to a pooler that gives each transaction another session of the server.
var ErrTransactionPooler = errors.New("a pooler between pools transactions, as PgBouncer does with pool_mode = transaction: roles, locks and " +
	"prepared statements need a session; connect to the server directly, or set pool_mode = session")

// refuseTransactionPooler refuses a pooler that serves two connections with one session of the server, or one with two. conn,
// which is in no transaction, was last served by the session backend. A pooler that has many other clients may pass.
func refuseTransactionPooler(ctx context.Context, conn *pgx.Conn, backend uint32) error {
	const session = "SELECT pg_catalog.pg_backend_pid()"
	other, err := Connect(ctx, conn.Config())
	if err != nil {
		return err
	}
	defer func() { _ = other.Close(ctx) }() // nothing was written
	var held, now uint32
	if _, err = other.Exec(ctx, "BEGIN READ ONLY"); err == nil { // which keeps the session that serves it
		err = other.QueryRow(ctx, session, pgx.QueryExecModeSimpleProtocol).Scan(&held)
	}
	if err == nil && held != backend {
		err = conn.QueryRow(ctx, session, pgx.QueryExecModeSimpleProtocol).Scan(&now)
	} else {
		now = backend
	}
	if err == nil && (held == backend || now != backend) {
		return ErrTransactionPooler
	}
	return err
}
