package postgres

import (
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

// maxBatchBytes bounds the data and metadata of a batch: the server takes no message of 1 GiB.
const maxBatchBytes = 256 << 20

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
	session := pg.Session{Parameters: []pg.Parameter{
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
