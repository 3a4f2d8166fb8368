package databasetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

func (a Adapter) testBuilds(t *testing.T) {
	address := a.New(t)
	db := a.open(t, address)
	b := begin(t, db)
	must(t, b.write(func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil) }))
	b.show()
	if err := projections.DropBuild(t.Context(), db, b.lease); !errors.Is(err, projections.ErrBuildActive) {
		t.Errorf("dropping what readers see answers %v", err)
	}
	orphan := begin(t, db)
	must(t, orphan.write(func(r *projections.Rows) { r.Insert("books", "b", 2, nil, nil, nil, nil) }))
	if _, err := projections.CreateBuild(t.Context(), db, library(), claim()); !errors.Is(err, projections.ErrLeaseHeld) {
		t.Errorf("a second build beside one at work answers %v", err)
	}
	must(t, projections.Release(t.Context(), db, orphan.lease)) // as if its process had died long ago
	next := begin(t, db)
	if next.lease.Number != 3 || next.lease.Token <= orphan.lease.Token {
		t.Errorf("lease is %+v, want build 3: numbers are not given twice", next.lease)
	}
	if n := count(t, a.admin(t, address), a.Objects); n != 0 {
		t.Errorf("%d objects of the ruin are left", n)
	}
	if err := orphan.write(func(*projections.Rows) {}); !errors.Is(err, projections.ErrLeaseLost) {
		t.Errorf("writing a ruin that was dropped answers %v, want ErrLeaseLost", err)
	}
	must(t, db.FinishBuild(t.Context(), next.lease, library()))
	if err := projections.ActivateBuild(t.Context(), db, next.lease, projections.Activation{}); !errors.Is(err, projections.ErrBehind) {
		t.Errorf("going back in time answers %v, want ErrBehind", err)
	}
	must(t, next.write(func(r *projections.Rows) { r.Upsert("books", "c", 3, nil, nil, nil, nil) }))
	must(t, projections.ActivateBuild(t.Context(), db, next.lease, projections.Activation{}))
	if n := count(t, db.Query(), "SELECT number FROM books"); n != 3 {
		t.Errorf("the view shows book %d, want 3", n)
	}
	pruned, err := projections.PruneBuilds(t.Context(), db, "library", 0, domain.AdminActed{ID: "a"})
	must(t, err)
	if len(pruned) != 1 || pruned[0].Number != 1 {
		t.Errorf("pruned %v, want build 1", pruned)
	}
	if n := count(t, db.Query(), "SELECT count(*) FROM books"); n != 1 {
		t.Errorf("pruning changed the view: %d rows", n)
	}
}

func (a Adapter) testCatalogue(t *testing.T) {
	b := begin(t, a.open(t, a.New(t)))
	if n := count(t, b.db.Query(), "SELECT count(*) FROM catalogue"); n != 0 {
		t.Errorf("%d columns before anything is shown", n)
	}
	b.show()
	if n := count(t, b.db.Query(), "SELECT count(*) FROM catalogue"); n != 16 {
		t.Errorf("%d columns, want 16", n)
	}
	var doc, table, typ string
	var key int
	must(t, b.db.Query().QueryRowContext(t.Context(),
		"SELECT column_doc, table_doc, type, key_ordinal FROM catalogue WHERE table_name = 'books' AND column_name = 'number'").Scan(&doc, &table, &typ, &key))
	if doc != "Which." || table != "Books." || typ != "integer" || key != 2 {
		t.Errorf("catalogue says %q, %q, %q, %d", doc, table, typ, key)
	}
}

func (a Adapter) testNames(t *testing.T) {
	db := a.open(t, a.New(t))
	begin(t, db)
	thief := library()
	thief.Name = "thief"
	if _, err := projections.CreateBuild(t.Context(), db, thief, claim()); !errors.Is(err, projections.ErrInvalid) || !strings.Contains(err.Error(), "library") {
		t.Errorf("error is %v, want one that names the owner", err)
	}
	if _, err := projections.Acquire(t.Context(), db, projections.Ref{Projection: "none", Number: 1}, claim()); !errors.Is(err, projections.ErrNoBuild) {
		t.Errorf("leasing no build answers %v, want ErrNoBuild", err)
	}
	if _, err := projections.CreateBuild(t.Context(), db, library(), projections.LeaseRequest{}); !errors.Is(err, projections.ErrInvalid) {
		t.Errorf("an empty claim answers %v, want ErrInvalid", err)
	}
}

func (a Adapter) testInspect(t *testing.T) {
	b := begin(t, a.open(t, a.New(t)))
	b.show()
	must(t, b.db.Inspect(t.Context(), b.lease.Ref, func(s projections.Snapshot) error {
		must(t, b.write(func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil) }))
		for row, err := range s.Rows(t.Context(), library().Tables[0]) {
			t.Errorf("row %v, written later, is seen; %v", row, err)
		}
		if at := s.Build().Checkpoint.Position; at != eventstore.Position(0) {
			t.Errorf("position is %d", at)
		}
		return nil
	}))
	if got := len(b.rows(0)); got != 1 {
		t.Errorf("%d rows afterwards, want 1", got)
	}
	err := b.db.Inspect(t.Context(), projections.Ref{Projection: "library", Number: 9}, func(projections.Snapshot) error { return nil })
	if !errors.Is(err, projections.ErrNoBuild) {
		t.Errorf("looking at no build answers %v, want ErrNoBuild", err)
	}
}

// A build that an older version was about to show again, and left ready, counts as one that readers saw before.
func (a Adapter) testABuildThatWasRevivedIsRetired(t *testing.T) {
	log := NewCounted(CountedBatch)
	path := a.New(t)
	db := a.open(t, path)
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
	catchUp(t, runner)
	_, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	a.tamper(t, path, "UPDATE projection_builds SET state = 'ready', revived = true WHERE build = 1")
	if s := status(t, runner); s.Next != nil || s.Retired != 1 || s.Active.Number != 2 {
		t.Errorf("status is %+v, want build 2 active and one retired build", s)
	}
	report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	must(t, err)
	if report.Number != 3 || report.From != 0 {
		t.Errorf("report is %+v, want a build of its own", report)
	}
	pruned, err := projections.PruneBuilds(t.Context(), db, "inventory", 0, asked("p", "prune"))
	must(t, err)
	if len(pruned) != 2 {
		t.Errorf("pruned %+v, want builds 1 and 2", pruned)
	}
	whole(t, db, log)
}
