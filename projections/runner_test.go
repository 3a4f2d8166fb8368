package projections_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	handle, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	must(t, err)
	t.Cleanup(func() { must(t, handle.Close()) })
	return handle
}

func TestPagesAreWholeBatches(t *testing.T) { // I1, I5
	t.Parallel()
	log := newCounted(10 * countedBatch)
	db := &spy{Database: projectionstest.Open(t)}
	catchUp(t, projectionstest.Runner(t, log, db, shelf(), counting, projectionstest.PageEvents(6)))
	if len(db.pages) != 5 { // pages of two batches: six events are inside the second
		t.Errorf("%d pages, want 5", len(db.pages))
	}
	at := projections.Checkpoint{Version: 1}
	for _, page := range db.pages {
		if page.From != at {
			t.Errorf("page begins at %+v, want %+v", page.From, at)
		}
		at = page.To
		if at.Position%countedBatch != 0 || at.Log != log.ID() || at.Event != log.record(at.Position).ID {
			t.Errorf("page ends at %+v, want the end of a batch", at)
		}
	}
	if at.Position != 10*countedBatch {
		t.Errorf("last page ends at %d", at.Position)
	}
}

func TestABatchAboveTheLimitIsOnePage(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*projections.Config){
		"events": func(c *projections.Config) { c.PageEvents = 1 },
		"bytes":  func(c *projections.Config) { c.PageBytes = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var events []domain.Event
			for i := range 50 {
				events = append(events, act("box", i))
			}
			db := &spy{Database: projectionstest.Open(t)}
			catchUp(t, projectionstest.Runner(t, projectionstest.NewLog(t, batch(events...), batch(act("box", 99))), db, shelf(), limit))
			if len(db.pages) != 2 || db.pages[0].To.Position != 50 {
				t.Errorf("%d pages, the first to %d; want 2, the first to 50", len(db.pages), db.pages[0].To.Position)
			}
		})
	}
}

func TestSmallLogs(t *testing.T) {
	t.Parallel()
	for name, batches := range map[string][]projectionstest.Batch{
		"empty":             nil,
		"no matching event": {{Events: []domain.Event{domain.RepositoryRegistered{}}}},
		"one event":         {batch(act("box", 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := projectionstest.NewLog(t, batches...)
			projectionstest.Check(t, shelf(), log)
			db := open(t, file(t))
			runner := projectionstest.Runner(t, log, db, shelf())
			catchUp(t, runner)
			at, err := runner.Position(t.Context())
			must(t, err)
			if int(at) != len(batches) {
				t.Errorf("position is %d, want %d: a checkpoint moves over what nobody handles", at, len(batches))
			}
			report, err := runner.Rebuild(t.Context(), "shelf", projections.RebuildOptions{})
			must(t, err)
			if int(report.Events) != len(batches) {
				t.Errorf("rebuild saw %d events, want %d", report.Events, len(batches))
			}
		})
	}
}

func TestAPoisonEventStopsItsProjectionAlone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event domain.Event
		want  string
	}{
		"an error":         {act("poison", 2), "poison"},
		"a panic":          {act("panic", 2), "panic: no such thing"},
		"a missing row":    {act("label", 2, "label", "x"), "no row with the key"},
		"a missing parent": {act("put", 2, "slot", "left", "name", "pen"), "FOREIGN KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := projectionstest.NewLog(t)
			db := open(t, file(t))
			runner, err := projections.NewRunner(log, db, []projections.Projection{shelf(), counts()}, config(t))
			must(t, err)
			catchUp(t, runner)
			log.Add(t, batch(act("box", 1)))
			log.Add(t, batch(act("box", 3), act("box", 4), test.event))
			last := log.Add(t, batch(act("box", 5)))

			err = runner.CatchUp(t.Context(), 0)
			var stopped *projections.EventError
			if !errors.As(err, &stopped) || stopped.Position != 4 || stopped.Type != eventstore.TypeAdminActed || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want one that names position 4 and %q", err, test.want)
			}
			all, err := runner.Status(t.Context(), projections.StatusOptions{})
			must(t, err)
			if s := all[0]; s.State != projections.StateFaulted || s.Fault == nil || s.Fault.Position != 4 || s.Fault.Event != stopped.ID || s.Active.Checkpoint.Position != 1 {
				t.Errorf("shelf is %+v, want faulted at 4, standing before its batch", s)
			}
			if s := all[1]; s.State != projections.StateLive || s.Active.Checkpoint.Position != last {
				t.Errorf("counts is %+v, want live", s)
			}
			mended, err := projections.NewRunner(log, db, []projections.Projection{lenient()}, config(t))
			must(t, err)
			catchUp(t, mended)
			all, err = mended.Status(t.Context(), projections.StatusOptions{})
			must(t, err)
			if all[0].State != projections.StateLive || all[0].Fault != nil {
				t.Errorf("shelf is %+v, want live again once its code is mended", all[0])
			}
		})
	}
}

// config is what projectionstest.Runner uses.
func config(t *testing.T) projections.Config {
	t.Helper()
	var c projections.Config
	projectionstest.Runner(t, projectionstest.NewLog(t), projectionstest.Open(t), shelf(), func(made *projections.Config) { c = *made })
	return c
}

// counts is a second projection over the same events.
func counts() projections.Projection {
	return projections.Projection{
		Name: "counts", Version: 1, Handles: []string{eventstore.TypeAdminActed},
		Tables: []projections.Table{{Name: "actions", Key: []string{"position"}, Columns: []projections.Column{
			{Name: "position", Type: projections.Integer}, {Name: "action", Type: projections.Text},
		}}},
		Apply: func(page []projections.Event, rows *projections.Rows) error {
			for _, e := range page {
				if a, ok := e.Event.(domain.AdminActed); ok {
					rows.Insert("actions", int64(e.Position), a.Action)
				}
			}
			return nil
		},
	}
}

// lenient is the shelf with its mistake mended: it makes nothing of what it cannot do.
func lenient() projections.Projection {
	p := shelf()
	p.Apply = func(page []projections.Event, rows *projections.Rows) error {
		for _, e := range page {
			a, ok := e.Event.(domain.AdminActed)
			if ok && a.Action == "box" {
				if err := applyAct(e, a, rows); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return p
}

func TestARefusedFirstBuildIsShownAsFarAsItIs(t *testing.T) {
	t.Parallel()
	log := projectionstest.NewLog(t, batch(act("box", 1)), batch(act("poison", 2)), batch(act("box", 3)))
	db := open(t, file(t))
	runner := projectionstest.Runner(t, log, db, shelf())
	err := runner.CatchUp(t.Context(), 0)
	if !errors.Is(err, errPoison) {
		t.Fatalf("error is %v, want the poison", err)
	}
	all, err := runner.Status(t.Context(), projections.StatusOptions{})
	must(t, err)
	if s := all[0]; s.State != projections.StateFaulted || s.Active == nil || s.Active.Checkpoint.Position != 1 || s.Lag != 2 {
		t.Errorf("status is %+v, want what came before the poison to be shown", s)
	}
	if _, err := runner.Rebuild(t.Context(), "shelf", projections.RebuildOptions{}); !errors.Is(err, errPoison) {
		t.Errorf("rebuild answers %v, want the poison", err)
	}
	builds, err := db.Builds(t.Context(), "shelf")
	must(t, err)
	if len(builds) != 1 || builds[0].State != projections.BuildActive {
		t.Errorf("builds are %+v, want the first alone: a failed rebuild leaves nothing", builds)
	}
}

func TestAnUnknownEventTypeStopsEveryProjection(t *testing.T) {
	t.Parallel()
	log := newCounted(5 * countedBatch)
	unknown := func(r eventstore.Record) (domain.Event, error) {
		if r.Position == 11 {
			return nil, fmt.Errorf("%w: scan.dreamt.v9", eventstore.ErrUnknownType)
		}
		return decodeCounted(r)
	}
	c := config(t)
	c.Decode = unknown
	runner, err := projections.NewRunner(log, open(t, file(t)), []projections.Projection{shelf(), counts()}, c)
	must(t, err)
	err = runner.CatchUp(t.Context(), 0)
	if !errors.Is(err, eventstore.ErrUnknownType) || !strings.Contains(err.Error(), "position 11") || !strings.Contains(err.Error(), "scan.dreamt.v9") {
		t.Errorf("error is %v, want ErrUnknownType at position 11", err)
	}
	at, err := runner.Position(t.Context())
	must(t, err)
	if at != 2*countedBatch {
		t.Errorf("position is %d, want %d, before the batch", at, 2*countedBatch)
	}
}

func TestAnUnknownTypeCountsEvenIfNobodyHandlesIt(t *testing.T) {
	t.Parallel()
	log := &renamed{counted: newCounted(countedBatch), typ: "scan.dreamt.v9"}
	err := projectionstest.Runner(t, log, projectionstest.Open(t), shelf()).CatchUp(t.Context(), 0)
	if !errors.Is(err, eventstore.ErrUnknownType) || !strings.Contains(err.Error(), "position 3") {
		t.Errorf("error is %v, want ErrUnknownType at position 3: it may change what the tables mean", err)
	}
}

func TestALogThatEndsInsideABatchIsCorrupt(t *testing.T) {
	t.Parallel()
	log := newCounted(countedBatch + 2)
	err := projectionstest.Runner(t, log, projectionstest.Open(t), shelf(), counting).CatchUp(t.Context(), 0)
	if !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("error is %v, want ErrCorrupt", err)
	}
}

func TestTransientErrorsAreTriedAgain(t *testing.T) {
	t.Parallel()
	transient := func(until int) func(int) error {
		return func(n int) error {
			if n <= until {
				return fmt.Errorf("%w: busy", projections.ErrTransient)
			}
			return nil
		}
	}
	for name, db := range map[string]*spy{
		"before the write":    {before: transient(3)},
		"with a lost answer":  {after: transient(1)},
		"lost, then too busy": {after: func(n int) error { return transient(1)(n) }, before: func(n int) error { return transient(2)(n - 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tables := open(t, file(t))
			db.Database = tables
			if name == "lost, then too busy" {
				db.before = func(n int) error {
					if n == 2 {
						return projections.ErrTransient
					}
					return nil
				}
			}
			log := newCounted(3 * countedBatch)
			catchUp(t, projectionstest.Runner(t, log, db, shelf(), counting, projectionstest.PageEvents(1)))
			story := projectionstest.Runner(t, log, tables, shelf(), counting)
			v, err := story.Verify(t.Context(), "shelf", projectionstest.Open(t))
			must(t, err)
			if len(v.Differences) > 0 {
				t.Errorf("tables differ: %v", v.Differences)
			}
		})
	}
}

func TestTriesAreBounded(t *testing.T) {
	t.Parallel()
	db := &spy{Database: projectionstest.Open(t), before: func(int) error { return projections.ErrTransient }}
	err := projectionstest.Runner(t, newCounted(countedBatch), db, shelf(), counting).CatchUp(t.Context(), 0)
	if !errors.Is(err, projections.ErrTransient) || len(db.pages) != 5 {
		t.Errorf("error is %v after %d tries, want ErrTransient after 5", err, len(db.pages))
	}
}

func TestADatabaseErrorIsNoFaultOfTheEvent(t *testing.T) {
	t.Parallel()
	db := &spy{Database: open(t, file(t)), before: func(int) error { return errBroken }}
	runner := projectionstest.Runner(t, newCounted(countedBatch), db, shelf(), counting)
	if err := runner.CatchUp(t.Context(), 0); !errors.Is(err, errBroken) {
		t.Errorf("error is %v, want that of the database", err)
	}
	all, err := runner.Status(t.Context(), projections.StatusOptions{})
	must(t, err)
	if all[0].Fault != nil || len(db.pages) != 1 {
		t.Errorf("fault %+v after %d writes, want none after 1", all[0].Fault, len(db.pages))
	}
}

func TestCatchUpStopsWhereItWasToldTo(t *testing.T) {
	t.Parallel()
	log := newCounted(8 * countedBatch)
	db := open(t, file(t))
	runner := projectionstest.Runner(t, log, db, shelf(), counting)
	catchUp(t, runner)
	log.grow()
	log.grow()
	must(t, runner.CatchUp(t.Context(), 8*countedBatch+2))
	at, err := runner.Position(t.Context())
	must(t, err)
	if at != 9*countedBatch {
		t.Errorf("position is %d, want %d, the end of the batch", at, 9*countedBatch)
	}
	if err := runner.CatchUp(t.Context(), 99); !errors.Is(err, projections.ErrInvalid) {
		t.Errorf("error is %v for a position above the head, want ErrInvalid", err)
	}
}

func TestACancelledContextEndsEverything(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	db := &spy{Database: open(t, file(t)), after: func(n int) error {
		if n == 3 {
			cancel()
		}
		return nil
	}}
	log := newCounted(100 * countedBatch)
	runner := projectionstest.Runner(t, log, db, shelf(), counting, projectionstest.PageEvents(1))
	if err := runner.CatchUp(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	if n := len(db.pages); n > 4 {
		t.Errorf("%d pages were written after the end", n-3)
	}
	db.after = nil
	catchUp(t, runner) // nobody has to wait for the lease of a cancelled run
}

func TestNewRunnerNamesEveryFault(t *testing.T) {
	t.Parallel()
	bad := shelf()
	bad.Name = "Shelf; DROP TABLE"
	bad.Tables = append(bad.Tables, projections.Table{
		Name: "orphans", Key: []string{"number"}, Columns: []projections.Column{{Name: "x", Type: 9}},
		Foreign: []projections.ForeignKey{{Columns: []string{"x"}, Table: "nowhere", Targets: []string{"y"}}},
	})
	twin := counts()
	twin.Tables[0].Name = "boxes"
	c := config(t)
	c.Workers, c.LeaseTTL, c.Holder = 0, -1, ""
	_, err := projections.NewRunner(projectionstest.NewLog(t), projectionstest.Open(t), []projections.Projection{bad, twin, twin}, c)
	if !errors.Is(err, projections.ErrInvalid) {
		t.Fatalf("error is %v, want ErrInvalid", err)
	}
	for _, want := range []string{
		"Shelf; DROP", "unknown type 9", "key column", "nowhere", "table boxes: belongs to", "given twice", "Workers", "LeaseTTL", "Holder",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
}
