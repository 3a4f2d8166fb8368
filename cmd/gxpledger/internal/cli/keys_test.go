package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleKey is a public key that nobody has the other half of.
const sampleKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfwbRBT3iQJLNqDkRbRzb/TopT4pu
+Dtj/KoLZuQ01F7joYv7Q33Kc9OcmVu0hPICAbw0S51q4qSqGkNumc4uWg==
-----END PUBLIC KEY-----
`

// lacks checks that a text is not in what is shown.
func (r result) lacks(text string) {
	r.t.Helper()
	if strings.Contains(r.stdout, text) {
		r.t.Errorf("%q shows\n%s\nwant no %s in it", r.args, r.stdout, text)
	}
}

func keyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ci.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeysAreShownWithWhoTrustedAndRevokedThem(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.run("keys", "list").wantCode(0).has("No key is trusted")
	path := keyFile(t, sampleKey)
	d.run("keys", "trust", path, "--name", "CI 2026", "--reason", "change request \x1b[2J17", "--actor", "admin").wantCode(0).golden("keys_trust.txt")
	d.run("keys", "trust", path, "--name", "CI 2027", "--reason", "again").wantCode(1).says("is trusted already", `"CI 2026"`, "nothing was recorded")
	var list struct {
		Keys []struct {
			Fingerprint string `json:"fingerprint"`
			Revoked     string `json:"revoked_at"`
		} `json:"keys"`
	}
	got := d.run("keys", "list", "--json").wantCode(0)
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || len(list.Keys) != 1 || list.Keys[0].Revoked != "" {
		t.Fatalf("%+v, %v", list, err)
	}
	fingerprint := list.Keys[0].Fingerprint
	d.run("keys", "revoke", strings.ToUpper(fingerprint[:8]), "--reason", "the server was replaced", "--actor", "admin").wantCode(0).golden("keys_revoke.txt")
	d.run("keys", "revoke", fingerprint, "--reason", "again").wantCode(1).says("was revoked at 2026-03-01T12:", "by admin already", "nothing was recorded")
	d.run("keys", "list").wantCode(0).golden("keys_list.txt")
	d.run("keys", "list", "--as-of", "pos:22").wantCode(0).has("in force")
	d.run("keys", "list", "--as-of", "scan:1").wantCode(0).has("No key is trusted")
	d.run("audit", "--action", "key_revoked").wantCode(0).has(`Revoked evidence key "CI 2026"`)
	d.verify(0)
}

func TestAKeyThatCannotBeTrustedIsRecordedNowhere(t *testing.T) {
	t.Parallel()
	private := strings.ReplaceAll(sampleKey, "PUBLIC", "PRIVATE")
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"trust", keyFile(t, sampleKey), "--reason", "x"}, 2, []string{"--name is required"}},
		{[]string{"trust", keyFile(t, sampleKey), "--name", "CI"}, 2, []string{"--reason is required"}},
		{[]string{"trust", keyFile(t, sampleKey), "--name", "C\nI", "--reason", "x"}, 2, []string{"control characters"}},
		{[]string{"trust", keyFile(t, private), "--name", "CI", "--reason", "x"}, 1, []string{"private key"}},
		{[]string{"trust", "/no/key", "--name", "CI", "--reason", "x"}, 1, []string{"/no/key", "keys trust"}},
		{[]string{"trust", "--name", "CI", "--reason", "x"}, 2, []string{"a file with a public key"}},
		{[]string{"revoke", "--reason", "x"}, 2, []string{"fingerprint"}},
		{[]string{"revoke", "0123456789", "--reason", "x"}, 1, []string{"no log"}},
		{[]string{"list"}, 1, []string{"no log"}},
	} {
		d := newFixture(t)
		d.run(append([]string{"keys"}, c.args...)...).wantCode(c.code).says(c.says...)
		if _, err := os.Stat(d.home); err == nil {
			t.Errorf("%q made a home, though nothing was to be recorded", c.args)
		}
	}
}

// A repository whose scans were all refused, such as one of a name that was mistyped, is named by every answer and stands in nobody's way.
func TestARepositoryThatIsNotKnownIsNamedAndNotCounted(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.run("scan", r.dir, "--name", "dmeo", "--links", "strict", "--accept-address", "--reason", "typo").wantCode(1).says("scan 1 was recorded as failed")
	for _, command := range []string{"gaps", "matrix"} {
		d.run(command).wantCode(1).says(`no scan of "dmeo" completed`)
	}
	d.run("diff", "scan:1", "scan:2").wantCode(0)
	d.run("gaps", "--as-of", "scan:1").wantCode(3)
}

func TestTheEnvironmentNamesTheRepository(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	d.run("scan", r.dir, "--name", "other", "--links", "flag").wantCode(0)
	d.run("diff", "scan:1", "scan:2").wantCode(2).says("the log holds several")
	d.env["GXPLEDGER_REPOSITORY"] = "demo"
	d.run("diff", "scan:1", "scan:2").wantCode(0)
	d.run("scans").wantCode(0).lacks("other")
	d.run("scans", "--repository", "other").wantCode(0).lacks("demo")
	d.run("repository", "list").wantCode(0).has("other")
	d.run("repository", "show", "other").wantCode(0).has("other")
	d.env["GXPLEDGER_REPOSITORY"] = "dmeo"
	d.run("scans").wantCode(1).says(`no repository "dmeo"`, "GXPLEDGER_REPOSITORY names it")
	d.run("scans", "--repository", "nobody").wantCode(1).says(`no repository "nobody"`)
	d.env["GXPLEDGER_REPOSITORY"] = ""
	d.run("scans").wantCode(0).has("other")
	d.run("repository", "retire", "other", "--reason", "replaced").wantCode(0)
	d.run("diff", "scan:1", "scan:2").wantCode(0) // of the only one that is not retired
}
