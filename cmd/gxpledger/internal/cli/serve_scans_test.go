package cli_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
)

// ended waits until a scan that was started ended.
func (s *httpServer) ended(id string) api.ScanJob {
	s.t.Helper()
	for {
		var job api.ScanJob
		if s.get("/v1/scan-jobs/" + id).want(http.StatusOK).decode(&job); !job.EndedAt.IsZero() {
			return job
		}
	}
}

// TestAPushIsScanned sends webhooks as a hosting service does: nothing of one is trusted but that there is something to scan.
func TestAPushIsScanned(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.commit("one")
	const secret = "a secret of webhooks"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.scan(r).wantCode(0)
	s := d.serveHTTP("--push-secret-file", file)
	push := func(ref, address, key string) reply {
		body := fmt.Sprintf(`{"ref":%q,"after":"1","repository":{"clone_url":%q}}`, ref, address)
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(body))
		return s.ask(http.MethodPost, "/v1/push", body, "Content-Type", "application/json", "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	ignored := func(why string, got reply) {
		t.Helper()
		var answer api.PushAnswer
		if got.want(http.StatusAccepted).decode(&answer); answer.Job != nil || !strings.Contains(answer.Ignored, why) {
			t.Errorf("%+v, want it ignored because %q", answer, why)
		}
	}
	ignored("no main line is recorded", push("refs/heads/main", "file://"+r.dir, secret))
	d.run("repository", "set", "demo", "--main-line", "main", "--reason", "as hosted").wantCode(0)
	push("refs/heads/main", "file://"+r.dir, "another secret").problem(http.StatusUnauthorized, "unauthorized")
	push("refs/heads/main", "file://"+r.dir, "").problem(http.StatusUnauthorized, "unauthorized")
	ignored("not the main line", push("refs/heads/topic", "file://"+r.dir, secret))
	ignored("not the main line", push("refs/tags/main", "file://"+r.dir, secret))
	ignored("no repository is known", push("refs/heads/main", "https://169.254.169.254/latest.git", secret))
	push("", "file://"+r.dir, secret).problem(http.StatusBadRequest, api.CodeBadRequest)

	r.requirement("REQ-002", "The second").commit("two")
	var answer api.PushAnswer
	push("refs/heads/main", "file://"+r.dir, secret).want(http.StatusAccepted).decode(&answer)
	if job := s.ended(answer.Job.ID); job.State != api.ScanCompleted || job.Outcome.Number != 2 || job.AskedBy != "push webhook" {
		t.Errorf("%+v", job)
	}
	if shown := d.run("scans", "--json").stdout; !strings.Contains(shown, `"actor": "push webhook"`) || !strings.Contains(shown, `"actor_from": "authenticated"`) {
		t.Errorf("the scan is recorded as %s", shown)
	}
	if err := os.WriteFile(file, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	push("refs/heads/main", "file://"+r.dir, "short").problem(http.StatusInternalServerError, api.CodeInternal)
	if said := s.warned(); !strings.Contains(said, "secret of webhooks") || strings.Contains(said, secret) {
		t.Errorf("the log of the server is %q", said)
	}
}

func TestWithoutASecretNoPushIsTaken(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	s := d.serveHTTP()
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte("{}"))
	s.ask(http.MethodPost, "/v1/push", "{}", "Content-Type", "application/json", "X-GitHub-Event", "push", "X-Hub-Signature-256",
		"sha256="+hex.EncodeToString(mac.Sum(nil))).problem(http.StatusUnauthorized, "unauthorized")
	s.ask(http.MethodPost, "/v1/push", "{}", "Content-Type", "application/json", "X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", "").problem(http.StatusUnauthorized, "unauthorized")
	s.stop()
	d.run("serve", "--esdb", "127.0.0.1:0", "--push-secret-file", "x").wantCode(2).says("--push-secret-file needs --http")
	d.run("serve", "--esdb", "127.0.0.1:0", "--scan-every", "1h").wantCode(2).says("--scan-every needs --http")
}

func TestRepositoriesWithAMainLineAreScannedOnSchedule(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	main, other, retired := newRepo(t), newRepo(t), newRepo(t)
	for name, r := range map[string]repo{"main": main, "other": other, "retired": retired} {
		r.commit("one")
		d.run("scan", r.dir, "--name", name).wantCode(0)
	}
	d.run("repository", "set", "main", "--main-line", "main", "--reason", "x").wantCode(0)
	d.run("repository", "set", "retired", "--main-line", "main", "--reason", "x").wantCode(0)
	d.run("repository", "retire", "retired", "--reason", "x").wantCode(0)
	s := d.serveHTTP("--scan-every", "1h")
	var scans struct {
		Scans []struct {
			Repository, Reason string
			Number             int
		}
	}
	for deadline := time.Now().Add(time.Minute); len(scans.Scans) < 4 && time.Now().Before(deadline); {
		s.get("/v1/scans").want(http.StatusOK).decode(&scans)
	}
	s.stop()
	n := 0
	for _, scan := range scans.Scans {
		if scan.Number > 1 {
			n++
			if scan.Repository != "main" || scan.Reason != "scheduled scan of main" {
				t.Errorf("%+v", scan)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d scans on schedule: %+v", n, scans.Scans)
	}
}
