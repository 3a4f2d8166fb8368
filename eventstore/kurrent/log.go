package kurrent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Log is a log on a server. It is safe for concurrent use.
type Log struct {
	options   Options
	sizes     sizes
	names     names
	id        uuid.UUID
	cluster   *cluster
	budget    *budget
	guard     guard
	strangers strangers
	marks     marks
	contents  knownContents
	newest    newestIDs
	snapshots snapshots
	closing   sync.Once // closes cluster
	readOnly  bool

	turns  *turns
	latest time.Time    // the newest that was recorded; guarded by the turn of the clock
	keeper atomic.Int32 // a timekeeper
	short  atomic.Int64 // position of the last event shown of a batch whose rest did not come
}

// timekeeper says whose clock tells RecordedAt.
type timekeeper int32

const (
	keeperUnknown timekeeper = iota // nobody knows before the first append
	keeperEngine                    // the engine's, in the metadata
	keeperServer                    // that of a server of package esdbserver, which takes no other
)

var _ eventstore.Log = (*Log)(nil)

// Open opens the log on the server that connection names, and makes it if there is none: "esdb://host:2113" or
// "esdb+discover://cluster", with parameters behind "?". Beside the client's own there are two, streamPrefix and
// maxAppendSize, which stand for Options.Prefix and Options.MaxAppendBytes where these are not set, as defaultDeadline, in
// milliseconds, does for Options.Timeout. A certificate authority of the server's own is named by tlsCaFile, and clear text
// is asked for by tls=false, which is refused together with credentials but for servers on this machine. No error has the
// credentials in it.
//
// Options that break their contract, and such a connection string, are ErrInvalid, as is a log that would be inside
// another, or around one: nothing is written then. A log whose own stream was cut is
// ErrCorrupt. A server that does not answer within Options.Timeout is ErrTransient, one that does not let the user do what
// the log needs [ErrRefused].
func Open(ctx context.Context, connection string, options Options) (*Log, error) {
	return open(ctx, connection, options, (*Log).identify)
}

// OpenReadOnly opens the log as [Open] does, and writes nothing: a server that holds no such log is ErrNotFound, and
// Append and SaveSnapshot answer [ErrReadOnly].
func OpenReadOnly(ctx context.Context, connection string, options Options) (*Log, error) {
	l, err := open(ctx, connection, options, (*Log).find)
	if err != nil {
		return nil, err
	}
	l.readOnly = true
	return l, nil
}

// ErrReadOnly says that the log was opened for reading. Nothing was written. Errors that wrap it wrap
// [eventstore.ErrInvalid] too: open the log with [Open].
var ErrReadOnly = errors.New("log was opened for reading only")

func open(ctx context.Context, connection string, options Options, identify func(*Log, context.Context) (uuid.UUID, error)) (*Log, error) {
	said, err := parse(connection)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	options = options.with(said.own)
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	options = options.withDefaults()
	l := &Log{
		options: options, sizes: defaultSizes(), names: options.prefixed(), cluster: newCluster(said, options.MaxCalls),
		budget: &budget{total: options.Wait},
		guard:  guard{looked: map[string]bool{}}, contents: knownContents{hashes: map[string]bool{}},
		newest: newestIDs{streams: map[string]newest{}}, strangers: strangers{streams: map[string]bool{}},
	}
	if options.lookup != nil {
		l.cluster.lookup = options.lookup
	}
	l.turns = newTurns(l.cluster.life.Done())
	if l.id, err = l.enter(ctx, identify); err != nil {
		l.cluster.close()
		return nil, fmt.Errorf("open log at %s: %w", Redact(connection), err)
	}
	l.snapshots = newSnapshots(options.CacheDir, l.id)
	l.marks.keepIn(options.CacheDir, l.id)
	return l, nil
}

// enter finds out whether the user may read what the log needs, and then identifies the log.
func (l *Log) enter(ctx context.Context, identify func(*Log, context.Context) (uuid.UUID, error)) (uuid.UUID, error) {
	if _, err := l.newestOfAll(ctx); err != nil {
		return uuid.Nil, fmt.Errorf("read $all: %w", err)
	}
	return identify(l, ctx)
}

// find reads the id of the log, which must be there.
func (l *Log) find(ctx context.Context) (uuid.UUID, error) {
	id, err := l.search(ctx)
	if err == nil && id == uuid.Nil {
		err = fmt.Errorf("%w: the server has no stream %q, in which the log would begin", eventstore.ErrNotFound, l.names.log())
	}
	return id, err
}

// writable returns why nothing can be written to l, or within ctx.
func (l *Log) writable(ctx context.Context) error {
	if l.readOnly {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, ErrReadOnly)
	}
	return l.usable(ctx)
}

// readID returns the id of the log, the zero one if it has none.
func (l *Log) readID(ctx context.Context) (uuid.UUID, error) {
	e, err := l.last(ctx, l.names.log())
	if err != nil {
		return uuid.Nil, fmt.Errorf("read id of the log: %w", err)
	}
	if e == nil {
		return uuid.Nil, nil
	}
	if e.Revision == 1 && e.Type == withdrawn {
		return uuid.Nil, fmt.Errorf("%w: stream %q says %s: choose another streamPrefix", errWithdrawn, e.Stream, shorten(string(e.Data)))
	}
	if e.Revision != 0 || e.Type != identity {
		return uuid.Nil, fmt.Errorf("%w: stream %q ends with event %d of type %q, want one event of type %q: it was tampered with",
			eventstore.ErrCorrupt, e.Stream, e.Revision, e.Type, identity)
	}
	if e.ID == uuid.Nil {
		return uuid.Nil, fmt.Errorf("%w: the event of stream %q has no id", eventstore.ErrCorrupt, e.Stream)
	}
	return e.ID, nil
}

// ID implements [eventstore.Log]. It is the id of the first event in the stream "gxpledger-log".
func (l *Log) ID() uuid.UUID { return l.id }

// Features implements [eventstore.Log].
func (l *Log) Features() eventstore.Features {
	return eventstore.Features{
		Name: "KurrentDB", Durable: true, SharedByProcess: true, MaxBatchBytes: l.options.MaxAppendBytes,
	}
}

// Close implements [eventstore.Log].
func (l *Log) Close() error {
	l.closing.Do(func() {
		l.cluster.close()
		if err := l.marks.save(); err != nil {
			l.options.Observe(fmt.Errorf("keep where the log ends: %w", err))
		}
	})
	return nil
}

// usable returns why nothing can be asked of l any more, or within ctx.
func (l *Log) usable(ctx context.Context) error {
	if l.cluster.life.Err() != nil {
		return eventstore.ErrClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
