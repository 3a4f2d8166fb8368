package cli_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// diagnose returns what doctor finds: the state of each check, and its text with what to do.
func (d *fixture) diagnose(code int) (states, texts map[string]string) {
	d.t.Helper()
	var document struct {
		Healthy  bool `json:"healthy"`
		Findings []struct {
			Check  string `json:"check"`
			State  string `json:"state"`
			Text   string `json:"text"`
			Remedy string `json:"remedy"`
		} `json:"findings"`
	}
	if err := json.Unmarshal([]byte(d.run("doctor", "--json").wantCode(code).stdout), &document); err != nil {
		d.t.Fatal(err)
	}
	if document.Healthy != (code == 0) {
		d.t.Errorf("healthy is %t with exit code %d", document.Healthy, code)
	}
	states, texts = map[string]string{}, map[string]string{}
	for _, f := range document.Findings {
		states[f.Check], texts[f.Check] = f.State, f.Text+" "+f.Remedy
	}
	return states, texts
}

// TestDoctorSaysWhatIsWrong: of a home that is broken in one place after the other.
func TestDoctorSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("rights and the disk are unknown there")
	}
	d, r := newFixture(t), newRepo(t).commit("x")
	states, _ := d.diagnose(3)
	for check, want := range map[string]string{"log": "bad", "guards": "unknown", "clock": "unknown", "projections": "unknown", "verification": "unknown", "home": "bad"} {
		if states[check] != want {
			t.Errorf("without a home, %s is %q, want %s", check, states[check], want)
		}
	}
	if _, err := os.Lstat(d.home); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("doctor made a home: %v", err)
	}
	d.scan(r).wantCode(0)
	if err := os.Remove(filepath.Join(d.home, "tables.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	states, _ = d.diagnose(0)
	if _, err := os.Lstat(filepath.Join(d.home, "tables.db")); !errors.Is(err, fs.ErrNotExist) || states["projection tables"] != "warning" {
		t.Errorf("without tables, doctor finds %v (%v)", states, err)
	}
	d.run("gaps")
	states, _ = d.diagnose(0)
	for check, state := range states {
		if state != "good" && check != "verification" && check != "keys" && check != "disk" {
			t.Errorf("of a new home, %s is %s", check, state)
		}
	}
	if screen := d.run("doctor").wantCode(0).stdout; !strings.Contains(screen, "Nothing is wrong.") || !strings.Contains(screen, "--verify-every") {
		t.Errorf("the screen is %s", screen)
	}
	now := d.now
	d.now = func() time.Time { return now().Add(-time.Hour) }
	if states, texts := d.diagnose(3); states["clock"] != "bad" || !strings.Contains(texts["clock"], "synchronise the clocks") {
		t.Errorf("with a clock that was set back, %v", texts)
	}
	d.now = now
	if err := errors.Join(os.Chmod(d.home, 0o777), os.MkdirAll(filepath.Join(d.home, "spool"), 0o700), os.WriteFile(filepath.Join(d.home, "spool", "a.json"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if states, texts := d.diagnose(3); states["rights"] != "bad" || !strings.Contains(texts["rights"], "chmod") || states["spool"] != "warning" {
		t.Errorf("with a home that all may write, %v", texts)
	}
	if err := os.Chmod(d.home, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(d.home, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DROP TRIGGER chunks_no_delete"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if states, texts := d.diagnose(3); states["guards"] != "bad" || !strings.Contains(texts["guards"], "chunks_no_delete") {
		t.Errorf("without a trigger, %v", texts)
	}
	if screen := d.run("doctor").wantCode(3).stdout; !strings.Contains(screen, "1 problem, 0 checks without an answer.") {
		t.Errorf("the screen is %s", screen)
	}
	if got := d.run("doctor", "--log", "postgres://ada:s3cret@127.0.0.1:1/gxp", "--wait", "1ms").wantCode(3); strings.Contains(got.stdout+got.stderr, "s3cret") {
		t.Errorf("the screen is %s%s", got.stdout, got.stderr)
	}
}

// TestDoctorAsksAServer: for its clock, its schemas and its rights.
func TestDoctorAsksAServer(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.now = time.Now // as the server
	address := startClosed(t)
	d.env["GXPLEDGER_LOG"], d.env["GXPLEDGER_DB"] = address, address
	if states, texts := d.diagnose(3); states["log"] != "bad" || !strings.Contains(texts["log"], "migrate up") {
		t.Errorf("of an empty database, %v", texts)
	}
	d.run("migrate", "up").wantCode(0)
	d.scan(newRepo(t).commit("x")).wantCode(0)
	d.run("gaps")
	states, texts := d.diagnose(0)
	for check, want := range map[string]string{"clock": "of the database agree", "guards": "as gxpledger made it", "schema of the log": "migrations", "schema of the tables": "migrations", "projection artifacts": "live"} {
		if states[check] != "good" || !strings.Contains(texts[check], want) {
			t.Errorf("%s is %s: %s", check, states[check], texts[check])
		}
	}
	d.now = func() time.Time { return time.Now().Add(time.Hour) }
	if states, texts := d.diagnose(3); states["clock"] != "bad" || !strings.Contains(texts["clock"], "that of the database at") {
		t.Errorf("with another clock, %v", texts)
	}
	d.now = time.Now
	execute(t, address, "DROP TRIGGER events_refuses ON gxp_log.events")
	if states, texts := d.diagnose(3); states["guards"] != "bad" {
		t.Errorf("without a trigger, %v", texts)
	}
}
