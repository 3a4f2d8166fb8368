package databasetest

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// An admin action whose process died ends as interrupted, once, and the process cannot end it in another way.
func (a Adapter) testAnActionOfADeadProcessIsInterrupted(t *testing.T) { // I8
	var c clock
	path := a.New(t)
	sleeper, other := a.openAt(t, path, c.now), a.openAt(t, path, c.now)
	log := NewCounted(4 * CountedBatch)
	runner := projectionstest.Runner(t, log, other, Inventory(), Counting)
	lease, err := projections.CreateBuild(t.Context(), sleeper, Inventory(), projections.LeaseRequest{Holder: "sleeper", TTL: time.Minute})
	must(t, err)
	action := asked("a", "rebuild")
	must(t, projections.SaveOutboxEntry(t.Context(), sleeper, projections.OutboxEntry{Action: action, Ref: lease.Ref}))
	if n, err := runner.Interrupt(t.Context()); n != 0 || err != nil {
		t.Fatalf("an act at work was interrupted: %d, %v", n, err)
	}
	c.advance(2 * time.Minute)
	if n, err := runner.Interrupt(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d acts were interrupted, %v; want 1", n, err)
	}
	if all := outbox(t, other); len(all) != 1 || all[0].Action.Outcome != run.OutcomeInterrupted {
		t.Errorf("kept is %+v", all)
	}
	page := projections.Page{
		Lease: lease, From: projections.Checkpoint{Version: 1}, Tables: Inventory().Tables,
		To: projections.Checkpoint{Log: log.ID(), Position: 4, Event: log.Record(4).ID, Version: 1},
	}
	if err := sleeper.WritePage(t.Context(), page); !errors.Is(err, projections.ErrLeaseLost) {
		t.Errorf("the sleeper's write answers %v, want ErrLeaseLost", err)
	}
	if n, err := runner.Interrupt(t.Context()); n != 0 || err != nil {
		t.Errorf("it was interrupted again: %d, %v", n, err)
	}
	must(t, other.RemoveOutboxEntry(t.Context(), "a"))
	must(t, other.RemoveOutboxEntry(t.Context(), "a"))
	report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	if report.Number != 1 {
		t.Errorf("build %d was made, want that of the sleeper", report.Number)
	}
}

func (a Adapter) testPruningRecordsTheActionWithItsBuilds(t *testing.T) {
	log := NewCounted(CountedBatch)
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	for range 4 {
		_, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
		must(t, err)
	}
	pruned, err := projections.PruneBuilds(t.Context(), db, "inventory", 1, asked("p", "prune"))
	must(t, err)
	if len(pruned) != 2 {
		t.Errorf("pruned %+v, want two", pruned)
	}
	all := outbox(t, db)
	if len(all) != 1 || all[0].Action.Arguments["builds"] != "1,2" {
		t.Errorf("kept is %+v, want the numbers 1,2", all)
	}
	if pruned, err = projections.PruneBuilds(t.Context(), db, "inventory", 1, asked("q", "prune")); err != nil || len(pruned) != 0 || len(outbox(t, db)) != 1 {
		t.Errorf("pruning nothing answers %v, %v and keeps %+v", pruned, err, outbox(t, db))
	}
}

func (a Adapter) testTablesUnderAnyHistoryOfAdministration(t *testing.T) { // I5, I6, I7, I8
	done, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		if a.Histories > 0 && done >= a.Histories && !failed {
			return
		}
		defer func() {
			failed = failed || rt.Failed()
			done++
		}()
		path := a.New(t)
		projectionstest.SimulateOperation(t, rt, projectionstest.Simulation{
			Open: func(now func() time.Time) projectionstest.ClosingDatabase {
				db, err := a.Open(t.Context(), path, now)
				must(t, err)
				return db
			},
			Projection: edition, Draw: mover{}.batch,
		})
	})
}
