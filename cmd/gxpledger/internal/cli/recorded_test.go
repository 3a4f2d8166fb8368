package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// brokenPipe is a screen that nobody reads any more.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestARecordedScanEndsWithZero is I16: whatever fails once the log has the scan is no failure of the scan.
func TestARecordedScanEndsWithZero(t *testing.T) {
	t.Parallel()
	for _, format := range [][]string{nil, {"--json"}} {
		d := newFixture(t)
		r := newRepo(t).commit("One")
		var stderr bytes.Buffer
		env := func(string) (string, bool) { return "", false }
		args := append([]string{"scan", r.dir, "--name", "demo", "--home", d.home}, format...)
		code := cli.System{Stdin: strings.NewReader(""), Stdout: brokenPipe{}, Stderr: &stderr, Env: env, Now: d.now}.Run(t.Context(), args)
		if code != 0 || !strings.Contains(stderr.String(), "scan 1 was recorded; its result could not be written: ") {
			t.Errorf("%q to a broken pipe: exit code %d, says %q", format, code, stderr.String())
		}
		d.commands++
		for _, tables := range []struct {
			damaged   bool
			projected bool
		}{{false, true}, {true, false}} {
			if tables.damaged {
				d.wreck("tables.db")
			}
			var done struct {
				Outcome   string `json:"outcome"`
				Projected *bool  `json:"projected"`
			}
			got := d.scan(r, "--json").wantCode(0)
			if err := json.Unmarshal([]byte(got.stdout), &done); err != nil || done.Outcome != "completed" || done.Projected == nil || *done.Projected != tables.projected {
				t.Errorf("tables damaged %t: %v in %s", tables.damaged, err, got.stdout)
			}
			if follow := strings.Contains(got.stderr, "recorded; the tables do not show it yet"); follow != tables.damaged {
				t.Errorf("tables damaged %t: says %q", tables.damaged, got.stderr)
			}
		}
		d.remove("tables.db")
		if got := d.run("scans").wantCode(0); strings.Count(got.stdout, " completed ") != 3 {
			t.Errorf("the tables did not follow:\n%s", got.stdout)
		}
	}
}

// TestAScanTellsTheTimeOfTheLog runs a scan on a clock that goes back by an hour: the log keeps its times from falling.
func TestAScanTellsTheTimeOfTheLog(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("One")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d.now = func() time.Time { return at }
	d.scan(r).wantCode(0)
	at = at.Add(-time.Hour)
	got := d.scan(r).wantCode(0)
	if !strings.Contains(got.stdout, "scan 2 by tester@site (claimed) at 2026-03-01T12:00:00Z, ") {
		t.Errorf("it does not tell the time that was stored:\n%s", got.stdout)
	}
	if !strings.Contains(got.stderr, "the clocks differ: the log recorded the scan at 2026-03-01T12:00:00Z, the clock here was at 2026-03-01T11:00:00Z") {
		t.Errorf("it does not warn of the clock: %q", got.stderr)
	}
	verified := d.run("verify").wantCode(0)
	if !strings.Contains(verified.stdout, "warning: clock position ") || !strings.Contains(verified.stdout, "No faults found.") {
		t.Errorf("verify does not name the step:\n%s", verified.stdout)
	}
	at = at.Add(2 * time.Hour)
	if got := d.scan(r).wantCode(0); got.stderr != "" || !strings.Contains(got.stdout, " at 2026-03-01T13:00:00Z, ") {
		t.Errorf("a right clock: %q\n%s", got.stderr, got.stdout)
	}
}

func TestAScanSaysWhichPolicyIsForUnsignedPackages(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("One")
	d.scan(r, "--unsigned-packages", "perhaps").wantCode(2).says("unsigned-packages", "unverified", "invalid")
	for number, policy := range []string{"unverified", "invalid"} {
		args := []string{"--json"}
		if number > 0 {
			args = append(args, "--unsigned-packages", policy)
		}
		if got := d.scan(r, args...).wantCode(0); !strings.Contains(got.stdout, `"unsigned_packages": "`+policy+`"`) {
			t.Errorf("the scan does not record the policy %s:\n%s", policy, got.stdout)
		}
		if got := d.run("scans").wantCode(0); !strings.Contains(got.stdout, "  "+policy+"  ") {
			t.Errorf("scans does not show the policy %s:\n%s", policy, got.stdout)
		}
	}
}

func TestIgnoredFilesAreCountedAndListed(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).write(".gxp/README.md", "Hello").write(".gxp/requirements/notes.txt", "Hello").commit("One")
	if got := d.scan(r).wantCode(0); !strings.Contains(got.stdout, "Ignored     2 files below .gxp/: gxpledger show ignored lists them") {
		t.Errorf("the scan does not count them:\n%s", got.stdout)
	}
	got := d.run("show", "ignored").wantCode(0)
	for _, part := range []string{"\n.gxp/README.md\n", "\n.gxp/requirements/notes.txt\n", "\n2 ignored files\n"} {
		if !strings.Contains(got.stdout, part) {
			t.Errorf("show ignored does not say %q:\n%s", part, got.stdout)
		}
	}
	if got := d.run("show", "ignored", "--query", "READ").wantCode(0); strings.Contains(got.stdout, "notes") || !strings.Contains(got.stdout, "\n1 ignored file\n") {
		t.Errorf("the filter:\n%s", got.stdout)
	}
	d.scan(r.write(".gxp/README", "More").commit("Two")).wantCode(0)
	if got := d.run("show", "ignored", "--as-of", "scan:1", "--json").wantCode(0); !strings.Contains(got.stdout, `"count": 2`) || strings.Contains(got.stdout, `"note"`) {
		t.Errorf("as of scan 1:\n%s", got.stdout)
	}
}
