//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

func testComesBack(t *testing.T, log eventstore.Log) {
	other := mustAppend(t, log, start("other", 3))
	b := eventstore.Batch{
		Stream: "repository-1", Expected: eventstore.NoStream(),
		Meta: eventstore.Meta{
			Actor: "Ada <é\u2028\n\">", Reason: "why", Scan: "s", Attempt: 3, Index: 77, Size: 99,
			Correlation: "c", Causation: "d", TraceParent: "00-1-2-01", TraceState: "x=y",
		},
		Events: []eventstore.NewEvent{
			{ID: uuid.New(), Type: "artifact.parsed.v2", Data: []byte(`{"a":"é<>&\u2028` + "\u2028" + `","n":1e400}`)},
			{ID: uuid.New(), Type: "scan.completed.v2", Data: []byte("{ \"b\" : [1,\n\t2] }")},
			{ID: uuid.New(), Type: "empty.v1", Data: []byte(`{}`)},
		},
	}
	appended := mustAppend(t, log, b)
	if want := (eventstore.Appended{First: 4, Last: 6, LastRevision: 2}); log.Features().DensePositions && appended != want {
		t.Errorf("appended at %+v, want %+v", appended, want)
	}
	records := all(t, log.Read(within(t), other.Last, eventstore.Filter{}))
	if len(records) != 3 {
		t.Fatalf("%d records, want 3", len(records))
	}
	at := records[0].RecordedAt
	if at.Location() != time.UTC || at.Nanosecond()%1000 != 0 || at.IsZero() {
		t.Errorf("recorded at %s, want a time in UTC, to the microsecond", at)
	}
	for i, r := range records {
		want := eventstore.Record{
			Position: dense(appended.First, i), Stream: "repository-1", Revision: eventstore.Revision(i),
			ID: b.Events[i].ID, Type: b.Events[i].Type, RecordedAt: at, Meta: b.Meta, Data: b.Events[i].Data,
		}
		want.Meta.Index, want.Meta.Size = i, 3
		if !log.Features().DensePositions {
			want.Position = r.Position
		}
		if !reflect.DeepEqual(r, want) {
			t.Errorf("record %d is\n %+v\nwant\n %+v", i, r, want)
		}
	}
}

// Batches that a log takes while it writes others are judged and written in the order in which it took them, whoever waits first.
func testEnqueue(t *testing.T, log eventstore.Log) {
	ordered, ok := log.(eventstore.OrderedAppender)
	if !ok {
		t.Skip("it takes one batch at a time")
	}
	var waits []func() (eventstore.Appended, error)
	const rounds = 20
	for i := range rounds {
		expected := eventstore.NoStream()
		if i > 0 {
			expected = eventstore.AtRevision(eventstore.Revision(2*i - 1))
		}
		waits = append(waits, ordered.Enqueue(within(t), NewBatch("s", expected, "w", i, 2)))
		waits = append(waits, ordered.Enqueue(within(t), start(eventstore.StreamID(fmt.Sprintf("s-%d", i)), 1)))
		waits = append(waits, ordered.Enqueue(within(t), NewBatch("s", expected, "late", i, 2)))
	}
	answers := make([]eventstore.Appended, len(waits))
	for i, wait := range slices.Backward(waits) {
		var err error
		if answers[i], err = wait(); i%3 == 2 && !errors.Is(err, eventstore.ErrConflict) || i%3 != 2 && err != nil {
			t.Fatalf("batch %d is answered %+v, %v", i, answers[i], err)
		}
	}
	last := eventstore.Position(0)
	for i, at := range answers {
		if i%3 != 2 && at.First <= last {
			t.Fatalf("batch %d is at %+v, before those that were taken before it", i, at)
		}
		last = max(last, at.Last)
	}
	readAll(t, log)
	if err := second(ordered.Enqueue(within(t), eventstore.Batch{})()); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("an empty batch is answered %v, want ErrInvalid", err)
	}
}

func second[T any](_ T, err error) error { return err }

func testKeepsNoReference(t *testing.T, log eventstore.Log) {
	b := start("s", 2)
	want := string(b.Events[0].Data)
	mustAppend(t, log, b)
	for i := range b.Events {
		clear(b.Events[i].Data)
		b.Events[i].Type = "changed"
	}
	for range 2 { // what a reader does to its record is no other reader's matter either
		records := all(t, log.Read(within(t), 0, eventstore.Filter{}))
		if r := records[0]; string(r.Data) != want {
			t.Fatalf("data is %q, want %q", r.Data, want)
		}
		neighbour := string(records[1].Data)
		clear(records[0].Data)
		_ = append(records[0].Data, "beyond its end"...)
		if string(records[1].Data) != neighbour {
			t.Fatalf("what is done to one record changed the next to %q", records[1].Data)
		}
	}
	readAll(t, log)
}

func testRefusesInvalid(t *testing.T, log eventstore.Log) {
	for name, spoil := range map[string]func(b *eventstore.Batch){
		"no stream":             func(b *eventstore.Batch) { b.Stream = "" },
		"no expectation":        func(b *eventstore.Batch) { b.Expected = eventstore.Expected{} },
		"no events":             func(b *eventstore.Batch) { b.Events = nil },
		"no id":                 func(b *eventstore.Batch) { b.Events[1].ID = eventstore.EventID{} },
		"an id twice":           func(b *eventstore.Batch) { b.Events[1].ID = b.Events[0].ID },
		"no type":               func(b *eventstore.Batch) { b.Events[1].Type = "" },
		"no data":               func(b *eventstore.Batch) { b.Events[1].Data = nil },
		"no attempt":            func(b *eventstore.Batch) { b.Meta.Attempt = 0 },
		"an actor not in UTF-8": func(b *eventstore.Batch) { b.Meta.Actor = "\xff" },
		"a content with another hash": func(b *eventstore.Batch) {
			b.Contents = []eventstore.Blob{blob("a"), {SHA256: blob("b").SHA256, Bytes: []byte("c")}}
		},
		"a content with an odd hash": func(b *eventstore.Batch) {
			b.Contents = []eventstore.Blob{{SHA256: strings.ToUpper(blob("b").SHA256), Bytes: []byte("b")}}
		},
		"everything zero": func(b *eventstore.Batch) { *b = eventstore.Batch{} },
	} {
		b := start("s", 2)
		spoil(&b)
		if _, err := log.Append(within(t), b); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", name, err)
		}
	}
	if head := mustHead(t, log); head != 0 {
		t.Errorf("head is %d, refused batches left something", head)
	}
}

func testConflict(t *testing.T, log eventstore.Log) {
	refused := func(name string, b eventstore.Batch) {
		t.Helper()
		head := mustHead(t, log)
		if _, err := log.Append(within(t), b); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("%s: error is %v, want ErrConflict", name, err)
		}
		if mustHead(t, log) != head {
			t.Errorf("%s: something was written", name)
		}
	}
	refused("a revision of no stream", NewBatch("s", eventstore.AtRevision(0), "w", 0, 1))
	first := mustAppend(t, log, start("s", 2))
	refused("a stream that is there", start("s", 1))
	refused("a stream that is there, from two sides", start("s", 5))
	refused("a revision behind", NewBatch("s", eventstore.AtRevision(0), "w", 0, 1))
	refused("a revision ahead", NewBatch("s", eventstore.AtRevision(2), "w", 0, 1))
	refused("the last revision there could be", NewBatch("s", eventstore.AtRevision(1<<64-1), "w", 0, 1))
	mustAppend(t, log, after("s", first, 1))
	mustAppend(t, log, start("t", 1)) // another stream is no matter
	readAll(t, log)
}

func testRepeated(t *testing.T, log eventstore.Log) {
	b := start("s", 3)
	b.Contents = []eventstore.Blob{blob("a")}
	first := mustAppend(t, log, b)
	second := after("s", first, 2)
	last := mustAppend(t, log, second)
	mustAppend(t, log, start("t", 1))
	head := mustHead(t, log)
	for attempt := 2; attempt < 5; attempt++ {
		b.Meta.Attempt, b.Meta.Actor = attempt, "somebody else" // neither makes another batch
		for again, want := range map[*eventstore.Batch]eventstore.Appended{&b: first, &second: last} {
			want.Repeated = true
			if got := mustAppend(t, log, *again); got != want {
				t.Errorf("attempt %d is answered %+v, want %+v", attempt, got, want)
			}
		}
	}
	if mustHead(t, log) != head {
		t.Error("a repeated batch was written again")
	}
	if r := readAll(t, log)[0]; r.Meta.Attempt != 1 || r.Meta.Actor != "w" {
		t.Errorf("a repeated batch changed the record: %+v", r.Meta)
	}
}

func testReusedIDs(t *testing.T, log eventstore.Log) {
	held := start("s", 3)
	last := mustAppend(t, log, held)
	change := func(of eventstore.Batch, spoil func(b *eventstore.Batch)) eventstore.Batch {
		of.Events = append([]eventstore.NewEvent(nil), of.Events...)
		spoil(&of)
		return of
	}
	fresh := after("s", last, 3)
	reused := map[string]eventstore.Batch{
		"other data":   change(held, func(b *eventstore.Batch) { b.Events[2].Data = []byte(`{"x":1}`) }),
		"another type": change(held, func(b *eventstore.Batch) { b.Events[2].Type = "other.v1" }),
		"another order": change(held, func(b *eventstore.Batch) {
			b.Events[0], b.Events[1] = b.Events[1], b.Events[0]
		}),
		"fewer events":   change(held, func(b *eventstore.Batch) { b.Events = b.Events[:2] }),
		"the last alone": change(held, func(b *eventstore.Batch) { b.Events = b.Events[2:]; b.Expected = eventstore.AtRevision(1) }),
		"more events":    change(held, func(b *eventstore.Batch) { b.Events = append(b.Events, fresh.Events[0]) }),
		"a later place":  change(held, func(b *eventstore.Batch) { b.Expected = eventstore.AtRevision(last.LastRevision) }),
		"one id among new ones": change(fresh, func(b *eventstore.Batch) {
			b.Events[1].ID = held.Events[0].ID
		}),
	}
	if log.Features().UniqueIDs {
		reused["another stream"] = change(held, func(b *eventstore.Batch) { b.Stream = "t" })
		reused["one id among new ones, in another stream"] = change(fresh, func(b *eventstore.Batch) {
			b.Stream, b.Expected, b.Events[2].ID = "u", eventstore.NoStream(), held.Events[2].ID
		})
	}
	for name, b := range reused {
		if _, err := log.Append(within(t), b); !errors.Is(err, eventstore.ErrIDReused) {
			t.Errorf("%s: error is %v, want ErrIDReused", name, err)
		}
		if mustHead(t, log) != last.Last {
			t.Fatalf("%s: something was written", name)
		}
	}
	mustAppend(t, log, fresh)
	readAll(t, log)
}

func testLostAnswer(t *testing.T, log eventstore.Log) {
	faulty := &Faulty{Log: log}
	faulty.Next(LoseAnswer(nil), LoseAnswer(context.DeadlineExceeded), FailBefore(eventstore.ErrTransient))
	b := start("s", 4)
	var appended eventstore.Appended
	for attempt := 1; ; attempt++ {
		b.Meta.Attempt = attempt
		var err error
		if appended, err = faulty.Append(within(t), b); err == nil {
			break
		}
		if attempt > 4 {
			t.Fatalf("attempt %d: %v", attempt, err)
		}
	}
	if !appended.Repeated || len(faulty.Tried()) != 4 {
		t.Errorf("answered %+v after %d attempts, want repeated after 4", appended, len(faulty.Tried()))
	}
	if n := len(readAll(t, log)); n != 4 {
		t.Errorf("the log holds %d events, want 4", n)
	}
}

func testHugeBatch(t *testing.T, log eventstore.Log) {
	const size = 10_000
	b := start("s", size)
	b.Events[17].Data = []byte(fmt.Sprintf(`{"writer":"w","batch":0,"index":17,"size":%d,"x":"%s"}`, size, strings.Repeat("x", 300_000)))
	appended := mustAppend(t, log, b)
	if appended.LastRevision != size-1 {
		t.Errorf("last revision %d, want %d", appended.LastRevision, size-1)
	}
	records := readAll(t, log)
	if len(records) != size {
		t.Fatalf("%d records, want %d", len(records), size)
	}
	if len(records[17].Data) != len(b.Events[17].Data) || !json.Valid(records[17].Data) {
		t.Errorf("the large event has %d bytes, want %d", len(records[17].Data), len(b.Events[17].Data))
	}
	if again := mustAppend(t, log, b); !again.Repeated {
		t.Error("the same batch is not repeated")
	}
	tail := all(t, log.ReadStream(within(t), "s", size-2))
	if len(tail) != 2 || tail[0].ID != b.Events[size-2].ID {
		t.Errorf("the end of the stream has %d records", len(tail))
	}
}

func testCancelledAppend(t *testing.T, log eventstore.Log) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := start("s", 2)
	if _, err := log.Append(ctx, b); !errors.Is(err, context.Canceled) || !errors.Is(err, eventstore.ErrNotWritten) {
		t.Errorf("error is %v, want a cancelled context before anything was written", err)
	}
	mustAppend(t, log, b)
	if n := len(readAll(t, log)); n != 2 {
		t.Errorf("the log holds %d events, want 2", n)
	}
}

// A context that ends somewhere in an append leaves an unknown outcome; calling again resolves it, once.
func testCancelledAnywhere(t *testing.T, log eventstore.Log) {
	last := mustAppend(t, log, start("s", 1))
	written := 1
	for i := range 40 {
		b := after("s", last, 50)
		ctx, cancel := context.WithTimeout(within(t), time.Duration(i)*50*time.Microsecond)
		_, err := log.Append(ctx, b)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error is %v, want one of the context", err)
		}
		last = mustAppend(t, log, b)
		if err == nil && !last.Repeated {
			t.Fatal("an acknowledged batch was written again")
		}
		if errors.Is(err, eventstore.ErrNotWritten) && last.Repeated {
			t.Fatal("a batch of which nothing was written is there")
		}
		written += 50
	}
	if n := len(readAll(t, log)); n != written {
		t.Errorf("the log holds %d events, want %d", n, written)
	}
}

// TimesNeverFall appends a batch for each of want and checks the times at which they are recorded. The log must be empty
// and have a clock that the caller set up.
func TimesNeverFall(t *testing.T, log eventstore.Log, want []time.Time) {
	t.Helper()
	for i, at := range want {
		mustAppend(t, log, start(eventstore.StreamID(fmt.Sprintf("s-%d", i)), 1))
		if r := readAll(t, log)[i]; !r.RecordedAt.Equal(at) {
			t.Errorf("batch %d is recorded at %s, want %s", i, r.RecordedAt, at)
		}
	}
}

// KeepsRecordedTimes checks that the log keeps the times that batches give, refuses one before its last event, and
// continues with its own clock, which must not fall behind either. The log must be empty and have the wall clock.
func KeepsRecordedTimes(t *testing.T, log eventstore.Log) {
	t.Helper()
	long := time.Date(2001, 2, 3, 4, 5, 6, 789_123_999, time.FixedZone("east", 3600))
	far := time.Now().Add(24 * time.Hour).Truncate(time.Microsecond).UTC()
	recorded := func(stream eventstore.StreamID, size int, at time.Time) eventstore.Batch {
		b := start(stream, size)
		b.RecordedAt = at
		return b
	}
	first := recorded("s-0", 3, long)
	mustAppend(t, log, first)
	mustAppend(t, log, recorded("s-1", 1, long)) // the same time once more
	mustAppend(t, log, recorded("s-2", 1, far))
	head := mustHead(t, log)
	for name, at := range map[string]time.Time{
		"before the last": far.Add(-time.Microsecond), "before 1970": time.Unix(-1, 0), "in the year 10000": time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if _, err := log.Append(within(t), recorded("s-3", 1, at)); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", name, err)
		}
	}
	first.RecordedAt = time.Time{}
	if again := mustAppend(t, log, first); !again.Repeated || mustHead(t, log) != head {
		t.Errorf("another time made another batch of it: %+v", again)
	}
	mustAppend(t, log, start("s-3", 2)) // the wall clock is a day behind
	want := []time.Time{}
	kept := long.UTC().Truncate(time.Microsecond)
	want = append(want, kept, kept, kept, kept, far, far, far)
	records := readAll(t, log)
	if len(records) != len(want) {
		t.Fatalf("%d records, want %d", len(records), len(want))
	}
	for i, r := range records {
		if r.RecordedAt != want[i] { // the same zone and no monotonic reading, too
			t.Errorf("record %d is of %s, want %s", i, r.RecordedAt, want[i])
		}
	}
}
