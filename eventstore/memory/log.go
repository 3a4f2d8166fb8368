// Package memory is the reference log: what the contract of package eventstore means, in one process and until it ends.
// It is for tests and for throw-away histories.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Log is a log in memory. It is safe for concurrent use.
type Log struct {
	id     uuid.UUID
	now    func() time.Time
	closed chan struct{} // closed by Close

	closing sync.Once // closes closed

	mu        sync.RWMutex // guards all below
	records   []eventstore.Record
	streams   map[eventstore.StreamID][]eventstore.Position // by revision
	ids       map[eventstore.EventID]eventstore.Position
	contents  map[string][]byte // by SHA-256
	snapshots map[eventstore.StreamID]eventstore.Snapshot
	changed   chan struct{} // closed and replaced by each append
}

var _ eventstore.Log = (*Log)(nil)

// New returns an empty log with an id of its own. It reads now, which must not be nil, once for each append.
func New(now func() time.Time) *Log {
	return &Log{
		id: uuid.New(), now: now, closed: make(chan struct{}), changed: make(chan struct{}),
		streams:   map[eventstore.StreamID][]eventstore.Position{},
		ids:       map[eventstore.EventID]eventstore.Position{},
		contents:  map[string][]byte{},
		snapshots: map[eventstore.StreamID]eventstore.Snapshot{},
	}
}

// ID returns the id that New made.
func (l *Log) ID() uuid.UUID { return l.id }

// Features says that nothing outlives the process.
func (l *Log) Features() eventstore.Features {
	return eventstore.Features{Name: "memory", DensePositions: true, OrderedTimes: true, UniqueIDs: true}
}

// Close implements [eventstore.Log].
func (l *Log) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

// usable returns why nothing can be asked of l any more, or within ctx.
func (l *Log) usable(ctx context.Context) error {
	select {
	case <-l.closed:
		return eventstore.ErrClosed
	default:
		return ctx.Err()
	}
}

// Append implements [eventstore.Appender].
func (l *Log) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	if err := batch.Validate(); err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append: %w", err)
	}
	batch, err := batch.Held()
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append to stream %q: %w", batch.Stream, eventstore.NotWritten(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx); err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append to stream %q: %w", batch.Stream, eventstore.NotWritten(err))
	}
	if held := l.held(batch); batch.Repeats(held) {
		return answer(held, eventstore.Appended{Repeated: true}), nil
	}
	if err := l.refuse(batch); err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append to stream %q: %w", batch.Stream, err)
	}
	at, err := batch.TimeAfter(l.lastTime(), l.now())
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append to stream %q: %w", batch.Stream, err)
	}
	return answer(l.write(batch, at), eventstore.Appended{}), nil
}

// held returns the records that are where b wants to be. l.mu must be held.
func (l *Log) held(b eventstore.Batch) []eventstore.Record {
	stream := l.streams[b.Stream]
	from := min(uint64(b.Expected.Next()), uint64(len(stream)))
	var records []eventstore.Record
	for _, at := range stream[from:min(from+uint64(len(b.Events)), uint64(len(stream)))] {
		records = append(records, l.records[at-1])
	}
	return records
}

// refuse returns why b, which l does not hold, cannot be written. l.mu must be held.
func (l *Log) refuse(b eventstore.Batch) error {
	for _, e := range b.Events {
		if at, ok := l.ids[e.ID]; ok {
			return fmt.Errorf("%w: %s is at position %d", eventstore.ErrIDReused, e.ID, at)
		}
	}
	if size := len(l.streams[b.Stream]); uint64(b.Expected.Next()) != uint64(size) {
		return fmt.Errorf("%w: expected %s, it has %d events", eventstore.ErrConflict, b.Expected, size)
	}
	return nil
}

// lastTime is when the last event was recorded, zero when there is none. l.mu must be held.
func (l *Log) lastTime() time.Time {
	if len(l.records) == 0 {
		return time.Time{}
	}
	return l.records[len(l.records)-1].RecordedAt
}

// write adds b, recorded at at, and wakes who follows the log. l.mu must be held.
func (l *Log) write(b eventstore.Batch, at time.Time) []eventstore.Record {
	records := b.Records(eventstore.Position(len(l.records)+1), at)
	for _, r := range records {
		r.Data = bytes.Clone(r.Data)
		l.records = append(l.records, r)
		l.streams[r.Stream] = append(l.streams[r.Stream], r.Position)
		l.ids[r.ID] = r.Position
	}
	for _, c := range b.Contents {
		if _, ok := l.contents[c.SHA256]; !ok {
			l.contents[c.SHA256] = append([]byte{}, c.Bytes...)
		}
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return records
}

// answer fills a with the place of records.
func answer(records []eventstore.Record, a eventstore.Appended) eventstore.Appended {
	last := records[len(records)-1]
	a.First, a.Last, a.LastRevision = records[0].Position, last.Position, last.Revision
	return a
}

// Content implements [eventstore.ContentStore].
func (l *Log) Content(ctx context.Context, sha256 string) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.usable(ctx); err != nil {
		return nil, fmt.Errorf("cannot read content %s: %w", sha256, err)
	}
	c, ok := l.contents[sha256]
	if !ok {
		return nil, fmt.Errorf("cannot read content %s: %w", sha256, eventstore.ErrNotFound)
	}
	return append([]byte{}, c...), nil
}

// LoadSnapshot implements [eventstore.Snapshots].
func (l *Log) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.usable(ctx); err != nil {
		return eventstore.Snapshot{}, fmt.Errorf("cannot load snapshot of stream %q: %w", stream, err)
	}
	s, ok := l.snapshots[stream]
	if !ok {
		return eventstore.Snapshot{}, fmt.Errorf("cannot load snapshot of stream %q: %w", stream, eventstore.ErrNotFound)
	}
	s.Data = bytes.Clone(s.Data)
	return s, nil
}

// SaveSnapshot implements [eventstore.Snapshots].
func (l *Log) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	if err := snapshot.Validate(); err != nil {
		return fmt.Errorf("cannot save snapshot: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx); err != nil {
		return fmt.Errorf("cannot save snapshot of stream %q: %w", snapshot.Stream, err)
	}
	snapshot.Data = bytes.Clone(snapshot.Data)
	l.snapshots[snapshot.Stream] = snapshot
	return nil
}
