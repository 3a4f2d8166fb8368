//go:build unix

package cli_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// Tables that went through the migration of the checkpoints keep, until they are written again, a checkpoint that does not say where its
// event stands in its stream: it is checked by its position, a log that has another event there is refused, and the next page gives it
// its new form (I14, I19).
func TestACheckpointOfTheOlderFormIsCheckedAndRenewed(t *testing.T) {
	t.Parallel()
	onFile := func(t *testing.T, d *fixture) (exec func(string) int) {
		t.Helper()
		return func(statement string) int {
			db, err := sql.Open("sqlite", "file:"+filepath.Join(d.home, "tables.db")+"?_pragma=busy_timeout(10000)")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			done, err := db.ExecContext(t.Context(), fmt.Sprintf(statement, "projection_builds"))
			if err != nil {
				t.Fatal(err)
			}
			n, err := done.RowsAffected()
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
	}
	for name, prepare := range map[string]func(t *testing.T, d *fixture) func(string) int{
		"SQLite": onFile,
		"PostgreSQL": func(t *testing.T, d *fixture) func(string) int {
			t.Helper()
			address := pgtest.Start(t)
			d.env["GXPLEDGER_DB"] = address
			d.run("migrate", "up").wantCode(0)
			conn := connect(t, address)
			return func(statement string) int {
				done, err := conn.Exec(t.Context(), fmt.Sprintf(statement, "gxp.projection_builds"))
				if err != nil {
					t.Fatal(err)
				}
				return int(done.RowsAffected())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, r := newFixture(t), newRepo(t).commit("Write it down")
			d.env["GXPLEDGER_LOG"] = esdbtest.StartFake(t).URL()
			exec := prepare(t, d)
			d.scan(r).wantCode(0)
			const older = "UPDATE %s SET stream = NULL, revision = NULL WHERE position > 0"
			exec(older)
			d.run("show", "requirements").wantCode(0)
			d.scan(r).wantCode(0)
			if n := exec("UPDATE %s SET revision = revision WHERE position > 0 AND stream IS NULL"); n != 0 {
				t.Errorf("%d checkpoints were not renewed", n)
			}
			exec(older)
			if n := exec("UPDATE %s SET event = '6f1b1f5e-0000-5000-8000-000000000009' WHERE position > 0"); n == 0 {
				t.Fatal("there is no checkpoint")
			}
			d.run("show", "requirements").wantCode(1).says("tables do not belong to this log")
			d.scan(r).wantCode(1)
		})
	}
}
