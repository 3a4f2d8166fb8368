package eventstoretest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// patience bounds what a test waits for. It is reached only by a log that hangs.
const patience = 2 * time.Minute

// within returns the test's context, bounded by patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// mark is the data of a test's event: what the whole batch must look like can be told from any of its events.
type mark struct {
	Writer string `json:"writer"`
	Batch  int    `json:"batch"`
	Index  int    `json:"index"`
	Size   int    `json:"size"`
}

// NewBatch makes a valid batch of size events, the n-th of writer, with ids derived from a new scan.
func NewBatch(stream eventstore.StreamID, expected eventstore.Expected, writer string, n, size int) eventstore.Batch {
	scan := uuid.Must(uuid.NewV7())
	b := eventstore.Batch{
		Stream: stream, Expected: expected,
		Meta: eventstore.Meta{Actor: writer, Reason: "test", Scan: scan.String(), Attempt: 1},
	}
	for i := range size {
		data, err := json.Marshal(mark{Writer: writer, Batch: n, Index: i, Size: size})
		if err != nil {
			panic(err) // a mark is always JSON
		}
		b.Events = append(b.Events, eventstore.NewEvent{
			ID: eventstore.DeriveEventID(scan, i), Type: fmt.Sprintf("test.type%d.v1", i%3), Data: data,
		})
	}
	return b
}

// start is a batch of size events that begins a stream.
func start(stream eventstore.StreamID, size int) eventstore.Batch {
	return NewBatch(stream, eventstore.NoStream(), "w", 0, size)
}

// after is a batch of size events behind what was appended.
func after(stream eventstore.StreamID, last eventstore.Appended, size int) eventstore.Batch {
	return NewBatch(stream, eventstore.AtRevision(last.LastRevision), "w", int(last.Last), size)
}

func mustAppend(t *testing.T, log eventstore.Appender, batch eventstore.Batch) eventstore.Appended {
	t.Helper()
	appended, err := log.Append(within(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	return appended
}

func mustHead(t *testing.T, log eventstore.Reader) eventstore.Position {
	t.Helper()
	head, err := log.Head(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// all collects what seq yields and fails on an error.
func all(t *testing.T, seq iter.Seq2[eventstore.Record, error]) []eventstore.Record {
	t.Helper()
	var records []eventstore.Record
	for r, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// readAll reads the whole log and checks it with whole.
func readAll(t *testing.T, log eventstore.Log) []eventstore.Record {
	t.Helper()
	records := all(t, log.Read(within(t), 0, eventstore.Filter{}))
	whole(t, log, records)
	return records
}

// positions returns the positions of records.
func positions(records []eventstore.Record) []eventstore.Position {
	var list []eventstore.Position
	for _, r := range records {
		list = append(list, r.Position)
	}
	return list
}

// whole checks that records, read from the beginning, are batches that NewBatch made, each whole and in one piece, in
// commit order, with revisions and times in order (I1, I3).
func whole(t *testing.T, log eventstore.Log, records []eventstore.Record) {
	t.Helper()
	next := map[eventstore.StreamID]eventstore.Revision{}
	seen := map[eventstore.EventID]eventstore.Position{}
	latest := map[eventstore.StreamID]time.Time{} // "" for all, where times are in order over all
	var before eventstore.Record
	for _, r := range records {
		if r.Position <= before.Position || (log.Features().DensePositions && eventstore.Distance(before.Position, r.Position) != 1) {
			t.Fatalf("position %d comes after %d", r.Position, before.Position)
		}
		if r.Revision != next[r.Stream] {
			t.Fatalf("position %d: revision %d of stream %s, want %d", r.Position, r.Revision, r.Stream, next[r.Stream])
		}
		if at, ok := seen[r.ID]; ok {
			t.Fatalf("position %d: the id stands at %d already", r.Position, at)
		}
		among := r.Stream
		if log.Features().OrderedTimes {
			among = ""
		}
		if r.RecordedAt.Before(latest[among]) {
			t.Fatalf("position %d: recorded at %s, before %s", r.Position, r.RecordedAt, latest[among])
		}
		latest[among] = r.RecordedAt
		inBatch(t, r, before)
		next[r.Stream]++
		seen[r.ID] = r.Position
		before = r
	}
	if len(records) > 0 && !before.EndsBatch() {
		t.Fatalf("position %d, the last, is event %d of a batch of %d", before.Position, before.Meta.Index, before.Meta.Size)
	}
}

// inBatch checks that r, which comes after before, continues the batch of before or begins one after its end.
func inBatch(t *testing.T, r, before eventstore.Record) {
	t.Helper()
	var m, old mark
	if err := json.Unmarshal(r.Data, &m); err != nil {
		t.Fatalf("position %d: %v", r.Position, err)
	}
	if m.Index != r.Meta.Index || m.Size != r.Meta.Size || m.Writer != r.Meta.Actor {
		t.Fatalf("position %d: event %+v has the metadata %+v", r.Position, m, r.Meta)
	}
	if m.Index == 0 {
		if before.Position != 0 && !before.EndsBatch() {
			t.Fatalf("position %d: a batch begins inside another", r.Position)
		}
		return
	}
	if err := json.Unmarshal(before.Data, &old); err != nil {
		t.Fatalf("position %d: %v", r.Position, err)
	}
	old.Index++
	if m != old || r.Stream != before.Stream || !r.RecordedAt.Equal(before.RecordedAt) {
		t.Fatalf("position %d: event %+v of stream %s follows %+v of %s", r.Position, m, r.Stream, old, before.Stream)
	}
}

// count is a number that goroutines share, with a way to wait for it.
type count struct {
	n     atomic.Int64
	moved chan struct{} // has one token when n may have grown
}

func newCount() *count { return &count{moved: make(chan struct{}, 1)} }

func (c *count) add() {
	c.n.Add(1)
	select {
	case c.moved <- struct{}{}:
	default:
	}
}

// reach waits until c is at least n. Only one goroutine may wait.
func (c *count) reach(ctx context.Context, t *testing.T, n int64) {
	t.Helper()
	for c.n.Load() < n {
		select {
		case <-c.moved:
		case <-ctx.Done():
			t.Fatalf("waited for %d, reached %d: %v", n, c.n.Load(), ctx.Err())
		}
	}
}
