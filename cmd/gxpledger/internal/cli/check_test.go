package cli_test

import (
	"errors"
	"fmt"
	"os"
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
