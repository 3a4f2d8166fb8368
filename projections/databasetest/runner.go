package databasetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

func (a Adapter) testSmallLogs(t *testing.T) {
	for name, batches := range map[string][]projectionstest.Batch{
		"empty":             nil,
		"no matching event": {{Events: []domain.Event{domain.RepositoryRegistered{}}}},
		"one event":         {Batch(Action("box", 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := projectionstest.NewLog(t, batches...)
			projectionstest.Check(t, Inventory(), log)
			db := a.open(t, a.New(t))
			runner := projectionstest.Runner(t, log, db, Inventory())
			catchUp(t, runner)
			at, err := inspect.Position(t.Context(), runner.Pipeline)
			must(t, err)
			if int(at) != len(batches) {
				t.Errorf("position is %d, want %d: a checkpoint moves over what nobody handles", at, len(batches))
			}
			report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
			must(t, err)
			if int(report.Events) != len(batches) {
				t.Errorf("rebuild saw %d events, want %d", report.Events, len(batches))
			}
		})
	}
}

func (a Adapter) testAFaultStopsItsProjectionAlone(t *testing.T) {
	for name, test := range map[string]struct {
		event domain.Event
		want  string
	}{
		"an error":         {Action("fail", 2), "cannot be folded"},
		"a panic":          {Action("panic", 2), "panic: no such thing"},
		"a missing row":    {Action("label", 2, "label", "x"), "no row with the key"},
		"a missing parent": {Action("put", 2, "slot", "left", "name", "pen"), "foreign key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := projectionstest.NewLog(t)
			db := a.open(t, a.New(t))
			runner, err := run.NewRunner(log, db, []projections.Projection{Inventory(), Counts()}, config(t))
			must(t, err)
			catchUp(t, runner)
			log.Add(t, Batch(Action("box", 1)))
			log.Add(t, Batch(Action("box", 3), Action("box", 4), test.event))
			last := log.Add(t, Batch(Action("box", 5)))

			err = runner.CatchUp(t.Context(), 0)
			var stopped *projections.EventError
			if !errors.As(err, &stopped) || stopped.Position != 4 || stopped.Type != eventstore.TypeAdminActed || !strings.Contains(strings.ToLower(err.Error()), test.want) {
				t.Fatalf("error is %v, want one that names position 4 and %q", err, test.want)
			}
			all, err := inspect.Statuses(t.Context(), runner.Pipeline, inspect.StatusOptions{})
			must(t, err)
			if s := all[0]; s.State != inspect.StateFaulted || s.Fault == nil || s.Fault.Position != 4 || s.Fault.Event != stopped.ID || s.Active.Checkpoint.Position != 1 {
				t.Errorf("inventory is %+v, want faulted at 4, standing before its batch", s)
			}
			if s := all[1]; s.State != inspect.StateLive || s.Active.Checkpoint.Position != last {
				t.Errorf("counts is %+v, want live", s)
			}
			mended, err := run.NewRunner(log, db, []projections.Projection{lenient()}, config(t))
			must(t, err)
			catchUp(t, mended)
			all, err = inspect.Statuses(t.Context(), mended.Pipeline, inspect.StatusOptions{})
			must(t, err)
			if all[0].State != inspect.StateLive || all[0].Fault != nil {
				t.Errorf("inventory is %+v, want live again once its code is mended", all[0])
			}
		})
	}
}

// config is what projectionstest.Runner uses.
func config(t *testing.T) run.Config {
	t.Helper()
	var c run.Config
	projectionstest.Runner(t, projectionstest.NewLog(t), projectionstest.Open(t), Inventory(), func(made *run.Config) { c = *made })
	return c
}

// Counts is a second projection over the same events.
func Counts() projections.Projection {
	return projections.Projection{
		Name: "counts", Version: 1, Handles: []domain.Event{domain.AdminActed{}},
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

// lenient is the inventory with its mistake fixed: it makes nothing of what it cannot do.
func lenient() projections.Projection {
	p := Inventory()
	p.Apply = func(page []projections.Event, rows *projections.Rows) error {
		for _, e := range page {
			a, ok := e.Event.(domain.AdminActed)
			if ok && a.Action == "box" {
				if err := applyAction(e, a, rows); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return p
}

func (a Adapter) testARefusedFirstBuildIsShownAsFarAsItIs(t *testing.T) {
	log := projectionstest.NewLog(t, Batch(Action("box", 1)), Batch(Action("fail", 2)), Batch(Action("box", 3)))
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, log, db, Inventory())
	err := runner.CatchUp(t.Context(), 0)
	if !errors.Is(err, ErrBadEvent) {
		t.Fatalf("error is %v, want the poison", err)
	}
	all, err := inspect.Statuses(t.Context(), runner.Pipeline, inspect.StatusOptions{})
	must(t, err)
	if s := all[0]; s.State != inspect.StateFaulted || s.Active == nil || s.Active.Checkpoint.Position != 1 || s.Lag != 2 {
		t.Errorf("status is %+v, want what came before the poison to be shown", s)
	}
	if _, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{}); !errors.Is(err, ErrBadEvent) {
		t.Errorf("rebuild answers %v, want the poison", err)
	}
	builds, err := db.Builds(t.Context(), "inventory")
	must(t, err)
	if len(builds) != 1 || builds[0].State != projections.BuildActive {
		t.Errorf("builds are %+v, want the first alone: a failed rebuild leaves nothing", builds)
	}
}

func (a Adapter) testTransientErrorsAreTriedAgain(t *testing.T) {
	transient := func(until int) func(int) error {
		return func(n int) error {
			if n <= until {
				return fmt.Errorf("%w: busy", projections.ErrTransient)
			}
			return nil
		}
	}
	for name, db := range map[string]*Spy{
		"before the write":    {Before: transient(3)},
		"with a lost answer":  {After: transient(1)},
		"lost, then too busy": {After: func(n int) error { return transient(1)(n) }, Before: func(n int) error { return transient(2)(n - 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tables := a.open(t, a.New(t))
			db.Database = tables
			if name == "lost, then too busy" {
				db.Before = func(n int) error {
					if n == 2 {
						return projections.ErrTransient
					}
					return nil
				}
			}
			log := NewCounted(3 * CountedBatch)
			catchUp(t, projectionstest.Runner(t, log, db, Inventory(), Counting, projectionstest.PageEvents(1)))
			story := projectionstest.Runner(t, log, tables, Inventory(), Counting)
			v, err := inspect.Verify(t.Context(), story, "inventory", projectionstest.Open(t))
			must(t, err)
			if len(v.Differences) > 0 {
				t.Errorf("tables differ: %v", v.Differences)
			}
		})
	}
}

func (a Adapter) testCatchUpStopsAtTheGivenPosition(t *testing.T) {
	log := NewCounted(8 * CountedBatch)
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	catchUp(t, runner)
	log.Grow()
	log.Grow()
	must(t, runner.CatchUp(t.Context(), 8*CountedBatch+2))
	at, err := inspect.Position(t.Context(), runner.Pipeline)
	must(t, err)
	if at != 9*CountedBatch {
		t.Errorf("position is %d, want %d, the end of the batch", at, 9*CountedBatch)
	}
	if err := runner.CatchUp(t.Context(), 99); !errors.Is(err, projections.ErrInvalid) {
		t.Errorf("error is %v for a position above the head, want ErrInvalid", err)
	}
}

func (a Adapter) testACancelledContextEndsEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	db := &Spy{Database: a.open(t, a.New(t)), After: func(n int) error {
		if n == 3 {
			cancel()
		}
		return nil
	}}
	log := NewCounted(100 * CountedBatch)
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting, projectionstest.PageEvents(1))
	if err := runner.CatchUp(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	if n := len(db.Pages); n > 4 {
		t.Errorf("%d pages were written after the end", n-3)
	}
	db.After = nil
	catchUp(t, runner) // nobody has to wait for the lease of a cancelled run
}
