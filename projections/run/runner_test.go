package run_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

func TestPagesAreWholeBatches(t *testing.T) { // I1, I5
	t.Parallel()
	log := newCounted(10 * countedBatch)
	db := &databasetest.Spy{Database: projectionstest.Open(t)}
	catchUp(t, projectionstest.Runner(t, log, db, inventory(), counting, projectionstest.PageEvents(6)))
	if len(db.Pages) != 5 { // pages of two batches: six events are inside the second
		t.Errorf("%d pages, want 5", len(db.Pages))
	}
	at := projections.Checkpoint{Version: 1}
	for _, page := range db.Pages {
		if page.From != at {
			t.Errorf("page begins at %+v, want %+v", page.From, at)
		}
		at = page.To
		if at.Position%countedBatch != 0 || at.Log != log.ID() || at.Event != log.Record(at.Position).ID {
			t.Errorf("page ends at %+v, want the end of a batch", at)
		}
	}
	if at.Position != 10*countedBatch {
		t.Errorf("last page ends at %d", at.Position)
	}
}

func TestABatchAboveTheLimitIsOnePage(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*run.Config){
		"events": func(c *run.Config) { c.PageEvents = 1 },
		"bytes":  func(c *run.Config) { c.PageBytes = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var events []domain.Event
			for i := range 50 {
				events = append(events, action("box", i))
			}
			db := &databasetest.Spy{Database: projectionstest.Open(t)}
			catchUp(t, projectionstest.Runner(t, projectionstest.NewLog(t, batch(events...), batch(action("box", 99))), db, inventory(), limit))
			if len(db.Pages) != 2 || db.Pages[0].To.Position != 50 {
				t.Errorf("%d pages, the first to %d; want 2, the first to 50", len(db.Pages), db.Pages[0].To.Position)
			}
		})
	}
}

func TestAnUnknownEventTypeStopsEveryProjection(t *testing.T) {
	t.Parallel()
	log := newCounted(5 * countedBatch)
	unknown := func(r eventstore.Record) (domain.Event, error) {
		if r.Position == 11 {
			return nil, fmt.Errorf("%w: scan.dreamt.v9", eventstore.ErrUnknownType)
		}
		return databasetest.DecodeCounted(r)
	}
	c := config(t)
	c.Decode = unknown
	runner, err := run.NewRunner(log, projectionstest.Open(t), []projections.Projection{inventory(), databasetest.Counts()}, c)
	must(t, err)
	err = runner.CatchUp(t.Context(), 0)
	if !errors.Is(err, eventstore.ErrUnknownType) || !strings.Contains(err.Error(), "position 11") || !strings.Contains(err.Error(), "scan.dreamt.v9") {
		t.Errorf("error is %v, want ErrUnknownType at position 11", err)
	}
	at, err := inspect.Position(t.Context(), runner.Pipeline)
	must(t, err)
	if at != 2*countedBatch {
		t.Errorf("position is %d, want %d, before the batch", at, 2*countedBatch)
	}
}

func TestAnUnknownTypeCountsEvenIfNobodyHandlesIt(t *testing.T) {
	t.Parallel()
	log := &renamed{Counted: newCounted(countedBatch), typ: "scan.dreamt.v9"}
	err := projectionstest.Runner(t, log, projectionstest.Open(t), inventory()).CatchUp(t.Context(), 0)
	if !errors.Is(err, eventstore.ErrUnknownType) || !strings.Contains(err.Error(), "position 3") {
		t.Errorf("error is %v, want ErrUnknownType at position 3: it may change what the tables mean", err)
	}
}

func TestALogThatEndsInsideABatchIsCorrupt(t *testing.T) {
	t.Parallel()
	log := newCounted(countedBatch + 2)
	err := projectionstest.Runner(t, log, projectionstest.Open(t), inventory(), counting).CatchUp(t.Context(), 0)
	if !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("error is %v, want ErrCorrupt", err)
	}
}

func TestTriesAreBounded(t *testing.T) {
	t.Parallel()
	db := &databasetest.Spy{Database: projectionstest.Open(t), Before: func(int) error { return projections.ErrTransient }}
	err := projectionstest.Runner(t, newCounted(countedBatch), db, inventory(), counting).CatchUp(t.Context(), 0)
	if !errors.Is(err, projections.ErrTransient) || len(db.Pages) != 5 {
		t.Errorf("error is %v after %d tries, want ErrTransient after 5", err, len(db.Pages))
	}
}

func TestADatabaseErrorIsNoFaultOfTheEvent(t *testing.T) {
	t.Parallel()
	db := &databasetest.Spy{Database: projectionstest.Open(t), Before: func(int) error { return errBroken }}
	runner := projectionstest.Runner(t, newCounted(countedBatch), db, inventory(), counting)
	if err := runner.CatchUp(t.Context(), 0); !errors.Is(err, errBroken) {
		t.Errorf("error is %v, want that of the database", err)
	}
	all, err := inspect.Statuses(t.Context(), runner.Pipeline, inspect.StatusOptions{})
	must(t, err)
	if all[0].Fault != nil || len(db.Pages) != 1 {
		t.Errorf("fault %+v after %d writes, want none after 1", all[0].Fault, len(db.Pages))
	}
}

func TestNewRunnerNamesEveryFault(t *testing.T) {
	t.Parallel()
	bad := inventory()
	bad.Name = "Inventory; DROP TABLE"
	bad.Tables = append(bad.Tables, projections.Table{
		Name: "orphans", Key: []string{"number"}, Columns: []projections.Column{{Name: "x", Type: 9}},
		Foreign: []projections.ForeignKey{{Columns: []string{"x"}, Table: "nowhere", Targets: []string{"y"}}},
	})
	twin := databasetest.Counts()
	twin.Tables[0].Name = "boxes"
	c := config(t)
	c.Workers, c.LeaseTTL, c.Holder = 0, -1, ""
	_, err := run.NewRunner(projectionstest.NewLog(t), projectionstest.Open(t), []projections.Projection{bad, twin, twin}, c)
	if !errors.Is(err, projections.ErrInvalid) {
		t.Fatalf("error is %v, want ErrInvalid", err)
	}
	for _, want := range []string{
		"Inventory; DROP", "unknown type 9", "key column", "nowhere", "table boxes: belongs to", "given twice", "Workers", "LeaseTTL", "Holder",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
}

// TestALogWithoutAnIDIsRefused holds I14: no table is made from such a log.
func TestALogWithoutAnIDIsRefused(t *testing.T) {
	t.Parallel()
	db := projectionstest.Open(t)
	_, err := run.NewRunner(restored{story(t, 1), uuid.Nil}, db, []projections.Projection{inventory()}, config(t))
	if !errors.Is(err, projections.ErrInvalid) || !strings.Contains(err.Error(), "does not tell its id") {
		t.Errorf("error is %v, want ErrInvalid that tells of the id", err)
	}
	if builds, err := db.Builds(t.Context(), "inventory"); err != nil || len(builds) != 0 {
		t.Errorf("builds are %+v (%v), want none", builds, err)
	}
}

func TestARebuildReplacesTablesThatCannotBeReadToTheirEnd(t *testing.T) {
	t.Parallel()
	db := projectionstest.Open(t)
	log := newCounted(2 * countedBatch)
	catchUp(t, projectionstest.Runner(t, log, db, inventory(), counting))
	report, err := projectionstest.Runner(t, log, damaged{db}, inventory(), counting).Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	if report.Number != 2 || report.Compared || !strings.Contains(report.Unreadable, "broken") {
		t.Errorf("report is %+v, want a new build, and why the old one could not be read", report)
	}
}

// What was done stays done, whether or not the database could say that the lease is given back: it runs out.
func TestALeaseThatIsNotGivenBackIsNoFailure(t *testing.T) {
	t.Parallel()
	for _, unanswered := range []error{nil, projections.ErrTransient} {
		db := deaf{projectionstest.Open(t), unanswered}
		options := func(c *run.Config) { counting(c); c.LeaseTTL = 50 * time.Millisecond }
		runner := projectionstest.Runner(t, newCounted(2*countedBatch), db, inventory(), options)
		report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
		must(t, err)
		if b, err := db.Builds(t.Context(), "inventory"); err != nil || b[0].State != projections.BuildActive || report.Number != b[0].Number {
			t.Errorf("builds are %+v (%v), want build %d in front of readers", b, err, report.Number)
		}
	}
}
