package databasetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// skippable is the inventory, which makes nothing of a skip.
func skippable(version int) projections.Projection {
	p := Inventory()
	p.Version = version
	apply := p.Apply
	p.Apply = func(page []projections.Event, rows *projections.Rows) error {
		var rest []projections.Event
		for _, e := range page {
			if a, ok := e.Event.(domain.AdminActed); !ok || a.Action != run.ActionSkip {
				rest = append(rest, e)
			}
		}
		return apply(rest, rows)
	}
	return p
}

func (a Adapter) testASkippedEventIsSkippedByRebuildsAndViewsToo(t *testing.T) { // I6
	for name, poison := range map[string]domain.Event{
		"an error":      Action("fail", 2),
		"a panic":       Action("panic", 2),
		"a missing row": Action("label", 9, "label", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := projectionstest.NewLog(t, Batch(Action("box", 1)))
			db := a.open(t, a.New(t))
			runner := projectionstest.Runner(t, log, db, skippable(1))
			catchUp(t, runner)
			log.Add(t, Batch(Action("box", 3), poison, Action("box", 4)))
			log.Add(t, Batch(Action("box", 5)))
			if err := runner.CatchUp(t.Context(), 0); err == nil {
				t.Fatal("the event was folded")
			}
			s := status(t, runner)
			skip, err := run.SkipAction(domain.AdminActed{ID: "s", Actor: "ada", Reason: "known defect"}, s.Name, s.Version, s.Fault)
			must(t, err)
			if skip.Arguments["position"] != "3" || skip.Arguments["version"] != "1" || skip.Target != "inventory" {
				t.Errorf("act is %+v", skip)
			}
			log.Add(t, Batch(skip))
			catchUp(t, runner)
			if s := status(t, runner); s.State != inspect.StateLive || s.Fault != nil {
				t.Errorf("status is %+v, want live without a fault", s)
			}
			report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
			must(t, err)
			if !report.Compared || len(report.Differs) != 0 {
				t.Errorf("rebuilt, it differs from the live tables: %+v", report)
			}
			v, err := inspect.Verify(t.Context(), runner, "inventory", projectionstest.Open(t))
			must(t, err)
			if len(v.Differences) != 0 {
				t.Errorf("verification differs: %v", v.Differences)
			}
			into := projectionstest.Open(t)
			_, err = runner.AsOf(t.Context(), 5, into) // before it was skipped
			must(t, err)
			if rows := strings.Count(projectionstest.Dump(t.Context(), t, into, skippable(1)), "boxes number="); rows != 4 {
				t.Errorf("as of position 5 there are %d boxes, want 4", rows)
			}

			if err := projectionstest.Runner(t, log, db, skippable(2)).CatchUp(t.Context(), 0); err == nil {
				t.Error("a later version did not try the event again")
			}
			if _, err := run.SkipAction(domain.AdminActed{}, "inventory", 1, nil); !errors.Is(err, projections.ErrInvalid) {
				t.Errorf("skipping where nothing failed answers %v, want ErrInvalid", err)
			}
		})
	}
}

// An admin action for another projection, or of another kind, skips nothing.
func (a Adapter) testOnlyItsOwnSkipCounts(t *testing.T) {
	log := projectionstest.NewLog(t, Batch(Action("box", 1)))
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, log, db, skippable(1))
	catchUp(t, runner)
	log.Add(t, Batch(Action("fail", 3)))
	if err := runner.CatchUp(t.Context(), 0); err == nil {
		t.Fatal("the event was folded")
	}
	s := status(t, runner)
	skip, err := run.SkipAction(domain.AdminActed{ID: "s", Actor: "ada", Reason: "x"}, s.Name, s.Version, s.Fault)
	must(t, err)
	skip.Target = "counts"
	log.Add(t, Batch(skip))
	var stopped *projections.EventError
	if err := runner.CatchUp(t.Context(), 0); !errors.As(err, &stopped) || stopped.Position != 2 {
		t.Errorf("error is %v, want that it stopped at position 2", err)
	}
}
