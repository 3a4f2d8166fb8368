package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// logged returns the lines of a log in JSON.
func (r result) logged() []map[string]any {
	r.t.Helper()
	var all []map[string]any
	for line := range strings.Lines(r.stderr) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			r.t.Fatalf("%q logs %q: %v", r.args, line, err)
		}
		all = append(all, entry)
	}
	return all
}

// last is the line of the operation.
func (r result) lastLogged() map[string]any {
	r.t.Helper()
	all := r.logged()
	if len(all) == 0 {
		r.t.Fatalf("%q logs nothing", r.args)
	}
	return all[len(all)-1]
}

func TestEachOperationIsOneLineOfTheLog(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).story("US-1", "REQ-404").commit("broken")
	asJSON := func(args ...string) []string { return append(args, "--log-format", "json") }
	for _, c := range []struct {
		got  result
		code int
		want map[string]any
	}{
		{d.scan(r, asJSON()...), 1, map[string]any{"level": "error", "operation": "scan", "outcome": "failed", "code": "missing_parent", "violations": 1.0, "exit": 1.0, "repository": "demo", "scan": 1.0}},
		{d.scan(r, asJSON("--links", "flag")...), 0, map[string]any{"level": "info", "operation": "scan", "outcome": "completed", "exit": 0.0, "repository": "demo", "scan": 2.0}},
		{d.run(asJSON("verify")...), 0, map[string]any{"operation": "verify", "outcome": "done", "faults": 0.0, "unknown": 0.0}},
		{d.run(asJSON("gaps")...), 3, map[string]any{"level": "info", "operation": "gaps", "outcome": "findings", "exit": 3.0}},
		{d.run(asJSON("show", "wat")...), 2, map[string]any{"level": "error", "operation": "show", "outcome": "wrong usage", "exit": 2.0}},
		{d.run(asJSON("projections", "rebuild", "audit", "--reason", "x")...), 0, map[string]any{"operation": "projections rebuild", "outcome": "done"}},
	} {
		c.got.wantCode(c.code)
		line := c.got.lastLogged()
		for name, want := range c.want {
			if line[name] != want {
				t.Errorf("%q logs %s = %v, want %v: %v", c.got.args, name, line[name], want, line)
			}
		}
		if _, ok := line["duration_ms"].(float64); !ok {
			t.Errorf("%q logs no duration: %v", c.got.args, line)
		}
		if ends := slices.DeleteFunc(c.got.logged(), func(l map[string]any) bool { return l["duration_ms"] == nil }); len(ends) != 1 {
			t.Errorf("%q logs %d operations, want 1", c.got.args, len(ends))
		}
	}
}

func TestLevelsOfTheLog(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("x")
	for want, args := range map[string][]string{
		"":                {"--log-level", "warn"},
		"level=info":      {"--log-level", "info"},
		"level=debug":     {"--verbose"},
		"level=info ":     {"--log-format", "text"},
		`"level":"debug"`: {"--log-format", "json", "--log-level", "debug"},
	} {
		got := d.scan(r, args...).wantCode(0)
		if !strings.Contains(got.stderr, want) || want == "" && got.stderr != "" {
			t.Errorf("%q logs %q, want %q", args, got.stderr, want)
		}
	}
	if got := d.scan(r, "--log-format", "json", "--log-level", "off", "--links", "strict", "--ref", "nosuch").wantCode(1); !strings.HasPrefix(got.stderr, "gxpledger: ") {
		t.Errorf("without a log it tells %q", got.stderr)
	}
	d.run("scans", "--log-level", "loud").wantCode(2).says("--log-level", "want off or error or warn or info or debug")
}

// TestNoLineOfTheLogHoldsASecretOrContent gives secrets wherever a command takes or finds texts, in both forms of the log.
func TestNoLineOfTheLogHoldsASecretOrContent(t *testing.T) {
	t.Parallel()
	token := secretToken()
	const password, content = `s3cr"3t<V4lue`, "the quick brown content"
	escaped := strings.NewReplacer(`"`, "%22", "<", "%3C").Replace(password)
	r := newRepo(t).requirement("REQ-002", content).write(".gxp/evidence/OQ-1/manifest.json", "{}\n").
		write(".gxp/evidence/OQ-1/artifacts/log.txt", token+"\n").write(".gxp/specs/SPEC-1.md", "---\n"+content+": ["+"\n---\n").commit(content)
	r.git("config", "remote.origin.url", "https://ci:"+escaped+"@127.0.0.1:1/x")
	lines := 0
	for _, format := range []string{"text", "json"} {
		d := newFixture(t)
		d.env["PGPASSWORD"] = password
		for i, args := range [][]string{
			{"scan", r.dir},
			{"scan", r.dir, "--allow-secrets"},
			{"scan", r.dir, "--allow-secrets", "--reason", token, "--actor", "ci"},
			{"scan", "https://ci:" + escaped + "@127.0.0.1:1/x"},
			{"scan", "https://" + token + "@127.0.0.1:1/x"},
			{"scan", r.dir, "--name", token},
			{"scan", r.dir, "--ref", token},
			{"show", "requirement", "REQ-002"},
			{"show", token},
			{"audit"},
			{"audit", "--actor", token},
			{"verify", "--deep"},
			{"gaps"},
			{"history", "REQ-002"},
			{token},
			{"scans", "--log", "postgres://ci:" + escaped + "@127.0.0.1:1/x", "--wait", "10ms"},
			{"scans", "--log", "ftp://ci:" + escaped + "@h/x"},
			{"verify", "--log", "esdb://ci:" + escaped + "@127.0.0.1:1?tls=false", "--wait", "10ms"},
		} {
			if format == "text" && i%3 != 1 { // the forms differ in how they escape, which a part shows
				continue
			}
			got := d.run(append(args, "--log-level", "debug", "--log-format", format)...)
			for line := range strings.Lines(got.stderr) {
				if format == "text" && !strings.HasPrefix(line, "time=") {
					continue // for a person
				}
				lines++
				for _, secret := range []string{token, password, escaped, `s3cr\"3t<V4lue`, `s3cr\"3t`, "V4lue", content} {
					if strings.Contains(line, secret) {
						t.Errorf("%q logs %q in %s", args, secret, line)
					}
				}
			}
		}
	}
	if lines < 25 {
		t.Errorf("%d lines: the sweep logs too little", lines)
	}
}
