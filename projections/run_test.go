package projections_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

func TestRunFollowsTheLog(t *testing.T) {
	t.Parallel()
	log := newCounted(2 * countedBatch)
	db := open(t, file(t))
	runner := projectionstest.Runner(t, log, db, shelf(), counting)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	for range 5 {
		log.grow()
		head, err := log.Head(t.Context())
		must(t, err)
		eventually(t, "the tables follow", func() bool {
			at, err := runner.Position(t.Context())
			return err == nil && at == head
		})
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run ended with %v, want nil for a cancelled context", err)
	}
	v, err := runner.Verify(t.Context(), "shelf", projectionstest.Open(t))
	must(t, err)
	if len(v.Differences) > 0 || v.Checkpoint.Position != 7*countedBatch {
		t.Errorf("verification is %+v", v)
	}
}

func TestRunEndsWhenNoProjectionIsLeft(t *testing.T) {
	t.Parallel()
	log := projectionstest.NewLog(t, batch(act("box", 1)), batch(act("poison", 2)))
	err := projectionstest.Runner(t, log, open(t, file(t)), shelf()).Run(t.Context())
	if !errors.Is(err, errPoison) {
		t.Errorf("run ended with %v, want the poison", err)
	}
}

func TestRunOutlivesADatabaseThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	log := newCounted(2 * countedBatch)
	db := &spy{Database: open(t, file(t)), before: func(n int) error {
		if n < 20 {
			return projections.ErrTransient
		}
		return nil
	}}
	runner := projectionstest.Runner(t, log, db, shelf(), counting)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	eventually(t, "the tables follow", func() bool {
		at, err := runner.Position(t.Context())
		return err == nil && at == 2*countedBatch
	})
	cancel()
	must(t, <-done)
}

func TestProjectionsAtDifferentPositionsShareAPass(t *testing.T) { // I5
	t.Parallel()
	log := newCounted(3 * countedBatch)
	db := open(t, file(t))
	catchUp(t, projectionstest.Runner(t, log, db, counts(), counting))
	log.grow()
	catchUp(t, projectionstest.Runner(t, log, db, shelf(), counting))
	for range 5 {
		log.grow()
	}
	c := config(t)
	counting(&c)
	both, err := projections.NewRunner(log, db, []projections.Projection{counts(), shelf()}, c)
	must(t, err)
	catchUp(t, both) // one page holds what counts lacks and what shelf has seen
	for _, name := range []string{"counts", "shelf"} {
		v, err := both.Verify(t.Context(), name, projectionstest.Open(t))
		must(t, err)
		if len(v.Differences) > 0 || v.Checkpoint.Position != 9*countedBatch {
			t.Errorf("%s at position %d differs: %v", name, v.Checkpoint.Position, v.Differences)
		}
	}
}

func TestARebuildOutlivesALostAnswer(t *testing.T) {
	t.Parallel()
	log := newCounted(6 * countedBatch)
	db := open(t, file(t))
	flaky := &spy{Database: db, after: func(n int) error {
		if n%3 == 1 {
			return projections.ErrTransient
		}
		return nil
	}}
	report, err := projectionstest.Runner(t, log, flaky, shelf(), counting, projectionstest.PageEvents(1)).
		Rebuild(t.Context(), "shelf", projections.RebuildOptions{})
	must(t, err)
	if report.Events != 6*countedBatch || report.Before != nil {
		t.Errorf("report is %+v", report)
	}
	whole(t, db, log)
}
