package kurrent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
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
	room      *room // of contents
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
	l.turns, l.room = newTurns(l.cluster.life.Done()), newRoom(contentRoom, l.cluster.life.Done())
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

// The values that stand for zero ones in [Options].
const (
	DefaultMaxAppendBytes = 1 << 20 // of servers before 25.1
	DefaultTimeout        = 10 * time.Second
	DefaultMaxCalls       = 64
	DefaultWait           = 30 * time.Second
)

// maxEventBytes is the largest event that any server takes: a record of it has at most 16 MiB.
const maxEventBytes = 16<<20 - 64<<10

// Options say how to open a log. What is set here goes before what the connection string says.
type Options struct {
	// Now is the engine's clock, read once for each batch. Required.
	Now func() time.Time
	// Prefix begins the name of every stream of this log on the server: for several logs on one server, of which none is
	// inside another. At most 100 bytes of printable ASCII without blanks, not beginning with "$". Where it is empty, and
	// NoPrefix is not set, it is DefaultPrefix, or none for a log that was made without one before there was a default.
	// Never change it: the log would not be found.
	Prefix string
	// NoPrefix says that there is no prefix, on a server that nobody else uses.
	NoPrefix bool
	// MaxAppendBytes is the server's MaxAppendSize: the largest sum of data, metadata and twice the type of the events of
	// a batch, and the largest content. The protocol does not tell it. Raise the server's setting first. Defaults to
	// DefaultMaxAppendBytes.
	MaxAppendBytes int64
	// Timeout bounds what is waited for one answer of the server, also when the caller's context does not. A subscription
	// that is live waits for ever. Defaults to DefaultTimeout.
	Timeout time.Duration
	// Wait bounds the time that is spent on trying again while the server cannot answer, as during an election of its
	// leader. It is one budget for all calls, which comes back while none is tried again. After it a call fails with
	// ErrTransient. Defaults to DefaultWait.
	Wait time.Duration
	// Waiting is told, before each further try, how much of Wait is spent and why, and "" once the wait is over. It must not
	// block. Nil for nobody.
	Waiting func(spent, wait time.Duration, why string)
	// MaxCalls bounds the calls that are with the server at one time; others wait. Open subscriptions are not counted.
	// Defaults to DefaultMaxCalls.
	MaxCalls int
	// CacheDir is an existing folder of this machine for snapshots, and for how far the server was looked through, which
	// processes may share. Without it they are lost with the handle, which costs reading a stream again, and passing over what
	// other applications appended behind the log's last event.
	CacheDir string
	// Observe is told of errors that cost time but lose nothing, such as a subscription that was dropped and resumes.
	// It must not block. Nil for nobody.
	Observe func(error)

	lookup func(ctx context.Context, host string) ([]string, error) // of a test, nil for the machine's
}

func (o Options) withDefaults() Options {
	o.MaxAppendBytes = cmp.Or(o.MaxAppendBytes, DefaultMaxAppendBytes)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Wait = cmp.Or(o.Wait, DefaultWait)
	o.MaxCalls = cmp.Or(o.MaxCalls, DefaultMaxCalls)
	if o.Observe == nil {
		o.Observe = func(error) {}
	}
	if o.Waiting == nil {
		o.Waiting = func(time.Duration, time.Duration, string) {}
	}
	return o
}

// maxPrefix leaves room for the names of streams: a server takes longer ones, but not without end.
const maxPrefix = 100

func (o Options) validate() error {
	var faults []error
	if o.Now == nil {
		faults = append(faults, errors.New("option Now: no clock"))
	}
	if o.MaxAppendBytes < 0 || o.Timeout < 0 || o.Wait < 0 || o.MaxCalls < 0 {
		faults = append(faults, fmt.Errorf("options MaxAppendBytes, Timeout, Wait and MaxCalls: %d, %s, %s and %d, want more than 0",
			o.MaxAppendBytes, o.Timeout, o.Wait, o.MaxCalls))
	}
	if o.NoPrefix && o.Prefix != "" {
		faults = append(faults, fmt.Errorf("options Prefix and NoPrefix: %q and true, want one of them", o.Prefix))
	}
	if err := checkPrefix(o.Prefix); err != nil {
		faults = append(faults, fmt.Errorf("option Prefix: %w", err))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return nil
}

func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefix || strings.HasPrefix(prefix, "$") || strings.ContainsFunc(prefix, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%q: want at most %d bytes of printable ASCII without blanks, not beginning with $", prefix, maxPrefix)
	}
	return nil
}

// Reads backwards come in pages, each larger than the last: many want a few events only, and the server would send all.
type sizes struct{ firstPage, lastPage uint64 }

func defaultSizes() sizes {
	return sizes{firstPage: 32, lastPage: 4096}
}
