package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/migrations"
)

// The values that stand for zero ones in [Options] and [Namespace].
const (
	DefaultSchema        = "gxp_log"
	DefaultOwner         = "gxp_log_owner"
	DefaultWriter        = "gxp_log_writer"
	DefaultMaxConns      = 8
	DefaultPollEvery     = time.Second
	DefaultAppendTimeout = 15 * time.Second
)

// leastConns is the least that MaxConns may be: the appender keeps one connection for long.
const leastConns = 2

// Options say how to open a log.
type Options struct {
	// Schema that holds the log. Defaults to DefaultSchema.
	Schema string
	// Now is the engine's clock, read once for each batch. Required.
	Now func() time.Time
	// MaxConns bounds the connections of this log, beside the one that waits for NOTIFY; at least 2. Defaults to
	// pool_max_conns of the URL, where anything less counts as 2, and without that to DefaultMaxConns.
	MaxConns int32
	// PollEvery is how often a subscription looks for new events when no hint comes. Defaults to DefaultPollEvery.
	PollEvery time.Duration
	// AppendTimeout bounds how long an append goes on, with its repetitions, while nothing is sent to or received from the
	// server, also when the caller's context has no deadline: then the append fails with ErrTransient, and its outcome may
	// be unknown. The whole may take longer, as long as bytes move. Defaults to DefaultAppendTimeout.
	AppendTimeout time.Duration
	// Inspect opens a log whose counter row contradicts its events, too, for eventstore.Verify to name that and all else.
	// Append is ErrCorrupt then.
	Inspect bool
	// Observe is told of errors that cost time and lose nothing: a hint that could not be sent, a lost connection
	// that a subscription survives. It must not block. Nil for nobody.
	Observe func(error)

	tracer pgx.QueryTracer // a test's
}

func (o Options) withDefaults() Options {
	o.Schema = cmp.Or(o.Schema, DefaultSchema)
	o.PollEvery = cmp.Or(o.PollEvery, DefaultPollEvery)
	o.AppendTimeout = cmp.Or(o.AppendTimeout, DefaultAppendTimeout)
	if o.Observe == nil {
		o.Observe = func(error) {}
	}
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
	if o.PollEvery < 0 || o.AppendTimeout < 0 {
		faults = append(faults, fmt.Errorf("options PollEvery and AppendTimeout: %s and %s, want more than 0", o.PollEvery, o.AppendTimeout))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return nil
}

// Namespace says where [Up], [Status] and [Plan] find the log, and whose it is. The zero value is what Open expects by default.
type Namespace struct {
	Schema string // DefaultSchema when ""
	Owner  string // role that owns the tables; DefaultOwner when ""
	Writer string // role with the rights to run the engine, and no other; DefaultWriter when ""
}

func (p Namespace) migrations() (*migrations.Postgres, error) {
	return migrations.PostgresLog(migrations.PostgresTarget{
		Schema: cmp.Or(p.Schema, DefaultSchema), Owner: cmp.Or(p.Owner, DefaultOwner), Writer: cmp.Or(p.Writer, DefaultWriter),
	})
}
