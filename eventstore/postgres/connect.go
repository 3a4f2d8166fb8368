package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

const (
	connectTimeout = 5 * time.Second
	pingTimeout    = 5 * time.Second

	// tries is how often a call is tried when the server does not answer. The caller of the log tries again after that,
	// with longer waits.
	tries = 3
	// firstWait is the wait before the second try. It doubles.
	firstWait = 50 * time.Millisecond
)

// connect opens the pool of connections.
func connect(ctx context.Context, url string, options Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err) // pgx leaves the password out
	}
	if config.MaxConns = options.MaxConns; options.MaxConns == 0 {
		config.MaxConns = DefaultMaxConns
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "gxpledger"
	}
	config.PingTimeout = pingTimeout
	config.AfterConnect = settle
	return pgxpool.NewWithConfig(ctx, config)
}

// settle makes a connection what the log needs, whatever the defaults of its role and database are.
func settle(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `
		SELECT pg_catalog.set_config('search_path', '', false),
		       -- a client that vanished must not hold the counter row for long
		       pg_catalog.set_config('idle_in_transaction_session_timeout', '10s', false),
		       pg_catalog.set_config('tcp_keepalives_idle', '5', false),
		       pg_catalog.set_config('tcp_keepalives_interval', '2', false),
		       pg_catalog.set_config('tcp_keepalives_count', '3', false),
		       -- statements are short, and look dear to the planner: compiling them would take longer than they do
		       pg_catalog.set_config('jit', 'off', false),
		       -- an acknowledged batch is on disk; remote_apply and the like are left as they are
		       pg_catalog.set_config('synchronous_commit',
		           pg_catalog.replace(pg_catalog.current_setting('synchronous_commit'), 'off', 'on'), false)`)
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

// call runs do on a connection of the pool, again while the server does not answer: do must be safe to repeat. The
// context of do ends when the log closes. What call returns is translated.
func (l *Log) call(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	ctx, leave, err := l.gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return l.retry(ctx, func() error { return l.once(ctx, do) })
}

// once runs do on a connection of the pool.
func (l *Log) once(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return translate(ctx, err)
	}
	defer conn.Release()
	return translate(ctx, do(ctx, conn))
}

// retry calls do until it succeeds, fails for another reason than that the server did not answer, or has failed often.
func (l *Log) retry(ctx context.Context, do func() error) error {
	wait := firstWait
	for n := 1; ; n++ {
		err := do()
		if err == nil || !errors.Is(err, eventstore.ErrTransient) || n == tries || ctx.Err() != nil {
			return err
		}
		l.refresh(err)
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// refresh drops the connections of the pool when their server was demoted: the address may lead to the new one now.
func (l *Log) refresh(err error) {
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == "25006" {
		l.pool.Reset()
	}
}

// pause waits, or returns why ctx ended first.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
