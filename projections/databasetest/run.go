package databasetest

import (
	"context"
	"errors"
	"testing"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

func (a Adapter) testRunFollowsTheLog(t *testing.T) {
	log := NewCounted(2 * CountedBatch)
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	for range 5 {
		log.Grow()
		head, err := log.Head(t.Context())
		must(t, err)
		eventually(t, "the tables follow", func() bool {
			at, err := inspect.Position(t.Context(), runner.Pipeline)
			return err == nil && at == head
		})
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run ended with %v, want nil for a cancelled context", err)
	}
	v, err := inspect.Verify(t.Context(), runner, "inventory", projectionstest.Open(t))
	must(t, err)
	if len(v.Differences) > 0 || v.Checkpoint.Position != 7*CountedBatch {
		t.Errorf("verification is %+v", v)
	}
}

func (a Adapter) testRunEndsWhenNoProjectionIsLeft(t *testing.T) {
	log := projectionstest.NewLog(t, Batch(Action("box", 1)), Batch(Action("fail", 2)))
	err := projectionstest.Runner(t, log, a.open(t, a.New(t)), Inventory()).Run(t.Context())
	if !errors.Is(err, ErrBadEvent) {
		t.Errorf("run ended with %v, want the poison", err)
	}
}

func (a Adapter) testRunOutlivesADatabaseThatDoesNotAnswer(t *testing.T) {
	log := NewCounted(2 * CountedBatch)
	db := &Spy{Database: a.open(t, a.New(t)), Before: func(n int) error {
		if n < 20 {
			return projections.ErrTransient
		}
		return nil
	}}
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	eventually(t, "the tables follow", func() bool {
		at, err := inspect.Position(t.Context(), runner.Pipeline)
		return err == nil && at == 2*CountedBatch
	})
	cancel()
	must(t, <-done)
}

func (a Adapter) testProjectionsAtDifferentPositionsShareAPass(t *testing.T) { // I5
	log := NewCounted(3 * CountedBatch)
	db := a.open(t, a.New(t))
	catchUp(t, projectionstest.Runner(t, log, db, Counts(), Counting))
	log.Grow()
	catchUp(t, projectionstest.Runner(t, log, db, Inventory(), Counting))
	for range 5 {
		log.Grow()
	}
	c := config(t)
	Counting(&c)
	both, err := run.NewRunner(log, db, []projections.Projection{Counts(), Inventory()}, c)
	must(t, err)
	catchUp(t, both) // one page holds what counts lacks and what inventory has seen
	for _, name := range []string{"counts", "inventory"} {
		v, err := inspect.Verify(t.Context(), both, name, projectionstest.Open(t))
		must(t, err)
		if len(v.Differences) > 0 || v.Checkpoint.Position != 9*CountedBatch {
			t.Errorf("%s at position %d differs: %v", name, v.Checkpoint.Position, v.Differences)
		}
	}
}

func (a Adapter) testARebuildOutlivesALostAnswer(t *testing.T) {
	log := NewCounted(6 * CountedBatch)
	db := a.open(t, a.New(t))
	flaky := &Spy{Database: db, After: func(n int) error {
		if n%3 == 1 {
			return projections.ErrTransient
		}
		return nil
	}}
	report, err := projectionstest.Runner(t, log, flaky, Inventory(), Counting, projectionstest.PageEvents(1)).
		Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	if report.Events != 6*CountedBatch || report.Before != nil {
		t.Errorf("report is %+v", report)
	}
	whole(t, db, log)
}
