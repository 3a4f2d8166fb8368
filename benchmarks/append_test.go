package benchmarks_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var rounds = flag.Int("rounds", 5, "how often each contender takes its turn")

// contender is one way to append durably. Its log is empty at first, and append is called by all producers at once.
type contender struct {
	name   string
	append func(context.Context, work) error
	// count returns how many events are stored.
	count func(context.Context) (int, error)
	// next is the revision that each producer's stream expects; each producer minds its own.
	next []int
}

// BenchmarkDurableAppend times appends that are on disk when they return, by several producers, each with a stream of its
// own. An operation is one batch of every producer. The contenders take turns, round by round, so that other load on
// the machine hits all alike, and what they acknowledged is counted in the end.
func BenchmarkDurableAppend(b *testing.B) {
	sizes, crowds, turns := []int{44, 1000}, []int{1, 8, 32}, *rounds
	if testing.Short() {
		sizes, crowds, turns = []int{44}, []int{1, 8}, 1
	}
	stores := []struct {
		name string
		open func(b *testing.B, producers int) []*contender
	}{
		{"sqlite", sqliteContenders},
		{"postgres", postgresContenders},
	}
	for _, store := range stores {
		for _, size := range sizes {
			for _, producers := range crowds {
				b.Run(fmt.Sprintf("%s/events=%d/producers=%d", store.name, size, producers), func(b *testing.B) {
					compete(b, store.open(b, producers), match{size: size, producers: producers, rounds: turns})
				})
			}
		}
	}
}

// match is what one group of contenders is timed at.
type match struct{ size, producers, rounds int }

func compete(b *testing.B, contenders []*contender, m match) {
	b.Helper()
	for _, c := range contenders {
		c.next = make([]int, m.producers)
		c.produce(b, prepare(b, m.producers, m.size), m) // connected and prepared, and the streams are there
	}
	for round := range m.rounds {
		for i := range contenders {
			c := contenders[(round+i)%len(contenders)] // nobody is always the one after the same
			b.Run(fmt.Sprintf("%s/round=%d", c.name, round+1), func(b *testing.B) {
				c.measure(b, m)
			})
		}
	}
	for _, c := range contenders {
		c.check(b)
	}
}

func (c *contender) measure(b *testing.B, m match) {
	b.Helper()
	todo := prepare(b, b.N*m.producers, m.size)
	b.ResetTimer()
	took := c.produce(b, todo, m)
	b.StopTimer()
	slices.Sort(took)
	at := func(percent int) float64 {
		return float64(took[(len(took)*percent+99)/100-1].Microseconds())
	}
	b.ReportMetric(float64(len(todo)*m.size)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(at(50), "p50-µs")
	b.ReportMetric(at(99), "p99-µs")
	b.ReportMetric(0, "ns/op") // the time of many batches at once says nothing
}

// produce appends all of todo, each producer taking the next one when it is done with its last, and returns how long
// each append took.
func (c *contender) produce(b *testing.B, todo []work, m match) []time.Duration {
	b.Helper()
	took := make([]time.Duration, len(todo))
	var taken atomic.Int64
	var running sync.WaitGroup
	for p := range m.producers {
		running.Go(func() {
			for k := int(taken.Add(1)) - 1; k < len(todo); k = int(taken.Add(1)) - 1 {
				w := todo[k]
				w.stream, w.at = fmt.Sprintf("repository-%d", p+1), c.next[p]
				begun := time.Now()
				if err := c.append(b.Context(), w); err != nil {
					b.Errorf("%s: %v", c.name, err)
					return
				}
				took[k] = time.Since(begun)
				c.next[p] += len(w.events)
			}
		})
	}
	running.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return took
}

// check fails when c does not hold what it acknowledged.
func (c *contender) check(b *testing.B) {
	b.Helper()
	want := 0
	for _, n := range c.next {
		want += n
	}
	got, err := c.count(b.Context())
	if err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	if got != want {
		b.Errorf("%s holds %d events, and acknowledged %d", c.name, got, want)
	}
}
