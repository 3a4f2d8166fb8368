//go:build unix

package cli_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server is gone
	return conn
}

// A server of the tables that dies or hangs once the log has the scan keeps the scan from nothing but its tables: it ends,
// with 0, and says so.
func TestAScanEndsWhenTheServerOfItsTablesDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*pgtest.Cluster){
		"dies":  func(c *pgtest.Cluster) { c.Kill() },
		"hangs": func(c *pgtest.Cluster) { c.Freeze(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.NewCluster(t)
			d, r := newFixture(t), newRepo(t).commit("Write it down")
			d.env["GXPLEDGER_DB"], d.env["GXPLEDGER_LEASE"] = server.URL("postgres"), "1s"
			d.patience = 3 * time.Second
			d.run("migrate", "up").wantCode(0)
			d.scan(r).wantCode(0)

			admin, watch := connect(t, server.URL("postgres")), connect(t, server.URL("postgres"))
			// Whoever reads the builds passes, whoever leases one waits: the scan is in the log by then.
			if _, err := admin.Exec(t.Context(), "BEGIN; LOCK TABLE gxp.projection_builds IN EXCLUSIVE MODE"); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				tick := time.NewTicker(5 * time.Millisecond)
				defer tick.Stop()
				for waits := false; !waits; <-tick.C {
					if err := watch.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')").Scan(&waits); err != nil {
						t.Error(err)
						return
					}
				}
				end(server)
			}()
			got := d.scan(r, "--json").wantCode(0)
			<-ended
			<-ended
			var done struct {
				Outcome   string `json:"outcome"`
				Projected *bool  `json:"projected"`
			}
			if err := json.Unmarshal([]byte(got.stdout), &done); err != nil || done.Outcome != "completed" || done.Projected == nil || *done.Projected {
				t.Errorf("%v: %s", err, got.stdout)
			}
			if !strings.Contains(got.stderr, "scan 2 was recorded; the tables do not show it yet: ") {
				t.Errorf("it says %q", got.stderr)
			}
		})
	}
}
