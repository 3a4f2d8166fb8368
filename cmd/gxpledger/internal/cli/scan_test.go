package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// events returns the types of all events of the fixture's log.
func (d *fixture) events() []string {
	d.t.Helper()
	log, err := sqlite.OpenReadOnly(d.t.Context(), filepath.Join(d.home, "log.db"), sqlite.Options{Now: d.now})
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	var out []string
	for r, err := range log.Read(d.t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		out = append(out, r.Type)
	}
	return out
}

func (d *fixture) wantEvents(want ...string) {
	d.t.Helper()
	if got := strings.Join(d.events(), " "); got != strings.Join(want, " ") {
		d.t.Errorf("log holds %s, want %s", got, strings.Join(want, " "))
	}
}

func TestAScanSaysWhatWasRecorded(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).story("US-001", "REQ-001").spec("SPEC-001", "US-001").commit("Write it down\n\nWith reasons.")
	d.scan(r, "--reason", "release 1.0").wantCode(0).golden("scan_first.txt", r.dir, "REPO")
	d.scan(r).wantCode(0).golden("scan_again.txt", r.dir, "REPO")
	r.requirement("REQ-001", "Changed").requirement("REQ-002", "New")
	if err := os.Remove(filepath.Join(r.dir, ".gxp/specs/SPEC-001.md")); err != nil {
		t.Fatal(err)
	}
	d.scan(r, "--worktree").wantCode(0).golden("scan_worktree.txt", r.dir, "REPO")
}

func TestABrokenTreeIsShownOrRefusedWhole(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).story("US-001", "REQ-404").story("US-002", "REQ-405").spec("SPEC-001", "REQ-001").
		write(".gxp/requirements/REQ-003.md", "---\ngxp_id: [never closed\n---\n").commit("Break it")
	d.scan(r).wantCode(1).says("3 violations above", "scan 1 was recorded as failed; nothing else").golden("scan_refused.txt")
	d.wantEvents("scan.failed.v2")
	d.scan(r, "--json").wantCode(1).golden("scan_refused.json", r.dir, "REPO")
	d.scan(r, "--links", "flag").wantCode(0).golden("scan_flagged.txt", r.dir, "REPO")
	d.scan(r, "--links", "flag", "--json").wantCode(0).golden("scan_flagged.json", r.dir, "REPO")
}

func TestHostileTextNeverActsOnATerminal(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	evil := "evil \x1b]0;owned\x07 \u202etxt.exe\u202c \u009b31m"
	r := newRepo(t).requirement("REQ-002", `"esc \x1b]0;owned\x07 \u202edetartsi \r\nforged: line"`).
		story("US-001", `"REQ-\u202e\x1b[2J"`).write(".gxp/requirements/bad\u202e\nname.md", "---\ngxp_id: [\n---\n").
		write(".gxp/specs/SPEC-\x1b[31m.md", "---\ngxp_id: {\x1b[2J\n---\n").commit(evil)
	for _, args := range [][]string{{"--links", "flag"}, {}, {"--links", "flag", "--json"}, {"--json"}, {"--ref", evil}, {"--actor", evil, "--reason", evil, "--links", "flag"}} {
		out := d.scan(r, args...)
		for _, c := range strings.ReplaceAll(out.stdout+out.stderr, "\n", "") {
			if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Bidi_Control) {
				t.Errorf("%q shows %q in\n%q", args, c, out.stdout+out.stderr)
				break
			}
		}
	}
	d.scan(r, "--links", "flag", "--color", "always").golden("scan_hostile.txt", r.dir, "REPO")
}

func TestWhatBadInputGets(t *testing.T) {
	t.Parallel()
	r := newRepo(t).commit("x")
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"sacn"}, 2, []string{`no command "sacn"`, "did you mean scan"}},
		{[]string{"xyzzy", "--what"}, 2, []string{`no command "xyzzy"`, "gxpledger --help lists all"}},
		{[]string{"help", "scn"}, 2, []string{"did you mean scan"}},
		{[]string{"--nonsense"}, 2, []string{"no flag --nonsense"}},
		{[]string{"scan", "--worktre"}, 2, []string{"no flag --worktre", "did you mean --worktree?"}},
		{[]string{"scan", "-x"}, 2, []string{"no flag -x"}},
		{[]string{"scan", "--actor", "x", "--ref"}, 2, []string{"--ref needs a value", "REVISION"}},
		{[]string{"scan", "--links", "strikt"}, 2, []string{`--links does not take "strikt"`, "strict or flag", "did you mean strict?"}},
		{[]string{"scan", "--duplicates", ""}, 2, []string{"reject or update"}},
		{[]string{"scan", "--worktree=maybe"}, 2, []string{"--worktree", "true or false"}},
		{[]string{"scan", "--color", "pink"}, 2, []string{"--color", "auto", "never"}},
		{[]string{"scan", "--limit", "flies=3"}, 2, []string{"did you mean files?"}},
		{[]string{"scan", "--limit", "xyzzy=3"}, 2, []string{"bytes, depth", "files=500000"}},
		{[]string{"scan", "--limit", "files=-3"}, 2, []string{"files=N", "above 0"}},
		{[]string{"scan", "--limit", "files"}, 2, []string{"files=N"}},
		{[]string{"scan", "--limit", "bytes=9999999999GiB"}, 2, []string{"bytes=N"}},
		{[]string{"scan", "a", "b"}, 2, []string{"one repository", `"b"`}},
		{[]string{"scan", ""}, 2, []string{"argument 1 of gxpledger scan is empty"}},
		{[]string{"scan", "--worktree", "--ref", "main"}, 2, []string{"--worktree", "--ref", "exclude"}},
		{[]string{"scan", "--reason", strings.Repeat("x", 1001)}, 2, []string{"--reason", "1000"}},
		{[]string{"version", "x"}, 2, []string{"no arguments", `"x"`}},
		{[]string{"scan", "/no/such/folder"}, 1, []string{"there is no folder /no/such/folder", "https or ssh"}},
		{[]string{"scan", t.TempDir()}, 1, []string{"not a git repository", "--worktree"}},
		{[]string{"scan", "ext::sh -c id"}, 1, []string{"ext::", "not allowed"}},
		{[]string{"scan", "https://user:s3cret@/x"}, 1, []string{"names no host"}},
		{[]string{"scan", r.dir, "--evidence-key", "/no/key"}, 1, []string{"/no/key", "--evidence-key"}},
		{[]string{"scan", r.dir, "--evidence-key", key}, 1, []string{key, "neither PEM nor base64"}},
		{[]string{"scan", r.dir, "--evidence-key", "/dev/zero"}, 1, []string{"/dev/zero", "65536"}},
	} {
		d := newFixture(t)
		got := d.bare(t.Context(), append([]string{"--home", d.home}, c.args...)...).wantCode(c.code).says(c.says...)
		if strings.Contains(got.stderr, "s3cret") {
			t.Errorf("%q shows a credential: %s", c.args, got.stderr)
		}
		if _, err := os.Stat(d.home); err == nil {
			t.Errorf("%q made a home, though nothing was to be recorded", c.args)
		}
	}
}

func TestARevisionThatIsNotThereIsAFailureOfAKnownRepositoryAlone(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	d.scan(r, "--ref", "mian").wantCode(1).says(`no revision "mian"`, "did you mean main?", "recorded as failed in the audit trail alone", "see gxpledger audit --action scan_attempt_failed")
	d.run("gaps").wantCode(1).says("no scan was recorded yet")
	d.run("audit", "--action", "scan_attempt_failed").wantCode(0).has("mian")
	d.run("scans", "--failed").wantCode(0).has("No scan of a repository failed. Those under names that are not known are in gxpledger audit --action scan_attempt_failed.")
	d.scan(r).wantCode(0)
	d.scan(r, "--ref", "mian").wantCode(1).says(`no revision "mian"`, "scan 2 was recorded as failed")
	d.wantEvents("scan.attempt_failed.v1", "repository.registered.v1", "artifact.parsed.v2", "artifact.parsed.v2", "scan.completed.v2", "scan.failed.v2")
}

func TestAnIncompleteTreeIsAFailedScan(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.git("commit", "-q", "--allow-empty", "-m", "nothing")
	got := d.scan(r).wantCode(1).says("refused because of the violation above")
	if !strings.Contains(got.stderr, "no_gxp_directory") {
		t.Errorf("says %q", got.stderr)
	}
}

func TestLimitsAreTheOperators(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).requirement("REQ-002", strings.Repeat("long ", 500)).commit("x")
	if got := d.scan(r, "--limit", "files=3").wantCode(1); !strings.Contains(got.stderr, "limit_exceeded") {
		t.Errorf("says %q", got.stderr)
	}
	if got := d.scan(r, "--limit", "file=2KiB", "--limit", "bytes=1GiB").wantCode(0); !strings.Contains(got.stdout, "REQ-002.md") {
		t.Errorf("the file above the limit is not named: %s", got.stdout)
	}
}

func TestAStoppedScanLeavesNothingButItsFailure(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	noon := d.now
	d.now = func() time.Time { // the clock is read when the scan starts: stop it right then
		if reads++; reads == 2 {
			cancel()
		}
		return noon()
	}
	got := d.bare(ctx, "scan", r.dir, "--name", "demo", "--home", d.home).wantCode(1).says("interrupted")
	if strings.Contains(got.stdout, "Recorded") {
		t.Errorf("a stopped scan says %s", got.stdout)
	}
	d.now = noon
	d.scan(r).wantCode(0)
}

func TestAFailureWaitsForALogThatCanBeReached(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	log := filepath.Join(d.home, "log.db")
	if err := errors.Join(os.MkdirAll(d.home, 0o700), os.WriteFile(log, []byte("this is no log, it is a text"), 0o600)); err != nil {
		t.Fatal(err)
	}
	d.scan(r).wantCode(1).says("open log", "nothing was recorded", "spool", "next scan that reaches the log")
	if waiting, err := os.ReadDir(filepath.Join(d.home, "spool")); err != nil || len(waiting) != 1 {
		t.Fatalf("spool holds %v, %v", waiting, err)
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if got := d.scan(r).wantCode(0); !strings.Contains(got.stdout, "1 failure of scans that could not reach the log") {
		t.Errorf("says %s", got.stdout)
	}
	d.wantEvents("scan.attempt_failed.v1", "repository.registered.v1", "artifact.parsed.v2", "artifact.parsed.v2", "scan.completed.v2")
}

func TestAHomeIsForItsOwnerAndNotForGit(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	d.home = filepath.Join(r.dir, ".gxpledger")
	d.scan(r).wantCode(0)
	info, err := os.Stat(d.home)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("home is %v, %v", info.Mode(), err)
	}
	if status := r.git("status", "--porcelain"); status != "" {
		t.Errorf("git sees %s", status)
	}
	taken := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.home = taken
	d.scan(r).wantCode(1).says(taken, "--home")
}

func TestTheHomeMayComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	d.env["GXPLEDGER_HOME"] = d.home
	d.bare(t.Context(), "scan", r.dir).wantCode(0)
	if _, err := os.Stat(filepath.Join(d.home, "log.db")); err != nil {
		t.Error(err)
	}
}

func TestTheIDOfARepositoryComesFromItsNameForEver(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	var document struct {
		Repository struct {
			ID string `json:"id"`
		} `json:"repository"`
	}
	if err := json.Unmarshal([]byte(d.scan(r, "--json").wantCode(0).stdout), &document); err != nil {
		t.Fatal(err)
	}
	if document.Repository.ID != "2b2d5a66-fbf3-50f1-9f54-55de0177c2ff" {
		t.Errorf("id of %q is %s: this must never change", "demo", document.Repository.ID)
	}
}

func TestVerboseLogsAndIsHarmless(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	if got := d.scan(r, "--verbose").wantCode(0); !strings.Contains(got.stderr, "level=debug") {
		t.Errorf("logs %q", got.stderr)
	}
	if got := d.scan(r).wantCode(0); got.stderr != "" {
		t.Errorf("without --verbose it says %q", got.stderr)
	}
}

func TestHelpHasExamplesForEveryCommand(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, args := range [][]string{{"--help"}, {"scan", "--help"}, {"version", "--help"}, {"help", "--help"}} {
		got := d.bare(t.Context(), args...).wantCode(0)
		if !strings.Contains(got.stdout, "Examples:\n  gxpledger ") {
			t.Errorf("%q has no example", args)
		}
	}
	d.bare(t.Context(), "scan", "--help").golden("help_scan.txt")
	if same := d.bare(t.Context()); same.stdout != d.bare(t.Context(), "help").stdout || same.code != 0 {
		t.Error("gxpledger alone does not show its help")
	}
}

func TestVersionSaysWhatItIs(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	if got := d.bare(t.Context(), "version").wantCode(0); !strings.HasPrefix(got.stdout, "gxpledger ") || !strings.Contains(got.stdout, "go1.") {
		t.Errorf("says %q", got.stdout)
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(d.bare(t.Context(), "version", "--json").wantCode(0).stdout), &document); err != nil || document["go"] == "" {
		t.Errorf("document %v, %v", document, err)
	}
}

func TestRunUsesTheRealWorld(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if code := cli.Run(t.Context(), []string{"version"}, strings.NewReader(""), &out, &out); code != 0 || !strings.HasPrefix(out.String(), "gxpledger ") {
		t.Errorf("exit code %d, says %q", code, out.String())
	}
}
