package benchmarks_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
)

var long = flag.Bool("long", false, "BenchmarkProject with 1,000,000 and 10,000,000 events, of gxpledger and the limits alone")

// projector is one way to make the table from all events.
type projector struct {
	name string
	// long reports whether it takes part where there are millions of events.
	long bool
	// turn makes ready for one run, which is not timed: an empty place for the table, and open connections.
	turn func(b *testing.B) turn
}

// turn is one run of a projector.
type turn struct {
	// fill is what is timed. When it returns, the table is there with its indexes, and committed.
	fill func(context.Context) error
	// table reads what fill left.
	table query
}

// BenchmarkProject times how all events of a log become the rows of one table of twelve columns with three indexes. An
// operation is the whole of them. The projectors take turns, round by round, so that other load on the machine hits all
// alike, and each row of each run is compared with what the events say.
func BenchmarkProject(b *testing.B) {
	turns := *rounds
	if testing.Short() {
		turns = 1
	}
	stores := []struct {
		name string
		open func(b *testing.B, story *story) []*projector
	}{
		{"sqlite", sqliteProjectors},
		{"postgres", postgresProjectors},
	}
	for _, n := range lengths(b) {
		for _, store := range stores {
			b.Run(fmt.Sprintf("%s/events=%d", store.name, n), func(b *testing.B) {
				story := newStory(b, n)
				projectors := store.open(b, story)
				if *long {
					projectors = slices.DeleteFunc(projectors, func(p *projector) bool { return !p.long })
				}
				race(b, projectors, story, turns)
			})
		}
	}
}

// lengths returns how many events there are to project.
func lengths(b *testing.B) []int {
	b.Helper()
	text := os.Getenv("GXPLEDGER_BENCH_EVENTS")
	switch {
	case testing.Short():
		return []int{1000}
	case text != "":
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("GXPLEDGER_BENCH_EVENTS is %q, want a number above 0", text)
		}
		return []int{n}
	case *long:
		return []int{1_000_000, 10_000_000}
	default:
		return []int{20_000}
	}
}

func race(b *testing.B, projectors []*projector, story *story, turns int) {
	b.Helper()
	for round := range turns {
		for i := range projectors {
			p := projectors[(round+i)%len(projectors)] // nobody is always the one after the same
			b.Run(fmt.Sprintf("%s/round=%d", p.name, round+1), func(b *testing.B) {
				p.measure(b, story)
			})
		}
	}
}

func (p *projector) measure(b *testing.B, story *story) {
	b.Helper()
	var highest watermark
	b.StopTimer()
	b.ResetTimer()
	for range b.N {
		t := p.turn(b)
		runtime.GC()
		debug.FreeOSMemory() // what others used is not this one's
		watch := watchMemory()
		b.StartTimer()
		err := t.fill(b.Context())
		b.StopTimer()
		highest = highest.or(watch.stop())
		if err == nil {
			err = errors.Join(t.table.indexed(b.Context()), story.check(t.table.rows(b.Context())))
		}
		if err != nil {
			b.Fatalf("%s: %v", p.name, err)
		}
	}
	b.ReportMetric(float64(story.n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(highest.heap)/(1<<20), "MiB-heap")
	b.ReportMetric(float64(highest.resident)/(1<<20), "MiB-resident")
	b.ReportMetric(0, "ns/op") // events/s says it
}
