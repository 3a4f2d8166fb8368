package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
)

// Log is a log in a SQLite file. It is safe for concurrent use.
type Log struct {
	path    string
	options Options
	id      uuid.UUID
	sizes   sizes

	readers *sql.DB // several connections, unable to write
	writers *sql.DB // the one connection of writer
	aside   *sql.DB // one connection for snapshots and checkpoints; used in the writer's turn or by checkpoints
	writer  *writer // nil when the log was opened for reading

	codec *contents.Codec
	alone os.FileInfo // the file when it was opened, if it is read without the files that others share; else nil

	unmoved    atomic.Int64  // about how many bytes were written since the last checkpoint
	grown      chan struct{} // wakes checkpoints
	background sync.WaitGroup

	closing  sync.Once
	closed   chan struct{} // closed by Close
	closeErr error         // of the first Close

	mu      sync.Mutex    // guards changed
	changed chan struct{} // closed and replaced by each append of this handle
}

var _ eventstore.Log = (*Log)(nil)

func newLog(path string, options Options) (*Log, error) {
	codec, err := contents.NewCodec()
	if err != nil {
		return nil, err
	}
	return &Log{
		path: path, options: options, sizes: defaultSizes(), codec: codec,
		grown: make(chan struct{}, 1), closed: make(chan struct{}), changed: make(chan struct{}),
	}, nil
}

// ID implements [eventstore.Log].
func (l *Log) ID() uuid.UUID { return l.id }

// Features implements [eventstore.Log].
func (l *Log) Features() eventstore.Features {
	return eventstore.Features{Name: "SQLite", Durable: true, DensePositions: true, SharedByProcess: true, OrderedTimes: true, UniqueIDs: true}
}

// Close implements [eventstore.Log]. It waits for the append that is running, and returns what the first Close did.
func (l *Log) Close() error {
	l.closing.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	close(l.closed)
	if l.writer != nil {
		l.writer.turn <- struct{}{} // never given back
	}
	l.background.Wait()
	faults := []error{l.codec.Close()}
	if l.writer != nil {
		faults = append(faults, l.writer.close())
	}
	for _, db := range []*sql.DB{l.readers, l.writers, l.aside} {
		if db != nil {
			faults = append(faults, db.Close())
		}
	}
	return errors.Join(append(faults, l.unchanged())...)
}

func (l *Log) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// usable returns why nothing can be asked of l any more, or within ctx.
func (l *Log) usable(ctx context.Context) error {
	if l.isClosed() {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

// changes returns what the next append of this handle closes.
func (l *Log) changes() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// announce wakes the subscriptions of this handle.
func (l *Log) announce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}
