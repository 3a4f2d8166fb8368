//go:build unix

package targets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/feed/relay/targets"
)

// oracle is the library of Standard Webhooks for receivers, of which nobody here wrote a line.
const oracle = "standardwebhooks@1.1.1"

func TestTheLibraryOfStandardWebhooksVerifiesWhatIsSent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TESTED: the library of Standard Webhooks needs %s, which is not installed here", program)
		}
	}
	var one sync.Mutex
	var sent bytes.Buffer
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		headers := map[string]string{}
		for name := range r.Header {
			headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		body, _ := io.ReadAll(r.Body)
		if err := json.NewEncoder(&sent).Encode(map[string]any{
			"headers": headers, "body": string(body), "secrets": []string{secret, otherSecret}, "wrong": "whsec_" + strings.Repeat("B", 32),
		}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	target := open(t, targets.Options{To: server.URL, Secret: secret + "\n" + otherSecret + "\n", AllowPrivate: true, Now: time.Now})
	for _, id := range []string{"01951c2e-7a00-8000-8000-000000000001", "msg.with.dots"} {
		if err := target.Send(ctx, message(id)); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	npm := exec.CommandContext(ctx, "npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000", oracle)
	npm.Env = append(os.Environ(), "NO_UPDATE_NOTIFIER=1")
	if output, err := npm.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: the library of Standard Webhooks could not be installed (%v):\n%s", err, output)
	}
	verify := exec.CommandContext(ctx, "node", "testdata/verify.mjs", folder)
	verify.Stdin = &sent
	if output, err := verify.CombinedOutput(); err != nil || !strings.Contains(string(output), "verified: 2") {
		t.Errorf("the library does not verify what was sent: %v\n%s", err, output)
	}
}
