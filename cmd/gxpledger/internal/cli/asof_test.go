package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shown is what documents say of the past that they show.
type shown struct {
	AsOf *struct {
		Given      string    `json:"given"`
		Position   int       `json:"position"`
		RecordedAt time.Time `json:"recorded_at"`
		Head       int       `json:"head"`
		Scans      []struct {
			Repository string `json:"repository"`
			Scan       int    `json:"scan"`
			Commit     string `json:"commit_sha"`
		} `json:"scans"`
	} `json:"as_of"`
}

// readers are all commands that show a past, with what they are asked.
func readers() []string {
	return []string{
		"scans", "show requirements", "show requirement REQ-002", "show links", "show findings", "show rejected", "history REQ-002",
		"gaps", "matrix", "audit", "content .gxp/requirements/REQ-002.md",
	}
}

func TestEveryReadingCommandSaysWhichPastItShows(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for _, command := range readers() {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			d := d.in(t)
			args := append(strings.Fields(command), "--as-of", "pos:3")
			screen := d.run(args...)
			const head = "As of pos:3: position 13 of 21, recorded at 2026-03-01T12:00:00Z.\n" +
				"demo: scan 1, recorded at 2026-03-01T12:00:00Z, commit 7b2f85981c82\n"
			if all := screen.stdout + screen.stderr; strings.Count(all, head) != 1 {
				t.Errorf("the screen does not say once which past it shows:\n%s", all)
			}
			var s shown
			if err := json.Unmarshal([]byte(d.run(append(args, "--json")...).stdout), &s); err != nil {
				t.Fatal(err)
			}
			if a := s.AsOf; a == nil || a.Given != "pos:3" || a.Position != 13 || a.Head != 21 || a.RecordedAt.Minute() != 0 || len(a.Scans) != 1 ||
				a.Scans[0].Scan != 1 || a.Scans[0].Repository != "demo" || !strings.HasPrefix(a.Scans[0].Commit, "7b2f85981c82") {
				t.Errorf("the document says %+v", s.AsOf)
			}
		})
	}
}

func TestThePresentSaysNothingOfThePast(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for _, command := range readers() {
		args := strings.Fields(strings.ReplaceAll(command, "REQ-002.md", "REQ-001.md"))
		if screen := d.run(args...); strings.Contains(screen.stdout+screen.stderr, "As of") {
			t.Errorf("%s says that it shows a past:\n%s", command, screen.stdout)
		}
		document := d.run(append(args, "--json")...).stdout
		if !strings.Contains(document, `"as_of"`) || strings.Contains(document, `"given"`) {
			t.Errorf("%s --json does not say that it shows the present:\n%s", command, document)
		}
	}
}

func TestAPastNeedsNoTables(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	tables := filepath.Join(d.home, "tables.db")
	for _, c := range []struct {
		name    string
		prepare func() error
	}{
		{"damaged", func() error { return os.WriteFile(tables, []byte("no database"), 0o600) }},
		{"absent", func() error { return os.Remove(tables) }},
	} {
		if err := c.prepare(); err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"2026-03-01T12:00:00Z", "pos:13"} {
			if got := d.run("show", "requirements", "--as-of", when).wantCode(0); !strings.Contains(got.stdout, "REQ-002.md") {
				t.Errorf("tables %s, as of %s:\n%s", c.name, when, got.stdout)
			}
		}
	}
	if _, err := os.Stat(tables); !os.IsNotExist(err) {
		t.Errorf("looking at the past made present tables: %v", err)
	}
	d.run("scans", "--as-of", "scan:2").wantCode(0) // which they are needed for, and made
}

func TestThePastOfAnUnknownRepositoryIsNotThePresent(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.run("scan", r.dir, "--name", "other", "--actor", "tester@site", "--links", "flag").wantCode(0)
	d.run("scans", "--repository", "other").wantCode(0)
	d.run("scans", "--repository", "other", "--as-of", "pos:21").wantCode(1).
		says(`there is no repository "other"`, "this is as of pos:21, position 21 of 2026-03-01T12:02:00Z")
	both := d.run("matrix", "--as-of", "2026-03-01").wantCode(0)
	if !strings.Contains(both.stdout, "demo: scan 2, recorded at 2026-03-01T12:01:00Z, commit 0ad75674aa41; scan 3 was refused since") ||
		!strings.Contains(both.stdout, "\nother: scan 1, ") || !strings.Contains(both.stdout, "position 35 of 35") {
		t.Errorf("both are not named:\n%s", both.stdout)
	}
	one := d.run("matrix", "--as-of", "scan:1", "--repository", "other").wantCode(0)
	if strings.Contains(one.stdout, "demo") || !strings.Contains(one.stdout, "other: scan 1, ") {
		t.Errorf("a repository that was not asked for is named:\n%s", one.stdout)
	}
}

func TestBeforeAnyScanNothingWasThere(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).story("US-1", "REQ-404").commit("Refused")
	d.scan(r).wantCode(1)
	d.scan(r, "--links", "flag").wantCode(0)
	if got := d.run("scans", "--as-of", "pos:1").wantCode(0); !strings.Contains(got.stdout, "demo: no completed scan; scan 1 was refused: see gxpledger scans") {
		t.Errorf("as of the failed scan:\n%s", got.stdout)
	}
	d.run("matrix", "--as-of", "pos:1").wantCode(1).says(`no scan of "demo" completed`)
}
