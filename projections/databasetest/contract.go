package databasetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

func (a Adapter) testRowsAndCheckpointCommitTogether(t *testing.T) { // I5
	log := NewCounted(CountedBatch)
	path := a.New(t)
	db := a.open(t, path)
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	catchUp(t, runner)
	log.Grow()
	// The rows are written first; then the checkpoint fails.
	a.tamper(t, path, a.Failing...)
	if err := runner.CatchUp(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Fatalf("error is %v, want that of the checkpoint", err)
	}
	a.tamper(t, path, a.Mending...)
	var rows int
	must(t, db.Query().QueryRowContext(t.Context(), "SELECT count(*) FROM moves").Scan(&rows))
	if rows != CountedBatch {
		t.Errorf("%d rows without their checkpoint, want the %d of before", rows, CountedBatch)
	}
	catchUp(t, runner)
	whole(t, db, log)
}

// clock stands still until it is moved.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) now() time.Time {
	return projectionstest.Epoch().Add(time.Duration(c.nanoseconds.Load()))
}
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

func (a Adapter) testTheDatabaseRefusesAStaleToken(t *testing.T) { // I8
	var c clock
	path := a.New(t)
	sleeper, other := a.openAt(t, path, c.now), a.openAt(t, path, c.now)
	claim := projections.LeaseRequest{Holder: "sleeper", TTL: time.Minute}
	lease, err := projections.CreateBuild(t.Context(), sleeper, Inventory(), claim)
	must(t, err)
	page := func(l projections.Lease, from projections.Checkpoint, to eventstore.Position) projections.Page {
		return projections.Page{Lease: l, From: from, Tables: Inventory().Tables, To: projections.Checkpoint{Log: uuid.Max, Position: to, Event: uuid.Max, Version: 1}}
	}
	start := projections.Checkpoint{Version: 1}
	must(t, sleeper.WritePage(t.Context(), page(lease, start, 1)))
	one := page(lease, start, 1).To
	must(t, sleeper.FinishBuild(t.Context(), lease, Inventory()))
	must(t, projections.ActivateBuild(t.Context(), sleeper, lease, projections.Activation{}))

	if _, err := projections.Acquire(t.Context(), other, lease.Ref, projections.LeaseRequest{Holder: "other", TTL: time.Minute}); !errors.Is(err, projections.ErrLeaseHeld) {
		t.Fatalf("a live lease was given again: %v", err)
	}
	c.advance(59 * time.Second)
	must(t, sleeper.WritePage(t.Context(), page(lease, one, 2))) // a sign of life
	two := page(lease, one, 2).To
	c.advance(59 * time.Second)
	if _, err := projections.Acquire(t.Context(), other, lease.Ref, claim); !errors.Is(err, projections.ErrLeaseHeld) {
		t.Fatalf("a lease that was prolonged by a write was given again: %v", err)
	}
	c.advance(2 * time.Second) // the sleeper sleeps for too long
	taken, err := projections.Acquire(t.Context(), other, lease.Ref, projections.LeaseRequest{Holder: "other", TTL: time.Minute})
	must(t, err)
	if taken.Lease.Token <= lease.Token || taken.Checkpoint != two {
		t.Errorf("lease is %+v at %+v, want a higher token than %d", taken.Lease, taken.Checkpoint, lease.Token)
	}
	for what, err := range map[string]error{
		"write":  sleeper.WritePage(t.Context(), page(lease, two, 3)),
		"renew":  func() error { _, err := projections.Renew(t.Context(), sleeper, lease); return err }(),
		"drop":   projections.DropBuild(t.Context(), sleeper, lease),
		"fault":  sleeper.SaveFault(t.Context(), lease, projections.Fault{}),
		"finish": sleeper.FinishBuild(t.Context(), lease, Inventory()),
	} {
		if !errors.Is(err, projections.ErrLeaseLost) {
			t.Errorf("%s with a stale token answers %v, want ErrLeaseLost", what, err)
		}
	}
	must(t, projections.Release(t.Context(), sleeper, lease)) // does not end the other's lease
	must(t, other.WritePage(t.Context(), page(taken.Lease, two, 3)))
	if err := other.WritePage(t.Context(), page(taken.Lease, two, 4)); !errors.Is(err, projections.ErrMoved) {
		t.Errorf("a page from an old checkpoint answers %v, want ErrMoved", err)
	}
	must(t, projections.Release(t.Context(), other, taken.Lease))
	if _, err := projections.Renew(t.Context(), other, taken.Lease); !errors.Is(err, projections.ErrLeaseLost) {
		t.Errorf("a renewal that comes after the release answers %v, want ErrLeaseLost", err)
	}
	if _, err := a.admin(t, path).ExecContext(t.Context(), "UPDATE projection_builds SET token = token - 1"); err == nil {
		t.Error("the database lets a token fall")
	}
}

func (a Adapter) testARetiredBuildIsNotWritten(t *testing.T) { // I8
	log := NewCounted(CountedBatch)
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	catchUp(t, runner)
	old, err := projections.Acquire(t.Context(), db, projections.Ref{Projection: "inventory", Number: 1}, projections.LeaseRequest{Holder: "old", TTL: time.Minute})
	must(t, err)
	_, err = runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	page := projections.Page{Lease: old.Lease, From: old.Checkpoint, To: old.Checkpoint, Tables: Inventory().Tables}
	if err := db.WritePage(t.Context(), page); !errors.Is(err, projections.ErrSuperseded) {
		t.Errorf("writing a retired build answers %v, want ErrSuperseded", err)
	}
	if _, err := projections.Acquire(t.Context(), db, old.Ref, old.Lease.LeaseRequest); !errors.Is(err, projections.ErrSuperseded) {
		t.Errorf("leasing a retired build answers %v, want ErrSuperseded", err)
	}
}

// Tables that an older version made while their log did not show its id yet take that of the log, if everything else agrees.
func (a Adapter) testTheZeroLogIsNoOther(t *testing.T) { // I14
	named := NewCounted(4 * CountedBatch)
	named.id = uuid.New()
	path := a.New(t)
	db := a.open(t, path)
	catchUp(t, projectionstest.Runner(t, NewCounted(2*CountedBatch), db, Inventory(), Counting))
	_, err := a.admin(t, path).ExecContext(t.Context(), "UPDATE projection_builds SET log = '00000000-0000-0000-0000-000000000000'")
	must(t, err)
	rewritten := &forged{Counted: named}
	if err := inspect.Check(t.Context(), projectionstest.Runner(t, rewritten, db, Inventory(), Counting).Pipeline); !errors.Is(err, projections.ErrLogMismatch) {
		t.Errorf("a log with another event is answered with %v, want ErrLogMismatch", err)
	}
	catchUp(t, projectionstest.Runner(t, named, db, Inventory(), Counting))
	other := NewCounted(4 * CountedBatch)
	other.id = uuid.New()
	if err := inspect.Check(t.Context(), projectionstest.Runner(t, other, db, Inventory(), Counting).Pipeline); !errors.Is(err, projections.ErrLogMismatch) {
		t.Errorf("another log afterwards is answered with %v, want ErrLogMismatch", err)
	}
}

func (a Adapter) testAnotherLogIsRefused(t *testing.T) { // I14
	swapped := NewCounted(4 * CountedBatch)
	swapped.id = uuid.New()
	rewritten := &forged{Counted: NewCounted(4 * CountedBatch)}
	for name, test := range map[string]struct {
		log  projections.Log
		want string
	}{
		"swapped":   {swapped, "this is log " + swapped.id.String()},
		"truncated": {NewCounted(CountedBatch), "reach position 8, the log ends at 4"},
		"rewritten": {rewritten, "event " + rewritten.forge(8).ID.String() + " is at position 8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := a.open(t, a.New(t))
			catchUp(t, projectionstest.Runner(t, NewCounted(2*CountedBatch), db, Inventory(), Counting))
			before := projectionstest.Dump(t.Context(), t, db, Inventory())
			runner := projectionstest.Runner(t, test.log, db, Inventory(), Counting)
			scratch := projectionstest.Open(t)
			const patience = 10 * time.Second // reached only by a runner that continues with such a log, as Run does for ever
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for what, try := range map[string]func() error{
				"catch up": func() error { return runner.CatchUp(ctx, 0) },
				"run":      func() error { return runner.Run(ctx) },
				"check":    func() error { return inspect.Check(ctx, runner.Pipeline) },
				"verify":   func() error { _, err := inspect.Verify(ctx, runner, "inventory", scratch); return err },
				"rebuild": func() error {
					_, err := runner.Rebuild(ctx, "inventory", run.RebuildOptions{})
					return err
				},
			} {
				err := try()
				var mismatch *projections.MismatchError
				if !errors.As(err, &mismatch) || !errors.Is(err, projections.ErrLogMismatch) || !strings.Contains(err.Error(), test.want) ||
					!strings.Contains(err.Error(), "open the log that the tables were built from") {
					t.Errorf("%s answers %v, want a mismatch that says %q and what to do", what, err, test.want)
				}
			}
			all, err := inspect.Statuses(t.Context(), runner.Pipeline, inspect.StatusOptions{})
			must(t, err)
			if s := all[0]; s.State != inspect.StateMismatched || s.Mismatch == nil || !strings.Contains(s.Mismatch.Error(), test.want) || s.Lag != 0 {
				t.Errorf("status is %+v, want mismatched, because of %q", s, test.want)
			}
			if after := projectionstest.Dump(t.Context(), t, db, Inventory()); after != before {
				t.Error("the tables were changed")
			}
			_, err = runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{AdoptLog: true})
			must(t, err)
			catchUp(t, runner)
		})
	}
}

func (a Adapter) testANewVersionIsBuiltBesideTheOld(t *testing.T) {
	log := NewCounted(6 * CountedBatch)
	path := a.New(t)
	db := a.open(t, path)
	old := projectionstest.Runner(t, log, db, Inventory(), Counting)
	catchUp(t, old)
	newer := Inventory()
	newer.Version = 2
	newer.Tables = newer.Tables[2:]
	newer.Tables[0].Name = "deeds"
	apply := newer.Apply
	newer.Apply = func(page []projections.Event, rows *projections.Rows) error {
		var all projections.Rows
		if err := apply(page, &all); err != nil {
			return err
		}
		for _, op := range all.Ops() {
			if op.Table == "moves" {
				rows.Insert("deeds", op.Row...)
			}
		}
		return nil
	}
	reading := &Spy{Database: db, Before: func(int) error { // the old tables are there while the new ones are filled
		var n int
		return db.Query().QueryRowContext(t.Context(), "SELECT count(*) FROM moves").Scan(&n)
	}}
	catchUp(t, projectionstest.Runner(t, log, reading, newer, Counting))
	var n int
	must(t, db.Query().QueryRowContext(t.Context(), "SELECT count(*) FROM deeds").Scan(&n))
	if n != 6*CountedBatch || len(reading.Pages) == 0 {
		t.Errorf("%d deeds, want %d", n, 6*CountedBatch)
	}
	if err := db.Query().QueryRowContext(t.Context(), "SELECT count(*) FROM moves").Scan(&n); err == nil {
		t.Error("a view of the old version is still there")
	}
	var version *projections.VersionError
	if err := old.CatchUp(t.Context(), 0); !errors.As(err, &version) || version.Found != 2 || version.Known != 1 {
		t.Errorf("the old binary answers %v, want a VersionError", err)
	}
	_, err := old.Rebuild(t.Context(), "inventory", run.RebuildOptions{}) // going back is possible, but explicit
	must(t, err)
	catchUp(t, old)
	whole(t, db, log)
	pruned, err := projections.PruneBuilds(t.Context(), db, "inventory", 1, domain.AdminActed{ID: "a"})
	must(t, err)
	if len(pruned) != 1 || pruned[0].Number != 1 {
		t.Errorf("pruned %v, want build 1", pruned)
	}
}

func (a Adapter) testVerifyNamesTheFirstDifference(t *testing.T) {
	for name, test := range map[string]struct {
		edit []string
		want string
	}{
		"an edited value": {
			[]string{"UPDATE boxes__b1 SET label = 'mine' WHERE number = 5"},
			`table boxes, row 5, column label: stored "mine", the log says "number 5"`,
		},
		"a deleted row": {
			append(slices.Clone(a.Unguarded), "DELETE FROM moves__b1 WHERE position = 3"),
			"table moves, row 3: missing, although the log has it",
		},
		"an added row": {
			[]string{"INSERT INTO items__b1 VALUES (5, 'alone', 'mine')"},
			"table items, row 5/alone: stored, the log knows nothing of it",
		},
		"a NULL": {
			[]string{"UPDATE boxes__b1 SET detail = NULL WHERE number = 5"},
			`table boxes, row 5, column detail: stored "NULL", the log says "{\"label\":\"5\"}"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := NewCounted(6 * CountedBatch)
			path := a.New(t)
			runner := projectionstest.Runner(t, log, a.open(t, path), Inventory(), Counting)
			catchUp(t, runner)
			a.tamper(t, path, test.edit...)
			v, err := inspect.Verify(t.Context(), runner, "inventory", projectionstest.Open(t))
			must(t, err)
			if len(v.Differences) != 1 || v.Differences[0].String() != test.want {
				t.Errorf("differences are %v, want %q", v.Differences, test.want)
			}
			same := 0
			for i := range v.Tables {
				if v.Tables[i] == v.Replayed[i] {
					same++
				}
			}
			if same != 2 {
				t.Errorf("digests of %d tables are equal, want 2", same)
			}
		})
	}
}

// Readers see rows through views and indexes, and trust guards: rows alone prove nothing.
func (a Adapter) testVerifyFindsBrokenViewsKeysAndGuards(t *testing.T) { // I6, I10
	for _, group := range append([][]Breakage{nil}, a.Broken...) {
		log := NewCounted(6 * CountedBatch)
		path := a.New(t)
		runner := projectionstest.Runner(t, log, a.open(t, path), Inventory(), Counting)
		catchUp(t, runner)
		for _, b := range group {
			a.tamper(t, path, b.Edit...)
		}
		v, err := inspect.Verify(t.Context(), runner, "inventory", projectionstest.Open(t))
		must(t, err)
		if len(v.Differences) != 0 {
			t.Errorf("differences are %v, want none: the rows are as they were", v.Differences)
		}
		if len(group) == 0 && len(v.Broken) > 0 {
			t.Errorf("broken are %q, want nothing", v.Broken)
		}
		for _, b := range group {
			if !slices.ContainsFunc(v.Broken, func(found string) bool { return strings.Contains(found, b.Want) }) {
				t.Errorf("after %q, what is broken lacks %q: %q", b.Edit, b.Want, v.Broken)
			}
		}
		_, err = runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
		must(t, err)
		if v, err = inspect.Verify(t.Context(), runner, "inventory", projectionstest.Open(t)); err != nil || len(v.Broken) > 0 {
			t.Errorf("after a rebuild: %q, %v; want nothing broken", v.Broken, err)
		}
	}
}

func (a Adapter) testDigestsAreStoredWithTheBuild(t *testing.T) {
	db := a.open(t, a.New(t))
	runner := projectionstest.Runner(t, NewCounted(6*CountedBatch), db, Inventory(), Counting)
	report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	kept, err := db.Digests(t.Context(), report.Ref)
	must(t, err)
	v, err := inspect.Verify(t.Context(), runner, "inventory", projectionstest.Open(t))
	must(t, err)
	if len(kept) != 3 || len(report.Digests) != 3 {
		t.Fatalf("kept %v, reported %v", kept, report.Digests)
	}
	for i := range kept {
		if kept[i] != report.Digests[i] || kept[i] != v.Replayed[i] {
			t.Errorf("digest %v was kept, %v reported, %v replayed", kept[i], report.Digests[i], v.Replayed[i])
		}
	}
}

func (a Adapter) testStatusTellsAStallFromWork(t *testing.T) {
	var c clock
	c.advance(time.Hour)
	log := NewCounted(CountedBatch)
	db := a.openAt(t, a.New(t), c.now)
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting, func(config *run.Config) { config.Now = c.now })
	state := func() inspect.Status {
		all, err := inspect.Statuses(t.Context(), runner.Pipeline, inspect.StatusOptions{StallAfter: time.Minute})
		must(t, err)
		return all[0]
	}
	if s := state(); s.State != inspect.StateAbsent {
		t.Errorf("state is %s before the first build, want absent", s.State)
	}
	catchUp(t, runner)
	if s := state(); s.State != inspect.StateLive || s.Lag != 0 || s.LagTime != 0 {
		t.Errorf("status is %+v, want live", s)
	}
	log.Grow()
	if s := state(); s.State != inspect.StateCatchingUp || s.Lag != CountedBatch || s.LagTime != time.Hour-time.Second {
		t.Errorf("status is %+v, want catching-up: the position has just moved", s)
	}
	c.advance(2 * time.Minute)
	if s := state(); s.State != inspect.StateStalled {
		t.Errorf("state is %s, want stalled", s.State)
	}
	catchUp(t, runner)
	if s := state(); s.State != inspect.StateLive {
		t.Errorf("state is %s, want live", s.State)
	}
}

func (a Adapter) testAsOfShowsAWholeBatch(t *testing.T) { // I1
	log := NewCounted(6 * CountedBatch)
	runner := projectionstest.Runner(t, log, a.open(t, a.New(t)), Inventory(), Counting)
	into := projectionstest.Open(t)
	shown, err := runner.AsOf(t.Context(), CountedBatch+1, into)
	must(t, err)
	if shown != 2*CountedBatch {
		t.Errorf("shown is %d, want %d, the end of the batch", shown, 2*CountedBatch)
	}
	equalToLog(t, into, NewCounted(2*CountedBatch))
	if _, err := runner.AsOf(t.Context(), 1, into); !errors.Is(err, projections.ErrInvalid) {
		t.Errorf("a second replay into the same tables answers %v, want ErrInvalid", err)
	}
	if _, err := runner.AsOf(t.Context(), 99, projectionstest.Open(t)); !errors.Is(err, projections.ErrInvalid) {
		t.Errorf("a position above the head answers %v, want ErrInvalid", err)
	}
}
