package pgtest_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var out string
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := pgtest.Start(t), pgtest.Start(t)
	execute(t, one, "CREATE TABLE a AS SELECT 1 AS x")
	if got := query(t, one, "SELECT coalesce(to_regclass('public.a')::text, 'none')"); got != "a" {
		t.Errorf("the table in its own database is %q", got)
	}
	if got := query(t, other, "SELECT coalesce(to_regclass('public.a')::text, 'none')"); got != "none" {
		t.Errorf("the table in another database is %q", got)
	}
	if got := query(t, one, "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
}

func TestAClusterSurvivesItsDeath(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	url := c.Database(t)
	execute(t, url, "CREATE TABLE a AS SELECT 1 AS x")
	c.Kill()
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Fatal("the server answers after it was killed")
	}
	c.Restart(t)
	if got := query(t, url, "SELECT count(*)::text FROM a"); got != "1" {
		t.Errorf("%s rows after the restart", got)
	}
}

// TestTheJanitorCleansUpAfterAPanic runs a test binary that starts a server and then kills itself.
func TestTheJanitorCleansUpAfterAPanic(t *testing.T) {
	t.Parallel()
	if os.Getenv("PGTEST_DIE") != "" {
		url := pgtest.NewCluster(t).URL("postgres")
		_, _ = os.Stdout.WriteString("data " + query(t, url, "SHOW data_directory") + "\n")
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		_ = self.Kill()
		select {}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheJanitorCleansUpAfterAPanic$")
	cmd.Env = append(os.Environ(), "PGTEST_DIE=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found, ok := strings.CutPrefix(lines.Text(), "data "); ok {
			dir = found
		}
	}
	_ = cmd.Wait() // it killed itself
	if dir == "" {
		t.Fatal("the child did not say where its server is")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
}
