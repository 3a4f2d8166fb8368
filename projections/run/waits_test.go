package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// Another process that lives on keeps a call waiting for as long as Config.Wait, and no longer.
func TestCatchUpWaitsForAnotherProcessForAWhile(t *testing.T) {
	t.Parallel()
	db, log := projectionstest.Open(t), newCounted(2*countedBatch)
	catchUp(t, projectionstest.Runner(t, log, db, inventory(), counting))
	log.Grow()
	ref := projections.Ref{Projection: inventory().Name, Number: 1}
	build, err := projections.Acquire(t.Context(), db, ref, projections.LeaseRequest{Holder: "other", TTL: time.Hour})
	must(t, err)
	var told, ended atomic.Int32
	waiting := func(c *run.Config) {
		c.Wait = 20 * time.Millisecond
		c.Waiting = func(held *projections.LeaseHeldError) func() {
			if held.Holder != "other" {
				t.Errorf("it waits for %s, want the other process", held.Holder)
			}
			told.Add(1)
			return func() { ended.Add(1) }
		}
	}
	err = projectionstest.Runner(t, log, db, inventory(), counting, waiting).CatchUp(t.Context(), 0)
	late, rest := projections.SplitErrors(err)
	if !errors.Is(err, projections.ErrLeaseHeld) || len(late) != 1 || rest != nil {
		t.Errorf("CatchUp returns %v, want that another process holds the build", err)
	}
	if told.Load() != 1 || ended.Load() != 1 {
		t.Errorf("the wait was told %d times and ended %d times, want once each", told.Load(), ended.Load())
	}
	must(t, projections.Release(t.Context(), db, build.Lease))
	catchUp(t, projectionstest.Runner(t, log, db, inventory(), counting, waiting))
	if told.Load() != 1 {
		t.Error("it waited for nobody, and told of it")
	}
}

func TestWhatIsTriedAgainIsTold(t *testing.T) {
	t.Parallel()
	spy := &databasetest.Spy{Database: projectionstest.Open(t), Before: func(n int) error {
		if n <= 2 {
			return fmt.Errorf("%w: busy", projections.ErrTransient)
		}
		return nil
	}}
	var told []run.Retry
	catchUp(t, projectionstest.Runner(t, newCounted(countedBatch), spy, inventory(), counting, func(c *run.Config) {
		c.Retrying = func(r run.Retry) { told = append(told, r) }
	}))
	if len(told) != 2 || told[0].Projection != inventory().Name || !errors.Is(told[1].Err, projections.ErrTransient) {
		t.Errorf("told of %+v, want two tries", told)
	}
}

var errDead = errors.New("dead")

func TestWhatAFollowerTriesAgainIsTold(t *testing.T) {
	t.Parallel()
	db := &failingDB{Database: projectionstest.Open(t)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tries atomic.Int32
	runner := projectionstest.Runner(t, newCounted(countedBatch), db, inventory(), counting, func(c *run.Config) {
		c.Retrying = func(r run.Retry) {
			if !errors.Is(r.Err, errDead) || r.Wait <= 0 {
				t.Errorf("told of %+v, want why it failed and how long it waits", r)
			}
			if tries.Add(1) == 3 {
				cancel()
			}
		}
	})
	if err := runner.Run(ctx); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if tries.Load() < 3 {
		t.Errorf("told of %d tries, want 3", tries.Load())
	}
}

// failingDB cannot say which builds there are.
type failingDB struct{ projections.Database }

func (*failingDB) Builds(context.Context, string) ([]projections.Build, error) { return nil, errDead }

func TestAnActivationIsTold(t *testing.T) {
	t.Parallel()
	var told, ended []projections.Ref
	runner := projectionstest.Runner(t, newCounted(countedBatch), projectionstest.Open(t), inventory(), counting, func(c *run.Config) {
		c.Activating = func(ref projections.Ref) func() {
			told = append(told, ref)
			return func() { ended = append(ended, ref) }
		}
	})
	catchUp(t, runner)
	_, err := runner.Rebuild(t.Context(), inventory().Name, run.RebuildOptions{})
	must(t, err)
	if len(told) != 2 || told[1].Number != 2 || len(ended) != 2 {
		t.Errorf("told of %v, ended %v, want the activations of two builds", told, ended)
	}
}

// read is a database whose former tables are read for as long as an activation may take.
type read struct {
	projections.Database
	over atomic.Bool
}

func (d *read) ChangeBuilds(
	ctx context.Context, projection string, decide func(builds.State) (projections.Decision, error),
) ([]projections.Build, error) {
	activates := errors.New("readers are in the way")
	found, err := d.Database.ChangeBuilds(ctx, projection, func(s builds.State) (projections.Decision, error) {
		decision, err := decide(s)
		if c := builds.Diff(s, decision.State); err == nil && c.Retired != nil && !d.over.Load() {
			err = activates
		}
		return decision, err
	})
	if errors.Is(err, activates) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return found, err
}

// A query that never ends keeps an activation waiting for as long as Config.Wait. What was built is not lost.
func TestAnActivationWaitsForReadersForAWhile(t *testing.T) {
	t.Parallel()
	db := &read{Database: projectionstest.Open(t)}
	runner := projectionstest.Runner(t, newCounted(countedBatch), db, inventory(), counting, func(c *run.Config) { c.Wait = 2 * time.Second })
	catchUp(t, runner)
	_, err := runner.Rebuild(t.Context(), inventory().Name, run.RebuildOptions{})
	if !errors.Is(err, projections.ErrTransient) || !strings.Contains(err.Error(), "queries of the former tables did not end within 2s") {
		t.Errorf("error is %v, want that queries did not end", err)
	}
	db.over.Store(true)
	report, err := runner.Rebuild(t.Context(), inventory().Name, run.RebuildOptions{})
	must(t, err)
	if report.Number != 2 {
		t.Errorf("build %d was activated, want that which was complete", report.Number)
	}
}
