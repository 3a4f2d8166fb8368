package acceptance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repo is a git repository with a work tree, made for one test.
type repo struct {
	t   testing.TB
	dir string
}

func newRepo(tb testing.TB) *repo {
	tb.Helper()
	r := &repo{t: tb, dir: tb.TempDir()}
	r.git("init", "-q", "-b", "main")
	return r
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	return git(r.t, r.dir, args...)
}

// git runs git with an identity and configuration of its own, so that no machine's settings matter.
func git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Author", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=2026-02-03T04:05:06+02:00",
		"GIT_COMMITTER_NAME=Carl Committer", "GIT_COMMITTER_EMAIL=carl@example.org", "GIT_COMMITTER_DATE=2026-02-04T04:05:06Z")
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) write(path, content string) *repo {
	r.t.Helper()
	full := filepath.Join(r.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func (r *repo) remove(path string) *repo {
	r.t.Helper()
	if err := os.Remove(filepath.Join(r.dir, filepath.FromSlash(path))); err != nil {
		r.t.Fatal(err)
	}
	return r
}

// commit commits everything and returns the commit's id.
func (r *repo) commit(message string) string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// context, requirement, story and spec write one artifact each.
func (r *repo) context() *repo {
	return r.write(".gxp/system_context.md", "---\nid: 5b0c6a52-7d2e-4f0f-9a51-0d1c2b3a4958\nproject_name: Demo\n"+
		"gxp_risk_rating: HIGH\nvalidation_status: DRAFT\n---\n\n# Demo\n")
}

func (r *repo) requirement(id, risk string) *repo {
	return r.write(".gxp/requirements/"+id+"-text.md", fmt.Sprintf("---\ngxp_id: %s\ntitle: Requirement %s\n"+
		"gxp_risk_rating: %s\ndescription: what is required\nacceptance_criteria:\n  - it holds\nvalidation_status: DRAFT\n---\n\nBody of %s\n",
		id, id, risk, id))
}

func (r *repo) story(id, parent string) *repo {
	return r.write(".gxp/user_stories/"+id+"-text.md", fmt.Sprintf("---\ngxp_id: %s\ntitle: Story %s\nparent_id: %s\n"+
		"as_a: reviewer\ni_want: to see\nso_that: I know\nacceptance_criteria: []\nstatus: IMPLEMENTED\n---\n", id, id, parent))
}

func (r *repo) spec(id, parent string) *repo {
	return r.write(".gxp/specs/"+id+"-text.md", fmt.Sprintf("---\ngxp_id: %s\ntitle: Spec %s\nparent_id: %s\n"+
		"verification_tier: OQ\ndesign_approach: plain\nsource_files: []\ntest_files: []\n---\n", id, id, parent))
}

// fill writes a context and n artifacts: n/4 requirements, as many stories, and specs for the rest.
func (r *repo) fill(n int) *repo {
	r.context()
	level := max(n/4, 1)
	for i := range n {
		switch {
		case i < level:
			r.requirement(fmt.Sprintf("REQ-%05d", i), "MEDIUM")
		case i < 2*level:
			r.story(fmt.Sprintf("US-%05d", i-level), fmt.Sprintf("REQ-%05d", i-level))
		default:
			r.spec(fmt.Sprintf("SPEC-%05d", i-2*level), fmt.Sprintf("US-%05d", i%level))
		}
	}
	return r
}
