package cli_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// kept opens a file that replay made, as any SQL tool would.
func kept(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// text returns the one value of a query.
func text(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var out string
	if err := db.QueryRowContext(t.Context(), query).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// files lists a folder.
func files(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestReplayMakesAFileThatSaysWhatItIs(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "past.db")
	made := d.run("replay", "--to", "scan:1", "--into", path).wantCode(0)
	made.stdout = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(made.stdout, "HASH")
	made.stdout = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(made.stdout, "LOG-ID")
	made.stdout = regexp.MustCompile(`by gxpledger .*`).ReplaceAllString(made.stdout, "by gxpledger VERSION")
	made.golden("replay_into.txt", path, "past.db")
	if got := files(t, folder); got != "past.db" {
		t.Errorf("the folder holds %s; want the one file", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file %v, %v; want it for its owner alone", info.Mode(), err)
	}
	db := kept(t, path)
	const about = "SELECT position || ' ' || recorded_at || ' ' || log_head || ' ' || as_of || ' ' || made_at || ' ' || substr(made_by, 1, 9) FROM about"
	if got := text(t, db, about); got != "13 2026-03-01T12:00:00.000000Z 21 scan:1 2026-03-01T12:02:00.000000Z gxpledger" {
		t.Errorf("about says %s", got)
	}
	if got := text(t, db, "SELECT log_id FROM about"); got != d.logID() {
		t.Errorf("about says that the log is %s, want %s", got, d.logID())
	}
	if got := text(t, db, "SELECT group_concat(path, ' ') FROM (SELECT path FROM requirements ORDER BY path)"); !strings.Contains(got, "REQ-002.md") ||
		strings.Contains(got, "REQ-404") {
		t.Errorf("requirements are %s, want those of scan 1", got)
	}
	if got := text(t, db, "SELECT column_doc FROM catalogue WHERE table_name = 'requirements' AND column_name = 'risk'"); got == "" {
		t.Error("the catalogue explains nothing")
	}
	for _, statement := range []string{"UPDATE about SET position = 1", "DELETE FROM about", "INSERT INTO about SELECT * FROM about", "DELETE FROM audit_log__b1"} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s was let through", statement)
		}
	}
	if got := text(t, db, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("integrity: %s", got)
	}
}

// logID is the id of the log of the fixture, as its checkpoint has it.
func (d *fixture) logID() string {
	d.t.Helper()
	return text(d.t, kept(d.t, filepath.Join(d.home, "tables.db")), "SELECT DISTINCT log FROM projection_builds")
}

func TestReplayedTablesHaveTheDigestsOfThePresentOnes(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	type table struct {
		Table, SHA256 string
		Rows          int
	}
	var made struct {
		shown
		Into   string
		Tables []struct{ Tables []table }
	}
	var verified struct {
		Tables []struct{ Tables []table }
	}
	path := filepath.Join(t.TempDir(), "now.db")
	for command, into := range map[string]any{"verify --json": &verified, "replay --to 2026-03-01 --json --into " + path: &made} {
		if err := json.Unmarshal([]byte(d.run(strings.Fields(command)...).wantCode(0).stdout), into); err != nil {
			t.Fatal(err)
		}
	}
	var got, want []table
	for i := range made.Tables {
		got, want = append(got, made.Tables[i].Tables...), append(want, verified.Tables[i].Tables...)
	}
	if len(got) < 18 || len(got) != len(want) || made.Into != path || made.AsOf.Position != 21 {
		t.Fatalf("%d tables in %s as of %+v, %d verified", len(got), made.Into, made.AsOf, len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("replayed %v, verified %v", got[i], want[i])
		}
	}
}

func TestReplayReplacesOnlyWhatItIsToldToAndMay(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "a.db")
	replay := func(more ...string) result {
		return d.run(append([]string{"replay", "--into", path, "--to"}, more...)...)
	}
	replay("scan:1").wantCode(0)
	replay("scan:2").wantCode(1).says("exists already", "--force")
	if got := text(t, kept(t, path), "SELECT as_of FROM about"); got != "scan:1" {
		t.Errorf("it is as of %s", got)
	}
	replay("scan:2", "--force").wantCode(0)
	if got := text(t, kept(t, path), "SELECT as_of FROM about"); got != "scan:2" {
		t.Errorf("it is as of %s", got)
	}

	for name, content := range map[string]string{"a.db-wal": "x", "a.db-journal": "x"} {
		beside := filepath.Join(folder, name)
		if err := os.WriteFile(beside, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		replay("scan:1", "--force").wantCode(1).says(name, "in use or was not closed")
		if err := os.Remove(beside); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(filepath.Join(d.home, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(folder, "copy-of-log.db")
	if err := os.WriteFile(copied, before, 0o600); err != nil {
		t.Fatal(err)
	}
	d.run("replay", "--to", "scan:1", "--into", copied, "--force").wantCode(1).says("did not create")
	if after, err := os.ReadFile(copied); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a log was touched: %v", err)
	}
	path = filepath.Join(folder, "notes.txt")
	if err := os.WriteFile(path, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	replay("scan:1", "--force").wantCode(0)
	if got := text(t, kept(t, path), "SELECT as_of FROM about"); got != "scan:1" {
		t.Errorf("it is as of %s", got)
	}
}

func TestAReplayThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "a.db")
	if err := os.WriteFile(path, []byte("what was there"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.bare(ctx, "replay", "--to", "scan:1", "--into", path, "--force", "--home", d.home).wantCode(1)
	d.tamper("log.db", "UPDATE chunks SET checksum = zeroblob(32) WHERE last = (SELECT min(last) FROM chunks)")
	d.run("replay", "--to", "pos:20", "--into", path, "--force").wantCode(1).says("corrupt")
	if got, err := os.ReadFile(path); err != nil || string(got) != "what was there" {
		t.Errorf("the file that was there holds %q, %v", got, err)
	}
	if got := files(t, folder); got != "a.db" {
		t.Errorf("the folder holds %s; want nothing but what was there", got)
	}
}

func TestAMatrixIsWrittenWhole(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "matrix.html")
	wrote := d.run("matrix", "--format", "html", "--output", path, "--as-of", "scan:1").wantCode(0)
	if !strings.Contains(wrote.stdout, "8 artifacts in 5 rows: 0 failed, 1 orphaned") || !strings.Contains(wrote.stdout, "Written to "+path) {
		t.Errorf("the screen says %s", wrote.stdout)
	}
	shown := d.run("matrix", "--format", "html", "--as-of", "scan:1")
	if got, err := os.ReadFile(path); err != nil || string(got) != shown.stdout {
		t.Errorf("the file is not what the screen shows: %v", err)
	}
	for _, format := range []string{"table", "csv", "json"} { // over what is there
		path := filepath.Join(folder, "matrix")
		d.run("matrix", "--format", format, "--output", path).wantCode(0)
		if got, err := os.ReadFile(path); err != nil || string(got) != d.run("matrix", "--format", format).stdout {
			t.Errorf("%s: the file is not what the screen shows: %v", format, err)
		}
	}
	if silent := d.run("matrix", "--json", "--output", filepath.Join(folder, "matrix")).wantCode(0); silent.stdout != "" {
		t.Errorf("--json --output writes %s", silent.stdout)
	}
	d.run("matrix", "--output", filepath.Join(folder, "none", "x")).wantCode(1).says("cannot be created")
	if got := files(t, folder); got != "matrix matrix.html" {
		t.Errorf("the folder holds %s", got)
	}
	if _, err := os.Stat(filepath.Join(d.home, "tables.db")); err != nil {
		t.Fatal(err)
	}
	d.run("matrix", "--output", filepath.Join(d.home, "tables.db")).wantCode(1).says("is a database")
	if err := os.Mkdir(filepath.Join(folder, "d"), fs.FileMode(0o700)); err != nil {
		t.Fatal(err)
	}
	d.run("matrix", "--output", filepath.Join(folder, "d")).wantCode(1)
	if got := files(t, folder); got != "d matrix matrix.html" {
		t.Errorf("the folder holds %s", got)
	}
}

// The tables of a home are never written over, whatever is asked for. Nobody else uses the home meanwhile.
func TestAReplayDoesNotTakeThePlaceOfTables(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	into := filepath.Join(d.home, "tables.db")
	d.run("replay", "--to", "scan:1", "--into", into).wantCode(1).says("exists already", "--force")
	d.run("replay", "--to", "scan:1", "--into", into, "--force").wantCode(1).says("did not create")
}
