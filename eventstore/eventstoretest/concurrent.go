//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// load is a number of batches of size events each.
type load struct{ batches, size int }

// write appends l to a stream of its own and calls acknowledged after each batch.
func write(t *testing.T, log eventstore.Appender, writer string, l load, acknowledged func()) {
	t.Helper()
	expected := eventstore.NoStream()
	for i := range l.batches {
		appended, err := log.Append(within(t), NewBatch(eventstore.StreamID("stream-"+writer), expected, writer, i, l.size))
		if err != nil {
			t.Errorf("writer %s, batch %d: %v", writer, i, err)
			return
		}
		expected = eventstore.AtRevision(appended.LastRevision)
		acknowledged()
	}
}

// follow reads from the last position that it saw, again and again until total events were seen: nothing new may ever
// appear at or below a position that was seen, and what is seen ends with a batch (I1, I3).
func follow(t *testing.T, log eventstore.Log, total int) {
	t.Helper()
	ctx := within(t)
	var seen []eventstore.Record
	for len(seen) < total && ctx.Err() == nil {
		var at eventstore.Position
		if len(seen) > 0 {
			at = seen[len(seen)-1].Position
		}
		for r, err := range log.Read(ctx, at, eventstore.Filter{}) {
			if err != nil {
				t.Errorf("follow after %d: %v", at, err)
				return
			}
			seen = append(seen, r)
		}
		if n := len(seen); n > 0 && !seen[n-1].EndsBatch() {
			t.Errorf("a reader saw a part of a batch: up to event %d of %d", seen[n-1].Meta.Index, seen[n-1].Meta.Size)
			return
		}
	}
	if len(seen) != total {
		t.Errorf("followed %d events, want %d", len(seen), total)
		return
	}
	whole(t, log, seen)
}

func testManyWriters(t *testing.T, log eventstore.Log) {
	const writers, batches, size = 6, 20, 9
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() { write(t, log, fmt.Sprint(i), load{batches, size}, func() {}) })
	}
	for range 2 {
		running.Go(func() { follow(t, log, writers*batches*size) })
	}
	running.Wait()
	if n := len(readAll(t, log)); n != writers*batches*size {
		t.Errorf("the log holds %d events, want %d", n, writers*batches*size)
	}
}

// contend appends n batches to a stream that others append to as well: after a conflict it loads and tries again.
func contend(t *testing.T, log eventstore.Log, writer string, n, size int) {
	t.Helper()
	ctx := within(t)
	for i := range n {
		for {
			expected := eventstore.NoStream()
			for r, err := range log.ReadStreamBackwards(ctx, "contended") {
				if err != nil {
					t.Errorf("writer %s: %v", writer, err)
					return
				}
				expected = eventstore.AtRevision(r.Revision)
				break
			}
			_, err := log.Append(ctx, NewBatch("contended", expected, writer, i, size))
			if err == nil {
				break
			}
			if !errors.Is(err, eventstore.ErrConflict) {
				t.Errorf("writer %s: %v", writer, err)
				return
			}
		}
	}
}

func testManyWritersOnOneStream(t *testing.T, log eventstore.Log) {
	const writers, batches, size = 4, 10, 3
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() { contend(t, log, fmt.Sprint(i), batches, size) })
	}
	running.Wait()
	records := readAll(t, log)
	if len(records) != writers*batches*size {
		t.Errorf("the log holds %d events, want %d", len(records), writers*batches*size)
	}
}

func testManyWritersOfOneBatch(t *testing.T, log eventstore.Log) {
	b := start("s", 5)
	b.Contents = []eventstore.Blob{blob("shared")}
	var mu sync.Mutex
	answers := map[eventstore.Appended]int{}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			appended, err := log.Append(within(t), b)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[appended]++
		})
	}
	running.Wait()
	records := readAll(t, log)
	if len(records) != 5 {
		t.Fatalf("the log holds %d events, want 5", len(records))
	}
	want := eventstore.Appended{First: records[0].Position, Last: records[4].Position, LastRevision: 4}
	again := want
	again.Repeated = true
	if answers[want] != 1 || answers[again] != 7 {
		t.Errorf("answers are %+v, want one of %+v and seven repeated", answers, want)
	}
}

// Readers of every kind look at the log as fast as they can while batches arrive. None may see a part of one.
func testNeverAPart(t *testing.T, log eventstore.Log) {
	const batches, size = 12, 150 // a batch is more than any adapter stores or reads in one piece
	done := make(chan struct{})
	var running, writing sync.WaitGroup
	writing.Go(func() { write(t, log, "w", load{batches, size}, func() {}) })
	ctx := within(t)
	look := func(kind string, read func() (n int, err error)) {
		running.Go(func() {
			for {
				if n, err := read(); err != nil || n%size != 0 {
					t.Errorf("%s saw %d events of batches of %d, %v", kind, n, size, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	look("Read", func() (int, error) { return tally(log.Read(ctx, 0, eventstore.Filter{})) })
	look("ReadBackwards", func() (int, error) { return tally(log.ReadBackwards(ctx, 0, eventstore.Filter{})) })
	look("ReadStream", func() (int, error) { return tally(log.ReadStream(ctx, "stream-w", 0)) })
	look("ReadStreamBackwards", func() (int, error) { return tally(log.ReadStreamBackwards(ctx, "stream-w")) })
	look("Head", func() (int, error) {
		head, err := log.Head(ctx)
		if !log.Features().DensePositions {
			head = 0
		}
		return int(head), err
	})
	writing.Wait()
	close(done)
	running.Wait()
}
