package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wreck overwrites the beginning of a file of the home.
func (d *fixture) wreck(file string) {
	d.t.Helper()
	f, err := os.OpenFile(filepath.Join(d.home, file), os.O_WRONLY, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = f.WriteString("this is no database any more")
	if closed := f.Close(); err != nil || closed != nil {
		d.t.Fatal(err, closed)
	}
}

// remove takes a file, and what SQLite lays beside it, out of the home.
func (d *fixture) remove(file string) {
	d.t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(d.home, file+suffix)); suffix == "" && err != nil {
			d.t.Fatal(err)
		}
	}
}

func TestDamagedTablesAreNamedAndRebuilt(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.wreck("tables.db")
	for _, command := range [][]string{{"scans"}, {"gaps"}, {"projections", "status"}, {"projections", "rebuild", "--all", "--reason", "x"}} {
		d.run(command...).wantCode(1).says(filepath.Join(d.home, "tables.db"), "damaged", "move that file", "the next command builds it again from the log")
	}
	if v := d.verify(3); v.Sound || len(v.Faults) != 1 || v.Faults[0].Code != "tables" || !strings.Contains(v.Faults[0].Remedy, "move that file") {
		t.Errorf("verify found %+v, want the tables and what to do", v.Faults)
	}
	got := d.scan(r, "--links", "flag").wantCode(0)
	if !strings.Contains(got.stderr, "scan 4 was recorded; the tables do not show it yet: ") || !strings.Contains(got.stderr, "move that file") {
		t.Errorf("standard error is %q, want it to tell of the tables", got.stderr)
	}
	d.remove("tables.db")
	d.verify(0)
	if got := d.run("scans").wantCode(0); strings.Count(got.stdout, "completed ") != 3 {
		t.Errorf("after the tables were rebuilt:\n%s\nwant the three scans that completed", got.stdout)
	}
}

func TestAFailedScanTellsOfDamagedTablesToo(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.wreck("tables.db")
	got := d.scan(r).wantCode(1).says("scan 4 was recorded as failed")
	if !strings.Contains(got.stderr, "the failed scan was recorded; the tables do not show it yet: ") {
		t.Errorf("standard error is %q, want it to tell of the tables", got.stderr)
	}
}

func TestTablesOfAnotherLogAreNamedOnce(t *testing.T) { // I14
	t.Parallel()
	d, _ := recorded(t)
	d.tamper("tables.db", "UPDATE projection_builds SET log = '11111111-2222-4333-8444-555555555555'")
	got := d.run("scans").wantCode(1).says("tables do not belong to this log", "gxpledger projections rebuild --all --adopt-log --reason TEXT")
	if n := strings.Count(got.stderr, "do not belong"); n != 1 {
		t.Errorf("standard error is %q, which says it %d times", got.stderr, n)
	}
	status := d.run("projections", "status").wantCode(3)
	if strings.Count(status.stdout, "mismatched") != 3 || strings.Contains(status.stdout, "live") {
		t.Errorf("status is\n%s\nwant every projection mismatched", status.stdout)
	}
	if v := d.verify(3); len(v.Faults) != 3 {
		t.Errorf("verify found %+v, want one fault of each projection", v.Faults)
	}
}

func TestALostLogIsNotReplacedByAnEmptyOne(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.remove("log.db")
	for _, command := range [][]string{{"scans"}, {"verify"}, {"log"}, {"projections", "status"}, {"repository", "retire", "demo", "--reason", "x"}} {
		d.run(command...).wantCode(1).says(filepath.Join(d.home, "log.db")+" is missing", "restore it from a backup")
	}
	d.scan(r, "--links", "flag").wantCode(1).says("log.db is missing", "restore it from a backup", "nothing was recorded", "the failure is spooled in")
	if _, err := os.Stat(filepath.Join(d.home, "log.db")); err == nil {
		t.Error("a new log was made")
	}
}

// Whoever may not write must be able to read: an archived home, or one of another user. The superuser may always write, so
// that only the last check means something when tests run as that.
func TestAHomeThatCannotBeWrittenCanBeRead(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for _, name := range []string{"log.db", "tables.db"} { // as a copy of the two files alone would be
		_ = os.Remove(filepath.Join(d.home, name+"-wal"))
		_ = os.Remove(filepath.Join(d.home, name+"-shm"))
	}
	contents := func() string {
		t.Helper()
		var all strings.Builder
		for _, name := range []string{"log.db", "tables.db"} {
			data, err := os.ReadFile(filepath.Join(d.home, name))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
		return all.String()
	}
	before := contents()
	files, err := filepath.Glob(filepath.Join(d.home, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Chmod(file, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(d.home, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(d.home, 0o700) })
	for _, command := range [][]string{
		{"scans"},
		{"show", "requirements"},
		{"history", "REQ-001"},
		{"diff", "scan:1", "scan:2"},
		{"audit"},
		{"log"},
		{"verify"},
		{"content", ".gxp/requirements/REQ-001.md"},
		{"projections", "status"},
	} {
		d.run(command...).wantCode(0)
	}
	d.run("gaps").wantCode(3)
	if contents() != before {
		t.Error("commands that only read have changed the home")
	}
}

func TestTheBytesOfATooLargeFileAreNotReportedAsKept(t *testing.T) {
	t.Parallel()
	r := newRepo(t).write(".gxp/requirements/REQ-002.md", strings.Repeat("x", 2<<20)).commit("Large")
	if got := newFixture(t).scan(r).wantCode(0); !strings.Contains(got.stdout, "1 file: it is too large, so that nothing of it was kept") {
		t.Errorf("screen is\n%s\nwant it to say that the bytes are not kept", got.stdout)
	}
	r.write(".gxp/requirements/REQ-003.md", "---\ntitle: [never closed\n---\n").commit("Broken too")
	if got := newFixture(t).scan(r).wantCode(0); !strings.Contains(got.stdout, "2 files: the bytes of 1 are kept, the others are too large") {
		t.Errorf("screen is\n%s\nwant it to say which bytes are kept", got.stdout)
	}
}
