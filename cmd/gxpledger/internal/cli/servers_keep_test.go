package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// TestAHistoryIsScannedIntoALogOnAServer: the scans of a history are those of a log in the home, wherever the log is.
func TestAHistoryIsScannedIntoALogOnAServer(t *testing.T) {
	t.Parallel()
	outcomes := func(d *fixture) (all []string) {
		t.Helper()
		var shown struct {
			Scans []struct {
				Outcome string `json:"outcome"`
				Code    string `json:"code"`
				Commit  string `json:"commit_sha"`
			} `json:"scans"`
		}
		if err := json.Unmarshal([]byte(d.run("scans", "--json").wantCode(0).stdout), &shown); err != nil {
			t.Fatal(err)
		}
		for _, s := range shown.Scans {
			all = append(all, s.Outcome+" "+s.Code+" "+s.Commit)
		}
		return all
	}
	home, r := newFixture(t), withPast(t)
	home.scan(r, "--history").wantCode(1)
	want := outcomes(home)
	if len(want) < 3 {
		t.Fatalf("the history has the scans %v", want)
	}
	for name, start := range map[string]func(t *testing.T) string{
		"PostgreSQL": made, "EventStoreDB": func(t *testing.T) string { t.Helper(); return esdbtest.StartFake(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			d.env["GXPLEDGER_LOG"] = start(t)
			d.scan(r, "--history").wantCode(1)
			if again := d.scan(r, "--history").wantCode(0); !strings.Contains(again.stdout, "Nothing to record") {
				t.Errorf("scanning again shows %q", again.stdout)
			}
			if got := outcomes(d); !slices.Equal(got, want) {
				t.Errorf("the scans are\n%v\nwant\n%v", got, want)
			}
			d.run("verify").wantCode(0)
		})
	}
}

// TestKeysMoveWithALog: a copy of a log verifies with the keys that the log trusted, and knows those that it revoked.
func TestKeysMoveWithALog(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	var files []string
	for _, name := range []string{"trusted", "revoked"} {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		file := keyFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
		files = append(files, file)
		d.run("keys", "trust", file, "--name", name, "--reason", "x").wantCode(0)
	}
	fingerprint := func(at *fixture, name string) string {
		t.Helper()
		var shown struct {
			Keys []struct {
				Name        string `json:"name"`
				Fingerprint string `json:"fingerprint"`
			} `json:"keys"`
		}
		if err := json.Unmarshal([]byte(at.run("keys", "list", "--json").stdout), &shown); err != nil {
			t.Fatal(err)
		}
		for _, k := range shown.Keys {
			if k.Name == name {
				return k.Fingerprint
			}
		}
		return ""
	}
	d.run("keys", "revoke", fingerprint(d, "revoked"), "--reason", "lost").wantCode(0)
	moved := newFixture(t)
	moved.now = d.now
	d.copyTo("sqlite:" + moved.home).wantCode(0)
	if a, b := d.run("keys", "list", "--json").wantCode(0).stdout, moved.run("keys", "list", "--json").wantCode(0).stdout; keysOnly(t, a) != keysOnly(t, b) {
		t.Errorf("the keys of the copy are\n%s\nwant\n%s", b, a)
	}
	moved.run("keys", "trust", files[0], "--name", "again", "--reason", "x").wantCode(1).says("is trusted already")
	moved.run("keys", "revoke", fingerprint(moved, "revoked"), "--reason", "x").wantCode(1).says("already", "nothing was recorded")
}

// keysOnly is the list of keys of a document, without where it was read.
func keysOnly(t *testing.T, document string) string {
	t.Helper()
	var shown struct {
		Keys json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(document), &shown); err != nil {
		t.Fatal(err)
	}
	return string(shown.Keys)
}
