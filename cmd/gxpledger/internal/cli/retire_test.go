package cli_test

import (
	"encoding/json"
	"testing"
)

func TestARetiredRepositoryKeepsItsHistoryAndIsScannedNoMore(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.run("repository", "retire", "demo", "--reason", "replaced by \x1b[2Jdemo-2", "--actor", "admin").wantCode(0).golden("retire.txt")
	d.run("repository", "retire", "demo", "--reason", "again").wantCode(1).says(`"demo" was retired at 2026-03-01T12:02:00Z by admin`, "nothing was recorded")
	d.scan(r, "--links", "flag").wantCode(1)
	d.run("history", "REQ-001").wantCode(0).golden("history_retired.txt", records.from, "REPO")
	d.run("audit", "--action", "repository_retired").wantCode(0).golden("audit_retired.txt")
	d.verify(0)
}

func TestRetiringForPrograms(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	var done struct {
		Repository string `json:"repository"`
		Reason     string `json:"reason"`
		Position   int    `json:"position"`
	}
	got := d.run("repository", "retire", "demo", "--reason", "done", "--json").wantCode(0)
	if err := json.Unmarshal([]byte(got.stdout), &done); err != nil || done.Repository != "demo" || done.Reason != "done" || done.Position != 22 {
		t.Errorf("got %+v, %v; want demo at position 22", done, err)
	}
}

func TestRetiringSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.run("repository", "retire").wantCode(2).says("needs the name, address or id of a repository")
	d.run("repository", "retire", "").wantCode(2).says("argument 1 of gxpledger repository retire is empty", "NAME")
	d.run("repository", "retire", "demo").wantCode(2).says("--reason is required")
	d.run("repository", "retire", "demo", "other", "--reason", "x").wantCode(2).says(`leave out "other"`)
	d.run("repository", "retire", "dmo", "--reason", "x").wantCode(1).says(`no repository "dmo"`, `nearest: "demo"`)
	never := newRepo(t).story("US-001", "REQ-404").commit("Broken")
	d.run("scan", never.dir, "--name", "never").wantCode(1)
	d.run("repository", "retire", "never", "--reason", "x").wantCode(1).says("no completed scan", "nothing was recorded")
	newFixture(t).run("repository", "retire", "demo", "--reason", "x").wantCode(1).says("there is no log")
}
