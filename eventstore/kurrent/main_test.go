package kurrent_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

func TestMain(m *testing.M) {
	store(nil).Child()
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1)); err != nil { // some tests wait most of the time
		panic(err) // it is a flag of every test
	}
	goleak.VerifyTestMain(m)
}

// Not parallel, so that no other test's goroutines are there.
func TestClosingLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // it counts goroutines
	before := goleak.IgnoreCurrent()
	s := newMemory(t)
	log, err := kurrent.Open(within(t), s.URL(), options())
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, batch("s", 0, 100))
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		n := 0
		for _, err := range log.Subscribe(within(t), 0, eventstore.Filter{}) {
			if n++; n == 100 {
				close(begun)
			}
			if err != nil {
				done <- err
			}
		}
	}()
	<-begun
	for _, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		break // in the middle
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("the subscription ended with %v, want ErrClosed", err)
	}
	s.Kill()
	goleak.VerifyNone(t, before)
}

// A log whose server is gone, or accepts connections and answers nothing, is closed at once, and what was asked of it ends then. Not parallel, as
// above.
func TestClosingALogWhoseServerIsGoneLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // it counts goroutines
	for name, gone := range map[string]func(f *esdbtest.Fake, p *proxy) (noticed func() bool){ //nolint:paralleltest // likewise
		"killed": func(f *esdbtest.Fake, p *proxy) func() bool {
			before := p.accepted.Load()
			f.Node(0).Kill()
			p.cut()
			return func() bool { return p.accepted.Load() > before }
		},
		"silent": func(_ *esdbtest.Fake, p *proxy) func() bool {
			p.silent.Store(true)
			return func() bool { return true }
		},
		"accepts and is silent": func(_ *esdbtest.Fake, p *proxy) func() bool {
			before := p.accepted.Load()
			p.silent.Store(true)
			p.cut()
			return func() bool { return p.accepted.Load() >= before+2 } // the connection, and the question whether it speaks TLS
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) }) // after the server has ended
			f := esdbtest.StartFake(t)
			p := newProxy(t, f.Node(0).Address())
			log, err := kurrent.Open(within(t), "esdb://"+p.listener.Addr().String()+"?tls=false", unhurried())
			if err != nil {
				t.Fatal(err)
			}
			log.SetPatienceWithTLS(forever)
			at := mustAppend(t, log, batch("s", 0, 2))
			noticed := gone(f, p)
			var running sync.WaitGroup
			for _, call := range []func(ctx context.Context) error{
				func(ctx context.Context) error { _, err := log.Append(ctx, batch("s", 1, 2)); return err },
				func(ctx context.Context) error { _, err := log.Head(ctx); return err },
				func(ctx context.Context) error { _, err := log.EndsBefore(ctx, at.Last+1); return err },
				func(ctx context.Context) error { return lastOf(log.Subscribe(ctx, 0, eventstore.Filter{})) },
			} {
				running.Go(func() {
					if err := call(within(t)); !errors.Is(err, eventstore.ErrClosed) {
						t.Errorf("a call ended with %v, want ErrClosed", err)
					}
				})
			}
			ctx, tick := within(t), time.NewTicker(time.Millisecond)
			for ; !noticed() && ctx.Err() == nil; <-tick.C {
				continue
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
			running.Wait()
		})
	}
}

// patience bounds what a test waits for. It is reached only by a log that hangs.
const patience = time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// forever is longer than any test waits. A wait of which a test says that nobody takes it lasts so long, so that who takes it meets the end of
// within(t): no test measures how long something took, which a loaded machine decides.
const forever = time.Hour

// unhurried are options with which nothing but an answer ends a call.
func unhurried() kurrent.Options {
	o := options()
	o.Wait, o.Timeout = forever, forever
	return o
}

// options are those of most tests, which name streams as the log does. The suite has batches and contents of some megabytes.
func options() kurrent.Options {
	return kurrent.Options{Now: time.Now, MaxAppendBytes: 8 << 20, Wait: 10 * time.Second, NoPrefix: true}
}

// newMemory serves a new log in memory.
func newMemory(t *testing.T) *esdbtest.Server {
	t.Helper()
	return esdbtest.Start(t, memory.New(time.Now))
}

// open opens the log at url until the test ends.
func open(t *testing.T, url string, o kurrent.Options) *kurrent.Log {
	t.Helper()
	log, err := kurrent.Open(within(t), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// batch is the n-th batch of size events of a stream to which nobody else writes.
func batch(stream eventstore.StreamID, n, size int) eventstore.Batch {
	expected := eventstore.NoStream()
	if n > 0 {
		expected = eventstore.AtRevision(eventstore.Revision(n*size - 1))
	}
	return eventstoretest.NewBatch(stream, expected, "writer", n, size)
}

func mustAppend(t *testing.T, log eventstore.Appender, b eventstore.Batch) eventstore.Appended {
	t.Helper()
	at, err := log.Append(within(t), b)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// insist appends b until the server answers.
func insist(ctx context.Context, log eventstore.Appender, b eventstore.Batch) (eventstore.Appended, error) {
	for {
		at, err := log.Append(ctx, b)
		if !errors.Is(err, eventstore.ErrTransient) {
			return at, err
		}
		b.Meta.Attempt++
	}
}

// readAll reads the whole log.
func readAll(t *testing.T, log eventstore.Reader) []eventstore.Record {
	t.Helper()
	var records []eventstore.Record
	for r, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// features are what the adapter says of itself with options.
func features() eventstore.Features {
	return eventstore.Features{Name: "KurrentDB", Durable: true, SharedByProcess: true, MaxBatchBytes: 8 << 20}
}

// The genuine client, on TCP, against a server of package esdbserver, and against one that differs from it as EventStoreDB does.
// Which log is behind our server matters where many write and read at once; TestConformance of each log has the rest.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) string{
		"OverMemory":       func(t *testing.T) string { t.Helper(); return newMemory(t).URL() },
		"LikeEventStoreDB": likeEventStoreDB,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "OverMemory" { // the pages are the adapter's, and those of package esdbserver have tests of their own
				eventstoretest.Run(t, features(), opener(start), eventstoretest.AtTheSizesOfPages)
				return
			}
			eventstoretest.Run(t, features(), opener(start))
		})
	}
	for name, start := range map[string]func(t *testing.T) string{
		"OverSQLite":     overSQLite,
		"OverPostgreSQL": overPostgreSQL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eventstoretest.RunSome(t, opener(start), eventstoretest.AtOnce()...)
		})
	}
}

// opener opens logs on the servers that start starts.
func opener(start func(t *testing.T) string) eventstoretest.Open {
	return func(t *testing.T) eventstore.Log {
		t.Helper()
		url := start(t) // which may take longer than a log may
		log, err := kurrent.Open(within(t), url, options())
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
}

// store is how handles and processes share the log on one server, and a folder for snapshots.
func store(start func(t *testing.T) string) eventstoretest.Store {
	return eventstoretest.Store{
		Create: func(t *testing.T) string {
			t.Helper()
			return start(t) + " " + t.TempDir()
		},
		Open: func(ctx context.Context, where string) (eventstore.Log, error) {
			o := options()
			url, dir, _ := strings.Cut(where, " ")
			o.CacheDir, o.NoPrefix = dir, false    // the address says it, or nobody
			o.Wait, o.Timeout = patience, patience // many processes load the machine
			return kurrent.Open(ctx, url, o)
		},
	}
}

func TestHandlesAndProcessesShareALog(t *testing.T) {
	t.Parallel()
	eventstoretest.RunShared(t, store(likeEventStoreDB))
}

// likeEventStoreDB returns the address of a server that answers as EventStoreDB does.
func likeEventStoreDB(t *testing.T) string {
	t.Helper()
	return esdbtest.StartFake(t).URL()
}

// overSQLite returns the address of a server over a new SQLite log.
func overSQLite(t *testing.T) string {
	t.Helper()
	behind, err := sqlite.Open(within(t), filepath.Join(t.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return esdbtest.Start(t, behind).URL()
}

// overPostgreSQL returns the address of a server over a new log on PostgreSQL.
func overPostgreSQL(t *testing.T) string {
	t.Helper()
	where := pgtest.Start(t)
	if err := postgres.Up(within(t), where, postgres.Namespace{}); err != nil {
		t.Fatal(err)
	}
	behind, err := postgres.Open(within(t), where, postgres.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return esdbtest.Start(t, behind).URL()
}

func blob(text string) eventstore.Blob {
	sum := sha256.Sum256([]byte(text))
	return eventstore.Blob{SHA256: hex.EncodeToString(sum[:]), Bytes: []byte(text)}
}

func TestReadsAtTheSizesOfPages(t *testing.T) {
	t.Parallel()
	log := open(t, likeEventStoreDB(t), options())
	log.SetSizes(1) // and 3, which each batch of the test has on either side
	eventstoretest.Sizes(t, log)
}
