package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// withPast is a repository with three commits, of which the second has a broken link.
func withPast(t *testing.T) repo {
	t.Helper()
	r := newRepo(t).commit("Write it down").story("US-001", "REQ-404").commit("Break it")
	r.git("tag", "v1", "HEAD~1")
	return r.story("US-001", "REQ-001").commit("Repair it")
}

// Each commit is one line, and a summary ends them. What failed is an exit code, and goes on failing until it is recorded or left behind.
func TestAHistoryIsScannedCommitByCommit(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), withPast(t)
	d.scan(r, "--history").wantCode(1).golden("scan_history.txt", r.dir, "REPO")
	again := d.scan(r, "--history").wantCode(0)
	if !strings.Contains(again.stdout, "Nothing to record") {
		t.Errorf("scanning again shows %q", again.stdout)
	}
	shown := d.run("show", "requirements", "--as-of-commit-date", "2026-02-04").wantCode(0).stdout
	if first, _, _ := strings.Cut(shown, "\n"); !strings.HasPrefix(first, "As of commit-date:2026-02-04 (by commit dates, which git claims): position 7 of 7,") {
		t.Errorf("the first line is %q", first)
	}
	if shown = d.run("gaps", "--as-of-commit-date", "2026-02-04", "--json").stdout; !strings.Contains(shown, `"by_commit_date": true`) {
		t.Errorf("JSON does not say how the point was found: %s", shown)
	}
	if shown = d.run("diff", "v1", "main").wantCode(0).stdout; !strings.Contains(shown, "1 new") {
		t.Errorf("between a tag and a branch: %q", shown)
	}
}

func TestAHistoryIsScannedInLinesOfJSON(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), withPast(t)
	got := d.scan(r, "--history", "--json").wantCode(1)
	var outcomes []string
	for line := range strings.Lines(got.stdout) {
		var scan struct {
			N       int    `json:"n"`
			Of      int    `json:"of"`
			Commit  string `json:"commit_sha"`
			Outcome string `json:"outcome"`
			Error   string `json:"error"`
			Summary *struct {
				Commits   int `json:"commits"`
				Completed int `json:"completed"`
				Failed    int `json:"failed"`
				Left      int `json:"left"`
			} `json:"summary"`
		}
		if err := json.Unmarshal([]byte(line), &scan); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if s := scan.Summary; s != nil {
			if outcomes = append(outcomes, "summary"); s.Commits != 3 || s.Completed != 2 || s.Failed != 1 || s.Left != 0 {
				t.Errorf("the summary is %+v", s)
			}
			continue
		}
		outcomes = append(outcomes, scan.Outcome)
		if scan.N != len(outcomes) || scan.Of != 3 || len(scan.Commit) != 40 || (scan.Error == "") != (scan.Outcome == "completed") {
			t.Errorf("the line is %+v", scan)
		}
	}
	if all := strings.Join(outcomes, " "); all != "completed failed completed summary" {
		t.Errorf("the lines are %s", all)
	}
}

// On the main line a scan goes back only for a reason.
func TestAScanThatGoesBackIsRefusedOnTheMainLine(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), withPast(t)
	d.scan(r).wantCode(0)
	d.run("repository", "set", "demo", "--main-line", "main", "--reason", "change request 17").wantCode(0)
	d.scan(r, "--ref", "v1").wantCode(1).golden("scan_rewind_refused.txt", r.dir, "REPO")
	if got := d.scan(r, "--ref", "v1", "--allow-rewind", "--reason", "v2 was withdrawn").wantCode(0).stdout; !strings.Contains(got, "History     went back from commit ") || !strings.Contains(got, "went_back") {
		t.Errorf("going back shows %q", got)
	}
	if got := d.scan(r).wantCode(0).stdout; !strings.Contains(got, "History     continues from commit ") {
		t.Errorf("going on shows %q", got)
	}
	if got := d.run("scans").wantCode(0).stdout; strings.Count(got, "went back from commit") != 2 {
		t.Errorf("the scans are %q", got)
	}
	d.run("verify").wantCode(0)
}

func TestFlagsOfHistoriesThatDoNotFitAreWrongUsage(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"scan", ".", "--since", "v1"}, "--since goes with --history"},
		{[]string{"scan", ".", "--first-parent"}, "--first-parent goes with --history"},
		{[]string{"scan", ".", "--history", "--worktree"}, "--worktree and --history exclude each other"},
		{[]string{"scan", ".", "--history", "--allow-rewind", "--reason", "why"}, "--allow-rewind and --history exclude each other"},
		{[]string{"scan", ".", "--history=branches"}, "commits"},
		{[]string{"scan", ".", "--allow-rewind"}, "give the --reason"},
		{[]string{"scans", "--as-of", "scan:1", "--as-of-commit-date", "2026-02-04"}, "it excludes --as-of"},
		{[]string{"scans", "--as-of-commit-date", "2026-02-04", "--as-of", "scan:1"}, "it excludes --as-of-commit-date"},
		{[]string{"scans", "--as-of-commit-date", "v1"}, "want a time such as"},
	} {
		d.run(test.args...).wantCode(2).says(test.says)
	}
}
