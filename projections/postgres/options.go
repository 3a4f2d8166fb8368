package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/migrations"
	"github.com/gxpledger/gxpledger/projections"
)

// The values that stand for zero ones in [Options] and [Namespace].
const (
	DefaultSchema   = "gxp"
	DefaultOwner    = "gxp_owner"
	DefaultWriter   = "gxp_writer"
	DefaultReader   = "gxp_reader"
	DefaultMaxConns = 8
	DefaultPatience = 10 * time.Second
)

// leastConns is the least that MaxConns may be: two write and two read.
const leastConns = 4

// Options say how to open the tables.
type Options struct {
	Namespace
	// Application is the application_name of connections, unless the address has one. Defaults to gxpledger.
	Application string
	// Blocked is told which session of the server holds a lock that is waited for, once that is known: after a second, over one more
	// connection. It must not block. Nil for nobody, and then the server is not asked.
	Blocked func(who string)
	// Now is the engine's clock, which dates builds. Required.
	Now func() time.Time
	// LeaseClock decides when a lease has run out. Nil means the server's clock, which is the same for every process; tests
	// replace it.
	LeaseClock func() time.Time
	// MaxConns bounds the connections of this DB, at least 4: half of them write, half of them read. They are opened when
	// they are needed. Defaults to pool_max_conns of the URL, where anything less counts as 4, and without that to
	// DefaultMaxConns.
	MaxConns int32
	// Patience is how long a call waits for a server that does not answer, or for locks of others, before it gives up
	// with ErrTransient. Defaults to DefaultPatience.
	Patience time.Duration

	tracer pgx.QueryTracer // a test's
}

func (o Options) withDefaults() Options {
	o.Namespace = o.Namespace.withDefaults()
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	return o
}

func (o Options) validate() error {
	var faults []error
	if o.Now == nil {
		faults = append(faults, errors.New("option Now: no clock"))
	}
	if o.MaxConns != 0 && o.MaxConns < leastConns {
		faults = append(faults, fmt.Errorf("option MaxConns: %d, want at least %d", o.MaxConns, leastConns))
	}
	if o.Patience < 0 {
		faults = append(faults, fmt.Errorf("option Patience: %s, want more than 0", o.Patience))
	}
	if _, err := o.migrations(); err != nil { // checks the names
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", projections.ErrInvalid, errors.Join(faults...))
	}
	return nil
}

// Namespace says where the tables are, and whose they are. The zero value is what is meant by default.
type Namespace struct {
	Schema string // DefaultSchema when ""
	Owner  string // role that owns the schema and the account of builds; DefaultOwner when ""
	Writer string // role that owns the builds, and has the rights to make them and no other; DefaultWriter when ""
	Reader string // role that reads the views, and what they mean, and nothing else; DefaultReader when ""
}

func (p Namespace) withDefaults() Namespace {
	return Namespace{
		Schema: cmp.Or(p.Schema, DefaultSchema), Owner: cmp.Or(p.Owner, DefaultOwner),
		Writer: cmp.Or(p.Writer, DefaultWriter), Reader: cmp.Or(p.Reader, DefaultReader),
	}
}

func (p Namespace) migrations() (*migrations.Postgres, error) {
	p = p.withDefaults()
	return migrations.PostgresTables(migrations.PostgresTarget{Schema: p.Schema, Owner: p.Owner, Writer: p.Writer, Reader: p.Reader})
}
