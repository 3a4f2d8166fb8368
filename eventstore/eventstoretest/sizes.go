package eventstoretest

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Sizes checks that a log reads streams and itself alike whatever their sizes are: log reads and stores so few events at
// a time that a handful of batches has the boundaries of every page and chunk.
func Sizes(t *testing.T, log eventstore.Log) {
	t.Helper()
	chance := rand.New(rand.NewPCG(1, 2)) // the same in each run
	g := &growing{t: t, log: log}
	for n := range 10 {
		g.begin()
		a, b := eventstore.StreamID(fmt.Sprintf("a%d", n)), eventstore.StreamID(fmt.Sprintf("b%d", n))
		for range n { // one stream of single events in the first rounds, a mixture in the others
			if stream := []eventstore.StreamID{a, a, b}[chance.IntN(3)]; n < 6 {
				g.grow(a, 1)
			} else {
				g.grow(stream, 1+chance.IntN(4))
			}
		}
		for from := range len(g.records) + 1 {
			g.checkFrom(from)
		}
		g.checkStream(a)
		g.checkStream(b)
		g.checkRepeats()
	}
}

// testSizes reads at and around the sizes that pages and chunks have in the logs that there are.
func testSizes(t *testing.T, log eventstore.Log) {
	t.Helper()
	g := &growing{t: t, log: log}
	g.begin()
	for n := 1; n <= 513; n++ { // batches
		g.append("many", 1)
		switch n {
		case 7, 8, 9, 63, 64, 65, 511, 512, 513:
			g.checkEnds("many")
		}
	}
	g.checkRepeats()
	for _, size := range []int{286, 1, 1, 1, 1757, 1, 1, 1} { // events: 287 to 289, and 2047 to 2049
		g.append("large", size)
		if size == 1 {
			g.checkEnds("large")
		}
	}
}

// growing is a log to which only a test appends.
type growing struct {
	t       *testing.T
	log     eventstore.Log
	base    eventstore.Position // of the last record before those
	records []eventstore.Record
	batches []eventstore.Batch
	ends    map[eventstore.StreamID]eventstore.Appended
}

// begin forgets what was appended so far.
func (g *growing) begin() {
	g.base = g.end()
	g.records, g.batches, g.ends = nil, nil, map[eventstore.StreamID]eventstore.Appended{}
}

func (g *growing) append(stream eventstore.StreamID, size int) eventstore.Appended {
	b := start(stream, size)
	if end, ok := g.ends[stream]; ok {
		b = after(stream, end, size)
	}
	at := mustAppend(g.t, g.log, b)
	g.ends[stream] = at
	g.batches = append(g.batches, b)
	return at
}

// grow appends a batch and reads it.
func (g *growing) grow(stream eventstore.StreamID, size int) {
	end := g.end()
	g.append(stream, size)
	g.take(all(g.t, g.log.Read(within(g.t), end, eventstore.Filter{})), g.batches[len(g.batches)-1:])
}

// end is the position of the last record that was read.
func (g *growing) end() eventstore.Position {
	if len(g.records) == 0 {
		return g.base
	}
	return g.records[len(g.records)-1].Position
}

// take adds what was read, which must be batches.
func (g *growing) take(read []eventstore.Record, batches []eventstore.Batch) {
	g.records = append(g.records, read...)
	for _, b := range batches {
		n := len(b.Events)
		if len(read) < n || !b.Repeats(read[:n]) {
			g.t.Fatalf("a batch of %d events is not what is read, %d records before the end", n, len(read))
		}
		read = read[n:]
	}
	if len(read) > 0 {
		g.t.Fatalf("%d records more than were appended", len(read))
	}
}

// checkFrom reads the log on both sides of its from-th record.
func (g *growing) checkFrom(from int) {
	ctx := within(g.t)
	at := g.base
	if from > 0 {
		at = g.records[from-1].Position
	}
	for _, filter := range []eventstore.Filter{{}, {StreamPrefix: "a"}, {Types: []string{"test.type1.v1"}}} {
		var behind, ahead []eventstore.Record
		for i, r := range g.records {
			switch {
			case !filter.Match(r):
			case i < from:
				ahead = append(ahead, r)
			default:
				behind = append(behind, r)
			}
		}
		what := fmt.Sprintf("%d of %d records, filter %+v", from, len(g.records), filter)
		same(g.t, "after "+what, all(g.t, g.log.Read(ctx, at, filter)), behind)
		same(g.t, "subscribed after "+what, g.first(len(behind), g.log.Subscribe(ctx, at, filter)), behind)
		slices.Reverse(ahead)
		before := eventstore.Position(0) // from the end
		if from < len(g.records) {
			before = g.records[from].Position
		}
		backwards := g.log.ReadBackwards(ctx, before, filter)
		same(g.t, "backwards from "+what, g.first(len(ahead), backwards), ahead)
	}
}

// checkStream reads a stream from each of its revisions on, and from behind its end.
func (g *growing) checkStream(stream eventstore.StreamID) {
	ctx := within(g.t)
	records := g.of(stream)
	for from := range len(records) + 2 {
		want := records[min(from, len(records)):]
		same(g.t, fmt.Sprintf("stream of %d from %d", len(records), from), all(g.t, g.log.ReadStream(ctx, stream, eventstore.Revision(from))), want)
	}
	slices.Reverse(records)
	same(g.t, fmt.Sprintf("stream of %d backwards", len(records)), all(g.t, g.log.ReadStreamBackwards(ctx, stream)), records)
}

// checkEnds reads the log and a stream as a whole, and from a few places that are not their ends.
func (g *growing) checkEnds(stream eventstore.StreamID) {
	ctx := within(g.t)
	g.records = nil
	g.take(all(g.t, g.log.Read(ctx, 0, eventstore.Filter{})), g.batches)
	records := g.of(stream)
	for _, from := range []int{0, 1, len(records) - 1, len(records), len(records) + 1} {
		want := records[min(from, len(records)):]
		same(g.t, fmt.Sprintf("stream of %d from %d", len(records), from), all(g.t, g.log.ReadStream(ctx, stream, eventstore.Revision(from))), want)
	}
	slices.Reverse(records)
	same(g.t, "stream backwards", all(g.t, g.log.ReadStreamBackwards(ctx, stream)), records)
	whole := slices.Clone(g.records)
	slices.Reverse(whole)
	same(g.t, "the log backwards", all(g.t, g.log.ReadBackwards(ctx, 0, eventstore.Filter{})), whole)
}

// checkRepeats appends what is there once more, which reads what is there.
func (g *growing) checkRepeats() {
	for i := 0; i < len(g.batches); i += 1 + len(g.batches)/8 {
		if at := mustAppend(g.t, g.log, g.batches[i]); !at.Repeated {
			g.t.Errorf("batch %d was appended twice", i)
		}
	}
}

func (g *growing) of(stream eventstore.StreamID) []eventstore.Record {
	var records []eventstore.Record
	for _, r := range g.records {
		if r.Stream == stream {
			records = append(records, r)
		}
	}
	return records
}

// first collects the first n records of seq.
func (g *growing) first(n int, seq iter.Seq2[eventstore.Record, error]) []eventstore.Record {
	var records []eventstore.Record
	if n == 0 {
		return nil
	}
	for r, err := range seq {
		if err != nil {
			g.t.Fatal(err)
		}
		if records = append(records, r); len(records) == n {
			break
		}
	}
	return records
}
