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

// slack is what a loaded machine may add to a limit: long enough for one, and far shorter than patience.
const slack = 20 * time.Second

func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func start(stream eventstore.StreamID, size int) eventstore.Batch {
	return eventstoretest.NewBatch(stream, eventstore.NoStream(), "w", 0, size)
}

func after(stream eventstore.StreamID, last eventstore.Appended, size int) eventstore.Batch {
	return eventstoretest.NewBatch(stream, eventstore.AtRevision(last.LastRevision), "w", int(last.Last), size)
}

func mustAppend(tb testing.TB, log eventstore.Appender, batch eventstore.Batch) eventstore.Appended {
	tb.Helper()
	appended, err := log.Append(within(tb), batch)
	if err != nil {
		tb.Fatal(err)
	}
	return appended
}

func readAll(tb testing.TB, log eventstore.Reader) []eventstore.Record {
	tb.Helper()
	var records []eventstore.Record
	for r, err := range log.Read(within(tb), 0, eventstore.Filter{}) {
		if err != nil {
			tb.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

func connect(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(within(tb), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) }) // the test may have broken it
	return conn
}

func exec(tb testing.TB, conn *pgx.Conn, sql string, args ...any) {
	tb.Helper()
	if _, err := conn.Exec(within(tb), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// promised is what writers were told, to be compared with what the log holds.
type promised struct {
	kept chan struct{} // takes one for each that was acknowledged, when somebody waits

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
	if err == nil {
		select {
		case p.kept <- struct{}{}:
		default:
		}
	}
}

// acknowledged returns how many batches were acknowledged so far.
func (p *promised) acknowledged() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.batches {
		if b.acknowledged {
			n++
		}
	}
	return n
}

// await waits until n more batches are acknowledged.
func (p *promised) await(ctx context.Context, tb testing.TB, n int) {
	tb.Helper()
	for range n {
		select {
		case <-p.kept:
		case <-ctx.Done():
			tb.Fatal("the writers stand still")
		}
	}
}

// check fails unless every acknowledged batch is in the log, once, whole and where it was reported to be, and every other
// one is there whole or not at all, and nothing else is there (I1, I3, I4). It returns how many were acknowledged.
func (p *promised) check(tb testing.TB, log eventstore.Reader) int {
	tb.Helper()
	starts := map[eventstore.EventID]eventstore.Position{}
	records := readAll(tb, log)
	next := map[eventstore.StreamID]eventstore.Revision{}
	for i, r := range records {
		if r.Position != eventstore.Position(i+1) || r.Revision != next[r.Stream] {
			tb.Fatalf("record %d has position %d and revision %d, want %d", i, r.Position, r.Revision, next[r.Stream])
		}
		next[r.Stream]++
		if _, twice := starts[r.ID]; twice {
			tb.Fatalf("position %d: the id is there twice", r.Position)
		}
		starts[r.ID] = r.Position
	}
	acknowledged, known := 0, map[eventstore.EventID]bool{}
	for _, b := range p.batches {
		first := starts[b.batch.Events[0].ID]
		if b.acknowledged {
			acknowledged++
			if first == 0 || first != b.at.First {
				tb.Fatalf("a batch was acknowledged at %d and is at %d", b.at.First, first)
			}
		}
		for i, e := range b.batch.Events {
			known[e.ID] = true
			if at := starts[e.ID]; first == 0 && at != 0 || first != 0 && at != first+eventstore.Position(i) {
				tb.Fatalf("event %d of the batch at %d is at %d", i, first, at)
			}
		}
		if first != 0 && !b.batch.Repeats(records[first-1:int(first)-1+len(b.batch.Events)]) {
			tb.Fatalf("the batch at %d is not what was appended", first)
		}
	}
	for id, at := range starts {
		if !known[id] {
			tb.Fatalf("nobody appended what is at %d", at)
		}
	}
	return acknowledged
}

// persist appends batch as the Recorder does, again and again while the log does not answer, each call within deadline.
// It fails the test when a call goes on for long after that.
func persist(ctx context.Context, tb testing.TB, log eventstore.Appender, batch eventstore.Batch, deadline time.Duration) (eventstore.Appended, error) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		started := time.Now()
		call, cancel := context.WithTimeout(ctx, deadline)
		appended, err := log.Append(call, batch)
		cancel()
		if took := time.Since(started); took > deadline+slack {
			tb.Errorf("a call with a deadline of %s took %s", deadline, took)
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
