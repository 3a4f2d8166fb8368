package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (d *fixture) writeConfig(dir, text string) string {
	d.t.Helper()
	path := filepath.Join(dir, "gxpledger.yaml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// TestSettingsComeFromFlagsThenTheEnvironmentThenTheFile: as commands use them and as config print shows them.
func TestSettingsComeFromFlagsThenTheEnvironmentThenTheFile(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	path := d.writeConfig(t.TempDir(), "home: data\nlog:\n  url: postgres://ada@h/d\nserve:\n  esdb: nowhere:99999\n  writable: ['gxp-', '']\nwait: 5s\n")
	d.env["GXPLEDGER_DB"], d.env["GXPLEDGER_LOG_PASSWORD"], d.env["GXPLEDGER_WAIT"] = "postgres://bob:s3cret@h/d", "s3cret", "7s"
	got := d.bare(t.Context(), "config", "print", "--sources", "--config", path, "--json", "--verbose").wantCode(0)
	var settings []struct {
		Key    string   `json:"key"`
		Source string   `json:"source"`
		Values []string `json:"values"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &settings); err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, s := range settings {
		shown[s.Key] = strings.Join(s.Values, ",") + " " + filepath.Base(s.Source)
	}
	for key, want := range map[string]string{
		"log.url": "postgres://ada@h/d gxpledger.yaml:3", "log.password": "xxxxx GXPLEDGER_LOG_PASSWORD", "tables.url": "postgres://bob:xxxxx@h/d GXPLEDGER_DB",
		"wait": "7s GXPLEDGER_WAIT", "logging.verbose": "true --verbose", "serve.writable": "gxp-, gxpledger.yaml:6", "tables.lease": "10s default", "serve.tls-key": " not set",
	} {
		if shown[key] != want {
			t.Errorf("%s is %q, want %q", key, shown[key], want)
		}
	}
	screen := d.bare(t.Context(), "config", "print", "--sources", "--config", path).wantCode(0).stdout
	if strings.Contains(got.stdout+screen, "s3cret") || !strings.Contains(screen, "SOURCE") || strings.Contains(d.bare(t.Context(), "config", "print").stdout, "SOURCE") {
		t.Errorf("the screen is %s", screen)
	}
	d.env = map[string]string{"GXPLEDGER_CONFIG": d.writeConfig(t.TempDir(), "serve:\n  esdb: nowhere.invalid:99999\n")}
	d.scan(newRepo(t).commit("x")).wantCode(0)
	d.run("serve").wantCode(1).says("nowhere.invalid:99999") // the file says where to listen
	d.run("serve", "--esdb", "x").wantCode(2).says(`--esdb cannot listen at "x"`)
}

// TestTheFileOfTheHomeIsUsed: by every command that uses the home, and a mistake in it stops each before it does anything.
func TestTheFileOfTheHomeIsUsed(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("x")
	d.writeConfig(d.home, "logging:\n  verbose: true\n")
	if got := d.scan(r).wantCode(0); !strings.Contains(got.stderr, "level=debug") {
		t.Errorf("standard error is %q, want a log", got.stderr)
	}
	before := d.run("log").wantCode(0).stdout
	d.writeConfig(d.home, "loging:\n  verbose: true\n")
	for _, args := range [][]string{{"scan", r.dir}, {"gaps"}, {"config", "print"}, {"migrate", "up"}} {
		d.run(args...).wantCode(2).says("gxpledger.yaml:1", `there is no setting "loging"`, "did you mean logging?")
	}
	d.run("config", "schema").wantCode(0)
	d.run("version").wantCode(0)
	d.writeConfig(d.home, "")
	if after := d.run("log").wantCode(0).stdout; after != before {
		t.Errorf("the log is\n%s\nand was\n%s", after, before)
	}
}

func TestAHomeThatNobodyNamedDoesNotConfigureServers(t *testing.T) { //nolint:paralleltest // it changes the current folder
	d, r := newFixture(t), newRepo(t).commit("x")
	d.writeConfig(filepath.Join(r.dir, ".gxpledger"), "log:\n  url: postgres://ada@h/d\n")
	d.from(r.dir, "scan").wantCode(2).says("log.url cannot be set by a file in a home that nobody named", "--home", "--config")
	r.git("add", "-f", ".gxpledger")
	d.from(r.dir, "config", "print").wantCode(1).says("tracks")
}
