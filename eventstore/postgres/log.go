package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
	"github.com/gxpledger/gxpledger/internal/pg"
)

// maxBatchBytes bounds the data and metadata of a batch, and so how long others wait for its transaction. It is sent in pieces.
const maxBatchBytes = 1 << 30

// Log is a log on PostgreSQL. It is safe for concurrent use.
type Log struct {
	options  Options
	pool     *pgxpool.Pool
	sql      statements
	codec    *contents.Codec
	identity identity
	sizes    sizes

	gate      *gate
	closing   chan struct{}           // closed by Close
	stop      context.CancelCauseFunc // ends the background tasks
	tasks     sync.WaitGroup          // the background tasks
	appending sync.WaitGroup          // the appender
	queue     chan *request           // to the appender
	hint      chan struct{}           // to the notifier: there is something to tell; holds one
	listen    chan struct{}           // to the listener: somebody subscribes; holds one
	wake      *broadcast              // rung when there may be something to read
}

var _ eventstore.Log = (*Log)(nil)

// Open opens the log at url, a postgres:// address, which [Up] has made. It connects at once, and refuses a log of
// another form than this binary knows, a server before PostgreSQL 14, and a database whose encoding is not UTF-8.
//
// The log lives until Close, not until ctx ends. Errors that wrap ErrTransient are worth another try.
func Open(ctx context.Context, url string, options Options) (*Log, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	codec, err := contents.NewCodec()
	if err != nil {
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	pool, err := connect(ctx, url, options)
	if err != nil {
		return nil, fmt.Errorf("cannot open log: %w", translate(ctx, err))
	}
	l := &Log{
		options: options, pool: pool, sql: newStatements(options.Schema), codec: codec,
		sizes: sizes{batches: 512, firstPage: 128, largestPage: 2048, pageBytes: 8 << 20, hashes: 1000},
		gate:  &gate{inside: map[uint64]context.CancelCauseFunc{}}, closing: make(chan struct{}), queue: make(chan *request),
		hint: make(chan struct{}, 1), listen: make(chan struct{}, 1), wake: &broadcast{sent: make(chan struct{})},
	}
	if l.identity, err = l.identify(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	l.start(context.WithoutCancel(ctx))
	return l, nil
}

// connect opens the pool of connections.
func connect(ctx context.Context, url string, options Options) (*pgxpool.Pool, error) {
	config, err := pg.Parse(url)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	if config.MaxConns, err = pg.MaxConns(url, options.MaxConns, leastConns, DefaultMaxConns); err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	config.ConnConfig.Tracer = options.tracer
	session := pg.Session{Application: options.Application, Blocked: options.Blocked, Parameters: []pg.Parameter{
		{Name: "idle_in_transaction_session_timeout", Value: "10s", Why: "a client that vanished holds the counter row for long"},
		{Name: "jit", Value: "off", Why: "statements are short, and look expensive to the planner: compiling them takes longer than they do"},
	}}
	return pg.NewPool(ctx, config, session, options.Now)
}

// start starts the background tasks.
func (l *Log) start(ctx context.Context) {
	ctx, l.stop = context.WithCancelCause(ctx)
	l.appending.Go(func() { l.appendAll(ctx) })
	l.tasks.Go(func() { l.notifyAll(ctx) })
	l.tasks.Go(func() { l.listenAll(ctx) })
}

// identity is what a log is, and what it found out about its server.
type identity struct {
	id      uuid.UUID
	durable bool  // the server writes to its disk before it answers
	fault   error // why nothing may be appended; for Options.Inspect
}

// identify checks that the database holds a log that l can serve.
func (l *Log) identify(ctx context.Context) (identity, error) {
	var out identity
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		if err := pg.CheckServer(ctx, conn.Conn()); err != nil {
			return err
		}
		if err := (Namespace{Schema: l.options.Schema}).schemaAt("").Check(ctx, conn.Conn()); err != nil {
			return err
		}
		var head, last int64
		err := conn.QueryRow(ctx, l.sql.identify).Scan(&out.id, &out.durable, &head, &last)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: the row with its id, or the counter row, is gone", eventstore.ErrCorrupt)
		}
		if err == nil && head != last {
			out.fault = fmt.Errorf("%w: the counter row is at %d, the last event at %d", eventstore.ErrCorrupt, head, last)
		}
		return err
	})
	if err == nil && !l.options.Inspect {
		err = out.fault
	}
	return out, err
}

// ID returns the id that the first migration made.
func (l *Log) ID() uuid.UUID { return l.identity.id }

// Features implements [eventstore.Log].
func (l *Log) Features() eventstore.Features {
	return eventstore.Features{
		Name: "PostgreSQL", Durable: l.identity.durable, DensePositions: true, SharedByProcess: true, OrderedTimes: true, UniqueIDs: true,
		MaxBatchBytes: maxBatchBytes,
	}
}

// closeGrace is how long Close waits for the appends that were sent to the server.
const closeGrace = 5 * time.Second

// Close implements [eventstore.Log]. Appends that were sent to the server are answered first, for up to five
// seconds; others end with ErrClosed, and nothing was written of them.
func (l *Log) Close() error {
	if !l.gate.close() {
		return nil
	}
	close(l.closing)
	late := time.AfterFunc(closeGrace, func() { l.stop(eventstore.ErrClosed) })
	defer late.Stop()
	l.appending.Wait()
	l.stop(eventstore.ErrClosed)
	l.gate.wait()
	l.tasks.Wait()
	l.pool.Close()
	return l.codec.Close()
}

// observe tells the observer of errors that need nobody's action. Errors while the log closes are none.
func (l *Log) observe(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, eventstore.ErrClosed) {
		l.options.Observe(err)
	}
}

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
	// Writer is the role that errors name when a right is missing. Defaults to DefaultWriter.
	Writer string
	// Application is the application_name of connections, unless the address has one. Defaults to gxpledger.
	Application string
	// Blocked is told which session of the server holds a lock that is waited for, once that is known: after a second, over one more
	// connection. It must not block. Nil for nobody, and then the server is not asked.
	Blocked func(who string)
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

const (
	// tries is how often a call is tried when the server does not answer. The caller of the log tries again after that,
	// with longer waits.
	tries = 3
	// firstWait is the wait before the second try. It doubles.
	firstWait = 50 * time.Millisecond
)

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
	schema := Namespace{Schema: l.options.Schema, Writer: l.options.Writer}.schemaAt("")
	return translate(ctx, pg.Run(ctx, func(conn *pgxpool.Conn) error {
		return schema.Explain(ctx, conn.Conn(), do(ctx, conn))
	}, l.pool))
}

// retry calls do until it succeeds, fails for another reason than that the server did not answer, or has failed often.
func (l *Log) retry(ctx context.Context, do func() error) error {
	wait := firstWait
	for n := 1; ; n++ {
		err := do()
		if err == nil || !errors.Is(err, eventstore.ErrTransient) || n == tries || ctx.Err() != nil {
			return err
		}
		if err := pg.Pause(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// gate counts the calls that are inside, and ends them when the log closes.
type gate struct {
	mu     sync.Mutex // guards all below
	closed bool
	last   uint64
	inside map[uint64]context.CancelCauseFunc

	calls sync.WaitGroup
}

// enter returns a context that ends with the log, with ErrClosed as its cause, and what is to be called at the end.
func (g *gate) enter(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil, eventstore.ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	g.last++
	number := g.last
	g.inside[number] = cancel
	g.calls.Add(1)
	return ctx, func() {
		g.mu.Lock()
		delete(g.inside, number)
		g.mu.Unlock()
		cancel(nil)
		g.calls.Done()
	}, nil
}

// close refuses new calls and ends those inside. It reports whether it was the first to do so.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.closed = true
	for _, cancel := range g.inside {
		cancel(eventstore.ErrClosed)
	}
	return true
}

// wait waits until nobody is inside.
func (g *gate) wait() { g.calls.Wait() }
