package cli_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestACheckRecordsNothing(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).write(".gxp/requirements/REQ-003.md", "---\ngxp_id: [never closed\n---\n")
	for i := range 5 {
		r = r.story(fmt.Sprintf("US-00%d", i), fmt.Sprintf("REQ-40%d", i))
	}
	r = r.commit("Break it")
	d.run("check", r.dir).wantCode(3).golden("check.txt", r.dir, "REPO")
	if all := d.run("check", r.dir, "--all").wantCode(3).stdout; strings.Count(all, "missing_parent .gxp/user_stories/") != 5 {
		t.Errorf("with --all it lists\n%s", all)
	}
	d.run("check", r.dir, "--format", "github").wantCode(3).has("::error file=.gxp/requirements/REQ-003.md,line=")
	d.run("check", r.dir, "--format", "sarif", "--json").wantCode(2)
	if _, err := os.Stat(d.home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a check made a home: %v", err)
	}
	d.scan(r).wantCode(1).says("5 violations above")
	d.run("check", newRepo(t).commit("Whole").dir).wantCode(0)
}

// The first hour: a tree with broken links and one key is registered once, and scanned, checked and verified without a flag from then on.
func TestInitProposesWhatLetsScansPass(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).story("US-001", "REQ-404").commit("As it is")
	d.run("init", r.dir, "--name", "demo").wantCode(0).has("Nothing was recorded")
	if _, err := os.Stat(d.home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a proposal made a home: %v", err)
	}
	d.run("init", r.dir, "--yes").wantCode(2).says("--reason")
	key := filepath.Join(t.TempDir(), "ci.pem")
	if err := os.WriteFile(key, []byte(sampleKey), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run("init", r.dir, "--name", "demo", "--evidence-key", key, "--yes", "--reason", "change request 17", "--actor", "ada").wantCode(0).has("demo is registered")
	d.wantEvents("repository.registered.v1", "repository.changed.v1", "key.trusted.v1")
	d.run("repository", "show", "demo").wantCode(0).has("flag")
	d.run("keys", "list").wantCode(0).has("ci.pem")
	d.run("config", "print", "--sources").wantCode(0)
	d.run("init", r.dir, "--name", "demo").wantCode(1).says("is known already")
	d.run("check", r.dir).wantCode(0)
	d.run("scan", r.dir, "--actor", "ada").wantCode(0).has("demo")
	d.run("init", r.dir, "--name", "demo", "--yes", "--reason", "again").wantCode(1)
}

func TestNewSaysWhichFlagIsMissing(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t)
	d.run("new", "story", "--in", r.dir).wantCode(2).says("--title")
	d.run("new", "story", "--title", "See", "--in", r.dir).wantCode(2).says("--parent")
	d.run("new", "requirement", "--title", "See", "--parent", "REQ-001", "--in", r.dir).wantCode(2).says("--parent")
	d.run("new", "spec", "--title", "See", "--parent", "REQ-001", "--in", r.dir).wantCode(1).says(`"REQ-001" is the id of nothing that a spec may belong to`)
	d.run("new", "story", "--title", "See an alarm", "--parent", "REQ-001", "--in", r.dir).wantCode(0).has(".gxp/user_stories/US-001-001-see-an-alarm.md")
}

// TestACheckMissesAKeyAsAScanDoes: a scan that lacks the key which verified evidence before is refused, and check says so before.
func TestACheckMissesAKeyAsAScanDoes(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../../examples/pump")); err != nil {
		t.Fatal(err)
	}
	r := repo{t: t, dir: dir}
	r.git("init", "-q", "-b", "main")
	r.commit("The pump")
	key := filepath.Join(dir, "ci.pem")
	d.scan(r, "--evidence-key", key).wantCode(0)
	r.requirement("REQ-003", "Another").commit("Another")
	d.run("check", dir, "--name", "demo", "--evidence-key", key).wantCode(0)
	missing := d.run("check", dir, "--name", "demo").wantCode(3)
	missing.has("key")
	d.scan(r).wantCode(1).says("refused")
	d.run("keys", "trust", key, "--name", "CI", "--reason", "for ever").wantCode(0)
	d.run("check", dir, "--name", "demo").wantCode(0)
	d.scan(r).wantCode(0)
}
