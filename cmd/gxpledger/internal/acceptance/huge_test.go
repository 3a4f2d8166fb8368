package acceptance_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/internal/race"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// One scan of 100,000 artifacts is one batch, and so one page and one transaction of each projection, in both databases
// (I1, I5). The rows are compared one by one.
func TestAScanOfAHundredThousandArtifactsIsOneBatch(t *testing.T) { //nolint:paralleltest // the memory of one such batch is enough
	n := 100_000
	switch {
	case testing.Short():
		n = 2_000
	case race.Enabled:
		n = 3_000
	}
	e := newEngine(t)
	last := e.record(t, forest(n, "text"))
	url := pgtest.Start(t)
	if err := postgres.Up(t.Context(), url, postgres.Namespace{}); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), url, postgres.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	runner, err := run.NewRunner(e.log, db, tables.All(), run.DefaultConfig(time.Now, eventstore.Decode, "tester"))
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.CatchUp(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, p := range tables.All() {
		for _, d := range equalToSQLite(t, runner, p.Name, last) {
			rows[d.Table] = d.Rows
		}
	}
	want := map[string]int64{"requirements": int64(n / 4), "user_stories": int64(n / 4), "specs": int64(n / 2), "artifact_versions": int64(n), "audit_log": int64(last)}
	for table, want := range want {
		if rows[table] != want {
			t.Errorf("table %s has %d rows, want %d", table, rows[table], want)
		}
	}
}

// equalToSQLite fails the test unless the tables that runner made are those that a replay into a new file makes.
func equalToSQLite(t *testing.T, runner *run.Runner, name string, at eventstore.Position) []projections.Digest {
	t.Helper()
	scratch, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tables.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = scratch.Close() }()
	v, err := inspect.Verify(t.Context(), runner, name, scratch)
	if err != nil {
		t.Fatal(err)
	}
	if v.Checkpoint.Position != at || len(v.Differences) > 0 || len(v.Broken) > 0 {
		t.Errorf("%s stands at position %d, want %d; it differs: %v %v", name, v.Checkpoint.Position, at, v.Differences, v.Broken)
	}
	return v.Replayed
}
