package cli_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to write into files as nobody should

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// tamper runs statements on a file of the home, past every guard: triggers are dropped before and made again after.
func (d *fixture) tamper(file string, statements ...string) {
	d.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(d.home, file)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	drop, guard := d.triggers(db)
	for _, group := range [][]string{drop, statements, guard} {
		for _, s := range group {
			if _, err := db.ExecContext(d.t.Context(), s); err != nil {
				d.t.Fatalf("%s: %v", s, err)
			}
		}
	}
}

// triggers returns the statements that drop the triggers of a file, and those that make them.
func (d *fixture) triggers(db *sql.DB) (drop, guard []string) {
	d.t.Helper()
	rows, err := db.QueryContext(d.t.Context(), "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			d.t.Fatal(err)
		}
		drop, guard = append(drop, "DROP TRIGGER "+name), append(guard, text)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return drop, guard
}

// verified is what verify --json says.
type verified struct {
	Sound bool `json:"intact"`
	Log   struct {
		Events int `json:"events"`
	} `json:"log"`
	Faults []struct {
		Code   string `json:"code"`
		Where  string `json:"where"`
		Text   string `json:"text"`
		Remedy string `json:"remedy"`
	} `json:"faults"`
	Warnings []struct {
		Code string `json:"code"`
	} `json:"warnings"`
}

func (d *fixture) verify(code int) verified {
	d.t.Helper()
	var v verified
	if err := json.Unmarshal([]byte(d.run("verify", "--json").wantCode(code).stdout), &v); err != nil {
		d.t.Fatal(err)
	}
	return v
}

func TestVerifyNamesATableThatWasEdited(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.tamper("tables.db", "UPDATE requirements__b1 SET title = 'Harmless' WHERE gxp_id = 'REQ-001'", "DELETE FROM audit_log__b1 WHERE sequence = 5")
	v := d.verify(3)
	if v.Sound || len(v.Faults) != 2 {
		t.Fatalf("faults %+v, want both tables", v.Faults)
	}
	for i, parts := range [][]string{
		{"table requirements", "column title", `stored "Harmless", the log says "The first, again"`, "rebuild artifacts"},
		{"table audit_log", "row 5", "missing", "rebuild audit"},
	} {
		f := v.Faults[i]
		for _, part := range parts {
			if !strings.Contains(f.Where+f.Text+f.Remedy, part) {
				t.Errorf("fault %+v, want it to say %q", f, part)
			}
		}
	}
	screen := d.run("verify").wantCode(3)
	if !strings.Contains(screen.stdout, "2 faults found.") {
		t.Errorf("screen\n%s", screen.stdout)
	}
	d.run("projections", "rebuild", "--all", "--reason", "edited by hand", "--actor", "admin").wantCode(0)
	if v := d.verify(0); !v.Sound || len(v.Faults) != 0 {
		t.Errorf("after a rebuild: %+v", v)
	}
}

func TestVerifyNamesAContentThatIsGone(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	var shown struct {
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal([]byte(d.run("content", ".gxp/requirements/REQ-001.md", "--json").stdout), &shown); err != nil {
		t.Fatal(err)
	}
	d.tamper("log.db", "DELETE FROM contents WHERE hex(sha256) = upper('"+shown.SHA256+"')")
	v := d.verify(3)
	if len(v.Faults) != 1 || v.Faults[0].Code != "content_lost" || v.Faults[0].Where != "content "+shown.SHA256 {
		t.Errorf("faults %+v, want the content", v.Faults)
	}
	d.run("content", ".gxp/requirements/REQ-001.md").wantCode(1).says(shown.SHA256, "gxpledger verify")
}

func TestARebuildIsRecordedWithWhoAndWhy(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	var out struct {
		Rebuilt []struct {
			Projection string `json:"projection"`
			Build      int    `json:"build"`
			Replaced   int    `json:"replaced_build"`
			Events     int    `json:"events"`
			Tables     []struct {
				SHA256 string `json:"sha256"`
			} `json:"tables"`
		} `json:"rebuilt"`
	}
	got := d.run("projections", "rebuild", "history", "--reason", "to \x1b[2J see", "--actor", "admin", "--json").wantCode(0)
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
		t.Fatal(err)
	}
	if r := out.Rebuilt; len(r) != 1 || r[0].Projection != "history" || r[0].Build != 2 || r[0].Replaced != 1 || r[0].Events != 21 || len(r[0].Tables) != 2 {
		t.Errorf("rebuilt %+v", out.Rebuilt)
	}
	d.run("audit", "--resource", "engine").wantCode(0).golden("audit_rebuild.txt")
	d.run("projections", "status").wantCode(0).golden("projections_rebuilt.txt")
	d.run("log", "--stream", "engine").wantCode(0).golden("log_rebuild.txt")
}

func TestARebuildThatFailsIsRecordedAndLeavesTheTables(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.tamper("tables.db", "UPDATE projection_builds SET log = '11111111-2222-4333-8444-555555555555' WHERE projection = 'audit'")
	d.run("projections", "rebuild", "audit", "--reason", "why not").wantCode(1).says("audit", "nothing was changed", "--adopt-log")
	d.run("audit").wantCode(1)
	d.run("projections", "rebuild", "audit", "--reason", "this is the right log", "--adopt-log").wantCode(0)
	got := d.run("audit", "--resource", "engine").wantCode(0)
	if strings.Count(got.stdout, "ADMIN_PROJECTION_REBUILD") != 2 || !strings.Contains(got.stdout, "failed") || !strings.Contains(got.stdout, "succeeded") {
		t.Errorf("the trail does not hold both acts:\n%s", got.stdout)
	}
}

func TestNoGapsIsExitCodeZero(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.git("rm", "-q", "-r", "--cached", "--ignore-unmatch", ".gxp/requirements")
	r.write(".gxp/requirements/REQ-001.md", "").git("rm", "-q", "-f", "--cached", "--ignore-unmatch", ".gxp/requirements/REQ-001.md")
	r.write(".gitignore", ".gxp/requirements\n").commit("Only the context")
	d.scan(r).wantCode(0)
	d.run("gaps").wantCode(0).golden("gaps_none.txt")
	d.run("show", "requirements").wantCode(0).golden("show_empty.txt")
}

func TestLogFollowsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		system := cli.System{Stdin: strings.NewReader(""), Stdout: write, Stderr: io.Discard, Env: func(string) (string, bool) { return "", false }, Now: d.now}
		done <- system.Run(ctx, []string{"log", "--follow", "--after", "20", "--json", "--home", d.home})
		_ = write.Close()
	}()
	lines := bufio.NewScanner(read)
	next := func() (position int, kind string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("no line: %v", lines.Err())
		}
		var line struct {
			Position int             `json:"position"`
			Type     string          `json:"type"`
			Data     json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || len(line.Data) == 0 {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		return line.Position, line.Type
	}
	if at, kind := next(); at != 21 || kind != "scan.failed.v2" {
		t.Errorf("first %d %s, want 21 scan.failed.v2", at, kind)
	}
	d.scan(r, "--links", "flag").wantCode(0)
	if at, kind := next(); at != 22 || kind != "artifact.parsed.v2" {
		t.Errorf("then %d %s, want what was scanned meanwhile", at, kind)
	}
	if at, kind := next(); at != 23 || kind != "scan.completed.v2" {
		t.Errorf("then %d %s, want the scan", at, kind)
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d after Ctrl-C, want 0", code)
	}
}
