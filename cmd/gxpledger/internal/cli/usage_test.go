package cli_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/internal/race"
)

// blanks are texts that show nothing.
func blanks() []string {
	return []string{"", " ", "\t", " \n ", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u2060 \u200d"}
}

// eachCommand calls use with every command, its path behind the name of the program, and all flags that it takes.
func eachCommand(use func(cmd *cobra.Command, path []string, flags map[string]*pflag.Flag)) {
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		flags := map[string]*pflag.Flag{}
		add := func(f *pflag.Flag) { flags[f.Name] = f }
		cmd.InheritedFlags().VisitAll(add)
		cmd.NonInheritedFlags().VisitAll(add)
		use(cmd, path, flags)
		for _, sub := range cmd.Commands() {
			walk(sub, append(slices.Clone(path), sub.Name()))
		}
	}
	walk(cli.NewRoot(), nil)
}

// TestNoFlagAndNoArgumentTakesAnEmptyValue tries every flag and argument of every command: a new one is tried too.
func TestNoFlagAndNoArgumentTakesAnEmptyValue(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector: nothing in it runs at the same time")
	}
	d := newFixture(t)
	commands, tried := 0, 0
	refused := func(names string, args ...string) {
		tried++
		got := d.bare(t.Context(), args...)
		if got.code != 2 || got.stdout != "" || !strings.Contains(got.stderr, names) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q: %d, %q, %q; want 2 and a sentence with %q", args, got.code, got.stdout, got.stderr, names)
		}
	}
	eachCommand(func(cmd *cobra.Command, path []string, flags map[string]*pflag.Flag) {
		commands++
		for name, flag := range flags {
			if _, allowed := cli.EmptyFlags()[name]; allowed {
				continue
			}
			for _, blank := range blanks() {
				says := "the flag --" + name + " is empty"
				if flag.Value.Type() == "bool" {
					says = "the flag --" + name + " does not take"
				}
				refused(says, append(slices.Clone(path), "--"+name+"="+blank)...)
			}
		}
		for _, blank := range blanks() {
			refused(cmd.CommandPath(), append(slices.Clone(path), "--home", d.home, blank)...)
			refused(cmd.CommandPath(), append(slices.Clone(path), "--home", d.home, "x", blank)...)
		}
	})
	if commands < 20 || tried < 2000 {
		t.Errorf("%d commands, %d tries: the sweep lost its way", commands, tried)
	}
	if _, err := os.Lstat(d.home); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a command that was refused made its home: %v", err)
	}
	for _, args := range [][]string{
		{"scan", "--ref", ""}, {"scan", "--actor", ""}, {"scan", "--name", ""}, {"gaps", "--repository", ""}, {"scan", "--reason", "\u200b"},
	} {
		d.run(args...).wantCode(2).says("the flag "+args[1]+" is empty", "or leave the flag out")
	}
	d.run("repository", "retire", "x", "--reason", " ").wantCode(2).says("the flag --reason is empty: want REASON")
	d.run("show", "requirements", "").wantCode(2).says("argument 2 of gxpledger show is empty: want gxpledger show KIND [ID]")
}

// TestDidYouMeanNamesFlagsOfTheCommand misspells every flag of every command.
func TestDidYouMeanNamesFlagsOfTheCommand(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector: nothing in it runs at the same time")
	}
	d := newFixture(t)
	meant := regexp.MustCompile(`did you mean (--[a-z-]+)(?: or (--[a-z-]+))?\?`)
	eachCommand(func(_ *cobra.Command, path []string, flags map[string]*pflag.Flag) {
		for name := range flags {
			for _, wrong := range []string{name + "x", name[:len(name)-1], name[:1] + "x" + name[1:]} {
				if flags[wrong] != nil || len(wrong) < 3 {
					continue
				}
				got := d.bare(t.Context(), append(slices.Clone(path), "--"+wrong)...)
				m := meant.FindStringSubmatch(got.stderr)
				if got.code != 2 || m == nil || m[1] == m[2] || m[1] != "--"+name && m[2] != "--"+name {
					t.Errorf("%q --%s: %d, %s; want it to name --%s, and once", path, wrong, got.code, got.stderr, name)
					continue
				}
				for _, other := range m[1:] {
					if other != "" && flags[strings.TrimPrefix(other, "--")] == nil {
						t.Errorf("%q --%s: names %s, which the command does not take", path, wrong, other)
					}
				}
			}
		}
	})
	d.run("scan", "--hom", "x").wantCode(2).says("did you mean --home?")
	d.run("log", "--type", "artifact.parsd").wantCode(2).says("did you mean artifact.parsed?")
}

// jsonError checks that standard error is one JSON object and returns it.
func (r result) jsonError() map[string]any {
	r.t.Helper()
	var d map[string]any
	decoder := json.NewDecoder(strings.NewReader(r.stderr))
	if err := decoder.Decode(&d); err != nil || decoder.More() || strings.Count(r.stderr, "\n") != 1 {
		r.t.Fatalf("%q: standard error is %q (%v), want one JSON object in a line", r.args, r.stderr, err)
	}
	if d["exit"] != float64(r.code) || d["error"] == "" || d["code"] == "" || d["code"] == nil || d["error"] == nil {
		r.t.Errorf("%q: exit code %d, and the error is %s", r.args, r.code, r.stderr)
	}
	if r.stdout != "" && !json.Valid([]byte(r.stdout)) {
		r.t.Errorf("%q: half a document: %s", r.args, r.stdout)
	}
	return d
}

func TestErrorsAreJSONWithTheFlagJSON(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("First")
	eachCommand(func(_ *cobra.Command, path []string, _ map[string]*pflag.Flag) {
		for _, wrong := range [][]string{
			{"--nosuch", "--json"},
			{"--json", "--nosuch"},
			{"--json", "--home"},
			{"--home", "", "--json"},
			{"--json=true", "--log", "ftp://x"},
			{"--json", "--log", ""},
			{"-x", "--json"},
			{"a", "b", "c", "d", "--json", "--home", d.home},
			{"--json", ""},
			{"--json=wat"},
		} {
			if wrong[0] == "a" && slices.Equal(path, []string{"relay", "run"}) {
				continue // it takes any number of names
			}
			got := d.bare(t.Context(), append(slices.Clone(path), wrong...)...)
			if got.wantCode(2); got.jsonError()["code"] != "usage" || got.stdout != "" {
				t.Errorf("%q: %s%s", got.args, got.stdout, got.stderr)
			}
		}
	})
	for _, c := range []struct {
		args []string
		code int
		want string // of code
	}{
		{[]string{"gaps"}, 1, "failed"},
		{[]string{"matrix", "--format", "csv"}, 2, "usage"},
		{[]string{"matrix", "--output", "x.html"}, 2, "usage"},
		{[]string{"audit", "--since", "yesterday"}, 2, "usage"},
		{[]string{"show", "wat"}, 2, "usage"},
		{[]string{"scan", r.dir, "--ref", "nosuch"}, 1, "failed"},
		{[]string{"scan", r.dir + "/nosuch"}, 1, "failed"},
		{[]string{"projections", "rebuild", "nosuch", "--reason", "x"}, 2, "usage"},
	} {
		got := d.run(append(c.args, "--json")...).wantCode(c.code)
		if e := got.jsonError(); e["code"] != c.want || e["hint"] == nil && c.code == 2 {
			t.Errorf("%q: %s", c.args, got.stderr)
		}
	}
	r.story("US-1", "REQ-404").commit("Broken")
	refused := d.scan(r, "--json").wantCode(1)
	if refused.jsonError(); refused.stdout == "" {
		t.Error("a refused scan shows no document")
	}
	secret := d.bare(t.Context(), "gaps", "--json", "--log", "ftp://u:TOPSECRET@h/x").wantCode(2)
	if secret.jsonError(); strings.Contains(secret.stderr, "TOPSECRET") {
		t.Errorf("a password is in %s", secret.stderr)
	}
	if text := d.run("gaps", "--nosuch").wantCode(2); !strings.HasPrefix(text.stderr, "gxpledger: ") {
		t.Errorf("without --json the error is %s", text.stderr)
	}
}

func TestVersionNamesTheCommit(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, more := range [][]string{nil, {"--json"}} {
		command := d.bare(t.Context(), append([]string{"version"}, more...)...).wantCode(0)
		if flag := d.bare(t.Context(), append([]string{"--version"}, more...)...).wantCode(0); flag.stdout != command.stdout || flag.stdout == "" {
			t.Errorf("--version says %q, version %q", flag.stdout, command.stdout)
		}
	}
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for want, settings := range map[string][]debug.BuildSetting{
		`{"version":"v1.2.3","commit":"abc","time":"2026-03-01T00:00:00Z","modified":true,`: {
			setting("vcs.revision", "abc"), setting("vcs.time", "2026-03-01T00:00:00Z"), setting("vcs.modified", "true"),
		},
		`{"version":"v1.2.3","commit":"abc","go":`: {setting("vcs.revision", "abc"), setting("vcs.modified", "false")},
		`{"version":"v1.2.3","go":`:                nil,
	} {
		text, err := json.Marshal(cli.VersionOf(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: settings}))
		if err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s, %v, want it to begin with %s", text, err, want)
		}
	}
}

func TestABuildByGoInstallNamesItsCommitOrItsChecksum(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3":                                    `{"version":"v1.2.3","sum":"h1:abc=","go":`,
		"v0.0.0-20261201030504-0b4e96dc3582":        `{"version":"v0.0.0-20261201030504-0b4e96dc3582","commit":"0b4e96dc3582","sum":"h1:abc=",`,
		"v1.2.4-0.20261201030504-0b4e96dc3582":      `{"version":"v1.2.4-0.20261201030504-0b4e96dc3582","commit":"0b4e96dc3582","sum":"h1:abc=",`,
		"v1.2.4-rc.1.0.20261201030504-0b4e96dc3582": `{"version":"v1.2.4-rc.1.0.20261201030504-0b4e96dc3582","commit":"0b4e96dc3582",`,
	} {
		text, err := json.Marshal(cli.VersionOf(&debug.BuildInfo{Main: debug.Module{Version: version, Sum: "h1:abc="}}))
		if err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s, %v, want it to begin with %s", text, err, want)
		}
	}
}
