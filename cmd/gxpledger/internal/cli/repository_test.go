package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestSettingsOfARepositoryAreShownWithWhoChangedThem(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.run("repository", "set", "demo", "--links", "flag", "--limit", "files=5000", "--address", "git@git.example.org:qa/demo.git", "--remove-address", r.dir,
		"--reason", "repaired until \x1b[2JMay", "--actor", "admin").wantCode(0).golden("repository_set.txt")
	d.run("repository", "list").wantCode(0).golden("repository_list.txt")
	d.run("repository", "show", "demo").wantCode(0).golden("repository_show.txt")
	d.run("repository", "set", "demo", "--address", r.dir, "--remove-address", "git.example.org/qa/demo", "--reason", "here").wantCode(0)
	d.run("audit", "--action", "repository_changed").wantCode(0).has(`Settings of repository "demo" from now on`)
	d.run("scan", r.dir, "--name", "demo").wantCode(0) // its broken link is no reason to fail any more
	var before struct {
		Repositories []struct {
			Name    string `json:"repository"`
			Changed any    `json:"changed"`
		} `json:"repositories"`
	}
	got := d.run("repository", "list", "--as-of", "scan:2", "--json").wantCode(0)
	if err := json.Unmarshal([]byte(got.stdout), &before); err != nil || len(before.Repositories) != 1 || before.Repositories[0].Changed != nil {
		t.Errorf("as of scan 2: %+v, %v; want demo without changed settings", before, err)
	}
	d.run("repository", "set", "demo", "--links", "default", "--reset-limits", "--reason", "repaired").wantCode(0)
	d.run("scan", r.dir, "--name", "demo").wantCode(1)
	d.verify(0)
}

func TestARepositoryIsRenamedAndFoundByItsFormerName(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.run("repository", "rename", "demo", "pumps", "--reason", "change request 17").wantCode(0)
	d.run("scan", r.dir, "--name", "demo", "--links", "flag").wantCode(0).has("pumps")
	d.run("scan", r.dir, "--links", "flag").wantCode(0).has("pumps") // by where it is
	for _, name := range []string{"demo", "pumps"} {
		d.run("show", "requirements", "--repository", name).wantCode(0).has("REQ-001")
	}
	d.run("repository", "show", "pumps").wantCode(0).has("Was called")
	d.run("repository", "add", "demo", "--reason", "x").wantCode(1).says("known", "nothing was recorded")
	d.verify(0)
}

func TestARepositoryIsFoundByAnySpellingOfItsAddress(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	const origin = "https://Git.example.com/qa/Pumps.git"
	r := newRepo(t).commit("x")
	r.git("remote", "add", "origin", origin)
	d.run("repository", "add", "pumps", "--address", origin, "--reason", "x").wantCode(0)
	d.run("scan", r.dir).wantCode(0).has("pumps")
	d.run("check", r.dir).wantCode(0).has("Read from   " + r.dir)
	spellings := []string{
		origin, "https://git.example.com:443/qa/Pumps/", "ssh://git@git.example.com/qa/Pumps.git",
		"ssh://git.example.com:22/qa/Pumps", "git@GIT.example.com:qa/Pumps.git", "git.example.com/qa/Pumps", "http://git.example.com/qa/Pumps.git", "https://ci:s3cret@git.example.com/qa/Pumps",
	}
	for i, address := range spellings {
		d.run("repository", "show", address).wantCode(0).has("pumps")
		d.run("show", "requirements", "--repository", address, "--as-of", "scan:1").wantCode(0).has("REQ-001")
		d.run("repository", "set", address, "--links", []string{"flag", "strict"}[i%2], "--reason", "x").wantCode(0).has("pumps")
	}
	for _, other := range []string{"https://git.example.com:8443/qa/Pumps", "https://git.example.com/qa/pumps", "git.example.com/qa", "https://ci:s3cret@git.example.org/qa/Pumps"} {
		for _, args := range [][]string{{"show", other}, {"set", other, "--links", "strict", "--reason", "x"}} {
			got := d.run(append([]string{"repository"}, args...)...).wantCode(1).says("there is no repository")
			if strings.Contains(got.stderr, "s3cret") {
				t.Errorf("%q shows a password: %s", args, got.stderr)
			}
		}
	}
	// What was retired is found by its address until another has it, and is never scanned or changed in its place.
	d.run("repository", "retire", spellings[4], "--reason", "replaced").wantCode(0)
	d.run("repository", "show", origin).wantCode(0).has("retired")
	d.run("repository", "set", origin, "--links", "strict", "--reason", "x").wantCode(1).says("retired")
	d.run("repository", "add", "pumps 2", "--address", origin, "--reason", "x").wantCode(0)
	d.run("repository", "set", origin, "--links", "flag", "--reason", "x").wantCode(0).has("pumps 2")
	d.run("repository", "show", origin).wantCode(0).has("pumps 2")
	d.verify(0)
}

func TestAScanFromAnotherFolderIsRefusedUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	other := newRepo(t).commit("Elsewhere")
	refused := d.run("scan", other.dir, "--name", "demo").wantCode(1)
	for _, part := range []string{"other_address", r.dir, other.dir, "--accept-address"} {
		if !strings.Contains(refused.stderr, part) {
			t.Errorf("the scan says %q, want %q in it", refused.stderr, part)
		}
	}
	d.run("scan", other.dir, "--name", "demo", "--accept-address").wantCode(2).says("--reason")
	d.run("scan", other.dir, "--name", "demo", "--accept-address", "--reason", "it moved").wantCode(0)
	d.run("repository", "set", "demo", "--remove-address", r.dir, "--reason", "it moved").wantCode(0)
	if back := d.run("scan", r.dir, "--name", "demo", "--links", "flag").wantCode(1); !strings.Contains(back.stderr, "other_address") {
		t.Errorf("the scan says %q, want that the address is another", back.stderr)
	}
	d.verify(0)
}

func TestSettingsThatCannotBeRecordedAreRefused(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"set", "demo", "--links", "flag"}, 2, "--reason is required"},
		{[]string{"set", "demo", "--links", "flg", "--reason", "x"}, 2, "did you mean flag?"},
		{[]string{"set", "demo", "--reason", "x"}, 1, "is as that already"},
		{[]string{"set", "demo", "--limit", "fetch=1GiB", "--reason", "x"}, 2, "fetch"},
		{[]string{"set", "demo", "--address", "https://ada:pa/ss@x", "--reason", "x"}, 2, "--address"},
		{[]string{"set", "nothing", "--links", "flag", "--reason", "x"}, 1, `no repository "nothing"`},
		{[]string{"rename", "demo", "--reason", "x"}, 2, "its present and its new name"},
		{[]string{"rename", "demo", "demo", "--reason", "x"}, 1, "is as that already"},
		{[]string{"add", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "--reason", "x"}, 1, "secret"},
		{[]string{"show", "nothing"}, 1, `no repository "nothing"`},
	} {
		got := d.run(append([]string{"repository"}, c.args...)...).wantCode(c.code)
		if !strings.Contains(got.stderr, c.says) || strings.Contains(got.stderr, "pa/ss") || slices.Contains(c.args, "add") && strings.Contains(got.stderr, "ghp_") {
			t.Errorf("%q says %q, want %q in it", c.args, got.stderr, c.says)
		}
	}
	newFixture(t).run("repository", "set", "demo", "--links", "flag", "--reason", "x").wantCode(1).says("there is no log")
	if events := d.events(); len(events) != 21 {
		t.Errorf("%d events, want the 21 of before", len(events))
	}
}
