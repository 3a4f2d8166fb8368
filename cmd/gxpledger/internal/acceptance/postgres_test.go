package acceptance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// onPostgres returns the address of a new log.
func onPostgres(t *testing.T) string {
	t.Helper()
	address := pgtest.Start(t)
	c := newClient(t)
	c.run(t, "migrate", "up", "--log", address).wantCode(t, 0)
	return address
}

// TestTwoHomesScanIntoOneLogOnPostgreSQL: two machines record at the same time, one and the same repository and one of
// their own each. Every scan lands, with a number of its own, and both see the same.
func TestTwoHomesScanIntoOneLogOnPostgreSQL(t *testing.T) {
	t.Parallel()
	address := onPostgres(t)
	shared := newRepo(t).fill(30)
	shared.commit("Start")
	homes := []client{newClient(t), newClient(t)}
	const rounds = 3
	done := make(chan result)
	for i, home := range homes {
		own := newRepo(t).fill(10 + i)
		own.commit("Start")
		go func() {
			for range rounds {
				done <- home.run(t, "scan", shared.dir, "--name", "shared", "--log", address)
			}
		}()
		go func() { done <- home.run(t, "scan", own.dir, "--name", fmt.Sprintf("own-%d", i), "--log", address) }()
	}
	for range len(homes) * (rounds + 1) {
		if got := <-done; got.code != 0 {
			t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	}
	var seen []string
	for _, home := range homes {
		home.run(t, "verify", "--log", address).wantCode(t, 0)
		got := rows(t, openTables(t, home.home), `SELECT r.name, s.number FROM scans s JOIN repositories r USING (repository_id)
			ORDER BY r.name, s.number`)
		if fmt.Sprint(got) != "[[own-0 1] [own-1 1] [shared 1] [shared 2] [shared 3] [shared 4] [shared 5] [shared 6]]" {
			t.Errorf("scans %v", got)
		}
		all := home.digests(t)
		names := make([]string, 0, len(all))
		for name := range all {
			names = append(names, name+"\n"+all[name])
		}
		slices.Sort(names)
		seen = append(seen, strings.Join(names, "\n"))
	}
	if seen[0] != seen[1] {
		t.Error("the two homes show different tables of one log")
	}
}
