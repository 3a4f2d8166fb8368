package projectionstest

import (
	"context"
	"encoding/binary"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/projections"
)

// Batch is what one scan or admin action records. Empty fields get plain values.
type Batch struct {
	Stream eventstore.StreamID // default: the stream of the repository 00000000-0000-0000-0000-000000000001
	Actor  string              // default "tester"
	Reason string
	Scan   string // UUID; default one that counts the appends of the log
	Events []domain.Event
}

// Epoch is the time of the clock of a [Log] before its first append. Each append is a second later.
func Epoch() time.Time { return time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC) }

// Log is a log in memory with a clock of its own.
type Log struct {
	*memory.Log
	ticks atomic.Int64
}

// NewLog returns a log that holds batches, in order.
func NewLog(tb testing.TB, batches ...Batch) *Log {
	tb.Helper()
	log := &Log{}
	log.Log = memory.New(func() time.Time { return Epoch().Add(time.Duration(log.ticks.Add(1)) * time.Second) })
	tb.Cleanup(func() {
		if err := log.Close(); err != nil {
			tb.Errorf("close log: %v", err)
		}
	})
	for _, b := range batches {
		log.Add(tb, b)
	}
	return log
}

// Add appends a batch at the end of its stream and returns the position of its last event.
func (l *Log) Add(tb testing.TB, b Batch) eventstore.Position {
	tb.Helper()
	ctx := tb.Context()
	if b.Stream == "" {
		b.Stream = eventstore.RepositoryStream("00000000-0000-0000-0000-000000000001")
	}
	if b.Actor == "" {
		b.Actor = "tester"
	}
	scan, err := l.scanID(b)
	if err != nil {
		tb.Fatalf("scan id %q: %v", b.Scan, err)
	}
	expected := eventstore.NoStream()
	for r, err := range l.ReadStreamBackwards(ctx, b.Stream) {
		if err != nil {
			tb.Fatalf("read stream %s: %v", b.Stream, err)
		}
		expected = eventstore.AtRevision(r.Revision)
		break
	}
	batch := eventstore.Batch{
		Stream: b.Stream, Expected: expected,
		Meta: eventstore.Meta{Actor: b.Actor, Reason: b.Reason, Scan: scan.String(), Attempt: 1},
	}
	for i, e := range b.Events {
		typ, data, err := eventstore.Encode(e)
		if err != nil {
			tb.Fatalf("encode event %d: %v", i, err)
		}
		batch.Events = append(batch.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(scan, i), Type: typ, Data: data})
	}
	appended, err := l.Append(ctx, batch)
	if err != nil {
		tb.Fatalf("append: %v", err)
	}
	return appended.Last
}

// scanID returns the id of b's scan: a UUIDv7 that counts, unless b has one.
func (l *Log) scanID(b Batch) (uuid.UUID, error) {
	if b.Scan != "" {
		return uuid.Parse(b.Scan)
	}
	id := uuid.MustParse("01900000-0000-7000-8000-000000000000")
	binary.BigEndian.PutUint32(id[12:], uint32(l.ticks.Load()+1))
	return id, nil
}

// clipped is a log of which only the beginning is there yet.
type clipped struct {
	projections.Log
	head eventstore.Position
}

func (c *clipped) Head(context.Context) (eventstore.Position, error) { return c.head, nil }

func (c *clipped) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range c.Log.Read(ctx, after, f) {
			if err == nil && r.Position > c.head || !yield(r, err) {
				return
			}
		}
	}
}
