package postgres_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

// patience bounds what a test waits for. It is reached only by a log that hangs.
const patience = 2 * time.Minute

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func start(stream eventstore.StreamID, size int) eventstore.Batch {
	return eventstoretest.NewBatch(stream, eventstore.NoStream(), "w", 0, size)
}

func after(stream eventstore.StreamID, last eventstore.Appended, size int) eventstore.Batch {
	return eventstoretest.NewBatch(stream, eventstore.AtRevision(last.LastRevision), "w", int(last.Last), size)
}

func mustAppend(t testing.TB, log eventstore.Appender, batch eventstore.Batch) eventstore.Appended {
	t.Helper()
	appended, err := log.Append(within(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	return appended
}

func readAll(t testing.TB, log eventstore.Reader) []eventstore.Record {
	t.Helper()
	var records []eventstore.Record
	for r, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(within(t), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // the test may have broken it
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(within(t), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// promised is what writers were told, to be compared with what the log holds.
type promised struct {
	mu      sync.Mutex // guards all below
	batches []promise
}

type promise struct {
	batch        eventstore.Batch
	acknowledged bool
	at           eventstore.Appended
}

func (p *promised) note(batch eventstore.Batch, at eventstore.Appended, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = append(p.batches, promise{batch, err == nil, at})
}

// check fails unless every acknowledged batch is in the log, once, whole and where it was said to be, and every other
// one is there whole or not at all, and nothing else is there (I1, I3, I4). It returns how many were acknowledged.
func (p *promised) check(t testing.TB, log eventstore.Reader) int {
	t.Helper()
	starts := map[eventstore.EventID]eventstore.Position{}
	records := readAll(t, log)
	next := map[eventstore.StreamID]eventstore.Revision{}
	for i, r := range records {
		if r.Position != eventstore.Position(i+1) || r.Revision != next[r.Stream] {
			t.Fatalf("record %d has position %d and revision %d, want %d", i, r.Position, r.Revision, next[r.Stream])
		}
		next[r.Stream]++
		if _, twice := starts[r.ID]; twice {
			t.Fatalf("position %d: the id is there twice", r.Position)
		}
		starts[r.ID] = r.Position
	}
	acknowledged, known := 0, map[eventstore.EventID]bool{}
	for _, b := range p.batches {
		first := starts[b.batch.Events[0].ID]
		if b.acknowledged {
			acknowledged++
			if first == 0 || first != b.at.First {
				t.Fatalf("a batch was acknowledged at %d and is at %d", b.at.First, first)
			}
		}
		for i, e := range b.batch.Events {
			known[e.ID] = true
			if at := starts[e.ID]; first == 0 && at != 0 || first != 0 && at != first+eventstore.Position(i) {
				t.Fatalf("event %d of the batch at %d is at %d", i, first, at)
			}
		}
		if first != 0 && !b.batch.Repeats(records[first-1:int(first)-1+len(b.batch.Events)]) {
			t.Fatalf("the batch at %d is not what was appended", first)
		}
	}
	for id, at := range starts {
		if !known[id] {
			t.Fatalf("nobody appended what is at %d", at)
		}
	}
	return acknowledged
}

// persist appends batch as the Recorder does, again and again while the log does not answer, each call within deadline.
// It fails the test when a call takes a second longer than that.
func persist(ctx context.Context, t testing.TB, log eventstore.Appender, batch eventstore.Batch, deadline time.Duration) (eventstore.Appended, error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		begun := time.Now()
		call, cancel := context.WithTimeout(ctx, deadline)
		appended, err := log.Append(call, batch)
		cancel()
		if took := time.Since(begun); took > deadline+time.Second {
			t.Errorf("a call with a deadline of %s took %s", deadline, took)
		}
		if err == nil || ctx.Err() != nil || !errors.Is(err, eventstore.ErrTransient) && !errors.Is(err, context.DeadlineExceeded) {
			return appended, err
		}
		batch.Meta.Attempt++
		<-tick.C
	}
}

func blob(text string) eventstore.Blob {
	sum := sha256.Sum256([]byte(text))
	return eventstore.Blob{SHA256: hex.EncodeToString(sum[:]), Bytes: []byte(text)}
}
