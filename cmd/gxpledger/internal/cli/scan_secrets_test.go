package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
)

// secretToken has the form of a GitHub token, and is none.
func secretToken() string { return "ghp_" + strings.Repeat("aB3dE5gH7j", 4)[:36] }

// wantNowhere checks that a text is in no file of a home and in nothing that was printed.
func (d *fixture) wantNowhere(secret string, results ...result) {
	d.t.Helper()
	for _, r := range results {
		if strings.Contains(r.stdout+r.stderr, secret) {
			d.t.Errorf("%q prints the secret:\n%s%s", r.args, r.stdout, r.stderr)
		}
	}
	_ = filepath.WalkDir(d.home, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // no home, no file
		}
		if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), secret) {
			d.t.Errorf("%s holds the secret (%v)", path, err)
		}
		return nil
	})
}

func TestAFileWithASecretIsRefusedAndStoredNowhere(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	token := secretToken()
	r := newRepo(t).commit("first")
	d.scan(r).wantCode(0)
	r.requirement("REQ-002", "with "+token).write(".gxp/evidence/OQ-1/manifest.json", "{}\n").write(".gxp/evidence/OQ-1/artifacts/log.txt", "a\nb\n"+token+"\n").commit("second")
	refused := d.scan(r).wantCode(1).says("recorded as failed")
	for _, want := range []string{"secret_found", ".gxp/requirements/REQ-002.md: line 3", ".gxp/evidence/OQ-1/artifacts/log.txt: line 3", "a GitHub token", "--allow-secrets"} {
		if !strings.Contains(refused.stderr, want) {
			t.Errorf("says %s, want %q", refused.stderr, want)
		}
	}
	again := d.scan(r, "--json").wantCode(1)
	var document struct {
		Code       string             `json:"code"`
		Violations []domain.Violation `json:"violations"`
	}
	if err := json.Unmarshal([]byte(again.stdout), &document); err != nil || document.Code != domain.ViolationSecret || len(document.Violations) != 2 ||
		document.Violations[1].Path != ".gxp/requirements/REQ-002.md" || !strings.Contains(document.Violations[1].Text, "line 3") {
		t.Errorf("%s, %v", again.stdout, err)
	}
	d.wantNowhere(token, refused, again, d.run("scans"), d.run("log"), d.run("audit", "--json"), d.run("show", "requirements"))

	allowed := d.scan(r, "--allow-secrets").wantCode(0)
	if !strings.Contains(allowed.stdout, "secrets allowed") {
		t.Errorf("does not say that secrets are allowed:\n%s", allowed.stdout)
	}
	if got := d.scan(r, "--allow-secrets", "--json").wantCode(0).stdout; !strings.Contains(got, `"allow_secrets": true`) {
		t.Errorf("the policy is not told: %s", got)
	}
	d.scan(r).wantCode(0) // what is stored already is not refused
	r.write(".gxp/evidence/OQ-1/artifacts/other.txt", "new").commit("third")
	d.scan(r).wantCode(0)
	r.write(".gxp/evidence/OQ-1/artifacts/log.txt", "changed "+token).commit("fourth")
	d.scan(r).wantCode(1)
}

func TestNoAddressIsStoredOrPrintedWithItsSecret(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3tV4lue"
	r := newRepo(t).commit("x")
	for _, form := range []string{
		"x-access-token:S@github.com:org/repo.git", "https:/ci:S@h/x", "user:S@h/x", "https:///ci:S@h/x", "//ci:S@h/x", "https://ci:S@127.0.0.1:1/x",
		"https://S@127.0.0.1:1/x", "ci%3AS%40h/x", `https:\\ci:S@h\x`, "https://127.0.0.1:1/x?access_token=S", "https://127.0.0.1:1/x#S", "ssh://ci:S@127.0.0.1:1/x",
		"http://ci:S@h/x", "file:///ci:S@h/x", "ext::ci:S@h", "S@127.0.0.1:1:x",
	} {
		d := newFixture(t)
		address := strings.ReplaceAll(form, "S", secret)
		r.git("config", "remote.origin.url", address)
		results := []result{
			d.run("scan", address), d.run("scan", address, "--json"), d.run("scan", "x", address), d.run(address), d.run("version", address), d.run("scan", "--"+address),
			d.run("scan", "--ref="+address, "--worktree"), d.run("scan", "--verbose", address), d.run("scan", r.dir), d.run("scans", "--json"), d.run("log"),
		}
		d.wantNowhere(secret, results...)
		if strings.Contains(form, ":S@") {
			d.wantNowhere(secret, d.run("scan", r.dir, "--name", address).wantCode(2))
		}
	}
	d := newFixture(t)
	r.git("config", "remote.origin.url", "https://example.org/"+secretToken()+"/x")
	d.wantNowhere(secretToken(), d.run("scan", r.dir).wantCode(1).says("seems to contain a token"), d.run("scan", r.dir, "--name", secretToken()).wantCode(2), d.run("scan", r.dir, "--name", "demo").wantCode(0))
}
