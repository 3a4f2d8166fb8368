package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
)

// readiness asks whether a commit may be released.
func (s *httpServer) readiness(commit string) (judged api.Readiness) {
	s.t.Helper()
	answer := s.get("/v1/release/readiness/" + commit).want(http.StatusOK)
	s.conforms(answer, "release-readiness")
	answer.decode(&judged)
	return judged
}

// TestOnlyWhatIsKnownToBeGoodIsReady scans the example, of which the evidence is valid, and then takes away one thing after the other that
// is known of it.
func TestOnlyWhatIsKnownToBeGoodIsReady(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := repo{t: t, dir: t.TempDir()}
	if err := os.CopyFS(r.dir, os.DirFS("../../../../examples/pump")); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	for _, pattern := range []string{"requirements/REQ-002*", "user_stories/US-002*"} { // which nothing tests
		found, err := filepath.Glob(filepath.Join(r.dir, ".gxp", pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %q, %v", pattern, found, err)
		}
		if err := os.Remove(found[0]); err != nil {
			t.Fatal(err)
		}
	}
	d.run("keys", "trust", filepath.Join(r.dir, "ci.pem"), "--name", "CI", "--reason", "first").wantCode(0)
	r.commit("covered")
	good := r.git("rev-parse", "HEAD")
	d.scan(r).wantCode(0)
	r.write(".gxp/requirements/REQ-009.md", "---\ngxp_id: [\n---\n").commit("a file that is not YAML")
	unreadable := r.git("rev-parse", "HEAD")
	d.scan(r).wantCode(0)
	s := d.serveHTTP()
	if judged := s.readiness(good[:10]); !judged.Ready || len(judged.Reasons) > 0 || judged.Commit != good || judged.AsOf.Scans[0].Scan != 1 || judged.CheckedTo <= judged.AsOf.Position {
		t.Fatalf("what is covered: %+v", judged)
	}
	if judged := s.readiness(unreadable); judged.Ready || len(judged.Rejected) != 1 || judged.Rejected[0].Path != ".gxp/requirements/REQ-009.md" || len(judged.Reasons) != 1 {
		t.Errorf("a requirement that could not be parsed: %+v", judged)
	}

	var listed struct {
		Keys []struct {
			Fingerprint string `json:"fingerprint"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(d.run("keys", "list", "--json").stdout), &listed); err != nil || len(listed.Keys) != 1 {
		t.Fatalf("%+v, %v", listed, err)
	}
	key := listed.Keys[0].Fingerprint
	d.run("keys", "revoke", key, "--reason", "stolen").wantCode(0)
	judged := s.readiness(good)
	if judged.Ready || len(judged.Revoked) != 1 || judged.Revoked[0].Fingerprint != key || judged.Revoked[0].RevokedAt.IsZero() || len(judged.Reasons) != 1 {
		t.Errorf("a key that was revoked after the scan: %+v", judged)
	}
	d.run("keys", "trust", filepath.Join(r.dir, "ci.pem"), "--name", "CI", "--reason", "found again").wantCode(0)
	if judged := s.readiness(good); !judged.Ready {
		t.Errorf("a key that is trusted again: %+v", judged)
	}

	d.run("scan", r.dir, "--name", "demo", "--ref", good, "--limit", "files=1").wantCode(1)
	if judged := s.readiness(good); judged.Ready || !slices.ContainsFunc(judged.Reasons, func(why string) bool { return strings.Contains(why, "later scan") }) {
		t.Errorf("another scan of the commit that failed: %+v", judged)
	}
	s.stop()
}
