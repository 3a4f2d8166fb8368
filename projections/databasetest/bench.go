package databasetest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
)

// Endless is a log of n events that are made when they are read: batches of 50 requirements of about 1 KB each.
type Endless struct {
	id   uuid.UUID
	n    eventstore.Position
	data [][]byte
}

const endlessBatch = 50

// NewEndless returns a log of n events.
func NewEndless(tb testing.TB, n int) *Endless {
	tb.Helper()
	log := &Endless{id: uuid.New(), n: eventstore.Position(n)}
	for i := range 64 {
		_, data, err := eventstore.Encode(requirement(i))
		if err != nil {
			tb.Fatal(err)
		}
		log.data = append(log.data, data)
	}
	return log
}

func requirement(i int) domain.ArtifactParsed {
	hash := fmt.Sprintf("%064x", i)
	term := func(s string) *domain.Term { return &domain.Term{Raw: strings.ToUpper(s), Normal: s} }
	return domain.ArtifactParsed{
		Artifact: domain.Artifact{
			Key:  domain.Key{Path: fmt.Sprintf(".gxp/requirements/REQ-%04d.md", i)},
			Kind: domain.KindRequirement, GxPID: fmt.Sprintf("REQ-%04d", i), Title: "The system keeps a record of every change to every artifact",
			Risk: term("high"), Tier: term("oq"), Status: term("approved"), ValidationStatus: term("validated"),
			Fields:  json.RawMessage(`{"gxp_id":"REQ-0001","title":"The system keeps a record of every change to every artifact","risk_level":"HIGH","status":"APPROVED","owner":"quality","tags":["audit","record","part 11"],"description":"` + strings.Repeat("Records are kept. ", 12) + `"}`),
			Content: domain.Content{SHA256: hash, Blob: hash[:40], Size: 1200}, Digest: hash,
			Links: []domain.Link{{Edge: domain.EdgeParentID, Target: "REQ-0000", To: &domain.Ref{Number: 1, Kind: domain.KindRequirement}}},
		},
		Number: i + 1, Version: 1, Change: domain.ChangeNew, Stamp: "rosie/1", Source: hash[:40],
	}
}

// ID implements [projections.Log].
func (l *Endless) ID() uuid.UUID { return l.id }

// Head implements [projections.Log].
func (l *Endless) Head(context.Context) (eventstore.Position, error) { return l.n, nil }

// Read implements [projections.Log].
func (l *Endless) Read(ctx context.Context, after eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func(yield func(eventstore.Record, error) bool) {
		for p := after + 1; p <= l.n; p++ {
			index := int(p-1) % endlessBatch
			r := eventstore.Record{
				Position: p, Stream: "repository-x", Revision: eventstore.Revision(p - 1), Type: eventstore.TypeArtifactParsed,
				RecordedAt: at, Meta: eventstore.Meta{Actor: "ann", Index: index, Size: endlessBatch, Attempt: 1},
				Data: append([]byte(nil), l.data[int(p)%len(l.data)]...), // a log reads each record again
			}
			binary.BigEndian.PutUint64(r.ID[8:], uint64(p))
			if !yield(r, nil) {
				return
			}
		}
	}
}

// At implements [projections.Log].
func (l *Endless) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	for r, err := range l.Read(ctx, max(at, 1)-1, eventstore.Filter{}) {
		return r, err
	}
	return eventstore.Record{}, eventstore.ErrNotFound
}

// ReadStream yields the one stream that there is: no event is skipped.
func (l *Endless) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	if stream != "repository-x" {
		return func(func(eventstore.Record, error) bool) {}
	}
	return l.Read(ctx, eventstore.Position(from), eventstore.Filter{})
}

// Subscribe yields what is there.
func (l *Endless) Subscribe(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return l.Read(ctx, after, f)
}

// Requirements is one simple table of twelve columns, as most are.
func Requirements(apply func(projections.Event, *projections.Rows)) projections.Projection {
	column := func(name string, t projections.ColumnType) projections.Column {
		return projections.Column{Name: name, Type: t, Doc: name}
	}
	return projections.Projection{
		Name: "bench", Version: 1, Handles: []domain.Event{domain.ArtifactParsed{}},
		Tables: []projections.Table{{
			Name: "requirements", Doc: "Requirements.", Key: []string{"number"},
			Columns: []projections.Column{
				column("number", projections.Integer), column("repository", projections.Text), column("path", projections.Text),
				column("gxp_id", projections.Text), column("title", projections.Text), column("risk", projections.Text),
				column("status", projections.Text), column("sha256", projections.Text), column("version", projections.Integer),
				column("fields", projections.JSON), column("recorded_at", projections.Timestamp), column("moved", projections.Boolean),
			},
			Indexes: []projections.Index{{Columns: []string{"gxp_id"}}, {Columns: []string{"path"}}},
		}},
		Apply: func(page []projections.Event, rows *projections.Rows) error {
			for _, e := range page {
				apply(e, rows)
			}
			return nil
		},
	}
}

// InsertRequirement folds an event by an insert.
func InsertRequirement(e projections.Event, rows *projections.Rows) {
	a, ok := e.Event.(domain.ArtifactParsed)
	if !ok {
		return
	}
	rows.Insert("requirements", int64(e.Position), string(e.Stream), a.Path, a.GxPID, a.Title, a.Risk.Normal, a.Status.Normal,
		a.Content.SHA256, a.Version, a.Fields, e.RecordedAt, a.MovedFrom != nil)
}

// UpsertRequirement folds an event by an upsert.
func UpsertRequirement(e projections.Event, rows *projections.Rows) {
	a, ok := e.Event.(domain.ArtifactParsed)
	if !ok {
		return
	}
	rows.Upsert("requirements", int64(e.Position), string(e.Stream), a.Path, a.GxPID, a.Title, a.Risk.Normal, a.Status.Normal,
		a.Content.SHA256, a.Version, a.Fields, e.RecordedAt, a.MovedFrom != nil)
}

// BenchEvents is how many events a benchmark folds: 100,000, 10,000 with -short, or GXPLEDGER_BENCH_EVENTS.
func BenchEvents() int {
	if n, err := strconv.Atoi(os.Getenv("GXPLEDGER_BENCH_EVENTS")); err == nil {
		return n
	}
	if testing.Short() {
		return 10_000
	}
	return 100_000
}

// BenchmarkRebuild measures a whole rebuild: read, decode, apply, write, index, digest, swap, into databases that open makes,
// and that end with its test. "decoded" has the real decoder; "rows" has its events ready, so that what is left is the
// runner's and the database's own work.
func BenchmarkRebuild(b *testing.B, open func(tb testing.TB) projections.Database) {
	b.Helper()
	n := BenchEvents()
	log := NewEndless(b, n)
	ready := make([]domain.Event, len(log.data))
	for i := range ready {
		ready[i] = requirement(i)
	}
	fast := func(r eventstore.Record) (domain.Event, error) { return ready[int(r.Position)%len(ready)], nil }
	for _, bench := range []struct {
		name   string
		decode func(eventstore.Record) (domain.Event, error)
		apply  func(projections.Event, *projections.Rows)
	}{
		{"rows/insert", fast, InsertRequirement},
		{"rows/upsert", fast, UpsertRequirement},
		{"decoded/insert", eventstore.Decode, InsertRequirement},
	} {
		b.Run(fmt.Sprintf("%s/%d", bench.name, n), func(b *testing.B) {
			benchmarkRebuild(b, log, Requirements(bench.apply), bench.decode, open)
		})
	}
}

func benchmarkRebuild(b *testing.B, log *Endless, p projections.Projection, decode func(eventstore.Record) (domain.Event, error), open func(tb testing.TB) projections.Database) {
	b.Helper()
	var peak atomic.Uint64
	config := run.DefaultConfig(time.Now, decode, "bench")
	config.Observe = func(progress run.Progress) {
		if progress.Events%50_000 != 0 {
			return
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapInuse))
	}
	for b.Loop() {
		b.StopTimer()
		db := open(b)
		b.StartTimer()
		runner, err := run.NewRunner(log, db, []projections.Projection{p}, config)
		if err != nil {
			b.Fatal(err)
		}
		report, err := runner.Rebuild(b.Context(), p.Name, run.RebuildOptions{})
		if err != nil || report.Events != uint64(log.n) {
			b.Fatalf("%d events: %v", report.Events, err)
		}
	}
	b.ReportMetric(float64(log.n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(peak.Load())/(1<<20), "MiB-heap")
}
