package acceptance_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/projections/run"
	tablesdb "github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// engine is a log with a recorder, and tables with a runner, as the commands put them together.
type engine struct {
	log      *acknowledged
	recorder *recorder.Recorder
	runner   *run.Runner
	shown    *shown
}

func newEngine(tb testing.TB) *engine {
	tb.Helper()
	home := tb.TempDir()
	e := &engine{log: &acknowledged{Log: openLog(tb, home)}, shown: newShown()}
	db, err := tablesdb.Open(tb.Context(), filepath.Join(home, "tables.db"), tablesdb.Options{Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	if e.recorder, err = recorder.New(e.log, recorder.DefaultConfig(time.Now, "")); err != nil {
		tb.Fatal(err)
	}
	config := run.DefaultConfig(time.Now, eventstore.Decode, "bench")
	config.Observe = e.shown.observe
	if e.runner, err = run.NewRunner(e.log, db, tables.All(), config); err != nil {
		tb.Fatal(err)
	}
	return e
}

// record scans a tree and returns the position of its last event.
func (e *engine) record(tb testing.TB, tree []domain.File) eventstore.Position {
	tb.Helper()
	_, err := e.recorder.Record(tb.Context(), recorder.Request{
		Scan: uuid.Must(uuid.NewV7()), Actor: "bench", Policy: domain.DefaultPolicy(), StartedAt: time.Now(),
		Repository: domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000001", Name: "bench"},
	}, func(context.Context, domain.State) (recorder.Reading, error) {
		return recorder.Reading{Reader: domaintest.Stamp, Files: tree}, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return e.log.last
}

// forest is a tree of n artifacts: requirements, stories that name them, and specs that name those.
func forest(n int, text string) []domain.File {
	level := max(n/4, 1)
	tree := make([]domain.File, 0, n)
	for i := range n {
		switch {
		case i < level:
			tree = append(tree, domaintest.Requirement(fmt.Sprintf("REQ-%06d", i), text))
		case i < 2*level:
			tree = append(tree, domaintest.UserStory(fmt.Sprintf("US-%06d", i-level), fmt.Sprintf("REQ-%06d", i-level)))
		default:
			tree = append(tree, domaintest.Spec(fmt.Sprintf("SPEC-%06d", i-2*level), fmt.Sprintf("US-%06d", i%level)))
		}
	}
	return tree
}

// acknowledged is a log that remembers its last append, and when it was acknowledged. It has one user at a time.
type acknowledged struct {
	eventstore.Log
	last eventstore.Position
	at   time.Time
}

func (l *acknowledged) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	appended, err := l.Log.Append(ctx, batch)
	l.at, l.last = time.Now(), appended.Last
	return appended, err
}

// shown follows how far the tables are.
type shown struct {
	mu      sync.Mutex
	at      map[string]eventstore.Position // by projection
	moved   time.Time                      // when one of them last did
	wanted  eventstore.Position            // 0 when nobody waits
	reached chan time.Time
}

func newShown() *shown {
	return &shown{at: map[string]eventstore.Position{}, reached: make(chan time.Time, 1)}
}

func (s *shown) observe(p run.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[p.Projection], s.moved = p.Position, time.Now()
	if s.wanted > 0 && s.all(s.wanted) {
		s.wanted = 0
		s.reached <- s.moved
	}
}

func (s *shown) all(position eventstore.Position) bool {
	for _, p := range tables.All() {
		if s.at[p.Name] < position {
			return false
		}
	}
	return true
}

// await returns when the tables of every projection came to position.
func (s *shown) await(position eventstore.Position) time.Time {
	s.mu.Lock()
	if s.all(position) {
		defer s.mu.Unlock()
		return s.moved
	}
	s.wanted = position
	s.mu.Unlock()
	return <-s.reached
}

// BenchmarkLag measures how long after the acknowledgement of a scan the tables of all projections show it, while a runner
// keeps them live: medians and 99th percentiles, for scans of a tree of a thousand artifacts that change some of them.
func BenchmarkLag(b *testing.B) {
	for _, changed := range sizes([]int{1, 40, 1000}) {
		b.Run(fmt.Sprintf("changed=%d", changed), func(b *testing.B) {
			e := newEngine(b)
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- e.runner.Run(ctx) }()
			tree := make([]domain.File, 1000)
			change := func(n int, text string) {
				for i := range n {
					tree[i] = domaintest.Requirement(fmt.Sprintf("REQ-%04d", i), text)
				}
			}
			change(len(tree), "text")
			e.shown.await(e.record(b, tree))
			var lags []time.Duration
			for i := 0; b.Loop(); i++ {
				change(changed, fmt.Sprintf("text of scan %d", i))
				last := e.record(b, tree)
				lags = append(lags, max(0, e.shown.await(last).Sub(e.log.at)))
			}
			stop()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
			slices.Sort(lags)
			b.ReportMetric(float64(lags[(len(lags)-1)*50/100].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(lags[(len(lags)-1)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkHugeBatch records one scan of many artifacts and makes the first tables from it: a batch is never split, so that
// it passes through memory as a whole. The peak is that of the process, the tree included: run it alone.
func BenchmarkHugeBatch(b *testing.B) {
	for _, n := range sizes([]int{1000, 100_000}) {
		b.Run(fmt.Sprintf("artifacts=%d", n), func(b *testing.B) {
			tree := forest(n, "text")
			var recorded, projected time.Duration
			for b.Loop() {
				e := newEngine(b)
				began := time.Now()
				last := e.record(b, tree)
				middle := time.Now()
				if err := e.runner.CatchUp(b.Context(), last); err != nil {
					b.Fatal(err)
				}
				recorded, projected = recorded+middle.Sub(began), projected+time.Since(middle)
			}
			b.ReportMetric(recorded.Seconds()/float64(b.N), "record-s")
			b.ReportMetric(projected.Seconds()/float64(b.N), "tables-s")
			b.ReportMetric(peakMiB(b), "peak-MiB")
		})
	}
}
