package cli_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// A query that never ends keeps a rebuild from showing its tables, and a prune from removing them, for as long as --wait.
func TestAWaitForQueriesOnPostgreSQLIsToldAndEnds(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("One")
	address := pgtest.Start(t)
	d.env["GXPLEDGER_DB"] = address
	d.run("migrate", "up").wantCode(0)
	d.scan(r).wantCode(0)
	conn, err := pgx.Connect(t.Context(), pgtest.With(address, "application_name=reports"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	reads := func(query string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	rebuild := []string{"projections", "rebuild", "artifacts", "--reason", "x"}
	reads("BEGIN; SELECT count(*) FROM gxp.requirements")
	d.silence = time.Millisecond
	d.run(append(rebuild, "--wait", "2s")...).wantCode(1).wantWait("queries of the tables of artifacts, to show readers build 2").
		says("queries of the former tables did not end within 2s", "the next rebuild activates it")
	reads("ROLLBACK")
	d.silence = time.Hour
	d.run(rebuild...).wantCode(0)
	reads("BEGIN; SELECT count(*) FROM gxp.requirements__b1")
	d.silence = time.Millisecond
	prune := []string{"projections", "prune", "artifacts", "--reason", "x"}
	d.run(append(prune, "--wait", "2s")...).wantCode(1).wantWait("queries of the retired tables of artifacts").
		says("queries of the retired tables of artifacts did not end within 2s", "nothing was removed")
	reads("ROLLBACK")
	d.silence = time.Hour
	if got := d.run(prune...).wantCode(0); !strings.Contains(got.stdout, "artifacts: 1") {
		t.Errorf("prune says\n%s", got.stdout)
	}
}

// An administrator who finds a session of gxpledger on the server sees which command it is.
func TestASessionOnPostgreSQLNamesItsCommand(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("One")
	address := made(t)
	d.env["GXPLEDGER_LOG"] = address
	d.scan(r).wantCode(0)
	s := d.serve()
	var named, unnamed int
	const sessions = `SELECT count(*) FILTER (WHERE application_name = 'gxpledger serve'), count(*) FILTER (WHERE application_name = 'gxpledger')
		FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if err := conn.QueryRow(t.Context(), sessions).Scan(&named, &unnamed); err != nil || named == 0 || unnamed > 0 {
		t.Errorf("%d sessions are named, and %d are not, %v", named, unnamed, err)
	}
	s.stop()
}

// awaited is written to until a text is in it.
type awaited struct {
	mu    sync.Mutex
	bytes bytes.Buffer
	text  string
	once  sync.Once
	found chan struct{}
}

func (a *awaited) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes.Write(p)
	if strings.Contains(a.bytes.String(), a.text) {
		a.once.Do(func() { close(a.found) })
	}
	return len(p), nil
}

// Who waits for a lock on a server is told which session has it, before the wait ends.
func TestAWaitForALockOnPostgreSQLNamesItsHolder(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("One")
	address := made(t)
	d.env["GXPLEDGER_LOG"] = address
	d.scan(r).wantCode(0)
	conn, err := pgx.Connect(t.Context(), pgtest.With(address, "application_name=reports"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT position FROM gxp_log.head FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	stderr := &awaited{text: `holds it, application "reports", user "`, found: make(chan struct{})}
	system := cli.System{
		Silence: time.Hour, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: stderr, Now: time.Now,
		Env: func(name string) (string, bool) { value, ok := d.env[name]; return value, ok },
	}
	code := make(chan int, 1)
	go func() {
		code <- system.Run(t.Context(), []string{"scan", r.dir, "--wait", "2m", "--actor", "a", "--home", d.home})
	}()
	select {
	case <-stderr.found:
	case got := <-code:
		t.Fatalf("the scan ends with %d and %q", got, stderr.bytes.String())
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 0 {
		t.Errorf("the scan ends with %d and %q", got, stderr.bytes.String())
	}
}
