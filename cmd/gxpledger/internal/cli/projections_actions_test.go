package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// lines returns the lines of JSON in text as documents.
func lines(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var document map[string]any
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, document)
	}
	return out
}

func TestPausedTablesAreShownAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.run("projections", "pause", "artifacts", "--reason", "database upgrade", "--actor", "admin").wantCode(0).golden("projections_pause.txt")
	got := d.run("scan", newRepo(t).commit("first").dir, "--name", "another", "--actor", "tester@site").wantCode(0)
	if !strings.Contains(got.stderr, "the tables are behind the log: projection artifacts is paused since 2026-03-01T12:02:00Z by admin: database upgrade") {
		t.Errorf("the scan says %q, want who paused what", got.stderr)
	}
	d.run("projections", "status").wantCode(0).golden("projections_paused.txt")
	got = d.run("show", "requirements").wantCode(0)
	if !strings.Contains(got.stderr, "is paused since") || strings.Contains(got.stdout, "another") {
		t.Errorf("show writes %s and says %q, want the old tables, and that they are old", got.stdout, got.stderr)
	}
	d.run("projections", "resume", "artifacts", "--reason", "done", "--actor", "admin").wantCode(0)
	if got := d.run("show", "requirements").wantCode(0); !strings.Contains(got.stdout, "another") || got.stderr != "" {
		t.Errorf("show writes %s and says %q, want the present", got.stdout, got.stderr)
	}
	d.run("audit", "--resource", "engine").wantCode(0).golden("audit_pause.txt")
	var out struct {
		Actions []struct {
			Action string `json:"action"`
			Target string `json:"target"`
		} `json:"actions"`
	}
	again := d.run("projections", "pause", "--all", "--reason", "x", "--actor", "admin", "--json").wantCode(0)
	if err := json.Unmarshal([]byte(again.stdout), &out); err != nil || len(out.Actions) != 3 || out.Actions[2].Action != "projection.pause" || out.Actions[2].Target != "history" {
		t.Errorf("pause --json writes %s (%v), want three actions", again.stdout, err)
	}
	d.run("projections", "resume", "--all", "--reason", "x").wantCode(0)
	d.run("projections", "resume", "--all", "--reason", "x").wantCode(0).golden("projections_resume_again.txt")
}

func TestARebuildAndAPruneAreRecorded(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.run("projections", "rebuild", "history", "--reason", "to try", "--actor", "admin").wantCode(0)
	d.run("projections", "builds", "history").wantCode(0).golden("projections_builds.txt")
	if got := d.run("projections", "builds", "--json").wantCode(0); strings.Count(got.stdout, `"sha256"`) != 16+1+2*2 {
		t.Errorf("builds --json writes %s, want the digests of every table of four builds", got.stdout)
	}
	d.run("projections", "prune", "history", "--reason", "room", "--actor", "admin").wantCode(0).golden("projections_prune.txt")
	d.run("projections", "prune", "history", "--reason", "room", "--actor", "admin").wantCode(0).golden("projections_prune_nothing.txt")
	d.run("audit", "--resource", "engine").wantCode(0).golden("audit_prune.txt")
	if v := d.verify(0); !v.Sound {
		t.Errorf("verify found %+v", v.Faults)
	}
	d.run("projections", "rebuild", "--all", "--from-version", "--reason", "upgrade").wantCode(0).golden("projections_left.txt")
}

// forgeRow makes the audit table refuse the next event: its row is there already.
func (d *fixture) forgeRow() { d.forgeRowAt(22) }

// forgeRowAt does so with the event at a position.
func (d *fixture) forgeRowAt(position int) {
	d.t.Helper()
	d.tamper("tables.db", fmt.Sprintf(
		`INSERT INTO audit_log__b1 SELECT %d, recorded_at, actor, action, resource_type, resource_id, repository_id, gxp_id, outcome, reason,
			summary, payload_sha256, scan_id, event_id, stream, revision, %[1]d FROM audit_log__b1 WHERE sequence = 21`, position))
}

// A fault inside a batch names the end of the batch before as a point in time: what is between was never given to anybody (I19).
func TestAFaultInsideABatchNamesTheBatchBefore(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.forgeRowAt(23)
	d.scan(r, "--links", "flag").wantCode(0)
	d.run("audit").wantCode(1).says("projection audit stopped at position 23", "--as-of pos:21,")
	d.run("audit", "--as-of", "pos:21").wantCode(0)
}

// Whenever a command is interrupted, it says that nothing was recorded only where that is so.
func TestAnInterruptedCommandSaysWhetherSomethingWasRecorded(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	events := func() int { return len(lines(t, d.run("log", "--json").wantCode(0).stdout)) }
	said := map[bool]int{}
	for at := 1; at < 24; at += 3 {
		before, now, calls := events(), d.now, 0
		ctx, cancel := context.WithCancel(t.Context())
		d.now = func() time.Time {
			if calls++; calls == at {
				cancel()
			}
			return now()
		}
		got := d.bare(ctx, "projections", "rebuild", "audit", "--reason", "to see", "--actor", "admin", "--home", d.home)
		cancel()
		d.now = now
		nothing := strings.Contains(got.stderr, "interrupted; nothing was recorded")
		if after := events(); nothing && after != before {
			t.Errorf("interrupted at call %d: it says %q, and %d events were recorded", at, got.stderr, after-before)
		}
		if got.code != 0 {
			said[nothing]++
		}
	}
	if said[true] == 0 {
		t.Errorf("it said that nothing was recorded %d times, and something else %d times", said[true], said[false])
	}
}

func TestAFaultedProjectionStopsOnlyWhatShowsIt(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.forgeRow()
	scanned := d.scan(r, "--links", "flag").wantCode(0)
	for _, part := range []string{"scan 4 was recorded; the tables do not show it yet: ", "projection audit stopped at position 22", "projections skip audit 22"} {
		if !strings.Contains(scanned.stderr, part) {
			t.Errorf("the scan says %q, want %q in it", scanned.stderr, part)
		}
	}
	d.run("projections", "status").wantCode(3).golden("projections_faulted.txt")
	d.run("audit").wantCode(1).says("projection audit stopped at position 22", "--as-of pos:21", "gxpledger projections skip audit 22 --reason TEXT")
	got := d.run("show", "requirements").wantCode(0)
	if !strings.Contains(got.stderr, "projection audit stopped at position 22") {
		t.Errorf("show says %q, want that another projection stopped", got.stderr)
	}
	d.run("show", "requirements", "--as-of", "pos:23").wantCode(0)
	d.run("audit", "--as-of", "pos:21").wantCode(0)
	d.run("projections", "skip", "22", "--reason", "row was forged, deviation 4", "--actor", "admin").wantCode(0).golden("projections_skip.txt")
	d.run("projections", "status").wantCode(0)
	d.run("audit", "--resource", "engine").wantCode(0).golden("audit_skip.txt", d.event(22), "EVENT-ID")
	if v := d.verify(3); len(v.Faults) == 0 || !strings.Contains(v.Faults[0].Text, "audit_log, row 22") {
		t.Errorf("verify found %+v, want the forged row", v.Faults)
	}
	d.run("projections", "rebuild", "audit", "--reason", "to get rid of it", "--actor", "admin").wantCode(0)
	if v := d.verify(0); !v.Sound {
		t.Errorf("verify found %+v, want that the rebuilt tables pass over the same event", v.Faults)
	}
}

// event returns the id of the event at a position.
func (d *fixture) event(position int) string {
	d.t.Helper()
	for _, document := range lines(d.t, d.run("log", "--json").wantCode(0).stdout) {
		if at, ok := document["position"].(float64); ok && int(at) == position {
			id, _ := document["id"].(string)
			return id
		}
	}
	d.t.Fatalf("there is no event at position %d", position)
	return ""
}

// An act of a process that died right after it is recorded by the next command that steers, as it was done.
func TestAnActionOfADeadProcessIsRecordedByTheNextCommand(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.tamper("tables.db", `INSERT INTO kept_acts (id, projection, build, act) VALUES ('01951c2e-7a00-7000-8000-0000000000aa', 'audit', 0,
		'{"id":"01951c2e-7a00-7000-8000-0000000000aa","action":"projection.pause","target":"audit","actor":"the dead","reason":"x","outcome":"succeeded","at":"2026-03-01T12:00:00Z"}')`)
	d.run("projections", "prune", "audit", "--reason", "x").wantCode(0)
	for range 2 {
		if got := d.run("audit", "--actor", "the dead").wantCode(0); strings.Count(got.stdout, "ADMIN_PROJECTION_PAUSE") != 1 {
			t.Errorf("the trail holds\n%s\nwant the act once", got.stdout)
		}
		d.run("projections", "prune", "audit", "--reason", "x").wantCode(0)
	}
}

func TestRunKeepsTheTablesAtTheHeadAndServesMetrics(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	code := make(chan int, 1)
	stderr := &strings.Builder{}
	now := d.now()
	system := cli.System{
		Stdin: strings.NewReader(""), Stdout: write, Stderr: stderr, Now: func() time.Time { return now },
		Env: func(string) (string, bool) { return "", false },
	}
	go func() {
		code <- system.Run(ctx, []string{"projections", "run", "--metrics", "127.0.0.1:0", "--json", "--home", d.home})
		_ = write.Close()
	}()
	screen := bufio.NewReader(read)
	next := func() map[string]any {
		line, err := screen.ReadString('\n')
		if err != nil {
			t.Fatalf("run ended: %v, %s", err, stderr)
		}
		return lines(t, line)[0]
	}
	address, _ := next()["metrics"].(string)
	for range 3 {
		if status, _ := next()["status"].(map[string]any); status["state"] != "live" {
			t.Errorf("status is %+v, want live", status)
		}
	}
	get := func(path string, want int) string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != want {
			t.Fatalf("%s answers %d %s (%v), want %d", path, response.StatusCode, body, err, want)
		}
		return string(body)
	}
	get("/livez", http.StatusNoContent)
	get("/readyz", http.StatusOK)
	for _, want := range []string{
		"gxp_log_head_position 21\n", `gxp_projection_position{build="1",projection="audit",version="5"} 21`,
		`gxp_projection_lag_events{projection="artifacts"} 0`, `gxp_projection_state{projection="history",state="live"} 1`,
		`gxp_projection_state{projection="history",state="faulted"} 0`, "gxp_build_info{",
	} {
		if metrics := get("/metrics", http.StatusOK); !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s:\n%s", want, metrics)
		}
	}
	for polled := false; !polled; { // they follow the log by themselves
		if t.Context().Err() != nil {
			t.Fatal("the metrics of scans do not follow the log")
		}
		polled = strings.Contains(get("/metrics", http.StatusOK), `gxp_scans_total{outcome="completed",repository="demo",repository_id="2b2d5a66-fbf3-50f1-9f54-55de0177c2ff"}`)
	}
	d.forgeRow()
	d.scan(r, "--links", "flag") // whoever projects it meets the forged row
	if status, _ := next()["status"].(map[string]any); status["name"] != "audit" || status["state"] != "faulted" {
		t.Errorf("status is %+v, want that audit stopped", status)
	}
	get("/readyz", http.StatusServiceUnavailable)
	if metrics := get("/metrics", http.StatusOK); !strings.Contains(metrics, `gxp_projection_state{projection="audit",state="faulted"} 1`) {
		t.Errorf("metrics do not show the fault:\n%s", metrics)
	}
	cancel()
	_, _ = io.Copy(io.Discard, read)
	if got := <-code; got != 1 { // somebody has to look at it
		t.Errorf("run ended with code %d, want 1: %s", got, stderr)
	}
}

func TestWrongUseOfProjectionsIsOneSentenceThatHelps(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for args, c := range map[string]struct {
		code  int
		parts []string
	}{
		"projections pause":                            {2, []string{"artifacts", "--all"}},
		"projections pause audit":                      {2, []string{"--reason is required"}},
		"projections pause audit artifacts --reason x": {2, []string{"takes one projection"}},
		"projections resume audit --reason x":          {1, []string{"audit: it is not paused", "nothing was changed"}},
		"projections cancel audit --reason x":          {1, []string{"audit is not being rebuilt"}},
		"projections prune audit --keep -1 --reason x": {2, []string{"--keep does not take -1"}},
		"projections skip --reason x":                  {2, []string{"the position of the event"}},
		"projections skip ten --reason x":              {2, []string{`"ten" is not a position`}},
		"projections skip 7":                           {2, []string{"--reason is required"}},
		"projections skip 7 --reason x":                {1, []string{"no projection stopped there"}},
		"projections skip audits 7 --reason x":         {2, []string{"did you mean audit?"}},
		"projections skip audit 7 --reason x":          {1, []string{"projection audit did not stop there"}},
		"projections builds audits":                    {2, []string{"did you mean audit?"}},
		"projections run --metrics 9464":               {2, []string{"want HOST:PORT"}},
		"projections run --verify-every 1s":            {2, []string{"want a minute or more"}},
		"projections run --metrics 0.0.0.0:0":          {2, []string{"can be reached from other machines"}},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			d.in(t).run(strings.Fields(args)...).wantCode(c.code).says(c.parts...)
		})
	}
}
