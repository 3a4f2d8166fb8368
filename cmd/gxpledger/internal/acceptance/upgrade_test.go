package acceptance_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The folder holds a home that the binary of revision 0cdf77d made (log format and tables of version 1), the repository
// that it scanned, and the key of its evidence. It is never created again: it is the memory of what users have on disk.
//
// SPEC-001 has evidence that passed, SPEC-002 results in the form ["pass","fail"], which that binary took for no failure,
// SPEC-003 evidence that failed, SPEC-004 a package without a signature. Of five scans the second was refused.
const upgradeFolder = "testdata/upgrade"

// oldHome unpacks the home; only says which of its files.
func oldHome(t *testing.T, only ...string) client {
	t.Helper()
	c := newClient(t)
	if err := os.MkdirAll(c.home, 0o700); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Open(filepath.Join(upgradeFolder, "home-0cdf77d.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close() //nolint:errcheck // nothing was written
	plain, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(plain)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(only, header.Name) {
			continue
		}
		data, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.home, header.Name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// I11, I15: a home of the binary before is read, rebuilt and scanned on. What that binary could not tell from a failure is
// unknown until the files are read again, also in views of the past.
func TestAHomeOfVersion1IsReadAndScannedOn(t *testing.T) {
	t.Parallel()
	repository := filepath.Join(t.TempDir(), "pump")
	git(t, ".", "clone", "-q", filepath.Join(upgradeFolder, "repository.bundle"), repository)
	for name, files := range map[string][]string{
		"with its tables": {"log.db", "tables.db"},
		"the log alone":   {"log.db"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := oldHome(t, files...)
			const olderReader = "unverified by an older reader"
			before := map[string]string{
				"SPEC-001": olderReader, "SPEC-002": olderReader, "SPEC-003": "failed", "SPEC-004": "unverified",
			}
			wantStates(t, c, before)
			c.run(t, "verify").wantCode(t, 0)
			c.run(t, "projections", "rebuild", "--all", "--reason", "upgrade").wantCode(t, 0)
			wantStates(t, c, before)

			scan := c.run(t, "scan", repository, "--ref", "v3", "--name", "pump", "--evidence-key",
				filepath.Join(upgradeFolder, "evidence-key.pem")).wantCode(t, 0)
			if !strings.Contains(scan.stdout, "newer reader") {
				t.Errorf("the first scan after the upgrade does not say that a newer reader read the files:\n%s", scan.stdout)
			}
			after := map[string]string{"SPEC-001": "", "SPEC-002": "failed", "SPEC-003": "failed", "SPEC-004": "unverified"}
			wantStates(t, c, after)
			wantStates(t, c, before, "--as-of", "scan:5")
			if history := c.run(t, "history", "EV-1").wantCode(t, 0).stdout; !strings.Contains(history, "read by a newer reader") ||
				strings.Count(history, "re-verified") != 2 { // by scans 4 and 5, without the key and with it again
				t.Errorf("history of EV-1:\n%s", history)
			}
			c.run(t, "verify").wantCode(t, 0)
			db := openTables(t, c.home)
			if n := one(t, db, `SELECT count(*) FROM scans WHERE actor_from IS NULL AND ignored IS NULL AND coverage IS NULL`); n != "5" {
				t.Errorf("%s scans say nothing of what version 1 did not record, want 5", n)
			}
			if n := one(t, db, `SELECT ignored FROM scans WHERE number = 6`); n != "1" {
				t.Errorf("scan 6 ignored %s files, want 1", n)
			}
		})
	}
}

// wantStates compares what evidence makes of each spec in the traceability matrix: failed, unverified with the reason when
// an older reader is it, or "".
func wantStates(t *testing.T, c client, want map[string]string, args ...string) {
	t.Helper()
	out := c.run(t, append([]string{"matrix", "--json"}, args...)...).wantCode(t, 0).stdout
	var matrix struct {
		Artifacts []struct {
			GxPID   string `json:"gxp_id"`
			Reasons []struct {
				State string `json:"state"`
				Code  string `json:"code"`
				Text  string `json:"text"`
			} `json:"reasons"`
		} `json:"artifacts"`
	}
	if err := json.Unmarshal([]byte(out), &matrix); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range matrix.Artifacts {
		if _, asked := want[a.GxPID]; !asked {
			continue
		}
		got[a.GxPID] = ""
		for _, r := range a.Reasons {
			switch {
			case r.Code == "older_reader" && strings.Contains(r.Text, "read by an older reader, scan again"):
				got[a.GxPID] = r.State + " by an older reader"
			case r.State == "failed" || r.State == "unverified":
				got[a.GxPID] = r.State
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("matrix %v shows %v, want %v", args, got, want)
	}
}
