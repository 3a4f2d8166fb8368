package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnExportHoldsAllOfAScanAndNothingLater exports a scan with names that collide, and reads the folder as its receiver does.
func TestAnExportHoldsAllOfAScanAndNothingLater(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t)
	first := "---\ngxp_id: REQ-001\ntitle: The first\ngxp_risk_rating: HIGH\ndescription: it\n---\n"
	r.requirement("req-001", "Its shadow").write(".gxp/requirements/con.md", "---\ngxp_id: \"=1\"\ntitle: x\n---\n").
		write(".gxp/requirements/broken.md", "no front matter").commit("One")
	d.scan(r).wantCode(0)
	d.scan(r.requirement("REQ-001", "Later").commit("Two")).wantCode(0)
	out := filepath.Join(t.TempDir(), "release")
	told := d.run("export", "--scan", "1", "--out", out).wantCode(0)
	if !strings.Contains(told.stdout, "As of scan:1") || !strings.Contains(told.stdout, "Files       5 originals") {
		t.Errorf("the screen says\n%s", told.stdout)
	}
	if program, err := exec.LookPath("sha256sum"); err == nil {
		check := exec.CommandContext(t.Context(), program, "--strict", "--quiet", "-c", "SHA256SUMS")
		check.Dir = out
		if text, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum -c: %v\n%s", err, text)
		}
	}
	if got := files(t, filepath.Join(out, "documents")); got != "audit.csv audit.html audit.json files.csv files.html files.json gaps.csv gaps.html gaps.json "+
		"matrix.csv matrix.html matrix.json matrix.xlsx" {
		t.Errorf("the documents are %s", got)
	}
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	places := map[string]string{}
	records, err := csv.NewReader(strings.NewReader(read("documents/files.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		places[record[10]] = record[11]
	}
	for path, place := range map[string]string{
		".gxp/requirements/REQ-001.md": "files/.gxp/requirements/REQ-001.md", ".gxp/requirements/req-001.md": "files/%~2/.gxp/requirements/req-001.md",
		".gxp/requirements/con.md": "files/.gxp/requirements/%63on.md", ".gxp/requirements/broken.md": "files/.gxp/requirements/broken.md",
	} {
		if places[path] != place {
			t.Errorf("%s is at %q, want %q", path, places[path], place)
		}
	}
	if got := read(places[".gxp/requirements/REQ-001.md"]); got != first {
		t.Errorf("the original is %q", got)
	}
	if page := read("documents/matrix.html"); strings.Contains(page, "Later") || !strings.Contains(page, "scan:1, as it was asked for") {
		t.Error("the matrix is not that of scan 1")
	}
	if !bytes.HasPrefix([]byte(read("tables.db")), []byte("SQLite format 3")) {
		t.Error("tables.db is no database")
	}
	var document struct {
		AsOf struct {
			Position int `json:"position"`
		} `json:"as_of"`
		Files []any `json:"files"`
	}
	if err := json.Unmarshal([]byte(read("export.json")), &document); err != nil || document.AsOf.Position == 0 || len(document.Files) != 5 {
		t.Errorf("export.json holds %+v, %v", document, err)
	}
	d.run("export", "--scan", "1", "--out", out).wantCode(1).says("is there already")
	if got := files(t, filepath.Dir(out)); got != "release" {
		t.Errorf("beside the folder is %s", got)
	}
}

// A content that the log lacks, or an export that is interrupted, leaves no folder.
func TestAnExportThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("One")
	d.scan(r).wantCode(0)
	d.tamper("log.db", "DELETE FROM contents")
	folder := t.TempDir()
	d.run("export", "--scan", "1", "--out", filepath.Join(folder, "release")).wantCode(1).says("the log does not hold the content", "gxpledger verify")
	if got := files(t, folder); got != "" {
		t.Errorf("the folder holds %s", got)
	}
	d.run("search", "first").wantCode(1).says("the log does not hold the content", "gxpledger verify")
}
