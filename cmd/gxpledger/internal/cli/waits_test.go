package cli_test

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/projections"
	tables "github.com/gxpledger/gxpledger/projections/sqlite"
)

// occupy lets another process hold the leases of active builds. They do not run out, since the clock stands still.
func (d *fixture) occupy(names ...string) {
	d.t.Helper()
	db, err := tables.Open(d.t.Context(), filepath.Join(d.home, "tables.db"), tables.Options{Now: d.now})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range names {
		ref := projections.Ref{Projection: name, Number: 1}
		if _, err := projections.Acquire(d.t.Context(), db, ref, projections.LeaseRequest{Holder: "other:4711", TTL: 9 * time.Second}); err != nil {
			d.t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// wantWait checks that a command said, once, for whom it waits, since when and for how long at most.
func (r result) wantWait(what string) result {
	r.t.Helper()
	line := regexp.MustCompile(`(?m)^waiting for (.*) since 2026-03-01T12:\d\d:00Z, at most \S+ in all$`)
	told := 0
	for _, match := range line.FindAllStringSubmatch(r.stderr, -1) {
		if strings.Contains(match[1], what) {
			told++
		}
	}
	if told != 1 {
		r.t.Errorf("%q: standard error is %q, want one line that says that it waits for %s", r.args, r.stderr, what)
	}
	return r
}

// A scan that another process keeps from the tables is recorded all the same, and says so.
func TestAWaitForThoseWhoWriteTheTablesIsToldAndEnds(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.occupy(gxpledger.Projections()...)
	d.silence = time.Millisecond
	got := d.scan(r, "--links", "flag", "--wait", "300ms").wantCode(0).wantWait("the process other:4711, which writes the tables of artifacts")
	for _, part := range []string{"scan 4 was recorded; the tables do not show it yet: ", "waited for 300ms: ", "other:4711 holds it until"} {
		if !strings.Contains(got.stderr, part) {
			t.Errorf("the scan says %q, want %q in it", got.stderr, part)
		}
	}
	got = d.run("show", "requirements", "--wait", "300ms").wantCode(1).wantWait("the process other:4711")
	if !strings.Contains(got.stderr, "other:4711 holds it until") || !strings.Contains(got.stderr, "gxpledger projections status") {
		t.Errorf("show says %q, want who holds the tables and what to do", got.stderr)
	}
	d.silence = time.Hour
	status := d.run("projections", "status").wantCode(0)
	if strings.Count(status.stdout, "written by other:4711 (lease: 9 s left)") != 3 && strings.Count(status.stdout, "written by other:4711 (lease: 9s left)") != 3 {
		t.Errorf("status shows\n%s\nwant who holds the leases, and for how long", status.stdout)
	}
	var document struct {
		Projections []struct {
			Holder string  `json:"holder"`
			Left   float64 `json:"lease_seconds_left"`
		} `json:"projections"`
	}
	status = d.run("projections", "status", "--json").wantCode(0)
	if err := json.Unmarshal([]byte(status.stdout), &document); err != nil || document.Projections[0].Holder != "other:4711" || document.Projections[0].Left != 9 {
		t.Errorf("status --json writes %s, %v", status.stdout, err)
	}
}

// Tables that a command does not show may be behind.
func TestAWaitForTablesThatAreNotShownIsNoFailure(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.occupy(gxpledger.History)
	d.scan(r, "--links", "flag", "--wait", "2s").wantCode(0)
	got := d.run("audit", "--wait", "2s").wantCode(0)
	if !strings.Contains(got.stderr, "history build 1: ") || !strings.Contains(got.stderr, "other:4711 holds it until") || strings.Contains(got.stderr, "audit build") {
		t.Errorf("audit says %q, want that the tables of history are behind", got.stderr)
	}
}

// A log that another process keeps locked is waited for as long as --wait says, and nothing is lost.
func TestAWaitForTheLockOfTheLogIsToldAndEnds(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	db, err := sql.Open("sqlite", filepath.Join(d.home, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	d.silence = time.Millisecond
	got := d.scan(r, "--links", "flag", "--wait", "200ms").wantCode(1)
	for _, part := range []string{
		"waiting for the log in ", "another connection keeps the log locked", "since 2026-03-01T12:02:00Z, at most 200ms in all",
		"nothing was recorded; the failure is spooled in ",
	} {
		if !strings.Contains(got.stderr, part) {
			t.Errorf("the scan says %q, want %q in it", got.stderr, part)
		}
	}
	if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	d.silence = time.Hour
	if got := d.scan(r, "--links", "flag").wantCode(0); strings.Contains(got.stderr, "waiting") {
		t.Errorf("the scan says %q after the lock", got.stderr)
	}
}

func TestAWaitIsALineOfJSONWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.scan(newRepo(t).commit("One"), "--name", "other").wantCode(0)
	d.occupy(gxpledger.Projections()...)
	r := newRepo(t).commit("One")
	d.silence = time.Millisecond
	got := d.scan(r, "--name", "third", "--wait", "300ms", "--json").wantCode(0)
	for line := range strings.Lines(got.stderr) {
		var told struct {
			Waiting string `json:"waiting"`
			Since   string `json:"since"`
			Limit   string `json:"limit"`
		}
		if json.Unmarshal([]byte(line), &told) == nil && strings.Contains(told.Waiting, "other:4711") && told.Limit == "300ms" && told.Since != "" {
			return
		}
	}
	t.Errorf("standard error is %q, want a line of JSON on the wait", got.stderr)
}
