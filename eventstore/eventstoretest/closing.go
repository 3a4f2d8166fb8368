//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

func testClose(t *testing.T, log eventstore.Log) {
	last := mustAppend(t, log, start("s", 300))
	ctx := within(t)
	for name, read := range reads(log) {
		next := read(ctx)
		if name != "Read" {
			continue
		}
		closed := false
		for _, err := range next { // closed in the middle of a loop
			if err == nil && !closed {
				closed = true
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err != nil && !errors.Is(err, eventstore.ErrClosed) {
				t.Errorf("an open loop ends with %v, want ErrClosed", err)
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	for name, err := range attempts(ctx, log, last.Last) {
		if !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%s after Close: error is %v, want ErrClosed", name, err)
		}
	}
	if log.ID() == (uuid.UUID{}) {
		t.Error("a closed log has no id")
	}
}

// attempts tries everything that a log does and returns what each answered.
func attempts(ctx context.Context, log eventstore.Log, last eventstore.Position) map[string]error {
	errs := map[string]error{}
	_, errs["Append"] = log.Append(ctx, start("t", 1))
	_, errs["Head"] = log.Head(ctx)
	_, errs["At"] = log.At(ctx, last)
	_, errs["Content"] = log.Content(ctx, blob("a").SHA256)
	_, errs["LoadSnapshot"] = log.LoadSnapshot(ctx, "s")
	errs["SaveSnapshot"] = log.SaveSnapshot(ctx, eventstore.Snapshot{Stream: "s", EventID: uuid.New(), Data: []byte("x")})
	for name, read := range reads(log) {
		_, errs[name] = tally(read(ctx))
	}
	for _, err := range log.ContentHashes(ctx) {
		errs["ContentHashes"] = err
	}
	return errs
}

// Appends that meet Close are answered: written, or ErrClosed.
func testCloseWhileAppending(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	acknowledged := newCount()
	var running sync.WaitGroup
	for w := range 4 {
		running.Go(func() {
			stream, expected := eventstore.StreamID(fmt.Sprintf("s-%d", w)), eventstore.NoStream()
			for i := 0; ; i++ {
				appended, err := log.Append(ctx, NewBatch(stream, expected, "w", i, 3))
				if err != nil {
					if !errors.Is(err, eventstore.ErrClosed) {
						t.Errorf("an append that met Close answered %v, want ErrClosed", err)
					}
					return
				}
				expected = eventstore.AtRevision(appended.LastRevision)
				acknowledged.add()
			}
		})
	}
	acknowledged.reach(ctx, t, 10)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	running.Wait()
}
