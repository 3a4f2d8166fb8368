package cli_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// fixture is a home, a clock and an environment in which commands run, one a minute. The clock stands still
// while a command runs, so that screens do not change. It has to move between commands, or no lease would ever run out.
type fixture struct {
	t        *testing.T
	home     string
	env      map[string]string
	now      func() time.Time
	commands int              // that were run
	patience time.Duration    // with tables
	silence  time.Duration    // before a wait is told; 0 for a long one, since a loaded machine is no other process
	log      eventstore.Log   // in place of the one in the home; nil for that
	cursors  feed.Cursors     // in place of those beside the log; nil for those
	terminal *render.Terminal // at which the desk is; nil for none
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	d := &fixture{t: t, home: filepath.Join(t.TempDir(), "home"), env: map[string]string{}}
	d.now = func() time.Time { return time.Date(2026, 3, 1, 12, d.commands, 0, 0, time.UTC) }
	return d
}

// result is what a command left behind.
type result struct {
	t              *testing.T
	args           []string
	code           int
	stdout, stderr string
}

// bare runs a command with the arguments alone.
func (d *fixture) bare(ctx context.Context, args ...string) result {
	d.t.Helper()
	var stdout, stderr bytes.Buffer
	env := func(name string) (string, bool) {
		value, ok := d.env[name]
		return value, ok
	}
	code := cli.System{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Env: env, Now: d.now, Patience: d.patience, Silence: cmp.Or(d.silence, time.Hour), Log: d.log, Cursors: d.cursors, Terminal: d.terminal}.Run(ctx, args)
	d.commands++
	return result{t: d.t, args: args, code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// run runs a command on the home of the fixture.
func (d *fixture) run(args ...string) result {
	d.t.Helper()
	return d.bare(d.t.Context(), append(args, "--home", d.home)...)
}

// scan scans as a known actor, under a known name.
func (d *fixture) scan(r repo, more ...string) result {
	d.t.Helper()
	return d.run(append([]string{"scan", r.dir, "--name", "demo", "--actor", "tester@site"}, more...)...)
}

func (r result) wantCode(want int) result {
	r.t.Helper()
	if r.code != want {
		r.t.Fatalf("%q: exit code %d, want %d\n%s%s", r.args, r.code, want, r.stdout, r.stderr)
	}
	return r
}

var sayCannot = regexp.MustCompile(`(?:: |\()cannot `)

// says checks that the error is one line that holds each part, and that each of its sentences says "cannot" once at most.
func (r result) says(parts ...string) result {
	r.t.Helper()
	last := r.stderr[strings.LastIndex(strings.TrimSuffix(r.stderr, "\n"), "\n")+1:]
	if !strings.HasPrefix(last, "gxpledger: ") || strings.Count(r.stderr, "gxpledger: ") != 1 {
		r.t.Errorf("%q: standard error is %q, want one sentence of gxpledger", r.args, r.stderr)
	}
	for one := range strings.SplitSeq(last, "; ") {
		if len(sayCannot.FindAllString(one, -1)) > 1 {
			r.t.Errorf("%q: %q says cannot more than once", r.args, one)
		}
	}
	for _, part := range parts {
		if !strings.Contains(last, part) {
			r.t.Errorf("%q: says %q, want it to hold %q", r.args, last, part)
		}
	}
	return r
}

// repo is a git repository with a work tree.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) repo {
	t.Helper()
	return newRepoAt(t, t.TempDir())
}

func newRepoAt(t *testing.T, dir string) repo {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := repo{t: t, dir: dir}
	r.git("init", "-q", "-b", "main")
	return r.write(".gxp/system_context.md", "---\nid: 5b0c6a52-7d2e-4f0f-9a51-0d1c2b3a4958\nproject_name: Demo\ngxp_risk_rating: HIGH\n"+
		"validation_status: DRAFT\n---\n\n# Demo\n").requirement("REQ-001", "The first")
}

func (r repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Author", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=2026-02-03T04:05:06+02:00",
		"GIT_COMMITTER_NAME=Carl Committer", "GIT_COMMITTER_EMAIL=carl@example.org", "GIT_COMMITTER_DATE=2026-02-04T04:05:06Z")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r repo) write(path, content string) repo {
	r.t.Helper()
	full := filepath.Join(r.dir, filepath.FromSlash(path))
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o750), os.WriteFile(full, []byte(content), 0o600)); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func (r repo) requirement(id, title string) repo {
	return r.write(".gxp/requirements/"+id+".md", "---\ngxp_id: "+id+"\ntitle: "+title+"\ngxp_risk_rating: HIGH\ndescription: it\n---\n")
}

func (r repo) story(id, parent string) repo {
	return r.write(".gxp/user_stories/"+id+".md", "---\ngxp_id: "+id+"\ntitle: Story "+id+"\nparent_id: "+parent+"\n---\n")
}

func (r repo) spec(id, parent string) repo {
	return r.write(".gxp/specs/"+id+".md", "---\ngxp_id: "+id+"\ntitle: Spec "+id+"\nparent_id: "+parent+"\nverification_tier: OQ\n---\n")
}

func (r repo) commit(message string) repo {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r
}

// golden compares with testdata/NAME, or writes it when UPDATE_GOLDEN is 1. Folders and random ids are replaced.
func (r result) golden(name string, replace ...string) {
	r.t.Helper()
	random := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	got := random.ReplaceAllString(strings.NewReplacer(replace...).Replace(r.stdout+r.stderr), "SCAN-ID")
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := errors.Join(os.MkdirAll("testdata", 0o750), os.WriteFile(path, []byte(got), 0o600)); err != nil {
			r.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if got != string(want) {
		r.t.Errorf("%s differs; UPDATE_GOLDEN=1 accepts:\n%s\nwant\n%s", name, got, want)
	}
}
