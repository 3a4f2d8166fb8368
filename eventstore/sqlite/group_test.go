package sqlite_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/internal/commitgroup"
)

// within is a context that a test of appends that wait for each other ends with.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// result is what one of several appends was answered.
type result struct {
	eventstore.Appended
	err error
}

// enqueue starts appends one after the other, while nothing is written, and returns once all wait in their order.
func enqueue(ctx context.Context, t *testing.T, log *sqlite.Log, batches ...eventstore.Batch) (results []result, wait func()) {
	t.Helper()
	var running sync.WaitGroup
	results = make([]result, len(batches))
	for i, b := range batches {
		running.Go(func() { results[i].Appended, results[i].err = log.Append(ctx, b) })
		for log.Waiting() <= i {
			if ctx.Err() != nil {
				t.Fatalf("append %d does not wait", i)
			}
			runtime.Gosched()
		}
	}
	return results, running.Wait
}

// together appends batches that wait together, and returns what each was answered.
func together(t *testing.T, log *sqlite.Log, batches ...eventstore.Batch) []result {
	t.Helper()
	release := log.HoldWriter()
	results, wait := enqueue(within(t), t, log, batches...)
	release()
	wait()
	return results
}

// commits counts the transactions in the write-ahead log of the file at path: the frames that end one tell the size of the file.
func commits(t *testing.T, path string) int {
	t.Helper()
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	const head, frameHead = 32, 24
	n, salt := 0, string(wal[16:24])
	for at := head; at+frameHead <= len(wal); at += frameHead + 16<<10 {
		if string(wal[at+8:at+16]) == salt && binary.BigEndian.Uint32(wal[at+4:]) > 0 {
			n++
		}
	}
	return n
}

func one(i, events int) eventstore.Batch {
	return eventstoretest.NewBatch(eventstore.StreamID(fmt.Sprintf("s-%d", i)), eventstore.NoStream(), "w", 0, events)
}

func several(n int) []eventstore.Batch {
	batches := make([]eventstore.Batch, n)
	for i := range batches {
		batches[i] = one(i, 1+i%3)
	}
	return batches
}

// expect fails unless results are positions that go on in order, and the log holds what they say.
func expect(t *testing.T, log *sqlite.Log, before eventstore.Position, batches []eventstore.Batch, results []result) {
	t.Helper()
	next := before + 1
	for i, r := range results {
		if r.err != nil || r.Repeated || r.First != next {
			t.Fatalf("append %d is answered %+v, %v, want the position %d", i, r.Appended, r.err, next)
		}
		var held []eventstore.Record
		for record, err := range log.ReadStream(t.Context(), batches[i].Stream, batches[i].Expected.Next()) {
			if err != nil {
				t.Fatal(err)
			}
			if record.Position <= r.Last {
				held = append(held, record)
			}
		}
		if !batches[i].Repeats(held) || held[0].Position != r.First {
			t.Fatalf("append %d is not at %d", i, r.First)
		}
		next = r.Last + 1
	}
	if err := firstFault(log.Read(t.Context(), 0, eventstore.Filter{})); err != nil {
		t.Error(err)
	}
}

func TestBatchesThatWaitTogetherAreFlushedTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	before := commits(t, path)
	batches := several(40)
	expect(t, log, 0, batches, together(t, log, batches...))
	if n := commits(t, path) - before; n != 1 {
		t.Errorf("40 batches that waited together took %d commits, want 1", n)
	}
}

func TestAGroupIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	before := commits(t, path)
	batches := several(commitgroup.MaxBatches + 1)
	expect(t, log, 0, batches, together(t, log, batches...))
	if n := commits(t, path) - before; n != 2 {
		t.Errorf("%d batches took %d commits, want 2", len(batches), n)
	}
}

// What becomes of a batch depends on those before it, as if each had been committed by itself (I4).
func TestABatchMeetsTheOnesBeforeItInItsGroup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	before := commits(t, path)
	first := one(0, 3)
	next := eventstoretest.NewBatch(first.Stream, eventstore.AtRevision(2), "w", 1, 2)
	elsewhere := first
	elsewhere.Stream = "elsewhere"
	other := eventstoretest.NewBatch(first.Stream, eventstore.NoStream(), "x", 0, 3)
	partly := one(1, 2)
	partly.Events[1].ID = first.Events[1].ID
	early := one(2, 1)
	early.RecordedAt = time.Unix(1, 0)
	last := one(3, 1)
	results := together(t, log, first, next, first, elsewhere, other, partly, early, last, next)
	for i, want := range []error{
		3: eventstore.ErrIDReused, 4: eventstore.ErrConflict, 5: eventstore.ErrIDReused, 6: eventstore.ErrInvalid, 8: nil,
	} {
		if r := results[i]; !errors.Is(r.err, want) || want != nil && !errors.Is(r.err, eventstore.ErrNotWritten) {
			t.Errorf("append %d is answered %+v, %v, want %v", i, r.Appended, r.err, want)
		}
	}
	if err := results[5].err; err == nil || !strings.Contains(err.Error(), first.Events[1].ID.String()) {
		t.Errorf("a batch with an id that is held is answered %v, want that id", err)
	}
	expect(t, log, 0, []eventstore.Batch{first, next, last}, []result{results[0], results[1], results[7]})
	for again, at := range map[int]int{2: 0, 8: 1} {
		if want := results[at].Appended; !results[again].Repeated || results[again].First != want.First || results[again].Last != want.Last {
			t.Errorf("append %d is answered %+v, want it to be repeated at %+v", again, results[again].Appended, want)
		}
	}
	n := commits(t, path) - before
	if n != 3 { // one that is refused for an id that its log holds, as partly is, has the others written one by one
		t.Errorf("they took %d commits, want 3", n)
	}
	if results := together(t, log, first, elsewhere); !results[0].Repeated || !errors.Is(results[1].err, eventstore.ErrIDReused) {
		t.Errorf("again, they are answered %+v", results)
	}
	if more := commits(t, path) - before - n; more != 0 {
		t.Errorf("what is there already took %d commits", more)
	}
	if r := together(t, log, one(1, 2))[0]; r.err != nil || r.Repeated { // with an id of partly
		t.Errorf("a batch of ids that were refused is answered %+v, %v", r.Appended, r.err)
	}
}

// A batch that cannot be written is the fault of nobody else in its group.
func TestABatchThatFailsLeavesItsGroupAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	log, _ := openOnSmallDisk(t, path, 40)
	batches := several(5)
	large := one(5, 20_000)
	results := together(t, log, batches[0], batches[1], large, batches[2], batches[3], batches[4])
	if err := results[2].err; !errors.Is(err, eventstore.ErrDiskFull) || !errors.Is(err, eventstore.ErrNotWritten) {
		t.Errorf("the large batch is answered %v, want that the disk is full and nothing was written", err)
	}
	expect(t, log, 0, batches, append(results[:2:2], results[3:]...))
}

// A batch that is loaded as it is written is alone in its transaction.
func TestABatchThatCannotBeLoadedLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	before := commits(t, path)
	batches := several(4)
	fault := errors.New("cannot be loaded")
	loaded := one(4, 2)
	loaded.Events[1].Data, loaded.Events[1].Load = nil, func() ([]byte, error) { return nil, fault }
	results := together(t, log, batches[0], batches[1], loaded, batches[2], batches[3])
	if err := results[2].err; !errors.Is(err, fault) || !errors.Is(err, eventstore.ErrNotWritten) {
		t.Errorf("it is answered %v, want that and that nothing was written", err)
	}
	expect(t, log, 0, batches, append(results[:2:2], results[3:]...))
	if n := commits(t, path) - before; n != 2 {
		t.Errorf("the others took %d commits, want 2", n)
	}
}

// A COMMIT that fails may have been carried out for all that is known, save for what was refused.
func TestACommitThatFailsIsUnknownToItsGroup(t *testing.T) {
	t.Parallel()
	log := open(t, filepath.Join(t.TempDir(), "log.db"))
	batches := several(3)
	conflict := eventstoretest.NewBatch(batches[0].Stream, eventstore.NoStream(), "x", 0, 1)
	restore, err := sqlite.FailCommits(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range together(t, log, batches[0], batches[1], conflict, batches[0], batches[2]) {
		if r.err == nil || errors.Is(r.err, eventstore.ErrConflict) || errors.Is(r.err, eventstore.ErrNotWritten) != (i == 2) {
			t.Errorf("append %d is answered %+v, %v", i, r.Appended, r.err)
		}
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	expect(t, log, 0, batches, together(t, log, batches...))
}

// Who waits may leave, as long as nothing of its batch is being written.
func TestAnAppendThatIsCancelledWhileItWaitsIsNotWritten(t *testing.T) {
	t.Parallel()
	log := open(t, filepath.Join(t.TempDir(), "log.db"))
	batches := several(3)
	release := log.HoldWriter()
	first, waitFirst := enqueue(within(t), t, log, batches[0])
	ctx, cancel := context.WithCancel(within(t))
	left := make(chan error)
	go func() {
		_, err := log.Append(ctx, one(9, 1))
		left <- err
	}()
	for log.Waiting() < 2 {
		runtime.Gosched()
	}
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) || !errors.Is(err, eventstore.ErrNotWritten) {
		t.Errorf("it is answered %v, want that of its context and that nothing was written", err)
	}
	release()
	waitFirst()
	expect(t, log, 0, batches[:1], first)
	expect(t, log, first[0].Last, batches[1:], together(t, log, batches[1:]...))
}

// One that waits for another process on behalf of all may leave too, and those behind it wait on.
func TestTheFirstOfAGroupMayLeaveWhileTheFileIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, BusyTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	unlock := lockOut(t, path)
	ctx, cancel := context.WithCancel(within(t))
	release := log.HoldWriter()
	leaving, waitLeaving := enqueue(ctx, t, log, one(9, 1))
	batches := several(3)
	results := make([]result, len(batches))
	var running sync.WaitGroup
	for i, b := range batches {
		running.Go(func() { results[i].Appended, results[i].err = log.Append(within(t), b) })
		for log.Waiting() < i+2 {
			runtime.Gosched()
		}
	}
	release()
	cancel()
	waitLeaving()
	if err := leaving[0].err; !errors.Is(err, context.Canceled) || !errors.Is(err, eventstore.ErrNotWritten) {
		t.Errorf("it is answered %v, want that of its context and that nothing was written", err)
	}
	unlock()
	running.Wait()
	expect(t, log, 0, batches, results)
}

// All who waited for another process in vain are told so at once, rather than one after the other.
func TestAllWhoWaitForALockAreToldThatItIsHeld(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	unlock := lockOut(t, path)
	batches := several(3)
	for i, r := range together(t, log, batches...) {
		if !errors.Is(r.err, eventstore.ErrTransient) || !errors.Is(r.err, eventstore.ErrNotWritten) {
			t.Errorf("append %d is answered %v, want ErrTransient and that nothing was written", i, r.err)
		}
	}
	if n := log.Waiting(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	unlock()
	expect(t, log, 0, batches, together(t, log, batches...))
}

func TestAppendsThatWaitAreToldOfClose(t *testing.T) {
	t.Parallel()
	log := open(t, filepath.Join(t.TempDir(), "log.db"))
	release := log.HoldWriter()
	results, wait := enqueue(within(t), t, log, several(3)...)
	closed := make(chan error)
	go func() { closed <- log.Close() }()
	wait()
	for i, r := range results {
		if !errors.Is(r.err, eventstore.ErrClosed) || !errors.Is(r.err, eventstore.ErrNotWritten) {
			t.Errorf("append %d is answered %v, want ErrClosed and that nothing was written", i, r.err)
		}
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
