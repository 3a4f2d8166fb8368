//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// tally counts what seq yields.
func tally(seq iter.Seq2[eventstore.Record, error]) (n int, err error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// stride is the distance of the places from which a test reads: it meets every place within what an adapter may store
// in one piece.
const stride = 5

// fill appends batches of several sizes to two streams and returns the whole log.
func fill(t *testing.T, log eventstore.Log) []eventstore.Record {
	t.Helper()
	ends := map[eventstore.StreamID]eventstore.Appended{}
	for i, size := range []int{1, 3, 64, 65, 1, 130, 2, 2} {
		stream := eventstore.StreamID("repository-a")
		if i%2 == 1 {
			stream = "repository-b"
		}
		b := start(stream, size)
		if end, ok := ends[stream]; ok {
			b = after(stream, end, size)
		}
		ends[stream] = mustAppend(t, log, b)
	}
	return readAll(t, log)
}

func same(t *testing.T, what string, got, want []eventstore.Record) {
	t.Helper()
	if len(got) != len(want) || (len(got) > 0 && !reflect.DeepEqual(got, want)) {
		t.Errorf("%s: positions %v, want %v, and equal records", what, positions(got), positions(want))
	}
}

func testReadFromAnyPosition(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	if n := len(all(t, log.Read(ctx, 0, eventstore.Filter{}))); n != 0 {
		t.Errorf("an empty log yields %d records", n)
	}
	if head := mustHead(t, log); head != 0 {
		t.Errorf("the head of an empty log is %d", head)
	}
	records := fill(t, log)
	head := records[len(records)-1].Position
	if got := mustHead(t, log); got != head {
		t.Errorf("head is %d, want %d", got, head)
	}
	for i := 0; i < len(records); i += stride {
		r := records[i]
		same(t, "from the middle", all(t, log.Read(ctx, r.Position, eventstore.Filter{})), records[i+1:])
	}
	for _, beyond := range append([]eventstore.Position{head}, madeUp(log, head)...) {
		if n := len(all(t, log.Read(ctx, beyond, eventstore.Filter{}))); n != 0 {
			t.Errorf("after %d there are %d records", beyond, n)
		}
	}
}

// madeUp are positions beyond head, which only a log whose positions are dense is ever given (I19).
func madeUp(log eventstore.Log, head eventstore.Position) []eventstore.Position {
	if !log.Features().DensePositions {
		return nil
	}
	return []eventstore.Position{dense(head, 1), 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1}
}

// dense is the position by places behind another in a log whose positions are dense.
func dense(at eventstore.Position, by int) eventstore.Position {
	return at + eventstore.Position(by)
}

func testAt(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	nowhere := func(at eventstore.Position) {
		t.Helper()
		if r, err := log.At(ctx, at); !errors.Is(err, eventstore.ErrNotFound) {
			t.Errorf("at %d: position %d, error %v, want ErrNotFound", at, r.Position, err)
		}
	}
	nowhere(0)
	records := fill(t, log)
	for i := 0; i < len(records); i += stride {
		r, err := log.At(ctx, records[i].Position)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "at a position", []eventstore.Record{r}, records[i:i+1])
	}
	nowhere(0)
	for _, beyond := range madeUp(log, records[len(records)-1].Position) {
		nowhere(beyond)
	}
}

func testReadBackwards(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	if n := len(all(t, log.ReadBackwards(ctx, 0, eventstore.Filter{}))); n != 0 {
		t.Errorf("an empty log yields %d records", n)
	}
	records := fill(t, log)
	slices.Reverse(records)
	for i := 0; i < len(records); i += stride {
		r := records[i]
		same(t, "from the middle", all(t, log.ReadBackwards(ctx, r.Position, eventstore.Filter{})), records[i+1:])
	}
	for _, before := range append([]eventstore.Position{0}, madeUp(log, records[0].Position)...) {
		same(t, "from the head", all(t, log.ReadBackwards(ctx, before, eventstore.Filter{})), records)
	}
}

func testReadFiltered(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	records := fill(t, log)
	for name, filter := range map[string]eventstore.Filter{
		"everything":           {},
		"one stream":           {StreamPrefix: "repository-b"},
		"several streams":      {StreamPrefix: "repository-"},
		"a prefix of nothing":  {StreamPrefix: "repository-c"},
		"a pattern":            {StreamPrefix: "repository_%"},
		"one type":             {Types: []string{"test.type1.v1"}},
		"two types":            {Types: []string{"test.type0.v1", "test.type2.v1"}},
		"a type of nothing":    {Types: []string{"test.type1"}},
		"a type in one stream": {StreamPrefix: "repository-a", Types: []string{"test.type2.v1"}},
	} {
		var want []eventstore.Record
		for _, r := range records {
			if filter.Match(r) {
				want = append(want, r)
			}
		}
		same(t, name, all(t, log.Read(ctx, 0, filter)), want)
		slices.Reverse(want)
		same(t, name+", backwards", all(t, log.ReadBackwards(ctx, 0, filter)), want)
	}
}

func testReadEndsAtHead(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	last := mustAppend(t, log, start("s", 3))
	read := map[string]iter.Seq2[eventstore.Record, error]{
		"Read":                log.Read(ctx, 0, eventstore.Filter{}),
		"ReadBackwards":       log.ReadBackwards(ctx, 0, eventstore.Filter{}),
		"ReadStream":          log.ReadStream(ctx, "s", 0),
		"ReadStreamBackwards": log.ReadStreamBackwards(ctx, "s"),
	}
	mustAppend(t, log, after("s", last, 2))
	for name, seq := range read {
		for range 2 { // what was called once may be ranged over again
			if n := len(all(t, seq)); n != 3 {
				t.Errorf("%s yields %d records, want the 3 at the time of the call", name, n)
			}
		}
	}
}

func testBodyAppends(t *testing.T, log eventstore.Log) {
	last := mustAppend(t, log, start("s", 100))
	n := 0
	for _, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n%10 == 9 {
			last = mustAppend(t, log, after("s", last, 1)) // no lock is held
		}
		n++
	}
	if n != 100 {
		t.Errorf("read %d records, want 100", n)
	}
	for _, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	mustAppend(t, log, after("s", last, 1)) // nor is one left behind
	readAll(t, log)
}

func testReadStream(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	var stream []eventstore.Record
	for _, r := range fill(t, log) {
		if r.Stream == "repository-b" {
			stream = append(stream, r)
		}
	}
	for i := 0; i < len(stream); i += stride {
		same(t, "from the middle", all(t, log.ReadStream(ctx, "repository-b", eventstore.Revision(i))), stream[i:])
	}
	for _, beyond := range []eventstore.Revision{eventstore.Revision(len(stream)), 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		if n := len(all(t, log.ReadStream(ctx, "repository-b", beyond))); n != 0 {
			t.Errorf("from revision %d there are %d records", beyond, n)
		}
	}
	slices.Reverse(stream)
	same(t, "backwards", all(t, log.ReadStreamBackwards(ctx, "repository-b")), stream)
	for _, missing := range []eventstore.StreamID{"repository-", "repository-c", "REPOSITORY-B", ""} {
		n := len(all(t, log.ReadStream(ctx, missing, 0))) + len(all(t, log.ReadStreamBackwards(ctx, missing)))
		if n != 0 {
			t.Errorf("the missing stream %q yields %d records", missing, n)
		}
	}
}

func testCancelledReads(t *testing.T, log eventstore.Log) {
	mustAppend(t, log, start("s", 300))
	for name, read := range reads(log) {
		ctx, cancel := context.WithCancel(t.Context())
		n, ended := 0, error(nil)
		for _, err := range read(ctx) {
			if ended != nil {
				t.Errorf("%s goes on after an error", name)
			}
			if ended = err; err == nil {
				n++
				cancel()
			}
		}
		cancel()
		if !errors.Is(ended, context.Canceled) || n > 200 {
			t.Errorf("%s ends with %v after %d records, want a cancelled context soon", name, ended, n)
		}
		for _, err := range read(ctx) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s begins with %v, want a cancelled context", name, err)
			}
		}
	}
}

func testCancelledAt(t *testing.T, log eventstore.Log) {
	last := mustAppend(t, log, start("s", 3))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.At(ctx, last.Last); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want a cancelled context", err)
	}
}

// reads are all ways to read the log.
func reads(log eventstore.Log) map[string]func(context.Context) iter.Seq2[eventstore.Record, error] {
	type seq = iter.Seq2[eventstore.Record, error]
	return map[string]func(context.Context) seq{
		"Read":                func(ctx context.Context) seq { return log.Read(ctx, 0, eventstore.Filter{}) },
		"ReadBackwards":       func(ctx context.Context) seq { return log.ReadBackwards(ctx, 0, eventstore.Filter{}) },
		"ReadStream":          func(ctx context.Context) seq { return log.ReadStream(ctx, "s", 0) },
		"ReadStreamBackwards": func(ctx context.Context) seq { return log.ReadStreamBackwards(ctx, "s") },
		"Subscribe":           func(ctx context.Context) seq { return log.Subscribe(ctx, 0, eventstore.Filter{}) },
	}
}
