package gxpledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	logpostgres "github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newProduct returns a folder with a requirement and a user story, and a ledger of its own.
func newProduct(t *testing.T, change ...func(*gxpledger.Config)) (*gxpledger.Ledger, gxpledger.ScanRequest) {
	t.Helper()
	dir := t.TempDir()
	write(dir, map[string]string{"system_context.md": systemContext, "requirements/REQ-001.md": requirement, "user_stories/US-001.md": story})
	config := gxpledger.Config{Home: filepath.Join(dir, "ledger"), Actor: "ada"}
	for _, c := range change {
		c(&config)
	}
	ledger, err := gxpledger.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	return ledger, gxpledger.ScanRequest{Repository: dir, Worktree: true, Name: "pump"}
}

// More views are open than a pool of connections holds, while others scan, look and locate.
func TestALedgerIsUsedByManyAtOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T) func(*gxpledger.Config){
		"SQLite": func(*testing.T) func(*gxpledger.Config) { return func(*gxpledger.Config) {} },
		"PostgreSQL": func(t *testing.T) func(*gxpledger.Config) {
			t.Helper()
			url := pgtest.Start(t)
			if err := postgres.Up(t.Context(), url, postgres.Namespace{}); err != nil {
				t.Fatal(err)
			}
			return func(c *gxpledger.Config) { c.Tables = url }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, request := newProduct(t, change(t))
			if _, err := ledger.Scan(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			const views = 6
			var open [views]*gxpledger.View
			for i := range open {
				var err error
				if open[i], err = ledger.View(t.Context(), gxpledger.ViewOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			var working sync.WaitGroup
			for range 2 {
				working.Go(func() {
					if result, err := ledger.Scan(t.Context(), request); err != nil || !result.Projected {
						t.Errorf("scan: %v, %v", err, result.NotProjected)
					}
				})
				working.Go(func() {
					past, err := ledger.View(t.Context(), gxpledger.AsOf("scan:1"))
					if err != nil {
						t.Error(err)
						return
					}
					if past.Shown.Position != 5 {
						t.Errorf("scan:1 is at position %d", past.Shown.Position)
					}
					if err := past.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			working.Wait()
			for _, view := range open {
				if shown := view.Shown.Position; shown != 5 {
					t.Errorf("an open view moved to position %d", shown)
				}
				if all, err := view.Artifacts(t.Context(), trace.GroupRequirements, query.ArtifactFilter{}); err != nil || len(all) != 1 {
					t.Errorf("%d requirements, %v", len(all), err)
				}
				if err := view.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A log that its ledger closes can do what the log behind it can.
func TestASharedLogIsCheckedAsTheLogBehindIt(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	log, err := ledger.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checker, ok := log.(eventstore.IntegrityChecker)
	if !ok {
		t.Fatal("the guards of the log cannot be checked")
	}
	if err := checker.CheckIntegrity(t.Context(), func(f eventstore.Fault) { t.Errorf("fault %+v", f) }); err != nil {
		t.Error(err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if _, err := log.Head(t.Context()); err != nil {
		t.Errorf("the ledger's log is closed: %v", err)
	}
}

// The trace of the caller is recorded with each event, so that a subscriber's activity can join it; what is no trace context is left out.
func TestAScanIsRecordedWithTheTraceOfItsCaller(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct{ parent, state, wantParent, wantState string }{
		"none":           {},
		"both":           {parent, "vendor=1,other=a b", parent, "vendor=1,other=a b"},
		"later version":  {"cc" + parent[2:] + "-more", "", "cc" + parent[2:] + "-more", ""},
		"no parent":      {"", "vendor=1", "", ""},
		"upper case":     {strings.ToUpper(parent), "vendor=1", "", ""},
		"a line end":     {parent + "\n", "vendor=1", "", ""},
		"odd state":      {parent, "vendor=\x1b[31m", parent, ""},
		"endless state":  {parent, strings.Repeat("x", 513), parent, ""},
		"endless parent": {parent + "-" + strings.Repeat("x", 500), "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, request := newProduct(t)
			request.TraceParent, request.TraceState = c.parent, c.state
			if _, err := ledger.Scan(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			log, err := ledger.Log(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
				if err != nil || r.Meta.TraceParent != c.wantParent || r.Meta.TraceState != c.wantState {
					t.Errorf("event %d has the trace %q, %q (%v)", r.Position, r.Meta.TraceParent, r.Meta.TraceState, err)
				}
			}
		})
	}
}

func TestAScanRefusesWhatMustNotBeStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*gxpledger.ScanRequest)
		want   error
	}{
		"password":    {func(r *gxpledger.ScanRequest) { r.Name = "https://ada:hunter2@example.org/x" }, gxpledger.ErrSecret},
		"long reason": {func(r *gxpledger.ScanRequest) { r.Reason = strings.Repeat("x", 1001) }, gxpledger.ErrInvalid},
		"long actor":  {func(r *gxpledger.ScanRequest) { r.Actor = strings.Repeat("x", 1001) }, gxpledger.ErrInvalid},
		"policy":      {func(r *gxpledger.ScanRequest) { r.Policy = domain.Policy{Links: "flags"} }, gxpledger.ErrInvalid},
		"ref of disk": {func(r *gxpledger.ScanRequest) { r.Ref = "HEAD" }, gxpledger.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, request := newProduct(t)
			c.change(&request)
			if _, err := ledger.Scan(t.Context(), request); !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if _, err := ledger.Log(t.Context()); !errors.Is(err, gxpledger.ErrNoLog) {
				t.Errorf("the log: %v, want none", err)
			}
		})
	}
}

func TestAClosedLedgerRefuses(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	borrowed, err := ledger.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := borrowed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.View(t.Context(), gxpledger.ViewOptions{Projections: []string{"artifact"}}); !errors.Is(err, gxpledger.ErrInvalid) {
		t.Errorf("a projection that is not there: %v", err)
	}
	view, err := ledger.View(t.Context(), gxpledger.ViewOptions{}) // the ledger's log is still open
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(view.Close(), ledger.Close()); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(context.Context) error{
		"Scan":    func(ctx context.Context) error { _, err := ledger.Scan(ctx, request); return err },
		"View":    func(ctx context.Context) error { _, err := ledger.View(ctx, gxpledger.ViewOptions{}); return err },
		"Verify":  func(ctx context.Context) error { _, err := ledger.Verify(ctx, gxpledger.VerifyOptions{}); return err },
		"Log":     func(ctx context.Context) error { _, err := ledger.Log(ctx); return err },
		"CatchUp": func(ctx context.Context) error { return ledger.CatchUp(ctx, 0) },
		"Follow": func(ctx context.Context) error {
			for _, err := range ledger.Follow(ctx, 0) {
				return err
			}
			return nil
		},
	}
	for name, call := range calls {
		if err := call(t.Context()); !errors.Is(err, gxpledger.ErrClosed) {
			t.Errorf("%s: error is %v, want ErrClosed", name, err)
		}
	}
}

func TestAClosedLedgerRefusesWithALogThatItWasHanded(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t, func(c *gxpledger.Config) { c.OpenedLog = memory.New(time.Now) })
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Scan(t.Context(), request); !errors.Is(err, gxpledger.ErrClosed) {
		t.Errorf("error is %v, want ErrClosed", err)
	}
}

func TestAppendsAreReported(t *testing.T) {
	t.Parallel()
	var appends atomic.Int32
	ledger, request := newProduct(t, func(c *gxpledger.Config) { c.Appending = func() { appends.Add(1) } })
	if _, err := ledger.Scan(t.Context(), request); err != nil || appends.Load() != 1 {
		t.Fatalf("after a scan %d appends, %v", appends.Load(), err)
	}
	if _, err := ledger.Verify(t.Context(), gxpledger.VerifyOptions{}); err != nil || appends.Load() != 1 {
		t.Errorf("after a verification %d appends, %v", appends.Load(), err)
	}
	if _, err := ledger.Admin().Retire(t.Context(), gxpledger.RetireRequest{Repository: "pump", Reason: "x"}); err != nil || appends.Load() != 2 {
		t.Errorf("after a retirement %d appends, %v", appends.Load(), err)
	}
}

// Whoever tells a person what is waited for must hear when the wait is over, not when the work is done.
func TestAServerIsNotWaitedForOnceItIsOpen(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	if err := errors.Join(logpostgres.Up(t.Context(), url, logpostgres.Namespace{}), postgres.Up(t.Context(), url, postgres.Namespace{})); err != nil {
		t.Fatal(err)
	}
	var waiting, opened atomic.Int32
	ledger, request := newProduct(t, func(c *gxpledger.Config) {
		c.Log, c.Tables = url, url
		c.Awaiting = func(string) func() {
			waiting.Add(1)
			return func() { waiting.Add(-1); opened.Add(1) }
		}
	})
	working := func(what string) {
		if n := waiting.Load(); n != 0 {
			t.Errorf("while %s, %d servers are still waited for", what, n)
		}
	}
	request.Progress = func(p gxpledger.ScanProgress) { working(string(p.Step)) }
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(t.Context(), gxpledger.VerifyOptions{
		Progress: func(step gxpledger.VerifyStep, _, _ uint64, _ string) { working(string(step)) },
	}); err != nil {
		t.Fatal(err)
	}
	if opened.Load() < 4 {
		t.Errorf("%d servers were opened, want a log and tables for each call", opened.Load())
	}
}

// What a log does beside its interface is done by the one that a ledger lends, too: clients of serve are flushed together.
func TestALentLogTakesBatchesInOrder(t *testing.T) {
	t.Parallel()
	ledger, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	log, err := ledger.Admin().Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := eventstore.Enqueue(t.Context(), log, eventstoretest.NewBatch("a", eventstore.NoStream(), "w", 0, 1))
	second := eventstore.Enqueue(t.Context(), log, eventstoretest.NewBatch("b", eventstore.NoStream(), "w", 0, 1))
	if at, err := second(); at.Last != 2 || err != nil {
		t.Errorf("the second batch is answered %+v, %v, want position 2", at, err)
	}
	if at, err := first(); at.Last != 1 || err != nil {
		t.Errorf("the first batch is answered %+v, %v, want position 1", at, err)
	}
}
