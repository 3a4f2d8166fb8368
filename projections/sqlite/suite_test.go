package sqlite_test

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func TestMain(m *testing.M) {
	adapter().Child()
	goleak.VerifyTestMain(m)
}

func adapter() databasetest.Adapter {
	return databasetest.Adapter{
		New: func(tb testing.TB) string {
			tb.Helper()
			return filepath.Join(tb.TempDir(), "a%20 file?.db")
		},
		Open: func(ctx context.Context, path string, now func() time.Time) (databasetest.Database, error) {
			if now == nil {
				now = time.Now
			}
			return sqlite.Open(ctx, path, sqlite.Options{Now: now})
		},
		OpenReader: sqlite.OpenReadOnly,
		Admin: func(_ context.Context, path string) (*sql.DB, error) {
			return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(ON)")
		},
		Histories: 20,
		Failing:   []string{"CREATE TRIGGER broken BEFORE UPDATE OF position ON projection_builds BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"},
		Mending:   []string{"DROP TRIGGER broken"},
		Unguarded: []string{"DROP TRIGGER moves__b1_no_delete"},
		Attacks: []string{
			"UPDATE log_lines__b1 SET said = 'x'", "DELETE FROM log_lines__b1", "INSERT OR REPLACE INTO log_lines__b1 VALUES ('day', 1, 'x')",
			"REPLACE INTO log_lines__b1 VALUES ('day', 1, 'x')", "UPDATE projection_counters SET builds = 0", "DELETE FROM projection_counters",
			"UPDATE projection_builds SET token = token - 1",
		},
		Objects: `SELECT count(*) FROM sqlite_master WHERE name LIKE '%\_\_b2%' ESCAPE '\'`,
		Broken:  broken(),
	}
}

func broken() [][]databasetest.Breakage {
	return append([][]databasetest.Breakage{{
		{
			Edit: []string{"DROP VIEW boxes", "CREATE VIEW boxes AS SELECT * FROM boxes__b1 WHERE number <> 5"},
			Want: "view boxes: it is not what gxpledger made: CREATE VIEW boxes AS SELECT * FROM boxes__b1 WHERE number <> 5",
		},
		{Edit: []string{"DROP VIEW items"}, Want: `table items: it lacks what gxpledger made: CREATE VIEW "items"`},
		{
			Edit: []string{"DROP TRIGGER moves__b1_no_update"},
			Want: `table moves: it lacks what gxpledger made: CREATE TRIGGER "moves__b1_no_update"`,
		},
		{
			Edit: []string{"CREATE TRIGGER sly AFTER INSERT ON boxes__b1 BEGIN DELETE FROM items__b1; END"},
			Want: "trigger sly: it is not what gxpledger made",
		},
		{Edit: []string{"DROP INDEX boxes__b1_i1"}, Want: `table boxes: it lacks what gxpledger made: CREATE INDEX "boxes__b1_i1"`},
	}, {
		{Edit: []string{"DROP VIEW items", "CREATE INDEX items ON boxes__b1 (number)"}, Want: `table items: it lacks what gxpledger made: CREATE VIEW "items"`},
	}}, databasetest.BrokenCatalogue()...)
}

func TestTablesKeepTheContract(t *testing.T) {
	t.Parallel()
	adapter().Run(t)
}
