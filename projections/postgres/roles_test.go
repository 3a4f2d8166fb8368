package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// Two users with nothing but the writer role make, pause, verify and drop each other's builds, and can do nothing to the
// account of them that would hide something.
func TestTheWriterRoleIsEnoughAndNoMore(t *testing.T) {
	t.Parallel()
	where := made(t)
	one, other := user(t, where, "gxp_writer"), user(t, where, "gxp_writer", "gxp_reader")
	log := shown(t, one)
	runner := projectionstest.Runner(t, log, open(t, other), databasetest.Inventory(), databasetest.Counting)
	for range 2 {
		_, err := runner.Rebuild(soon(t), "inventory", run.RebuildOptions{})
		must(t, err)
	}
	v, err := inspect.Verify(soon(t), runner, "inventory", projectionstest.Open(t))
	must(t, err)
	if len(v.Differences)+len(v.Broken) > 0 {
		t.Errorf("verification is %+v", v)
	}
	db := open(t, one)
	pruned, err := projections.PruneBuilds(soon(t), db, "inventory", 0, domain.AdminActed{ID: "p"})
	must(t, err)
	if len(pruned) != 2 {
		t.Errorf("pruned %v, want two", pruned)
	}
	must(t, projections.PauseProjection(soon(t), db, "inventory", projections.Pause{By: "ada", Reason: "x", At: time.Now()}, domain.AdminActed{ID: "h"}))
	must(t, projections.ResumeProjection(soon(t), db, "inventory", domain.AdminActed{ID: "r"}))

	for _, address := range []string{one, other} {
		conn := connect(t, address)
		for _, attack := range []string{
			"UPDATE gxp.projection_counters SET tokens = 0", "DELETE FROM gxp.projection_counters", "TRUNCATE gxp.projection_counters CASCADE",
			"ALTER TABLE gxp.projection_counters DISABLE TRIGGER ALL", "DROP TABLE gxp.kept_acts", "UPDATE gxp.schema_migrations SET checksum = 'x'",
			"DROP FUNCTION gxp.refuse() CASCADE", "UPDATE gxp.projection_builds SET token = token - 1",
			"UPDATE gxp.moves__b3 SET action = 'x'", "DELETE FROM gxp.moves__b3", "TRUNCATE gxp.moves__b3",
		} {
			forbidden(t, conn, attack)
		}
	}
	if err := postgres.Up(soon(t), one, postgres.Namespace{}); err != nil {
		t.Errorf("up with nothing to do needs no rights: %v", err)
	}
}

// A reader sees the views, at once when they are made, and what they mean; no rows of builds that are not shown, and no
// way to change anything.
func TestTheReaderRoleSeesTheViewsAndNothingElse(t *testing.T) {
	t.Parallel()
	where := made(t)
	reader := user(t, where, "gxp_reader")
	log := shown(t, where)
	db, err := postgres.OpenReadOnly(soon(t), reader, postgres.Namespace{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	look := func() {
		t.Helper()
		var moves, columns, builds int
		must(t, db.QueryRowContext(soon(t), `SELECT (SELECT count(*) FROM moves), (SELECT count(*) FROM catalogue),
			(SELECT count(*) FROM catalogue_builds WHERE state = 'active')`).Scan(&moves, &columns, &builds))
		if moves != 6*databasetest.CountedBatch || columns != 11 || builds != 1 {
			t.Errorf("%d moves, %d columns, %d builds", moves, columns, builds)
		}
	}
	look()
	_, err = projectionstest.Runner(t, log, open(t, where), databasetest.Inventory(), databasetest.Counting).Rebuild(soon(t), "inventory", run.RebuildOptions{})
	must(t, err)
	look()
	started := begin(t, open(t, where)) // a build that is not shown
	conn := connect(t, reader)
	for _, attack := range []string{
		"TABLE gxp.boxes__b1", "TABLE gxp.boxes__b2", "TABLE gxp." + started, "TABLE gxp.projection_builds",
		"TABLE gxp.kept_acts", "TABLE gxp.projection_counters", "TABLE gxp.schema_migrations",
		"INSERT INTO gxp.boxes (number, open, since) VALUES (99, true, now())", "DELETE FROM gxp.boxes", "UPDATE gxp.boxes SET label = 'x'",
		"DELETE FROM gxp.boxes__b2", "TRUNCATE gxp.boxes__b2", "DROP VIEW gxp.boxes", "CREATE TABLE gxp.mine (x int)",
		"CREATE OR REPLACE VIEW gxp.boxes AS SELECT 1", "SET ROLE gxp_writer",
	} {
		forbidden(t, conn, attack)
	}

	// The engine runs for him as far as reading goes.
	if db, err := postgres.Open(soon(t), reader, postgres.Options{Now: time.Now}); !errors.Is(err, projections.ErrReadOnly) {
		t.Errorf("opened %v, %v; want ErrReadOnly", db, err)
	}
	only, err := postgres.OpenUnwritable(soon(t), reader, postgres.Options{Now: time.Now})
	must(t, err)
	defer func() { must(t, only.Close()) }()
	runner := projectionstest.Runner(t, log, only, databasetest.Inventory(), databasetest.Counting)
	must(t, runner.CatchUp(soon(t), 0)) // there is nothing to do
	log.Grow()
	if err := runner.CatchUp(soon(t), 0); !errors.Is(err, projections.ErrReadOnly) {
		t.Errorf("catching up answers %v, want ErrReadOnly", err)
	}
}

// begin begins a build of another projection, and returns the name of one of its tables.
func begin(t *testing.T, db *postgres.DB) string {
	t.Helper()
	_, err := projections.CreateBuild(soon(t), db, databasetest.Counts(), projections.LeaseRequest{Holder: "x", TTL: time.Minute})
	must(t, err)
	return "actions__b1"
}

// Who may do neither is told what is missing.
func TestAUserWithoutRightsIsToldWhichAreMissing(t *testing.T) {
	t.Parallel()
	where := made(t)
	nobody := user(t, where)
	for what, try := range map[string]func() error{
		"write": func() error { _, err := postgres.Open(soon(t), nobody, postgres.Options{Now: time.Now}); return err },
		"look": func() error {
			_, err := postgres.OpenUnwritable(soon(t), nobody, postgres.Options{Now: time.Now})
			return err
		},
		"query": func() error { _, err := postgres.OpenReadOnly(soon(t), nobody, postgres.Namespace{}); return err },
	} {
		err := try()
		if err == nil || !contains(err, "gxp_reader") && !contains(err, "migrate up") {
			t.Errorf("to %s: error is %v, want one that says which role to grant", what, err)
		}
	}
}
