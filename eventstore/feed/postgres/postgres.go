// Package postgres keeps cursors in a schema of their own on PostgreSQL. Leases are judged by the clock of the server.
//
// Up alone makes the schema. Open refuses a database without it: an empty store would look like one in which no cursor was ever
// created.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/migrations"
)

// The schema that stands for none in an address, and the roles.
const (
	DefaultSchema = "gxpledger_cursors"
	DefaultOwner  = "gxpledger_cursors_owner"
	DefaultWriter = "gxpledger_cursors_writer"
)

// maxConns bounds the connections of a store; every call takes one, and is short.
const maxConns = 4

// Cursors is a store of cursors on PostgreSQL. It is safe for concurrent use.
type Cursors struct {
	pool *pgxpool.Pool
	at   pg.Schema
	sql  statements
}

var _ feed.Cursors = (*Cursors)(nil)

// Up makes the store at address, or upgrades it to the form that this binary knows, in one transaction under an advisory lock. Several
// processes may call it at once. The address is a postgres:// one; its parameter schema names the schema, else it is [DefaultSchema].
//
// Errors: those of package migrations, [eventstore.ErrTransient], [eventstore.ErrInvalid], or an error of the server. On any error
// nothing was changed.
func Up(ctx context.Context, address string) error {
	at, _, err := place(address)
	if err != nil {
		return err
	}
	return at.Up(ctx)
}

// Status reads how far the store at address is, and changes nothing. Its errors are those of Up.
func Status(ctx context.Context, address string) (migrations.Status, error) {
	at, _, err := place(address)
	if err != nil {
		return migrations.Status{}, err
	}
	return at.Status(ctx)
}

// Plan returns the SQL that Up would run now, and changes nothing. It is "" when there is nothing to do. Its errors are those of Up.
func Plan(ctx context.Context, address string) (string, error) {
	at, _, err := place(address)
	if err != nil {
		return "", err
	}
	return at.Plan(ctx)
}

// place takes the schema out of an address.
func place(address string) (at pg.Schema, schema string, err error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return pg.Schema{}, "", fmt.Errorf("%w: address of the cursors: want one that begins with postgres://", eventstore.ErrInvalid)
	}
	query := parsed.Query()
	schema = cmp.Or(query.Get("schema"), DefaultSchema)
	if query.Has("schema") {
		query.Del("schema")
		parsed.RawQuery = query.Encode()
		address = parsed.String()
	}
	return pg.Schema{
		Address: address, Holds: "cursors", Invalid: eventstore.ErrInvalid, Translate: translate,
		Migrations: func() (*migrations.Postgres, error) {
			return migrations.PostgresCursors(migrations.PostgresTarget{Schema: schema, Owner: DefaultOwner, Writer: DefaultWriter})
		},
	}, schema, nil
}

// Open opens the store at address, which [Up] has made: see there for the address. It connects at once.
//
// Errors: [feed.ErrNoStore] when the schema holds no store, [eventstore.ErrTransient], [eventstore.ErrInvalid] for an address, and
// that the schema is older than this binary.
func Open(ctx context.Context, address string) (*Cursors, error) {
	c, err := open(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("cannot open the store of cursors: %w", err)
	}
	return c, nil
}

func open(ctx context.Context, address string) (*Cursors, error) {
	at, schema, err := place(address)
	if err != nil {
		return nil, err
	}
	config, err := pg.Parse(at.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	if config.MaxConns, err = pg.MaxConns(at.Address, 0, 1, maxConns); err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	session := pg.Session{Parameters: []pg.Parameter{
		{Name: "synchronous_commit", Value: "on", Why: "a cursor that was answered as saved could be lost"},
		{Name: "idle_in_transaction_session_timeout", Value: "10s", Why: "a client that vanished holds the row of a cursor for long"},
	}}
	pool, err := pg.NewPool(ctx, config, session, time.Now) //nolint:forbidigo // how old a connection is, nothing that is recorded
	if err != nil {
		return nil, translate(ctx, err)
	}
	c := &Cursors{pool: pool, at: at, sql: newStatements(schema)}
	if err := c.run(ctx, c.check); err != nil {
		pool.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cursors) check(ctx context.Context, conn *pgxpool.Conn) error {
	if err := pg.CheckServer(ctx, conn.Conn()); err != nil {
		return err
	}
	m, err := c.at.Migrations()
	if err != nil {
		return err
	}
	status, err := m.Version(ctx, conn.Conn())
	if err != nil {
		return err
	}
	if len(status.Applied) == 0 {
		return fmt.Errorf("%w: %w", feed.ErrNoStore, c.at.Empty(status.Schema))
	}
	return c.at.Check(ctx, conn.Conn())
}

// Close implements [feed.Cursors]. It waits for calls that are running. Closing twice is harmless.
func (c *Cursors) Close() error {
	c.pool.Close()
	return nil
}

// run runs do on a connection of the pool.
func (c *Cursors) run(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	err := pg.Run(ctx, func(conn *pgxpool.Conn) error { return c.at.Explain(ctx, conn.Conn(), do(ctx, conn)) }, c.pool)
	if pg.HasCode(err, pg.CodeUndefinedTable) {
		return fmt.Errorf("%w: its schema was removed while it was open: %w", feed.ErrNoStore, err)
	}
	return translate(ctx, err)
}

// write runs work in a transaction. After an error nothing of it is there, unless the outcome of the commit itself is unknown.
func (c *Cursors) write(ctx context.Context, what string, work func(context.Context, pgx.Tx) error) error {
	err := c.run(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return work(ctx, tx) })
	})
	if err != nil {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	return nil
}

// translate gives errors of the driver and the server the meaning that package eventstore defines.
func translate(ctx context.Context, err error) error {
	translated := pg.Translate(ctx, err, func(class pg.Class) error {
		switch class {
		case pg.DiskFull:
			return eventstore.ErrDiskFull
		case pg.TooManyConnections:
			return eventstore.ErrTooManyConnections
		case pg.Transient, pg.Replica:
			return eventstore.ErrTransient
		case pg.Damaged:
			return eventstore.ErrCorrupt
		case pg.TooLarge:
			return eventstore.ErrTooLarge
		case pg.Unstorable:
			return eventstore.ErrInvalid
		case pg.Other, pg.Forbidden, pg.Violation:
		}
		return nil
	})
	if errors.Is(translated, eventstore.ErrDiskFull) || errors.Is(translated, eventstore.ErrTooManyConnections) {
		return eventstore.Transient(translated)
	}
	return translated
}
