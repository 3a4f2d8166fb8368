package cli_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestABackupIsMadeVerifiedAndRestored: into a new home, with the same log, to which scans go on.
func TestABackupIsMadeVerifiedAndRestored(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("x")
	place := t.TempDir()
	d.run("backup", "create", place).wantCode(1).says("there is no log")
	d.scan(r).wantCode(0)
	d.writeConfig(d.home, "wait: 5s\n")
	d.run("show", "requirements").wantCode(0)
	spooled := filepath.Join(d.home, "spool", "a.json")
	if err := os.MkdirAll(filepath.Dir(spooled), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spooled, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	var made struct {
		Folder string `json:"folder"`
		Intact bool   `json:"intact"`
		Files  []any  `json:"files"`
	}
	if err := json.Unmarshal([]byte(d.run("backup", "create", place, "--json").wantCode(0).stdout), &made); err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(made.Folder) != place || !made.Intact || len(made.Files) != 3 {
		t.Errorf("the backup is %+v", made)
	}
	log := d.run("log", "--json").wantCode(0).stdout
	d.run("backup", "create", filepath.Join(made.Folder, "log.db")).wantCode(1).says("there is something at", "choose another place")
	if got := d.bare(t.Context(), "backup", "verify", made.Folder).wantCode(0).stdout; !strings.Contains(got, "No faults found.") || !strings.Contains(got, "spool/a.json") {
		t.Errorf("verify shows %s", got)
	}
	d.run("backup", "restore", made.Folder).wantCode(1).says("there is something at "+d.home, "nothing was changed")
	r.requirement("REQ-002", "Second").commit("y")
	d.scan(r).wantCode(0)
	old := d.home
	d.home = filepath.Join(t.TempDir(), "new", "home")
	d.run("backup", "restore", made.Folder).wantCode(0).has("gxpledger.yaml.restored and not in force")
	if _, err := os.Stat(filepath.Join(d.home, "gxpledger.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the settings of the former home are in force: %v", err)
	}
	if got := d.run("log", "--json").wantCode(0).stdout; got != log {
		t.Errorf("the restored log is\n%s\nwant\n%s", got, log)
	}
	if err := os.Remove(filepath.Join(d.home, "spool", "a.json")); err != nil { // which is no failure of a scan
		t.Fatal(err)
	}
	d.verify(0)
	// Tables that show more than the restored log holds are refused (I14).
	if err := os.Rename(filepath.Join(old, "tables.db"), filepath.Join(d.home, "tables.db")); err != nil {
		t.Fatal(err)
	}
	d.run("gaps").wantCode(1).says("projections rebuild --all --adopt-log")
	d.run("projections", "rebuild", "--all", "--adopt-log", "--reason", "restored").wantCode(0)
	d.scan(r).wantCode(0)
	d.verify(0)
	d.run("backup", "create", place, "--log", "esdb://h").wantCode(2).says("the log is on a server", "pg_dump")
	d.run("backup", "restore", place, "--log", "esdb://h").wantCode(2).says("the log is on a server")
}
