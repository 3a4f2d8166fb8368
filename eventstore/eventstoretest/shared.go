//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// RunShared checks what a log promises whose Features say SharedByProcess and Durable: several handles and several
// processes on one store, and what is left when a process is killed.
func RunShared(t *testing.T, store Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, shared){
		"OutlivesItsHandle":            testOutlives,
		"HandlesSeeEachOther":          testHandlesSeeEachOther,
		"HandlesConflict":              testHandlesConflict,
		"ManyWritersOnManyHandles":     testManyHandles,
		"ManyWritersOfOneBatch":        testOneBatchOnManyHandles,
		"ManyOpenANewStore":            testManyOpen,
		"SubscribersHearOtherHandles":  testSubscribersHearOtherHandles,
		"ManyProcesses":                testManyProcesses,
		"ManyProcessesOnOneStream":     testManyProcessesOnOneStream,
		"KilledProcessesLeaveNoPart":   testKilled,
		"KilledProcessesAmongOthersDo": testKilledAmongOthers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, shared{Store: store, where: store.Create(t)})
		})
	}
}

// shared is one store.
type shared struct {
	Store
	where string
}

func (s shared) open(t *testing.T) eventstore.Log {
	t.Helper()
	log, err := s.Open(within(t), s.where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return log
}

func (s shared) start(t *testing.T, writer string, stream eventstore.StreamID, batches, size int) *child {
	t.Helper()
	return startChild(t, job{Where: s.where, Writer: writer, Stream: stream, Batches: batches, Size: size})
}

func testOutlives(t *testing.T, s shared) {
	log := s.open(t)
	b := start("s", 100)
	b.Contents = []eventstore.Blob{blob("kept")}
	mustAppend(t, log, b)
	snapshot := eventstore.Snapshot{Stream: "s", Revision: 9, EventID: uuid.New(), Version: 1, Data: []byte("state")}
	if err := log.SaveSnapshot(within(t), snapshot); err != nil {
		t.Fatal(err)
	}
	before := readAll(t, log)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	again := s.open(t)
	if again.ID() != log.ID() {
		t.Errorf("the id was %s and is %s", log.ID(), again.ID())
	}
	same(t, "after opening again", readAll(t, again), before)
	if got, err := again.Content(within(t), blob("kept").SHA256); err != nil || string(got) != "kept" {
		t.Errorf("content is %q, %v", got, err)
	}
	if got, err := again.LoadSnapshot(within(t), "s"); err != nil || !reflect.DeepEqual(got, snapshot) {
		t.Errorf("snapshot is %+v, %v", got, err)
	}
	if appended := mustAppend(t, again, b); !appended.Repeated {
		t.Error("a batch from before is not repeated")
	}
}

func testHandlesSeeEachOther(t *testing.T, s shared) {
	one, other := s.open(t), s.open(t)
	if one.ID() != other.ID() {
		t.Errorf("handles on one store have the ids %s and %s", one.ID(), other.ID())
	}
	last := mustAppend(t, one, start("s", 3))
	for i := range 10 { // what one has acknowledged the other reads at once
		log, reader := one, other
		if i%2 == 0 {
			log, reader = other, one
		}
		last = mustAppend(t, log, after("s", last, 3))
		if head := mustHead(t, reader); head != last.Last {
			t.Errorf("head is %d on the other handle, want %d", head, last.Last)
		}
		whole(t, reader, readAll(t, reader))
	}
}

func testHandlesConflict(t *testing.T, s shared) {
	one, other := s.open(t), s.open(t)
	b := start("s", 2)
	mustAppend(t, one, b)
	if _, err := other.Append(within(t), start("s", 2)); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("error is %v, want ErrConflict", err)
	}
	if appended := mustAppend(t, other, b); !appended.Repeated {
		t.Error("the same batch on the other handle is not repeated")
	}
	b.Stream = "t"
	if !one.Features().UniqueIDs {
		return
	}
	if _, err := other.Append(within(t), b); !errors.Is(err, eventstore.ErrIDReused) {
		t.Errorf("error is %v, want ErrIDReused", err)
	}
}

func testManyHandles(t *testing.T, s shared) {
	const handles, batches, size = 4, 15, 70
	var running sync.WaitGroup
	for i := range handles {
		log := s.open(t)
		running.Go(func() { write(t, log, fmt.Sprint(i), load{batches, size}, func() {}) })
		running.Go(func() { follow(t, log, handles*batches*size) })
	}
	running.Wait()
	readAll(t, s.open(t))
}

func testOneBatchOnManyHandles(t *testing.T, s shared) {
	b := start("s", 70)
	b.Contents = []eventstore.Blob{blob("shared")}
	var mu sync.Mutex
	written := 0
	var running sync.WaitGroup
	for range 4 {
		log := s.open(t)
		running.Go(func() {
			appended, err := log.Append(within(t), b)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !appended.Repeated {
				written++
			}
		})
	}
	running.Wait()
	log := s.open(t)
	if n := len(readAll(t, log)); n != 70 || written < 1 {
		t.Errorf("the log holds %d events, written %d times, want 70 written once", n, written)
	}
	if log.Features().UniqueIDs && written != 1 {
		t.Errorf("%d handles were told that they wrote it, want one", written)
	}
}

// Whoever opens a new store first makes it; the others wait and find it made.
func testManyOpen(t *testing.T, s shared) {
	var mu sync.Mutex
	ids := map[uuid.UUID]bool{}
	var running sync.WaitGroup
	for i := range 6 {
		running.Go(func() {
			log, err := s.Open(within(t), s.where)
			if err != nil {
				t.Error(err)
				return
			}
			write(t, log, fmt.Sprint(i), load{2, 3}, func() {})
			mu.Lock()
			ids[log.ID()] = true
			mu.Unlock()
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if len(ids) != 1 {
		t.Errorf("one store has the ids %v", ids)
	}
	if n := len(readAll(t, s.open(t))); n != 6*2*3 {
		t.Errorf("the log holds %d events, want %d", n, 6*2*3)
	}
}

func testSubscribersHearOtherHandles(t *testing.T, s shared) {
	const batches, size = 20, 70
	ctx := within(t)
	one, other := s.open(t), s.open(t)
	mustAppend(t, one, start("s", 1))
	subscribers := []*subscriber{
		subscribe(ctx, one, 0, eventstore.Filter{}, batches*size+1),
		subscribe(ctx, other, 0, eventstore.Filter{}, batches*size+1),
	}
	for _, sub := range subscribers {
		sub.got.reach(ctx, t, 1) // caught up
	}
	write(t, other, "w", load{batches, size}, func() {})
	for _, sub := range subscribers {
		<-sub.done
		if sub.err != nil {
			t.Fatal(sub.err)
		}
		whole(t, one, sub.records)
	}
}

// Several processes append while this one reads, subscribes and appends too.
func testManyProcesses(t *testing.T, s shared) {
	const processes, batches, size = 3, 12, 70
	const total = (processes + 1) * batches * size
	log := s.open(t)
	sub := subscribe(within(t), log, 0, eventstore.Filter{}, total)
	var children []*child
	for i := range processes {
		writer := fmt.Sprintf("process-%d", i)
		children = append(children, s.start(t, writer, eventstore.StreamID("stream-"+writer), batches, size))
	}
	var running sync.WaitGroup
	running.Go(func() { follow(t, log, total) })
	running.Go(func() { write(t, log, "here", load{batches, size}, func() {}) })
	var acknowledged []step
	for _, c := range children {
		acknowledged = append(acknowledged, c.finish(t)...)
	}
	running.Wait()
	<-sub.done
	if sub.err != nil {
		t.Fatal(sub.err)
	}
	whole(t, log, sub.records)
	same(t, "subscribed", sub.records, readAll(t, log))
	if len(acknowledged) != processes*batches {
		t.Errorf("%d batches acknowledged, want %d", len(acknowledged), processes*batches)
	}
}

func testManyProcessesOnOneStream(t *testing.T, s shared) {
	const processes, batches, size = 3, 8, 5
	var children []*child
	for i := range processes {
		children = append(children, s.start(t, fmt.Sprintf("process-%d", i), "contended", batches, size))
	}
	for _, c := range children {
		c.finish(t)
	}
	if n := len(readAll(t, s.open(t))); n != processes*batches*size {
		t.Errorf("the log holds %d events, want %d", n, processes*batches*size)
	}
}

const kills = 8

// A process is killed again and again, wherever it happens to be: before, in and behind an append. Each batch that was
// acknowledged is there whole, and of the one that was not, all or nothing.
func testKilled(t *testing.T, s shared) {
	var acknowledged []step
	for round := range kills {
		c := s.start(t, "killed", "stream", 1_000_000, 1+round*37%200)
		acknowledged = append(acknowledged, killSomewhere(t, c, round)...)
		log := s.open(t)
		checkKilled(t, log, acknowledged)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The same beside a handle that stays open, so that no last close tidies up, and beside a process that goes on.
func testKilledAmongOthers(t *testing.T, s shared) {
	log := s.open(t)
	other := s.start(t, "other", "stream-other", 100, 20)
	var acknowledged []step
	for round := range kills / 2 {
		c := s.start(t, "killed", "stream", 1_000_000, 100)
		acknowledged = append(acknowledged, killSomewhere(t, c, round)...)
		mustAppend(t, log, start(eventstore.StreamID(fmt.Sprintf("stream-%d", round)), 3))
		checkKilled(t, log, acknowledged)
	}
	acknowledged = append(acknowledged, other.finish(t)...)
	checkKilled(t, log, acknowledged)
}

// killSomewhere lets c get some steps far, and some way into the next, and kills it. Odd steps are the beginnings of
// appends, even ones their ends.
func killSomewhere(t *testing.T, c *child, round int) (acknowledged []step) {
	t.Helper()
	for range 1 + round%7 {
		s, ok := <-c.steps
		if !ok {
			t.Fatal("the child ended by itself")
		}
		if s.Acknowledged {
			acknowledged = append(acknowledged, s)
		}
	}
	for range rand.IntN(1_000_000) { // a little while, different each time
	}
	return append(acknowledged, c.kill(t)...)
}

func checkKilled(t *testing.T, log eventstore.Log, acknowledged []step) {
	t.Helper()
	records := readAll(t, log)
	for _, s := range acknowledged {
		from, ok := slices.BinarySearchFunc(records, s.First, func(r eventstore.Record, p eventstore.Position) int {
			return cmp.Compare(r.Position, p)
		})
		if !ok {
			t.Fatalf("batch %d was acknowledged at %d and is lost", s.Batch, s.First)
		}
		r := records[from]
		var m mark
		if err := json.Unmarshal(r.Data, &m); err != nil {
			t.Fatal(err)
		}
		if last := from + m.Size - 1; m.Batch != s.Batch || m.Index != 0 || last >= len(records) || records[last].Position != s.Last {
			t.Fatalf("batch %d was acknowledged at %d, where %+v stands", s.Batch, s.First, m)
		}
	}
	for _, r := range records {
		var m mark
		if err := json.Unmarshal(r.Data, &m); err != nil {
			t.Fatal(err)
		}
		if !r.EndsBatch() || (m.Writer != "killed" && m.Writer != "other") {
			continue
		}
		if _, err := log.Content(within(t), blob(contentOf(m.Writer, m.Batch)).SHA256); err != nil {
			t.Fatalf("position %d is there, its content is not: %v", r.Position, err)
		}
	}
}
