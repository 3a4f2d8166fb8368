package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Appender writes.
type Appender interface {
	// Append writes batch to its stream atomically and in order, after revision batch.Expected.
	//
	// On ErrConflict, ErrIDReused, ErrInvalid, ErrTooLarge and ErrNotWritten nothing was written. On any other error, that
	// of a context included, the outcome is unknown: call again with the same batch, and the log holds it once. A batch
	// that the log holds already is a success with Appended.Repeated set. Safe for concurrent use. Append keeps no
	// reference to batch.
	Append(ctx context.Context, batch Batch) (Appended, error)
}

// OrderedAppender is a log that takes batches while it writes others. Not every log is one.
type OrderedAppender interface {
	// Enqueue is Append in two steps: it gives batch its place behind those that have theirs already, and wait returns what Append does.
	// Wait has to be called, once, and batch stays as it is until then.
	Enqueue(ctx context.Context, batch Batch) (wait func() (Appended, error))
}

// Enqueue is that of log if it is an OrderedAppender. Another log takes batch when wait is called.
func Enqueue(ctx context.Context, log Appender, batch Batch) (wait func() (Appended, error)) {
	if ordered, ok := log.(OrderedAppender); ok {
		return ordered.Enqueue(ctx, batch)
	}
	return func() (Appended, error) { return log.Append(ctx, batch) }
}

// Reader reads over all streams, in the order of positions. Positions that it is given are tokens (I19): 0, or ones that it
// gave itself, as the position of a record, as its head or of an append. Only a log with Features.DensePositions knows what
// to make of others: there every number from 1 to the head is one that it gave.
type Reader interface {
	// Read yields records in order from the one after after, up to the head at the time of the call. An error is the
	// last thing that it yields. The body of the loop may take as long as it likes and may append.
	Read(ctx context.Context, after Position, filter Filter) iter.Seq2[Record, error]
	// ReadBackwards yields records in falling order from the one before before; a before of 0 means from the head.
	ReadBackwards(ctx context.Context, before Position, filter Filter) iter.Seq2[Record, error]
	// At returns the record at a position, or ErrNotFound when no event of the log is there: at 0, above the head, or
	// between events.
	At(ctx context.Context, at Position) (Record, error)
	// Head returns the position of the last event of the log, 0 when it has none.
	Head(ctx context.Context) (Position, error)
}

// StreamReader reads one stream. A stream that does not exist yields nothing, and one that no log could have neither.
type StreamReader interface {
	// ReadStream yields records of stream in order, from revision from on, up to its end at the time of the call.
	ReadStream(ctx context.Context, stream StreamID, from Revision) iter.Seq2[Record, error]
	// ReadStreamBackwards yields records of stream in falling order, from its end.
	ReadStreamBackwards(ctx context.Context, stream StreamID) iter.Seq2[Record, error]
}

// Subscriber follows the log.
type Subscriber interface {
	// Subscribe yields what Read yields and then each new record as it is committed, by whatever process,
	// without gap or duplicate. It ends when the loop breaks or, with ctx's error, when ctx does. A slow loop is never
	// dropped: the subscription reads from the log, at the loop's pace.
	Subscribe(ctx context.Context, after Position, filter Filter) iter.Seq2[Record, error]
}

// ContentStore holds the original bytes of scanned files (I12).
type ContentStore interface {
	// Content returns the bytes with that SHA-256 (64 hexadecimal digits), checked against it, or ErrNotFound, or
	// ErrCorrupt. The caller owns them.
	Content(ctx context.Context, sha256 string) ([]byte, error)
	// ContentHashes yields the hash of every stored content, in no particular order.
	ContentHashes(ctx context.Context) iter.Seq2[string, error]
}

// Snapshot is a folded state, kept beside the log to spare reading a long stream again. It is a cache: it may be
// missing or stale, and is never trusted without the checks of the Recorder.
type Snapshot struct {
	Stream   StreamID
	Revision Revision // of the last event folded
	EventID  EventID  // of that event
	Version  int      // of the state's form
	Data     []byte   // encoded state
}

// Validate reports what makes s unfit for any log. The error wraps [ErrInvalid].
func (s Snapshot) Validate() error {
	fault := s.Stream.Validate()
	switch {
	case fault != nil:
	case s.EventID == EventID{}:
		fault = errors.New("no event id")
	case len(s.Data) == 0:
		fault = errors.New("no data")
	case s.Revision > math.MaxInt64-1:
		fault = fmt.Errorf("revision %d", s.Revision)
	default:
		return nil
	}
	return fmt.Errorf("%w: snapshot of stream %.200q: %w", ErrInvalid, s.Stream, fault)
}

// Snapshots keeps at most one snapshot for each stream.
type Snapshots interface {
	// LoadSnapshot returns ErrNotFound when there is none, and ErrSnapshotInvalid when what is kept cannot be one.
	LoadSnapshot(ctx context.Context, stream StreamID) (Snapshot, error)
	// SaveSnapshot replaces the stream's snapshot.
	SaveSnapshot(ctx context.Context, snapshot Snapshot) error
}

// Log is all that a log does. Declare the part that you use; every log implements the whole.
type Log interface { //nolint:interfacebloat // the sum of the small ones, for who opens a log
	Appender
	Reader
	StreamReader
	Subscriber
	ContentStore
	Snapshots
	// ID identifies this log for ever. It is made at creation and survives backup and restore (I14).
	ID() uuid.UUID
	// Features says where this log differs from others.
	Features() Features
	// Close ends every subscription with ErrClosed and frees what the log holds. Closing twice is harmless.
	Close() error
}

// Features are the differences between logs, in words that a user can read. The conformance suite checks each.
type Features struct {
	Name            string // "memory", "SQLite", ...
	Durable         bool   // an acknowledged batch survives kill -9 and power loss
	DensePositions  bool   // 1, 2, 3 and so on without a gap
	SharedByProcess bool   // several processes may append and read at the same time
	OrderedTimes    bool   // recorded times never fall in the log; without it, in a stream
	// UniqueIDs: an id that stands anywhere in the log is refused, and of handles that append one batch at the same moment
	// one alone is told that it wrote it. Without it, that holds for ids in the stream of the batch, and for one handle.
	UniqueIDs     bool
	MaxBatchBytes int64 // largest sum of data and metadata of a batch; 0 means no limit but memory
}

// Filter chooses records. The zero value chooses all.
type Filter struct {
	StreamPrefix string   // the bytes with which a name begins; "" for any
	Types        []string // versioned names; empty for any
}

// Match reports whether r passes the filter.
func (f Filter) Match(r Record) bool {
	if !strings.HasPrefix(string(r.Stream), f.StreamPrefix) {
		return false
	}
	if len(f.Types) == 0 {
		return true
	}
	return slices.Contains(f.Types, r.Type)
}
