package acceptance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The scenarios of the user story that the replaced service claims to fulfil. The fourth, a connection lost in the
// middle, is TestRecorderSurvivesALostConnection in package eventstore.

func TestFortyThreeArtifactsAreAllCommittedWithTheScan(t *testing.T) {
	t.Parallel()
	r := newRepo(t).context()
	for i := range 8 {
		r.requirement(fmt.Sprintf("REQ-%03d", i), "HIGH")
	}
	for i := range 18 {
		r.story(fmt.Sprintf("US-%03d", i), fmt.Sprintf("REQ-%03d", i%8))
	}
	for i := range 16 {
		r.spec(fmt.Sprintf("SPEC-%03d", i), fmt.Sprintf("US-%03d", i))
	}
	commit := r.commit("Write everything down")
	c := newClient(t)
	c.run(t, "scan", r.dir).wantCode(t, 0)

	events := c.events(t)
	parsed := slices.DeleteFunc(slices.Clone(events), func(e string) bool { return e != "artifact.parsed.v2" })
	if len(parsed) != 43 || events[len(events)-1] != "scan.completed.v2" || len(events) != 45 {
		t.Errorf("log holds %d events, %d of them artifacts, the last %s; want registration, 43 artifacts and the scan",
			len(events), len(parsed), events[len(events)-1])
	}
	db := openTables(t, c.home)
	if got := rows(t, db, `SELECT outcome, found, added, commit_sha FROM scans`); fmt.Sprint(got) != fmt.Sprintf("[[completed 43 43 %s]]", commit) {
		t.Errorf("scans %v; want one completed with 43 artifacts of %s", got, commit)
	}
	if n := one(t, db, `SELECT count(*) FROM audit_log WHERE action = 'ARTIFACT_INSERTED'`); n != "43" {
		t.Errorf("audit trail holds %s ARTIFACT_INSERTED, want 43", n)
	}
	if n := one(t, db, `SELECT count(*) FROM specs s JOIN user_stories u ON u.repository_id = s.repository_id AND
		u.number = s.user_story_number JOIN requirements r ON r.repository_id = u.repository_id AND r.number = u.requirement_number`); n != "16" {
		t.Errorf("%s specs join to a story and a requirement, want all 16", n)
	}
}

func TestAnUnknownParentRecordsNothingButTheFailure(t *testing.T) {
	t.Parallel()
	r := newRepo(t).context().requirement("REQ-001", "HIGH").story("US-001", "REQ-999").story("US-002", "REQ-998")
	r.commit("Name parents that are not there")
	c := newClient(t)
	failed := c.run(t, "scan", r.dir).wantCode(t, 1)
	for _, word := range []string{"US-001", "REQ-999", "US-002", "REQ-998"} {
		if !strings.Contains(failed.stdout+failed.stderr, word) {
			t.Errorf("the screen does not name %s:\n%s%s", word, failed.stdout, failed.stderr)
		}
	}
	if events := c.events(t); !slices.Equal(events, []string{"scan.failed.v2"}) {
		t.Errorf("log holds %v, want scan.failed.v2 alone", events)
	}
	db := openTables(t, c.home)
	if n := one(t, db, `SELECT (SELECT count(*) FROM requirements) + (SELECT count(*) FROM user_stories)`); n != "0" {
		t.Errorf("tables hold %s artifacts of a failed scan", n)
	}
	if n := one(t, db, `SELECT count(*) FROM scan_violations`); n != "2" {
		t.Errorf("%s violations, want both", n)
	}
	if n := one(t, db, `SELECT count(*) FROM audit_log WHERE action = 'SCAN_FAILED' AND outcome = 'failed'`); n != "1" {
		t.Errorf("audit trail holds %s failed scans, want 1", n)
	}

	r.story("US-001", "REQ-001").remove(".gxp/user_stories/US-002-text.md").commit("Mend the links")
	c.run(t, "scan", r.dir).wantCode(t, 0)
	if n := one(t, openTables(t, c.home), `SELECT last_scan_number FROM repositories`); n != "2" {
		t.Errorf("the next scan has number %s, want 2", n)
	}
}

func TestADuplicateIDIsRejectedOrUpdatedByPolicy(t *testing.T) {
	t.Parallel()
	r := newRepo(t).context().requirement("REQ-001", "LOW")
	r.write(".gxp/requirements/REQ-001-zz.md", "---\ngxp_id: REQ-001\ntitle: The later one\ngxp_risk_rating: HIGH\n---\n")
	r.story("US-001", "REQ-001").commit("Claim an id twice")
	t.Run("reject", func(t *testing.T) {
		t.Parallel()
		c := newClient(t)
		c.run(t, "scan", r.dir).wantCode(t, 1)
		if events := c.events(t); !slices.Equal(events, []string{"scan.failed.v2"}) {
			t.Errorf("log holds %v, want scan.failed.v2 alone", events)
		}
		if code := one(t, openTables(t, c.home), `SELECT code FROM scan_violations`); code != "duplicate_id" {
			t.Errorf("violation %s, want duplicate_id", code)
		}
	})
	t.Run("update", func(t *testing.T) {
		t.Parallel()
		c := newClient(t)
		c.run(t, "scan", r.dir, "--duplicates", "update").wantCode(t, 0)
		db := openTables(t, c.home)
		title := one(t, db, `SELECT r.title FROM user_stories u JOIN requirements r ON r.repository_id = u.repository_id AND r.number = u.requirement_number`)
		if title != "The later one" {
			t.Errorf("the story's parent is %q, want the last path in order", title)
		}
		if path := one(t, db, `SELECT path FROM findings WHERE code = 'duplicate'`); path != ".gxp/requirements/REQ-001-text.md" {
			t.Errorf("finding at %s, want the path that lost", path)
		}
	})
}

func TestAMalformedFileIsRejectedAndItsBytesAreKept(t *testing.T) {
	t.Parallel()
	const bad = "---\ngxp_id: REQ-002\ntitle: [never closed\n---\n"
	r := newRepo(t).context().requirement("REQ-001", "LOW").write(".gxp/requirements/REQ-002-bad.md", bad)
	r.commit("Break one of two")
	c := newClient(t)
	screen := c.run(t, "scan", r.dir).wantCode(t, 0)
	if !strings.Contains(screen.stdout+screen.stderr, "REQ-002-bad.md") {
		t.Errorf("the screen does not name the rejected file:\n%s%s", screen.stdout, screen.stderr)
	}
	db := openTables(t, c.home)
	got := rows(t, db, `SELECT path, kind, line FROM rejected_files`)
	if len(got) != 1 || got[0][0] != ".gxp/requirements/REQ-002-bad.md" || got[0][1] != "requirement" || got[0][2] == "-" {
		t.Errorf("rejected %v; want the file with its line", got)
	}
	if out := c.run(t, "content", ".gxp/requirements/REQ-002-bad.md").wantCode(t, 0).stdout; out != bad {
		t.Errorf("content is %q, want the bytes as they were", out)
	}
}

func TestMovesRemovalsAndReturnsAreInTheHistory(t *testing.T) {
	t.Parallel()
	r := newRepo(t).context().requirement("REQ-001", "LOW").requirement("REQ-002", "LOW")
	r.commit("One")
	c := newClient(t)
	c.run(t, "scan", r.dir).wantCode(t, 0)
	r.git("mv", ".gxp/requirements/REQ-001-text.md", ".gxp/requirements/REQ-001-renamed.md")
	r.remove(".gxp/requirements/REQ-002-text.md").commit("Two")
	c.run(t, "scan", r.dir).wantCode(t, 0)
	r.requirement("REQ-002", "HIGH").commit("Three")
	c.run(t, "scan", r.dir).wantCode(t, 0)

	db := openTables(t, c.home)
	got := rows(t, db, `SELECT path, number, version, change, moved_from, end_reason FROM artifact_versions
		WHERE kind = 'requirement' ORDER BY number`)
	want := [][]string{
		{".gxp/requirements/REQ-001-text.md", "1", "1", "new", "-", "moved"},
		{".gxp/requirements/REQ-002-text.md", "2", "1", "new", "-", "removed"},
		{".gxp/requirements/REQ-001-renamed.md", "4", "1", "new", ".gxp/requirements/REQ-001-text.md", "-"},
		{".gxp/requirements/REQ-002-text.md", "5", "1", "new", "-", "-"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("versions\n%v\nwant\n%v", got, want)
	}
	c.run(t, "verify").wantCode(t, 0)
}

func TestScansOfOneRepositoryAtTheSameTimeAllSucceed(t *testing.T) {
	t.Parallel()
	r := newRepo(t).fill(40)
	r.commit("Start")
	c := newClient(t)
	c.run(t, "scan", r.dir).wantCode(t, 0)
	done := make(chan result)
	for range 4 {
		go func() { done <- c.run(t, "scan", r.dir) }()
	}
	for range 4 {
		if got := <-done; got.code != 0 {
			t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	}
	numbers := rows(t, openTables(t, c.home), `SELECT number FROM scans ORDER BY number`)
	if fmt.Sprint(numbers) != "[[1] [2] [3] [4] [5]]" {
		t.Errorf("scans %v, want 1 to 5", numbers)
	}
	c.run(t, "verify").wantCode(t, 0)
}
