package databasetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

func asked(id, action string) domain.AdminActed {
	return domain.AdminActed{ID: id, Action: action, Target: "inventory", Actor: "ada", Reason: "because"}
}

// stopAfter ends a context at the n-th page that is written.
func stopAfter(t *testing.T, n int) (context.Context, func(*run.Config)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var once sync.Once
	pages := 0
	return ctx, func(c *run.Config) {
		c.Observe = func(run.Progress) {
			if pages++; pages == n {
				once.Do(cancel)
			}
		}
	}
}

func status(t *testing.T, r *run.Runner) inspect.Status {
	t.Helper()
	all, err := inspect.Statuses(t.Context(), r.Pipeline, inspect.StatusOptions{})
	must(t, err)
	return all[0]
}

func outbox(t *testing.T, db projections.Database) []projections.OutboxEntry {
	t.Helper()
	all, err := db.Outbox(t.Context())
	must(t, err)
	return all
}

func (a Adapter) testAnInterruptedRebuildIsResumed(t *testing.T) { // I7
	log := NewCounted(40 * CountedBatch)
	db := a.open(t, a.New(t))
	catchUp(t, projectionstest.Runner(t, log, db, Inventory(), Counting))
	ctx, stopping := stopAfter(t, 3)
	action := asked("a", "rebuild")
	_, err := projectionstest.Runner(t, log, db, Inventory(), Counting, projectionstest.PageEvents(1), stopping).
		Rebuild(ctx, "inventory", run.RebuildOptions{Action: &action})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want that of the context", err)
	}
	if all := outbox(t, db); len(all) != 1 || all[0].Action.Outcome != run.OutcomeInterrupted || all[0].Number != 2 {
		t.Errorf("kept is %+v, want an interrupted act on build 2", all)
	}
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	if s := status(t, runner); s.Next == nil || s.Next.Checkpoint.Position != 3*CountedBatch || s.Active.Number != 1 {
		t.Fatalf("status is %+v, want a build left at position %d beside build 1", s, 3*CountedBatch)
	}
	log.Grow()
	second := asked("b", "rebuild")
	report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{Action: &second})
	must(t, err)
	if report.Number != 2 || report.From != 3*CountedBatch || report.Events != 38*CountedBatch {
		t.Errorf("report is %+v, want build 2 gone on with from position %d", report, 3*CountedBatch)
	}
	all := outbox(t, db)
	if done := all[len(all)-1].Action; len(all) != 2 || done.ID != "b" || done.Outcome != run.OutcomeSucceeded || done.Detail == "" {
		t.Errorf("kept is %+v, want a second act that succeeded", all)
	}
	whole(t, db, log)
}

func (a Adapter) testAFreshRebuildStartsOver(t *testing.T) {
	log := NewCounted(20 * CountedBatch)
	db := a.open(t, a.New(t))
	ctx, stopping := stopAfter(t, 3)
	_, err := projectionstest.Runner(t, log, db, Inventory(), Counting, projectionstest.PageEvents(1), stopping).
		Rebuild(ctx, "inventory", run.RebuildOptions{})
	if err == nil {
		t.Fatal("the rebuild was not stopped")
	}
	report, err := projectionstest.Runner(t, log, db, Inventory(), Counting).Rebuild(t.Context(), "inventory", run.RebuildOptions{Fresh: true})
	must(t, err)
	if report.Number != 2 || report.From != 0 || report.Events != 20*CountedBatch {
		t.Errorf("report is %+v, want a second build of the whole log", report)
	}
	whole(t, db, log)
}

// Work that another version, another log or an administrator disowned is not resumed.
func (a Adapter) testABuildThatCannotBeResumedIsDropped(t *testing.T) {
	next := Inventory()
	next.Version = 2
	for name, again := range map[string]func(*testing.T, *Counted, projections.Database) *run.Runner{
		"another version": func(t *testing.T, log *Counted, db projections.Database) *run.Runner {
			t.Helper()
			return projectionstest.Runner(t, log, db, next, Counting)
		},
		"another log": func(t *testing.T, log *Counted, db projections.Database) *run.Runner {
			t.Helper()
			return projectionstest.Runner(t, &forged{log}, db, Inventory(), Counting)
		},
		"cancelled": func(t *testing.T, log *Counted, db projections.Database) *run.Runner {
			t.Helper()
			_, err := projections.CancelBuild(t.Context(), db, "inventory", "ada", asked("c", "cancel"))
			must(t, err)
			return projectionstest.Runner(t, log, db, Inventory(), Counting)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := NewCounted(20 * CountedBatch)
			db := a.open(t, a.New(t))
			ctx, stopping := stopAfter(t, 3)
			_, err := projectionstest.Runner(t, log, db, Inventory(), Counting, projectionstest.PageEvents(1), stopping).
				Rebuild(ctx, "inventory", run.RebuildOptions{})
			if err == nil {
				t.Fatal("the rebuild was not stopped")
			}
			report, err := again(t, log, db).Rebuild(t.Context(), "inventory", run.RebuildOptions{})
			must(t, err)
			if report.Number != 2 || report.From != 0 {
				t.Errorf("report is %+v, want a build of its own", report)
			}
			builds, err := db.Builds(t.Context(), "inventory")
			must(t, err)
			if len(builds) != 1 {
				t.Errorf("builds are %+v, want one", builds)
			}
		})
	}
}

func (a Adapter) testACancelledRebuildStopsAndLeavesTheOldTables(t *testing.T) { // I7
	log := NewCounted(40 * CountedBatch)
	db := a.open(t, a.New(t))
	catchUp(t, projectionstest.Runner(t, log, db, Inventory(), Counting))
	pages := 0
	action := asked("a", "rebuild")
	_, err := projectionstest.Runner(t, log, db, Inventory(), Counting, projectionstest.PageEvents(1), func(c *run.Config) {
		c.Observe = func(run.Progress) {
			if pages++; pages == 3 {
				ref, err := projections.CancelBuild(t.Context(), db, "inventory", "ada", asked("c", "cancel"))
				if err != nil || ref.Number != 2 {
					t.Errorf("cancel answers %+v, %v", ref, err)
				}
			}
		}
	}).Rebuild(t.Context(), "inventory", run.RebuildOptions{Action: &action})
	if !errors.Is(err, projections.ErrCancelled) || !strings.Contains(err.Error(), "ada") {
		t.Fatalf("error is %v, want that ada cancelled it", err)
	}
	if pages != 3 {
		t.Errorf("%d pages were written, want none after the third", pages)
	}
	builds, err := db.Builds(t.Context(), "inventory")
	must(t, err)
	if len(builds) != 1 || builds[0].State != projections.BuildActive {
		t.Errorf("builds are %+v, want the active one alone", builds)
	}
	all := outbox(t, db)
	if len(all) != 2 || all[0].Action.Outcome != run.OutcomeCancelled || all[1].Action.ID != "c" {
		t.Errorf("kept is %+v, want the rebuild as cancelled, and who did it", all)
	}
	if _, err := projections.CancelBuild(t.Context(), db, "inventory", "ada", asked("d", "cancel")); !errors.Is(err, projections.ErrNoBuild) {
		t.Errorf("cancelling nothing answers %v, want ErrNoBuild", err)
	}
	whole(t, db, log)
}

func (a Adapter) testAPausedProjectionStaysAsItIs(t *testing.T) {
	log := projectionstest.NewLog(t, Batch(Action("box", 1)))
	db := a.open(t, a.New(t))
	runner, err := run.NewRunner(log, db, []projections.Projection{Inventory(), Counts()}, config(t))
	must(t, err)
	catchUp(t, runner)
	pause := projections.Pause{By: "ada", Reason: "upgrade", At: projectionstest.Epoch()}
	must(t, projections.PauseProjection(t.Context(), db, "inventory", pause, asked("p", "pause")))
	last := log.Add(t, Batch(Action("box", 2)))

	err = runner.CatchUp(t.Context(), 0)
	var paused *projections.PausedError
	if !errors.As(err, &paused) || paused.Pause != pause || paused.Projection != "inventory" {
		t.Fatalf("error is %v, want that ada holds the inventory", err)
	}
	all, err := inspect.Statuses(t.Context(), runner.Pipeline, inspect.StatusOptions{})
	must(t, err)
	if s := all[0]; s.State != inspect.StatePaused || s.Pause == nil || *s.Pause != pause || s.Active.Checkpoint.Position != 1 {
		t.Errorf("inventory is %+v, want paused at position 1", s)
	}
	if s := all[1]; s.State != inspect.StateLive || s.Active.Checkpoint.Position != last {
		t.Errorf("counts is %+v, want live", s)
	}
	if _, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{}); !errors.As(err, &paused) {
		t.Errorf("a rebuild that nobody asked for answers %v, want a *PausedError", err)
	}
	asking := asked("a", "rebuild")
	report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{Action: &asking})
	must(t, err)
	log.Add(t, Batch(Action("box", 3)))
	if err := runner.CatchUp(t.Context(), 0); !errors.Is(err, projections.ErrPaused) {
		t.Errorf("build %d is not held: %v", report.Number, err)
	}
	must(t, projections.ResumeProjection(t.Context(), db, "inventory", asked("r", "resume")))
	catchUp(t, runner)
	if err := projections.ResumeProjection(t.Context(), db, "inventory", asked("r", "resume")); !errors.Is(err, projections.ErrNotPaused) {
		t.Errorf("resuming again answers %v, want ErrNotPaused", err)
	}
	if s := status(t, runner); s.State != inspect.StateLive || s.Pause != nil {
		t.Errorf("inventory is %+v, want live", s)
	}
}

// A pause takes effect at the next page of whoever writes, and Run goes on when it ends.
func (a Adapter) testRunWaitsWhileItsProjectionIsPaused(t *testing.T) {
	log := NewCounted(CountedBatch)
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting, func(c *run.Config) { c.FirstWait = time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	eventually(t, "the tables are live", func() bool { return status(t, runner).State == inspect.StateLive })
	must(t, projections.PauseProjection(t.Context(), db, "inventory", projections.Pause{By: "ada", Reason: "x", At: projectionstest.Epoch()}, asked("p", "pause")))
	log.Grow()
	log.Grow()
	eventually(t, "the pause stops the writer", func() bool {
		s := status(t, runner)
		return s.State == inspect.StatePaused && s.Active.LeaseLeft == 0 // released
	})
	if s := status(t, runner); s.Active.Checkpoint.Position != CountedBatch {
		t.Errorf("it stands at position %d, want %d", s.Active.Checkpoint.Position, CountedBatch)
	}
	must(t, projections.ResumeProjection(t.Context(), db, "inventory", asked("r", "resume")))
	eventually(t, "the writer goes on", func() bool { return status(t, runner).Active.Checkpoint.Position == 3*CountedBatch })
	cancel()
	must(t, <-done)
	whole(t, db, log)
}

func (a Adapter) testARebuildSaysWhatTheOldTablesShowedWrongly(t *testing.T) {
	log := NewCounted(10 * CountedBatch)
	path := a.New(t)
	db := a.open(t, path)
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	catchUp(t, runner)
	a.tamper(t, path, "UPDATE boxes__b1 SET label = 'forged' WHERE number = (SELECT min(number) FROM boxes__b1)")
	action := asked("a", "rebuild")
	report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{Action: &action})
	must(t, err)
	if !report.Compared || len(report.Differs) != 1 || report.Differs[0] != "boxes" {
		t.Errorf("report is %+v, want that boxes differed", report)
	}
	if all := outbox(t, db); !strings.Contains(all[0].Action.Detail, "differed from the log in boxes") {
		t.Errorf("the act says %q", all[0].Action.Detail)
	}
	report, err = runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	if !report.Compared || len(report.Differs) != 0 {
		t.Errorf("report is %+v, want that nothing differed", report)
	}
}
