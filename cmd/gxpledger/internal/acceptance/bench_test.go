package acceptance_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// sizes leaves the smallest alone of all under -short, so that every benchmark runs once in a minute.
func sizes(all []int) []int {
	if testing.Short() {
		return all[:1]
	}
	return all
}

// BenchmarkScan is a first scan, end to end: the git revision read, everything recorded, the tables caught up, the
// screen written.
func BenchmarkScan(b *testing.B) {
	for _, n := range sizes([]int{100, 1000, 10_000}) {
		b.Run(fmt.Sprintf("artifacts=%d", n), func(b *testing.B) {
			r := newRepo(b).fill(n)
			r.commit("Write everything down")
			homes := b.TempDir()
			i := 0
			for b.Loop() {
				c := client{home: filepath.Join(homes, fmt.Sprint(i))}
				i++
				c.run(b, "scan", r.dir).wantCode(b, 0)
			}
		})
	}
}

// BenchmarkSmallChange scans a repository of forty artifacts, one of them changed, after few and after many earlier
// scans: the cost must not grow with the past.
func BenchmarkSmallChange(b *testing.B) {
	for _, scans := range sizes([]int{10, 5000}) {
		b.Run(fmt.Sprintf("after=%d", scans), func(b *testing.B) {
			r := newRepo(b).fill(40)
			c := newClient(b)
			r.commit("Start")
			c.run(b, "scan", r.dir, "--name", "small").wantCode(b, 0)
			age(b, c.home, r, scans)
			c.run(b, "scan", r.dir, "--name", "small").wantCode(b, 0) // the tables catch up
			i := 0
			for b.Loop() {
				b.StopTimer()
				r.requirement("REQ-00001", fmt.Sprintf("LOW %d", i)).commit("Change one")
				i++
				b.StartTimer()
				c.run(b, "scan", r.dir, "--name", "small").wantCode(b, 0)
			}
		})
	}
}

// BenchmarkRebuildAll rebuilds all real projections, three of them with eighteen tables, from a log of scans that each
// change every one of a thousand artifacts. An event counts once, though each projection folds it.
func BenchmarkRebuildAll(b *testing.B) {
	for _, events := range sizes([]int{10_000, 100_000, 1_000_000}) {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			c := newClient(b)
			logOf(b, c.home, events)
			c.run(b, "projections", "status").wantCode(b, 0)
			for b.Loop() {
				c.run(b, "projections", "rebuild", "--all", "--reason", "measure").wantCode(b, 0)
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(peakMiB(b), "peak-MiB")
		})
	}
}

// BenchmarkAsOf shows the past of a log: what was so when the last event but a few was recorded, found by its time, for
// which every event before it is replayed. GXPLEDGER_BENCH_EVENTS=1000000 makes the log longer.
func BenchmarkAsOf(b *testing.B) {
	all := []int{10_000, 100_000}
	if text := os.Getenv("GXPLEDGER_BENCH_EVENTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		all = []int{n}
	}
	for _, events := range sizes(all) {
		c := newClient(b)
		logOf(b, c.home, events)
		when := fmt.Sprintf("pos:%d", events-1)
		for _, command := range []string{"matrix", "audit --limit 1", "history REQ-0001", "replay"} {
			b.Run(fmt.Sprintf("events=%d/%s", events, strings.Fields(command)[0]), func(b *testing.B) {
				args := append(strings.Fields(command), "--as-of", when)
				if command == "replay" {
					args = []string{"replay", "--to", when, "--force", "--into", filepath.Join(b.TempDir(), "past.db")}
				}
				for b.Loop() {
					c.run(b, args...).wantCode(b, 0)
				}
				b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(peakMiB(b), "peak-MiB")
			})
		}
	}
}

// peakMiB is the most memory that this process has ever had resident, 0 where the system does not tell.
func peakMiB(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

// logOf fills the log of a home with scans of a thousand artifacts until it holds that many events.
func logOf(b *testing.B, home string, events int) {
	b.Helper()
	if err := os.MkdirAll(home, 0o700); err != nil {
		b.Fatal(err)
	}
	log, err := sqlite.Open(b.Context(), filepath.Join(home, "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	record, err := recorder.New(log, recorder.DefaultConfig(time.Now, ""))
	if err != nil {
		b.Fatal(err)
	}
	for scan, held := 0, 0; held < events; scan++ {
		var tree []domain.File
		for i := range 1000 {
			tree = append(tree, domaintest.Requirement(fmt.Sprintf("REQ-%04d", i), fmt.Sprintf("text of scan %d", scan)))
		}
		out, err := record.Record(b.Context(), recorder.Request{
			Scan: uuid.Must(uuid.NewV7()), Actor: "bench", Policy: domain.DefaultPolicy(), StartedAt: time.Now(),
			Repository: domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000001", Name: "bench"},
		}, func(context.Context, domain.State) (recorder.Reading, error) {
			return recorder.Reading{Reader: domaintest.Stamp, Files: tree}, nil
		})
		if err != nil {
			b.Fatal(err)
		}
		held += len(out.Events)
	}
}

// age records scans of the work tree of r, one requirement changed in each, without the tables.
func age(b *testing.B, home string, r *repo, scans int) {
	b.Helper()
	log, err := sqlite.Open(b.Context(), filepath.Join(home, "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	record, err := recorder.New(log, recorder.DefaultConfig(time.Now, ""))
	if err != nil {
		b.Fatal(err)
	}
	repository := firstRepository(b, log)
	for i := range scans {
		r.requirement("REQ-00002", fmt.Sprintf("HIGH %d", i))
		_, err := record.Record(b.Context(), recorder.Request{
			Scan: uuid.Must(uuid.NewV7()), Repository: repository, Actor: "bench", Policy: domain.DefaultPolicy(), StartedAt: time.Now(),
		}, func(ctx context.Context, state domain.State) (recorder.Reading, error) {
			return readTree(ctx, r.dir, state)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func firstRepository(b *testing.B, log eventstore.Reader) domain.Repository {
	b.Helper()
	for record, err := range log.Read(b.Context(), 0, eventstore.Filter{Types: []string{eventstore.TypeRepositoryRegistered}}) {
		if err != nil {
			b.Fatal(err)
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			b.Fatal(err)
		}
		if registered, ok := event.(domain.RepositoryRegistered); ok {
			return registered.Repository
		}
	}
	b.Fatal("no repository is registered")
	return domain.Repository{}
}

func readTree(ctx context.Context, dir string, state domain.State) (recorder.Reading, error) {
	tree, err := rosie.Read(ctx, os.DirFS(dir), rosie.Options{At: time.Now(), Limits: rosie.DefaultLimits(), Known: state.Holds})
	reading := recorder.Reading{Reader: rosie.Stamp(nil), Files: tree.Files, Findings: tree.Findings, Faults: tree.Faults}
	for _, c := range tree.Contents {
		reading.Contents = append(reading.Contents, eventstore.Blob{SHA256: c.SHA256, Bytes: c.Bytes})
	}
	return reading, err
}
