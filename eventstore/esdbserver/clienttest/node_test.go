package clienttest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nodeClient is the official client of a language that nobody here wrote a line of.
const nodeClient = "@eventstore/db-client@6.2.1"

// patience bounds installation and checks together.
const patience = 4 * time.Minute

// TestTheNodeClientIsServed runs testdata/check.mjs, which says what is checked, against gxpledger serve over a log in
// SQLite.
func TestTheNodeClientIsServed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	modules, home := install(t, ctx, nodeClient), t.TempDir()
	record(t, home)
	check := exec.CommandContext(ctx, "node", "testdata/check.mjs", "esdb://"+serve(t, home)+"?tls=false", modules)
	output, err := check.CombinedOutput()
	if t.Logf("%s", output); err != nil {
		t.Fatalf("the Node client is not served as it expects: %v", err)
	}
	if n := bytes.Count(output, []byte("ok: ")); n != 5 {
		t.Errorf("%d of 5 parts were checked", n)
	}
}

// record makes a log in a home, with a batch as an engine records it.
func record(t *testing.T, home string) {
	t.Helper()
	log, err := sqlite.Open(t.Context(), filepath.Join(home, "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	recorded := eventstoretest.NewBatch("repository-1", eventstore.NoStream(), "engine", 0, 2)
	recorded.Meta.Correlation = "c"
	if _, err := log.Append(t.Context(), recorded); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// install puts a client into a folder of the test. Where that cannot be done it says so and skips: the Go client is
// tested everywhere.
func install(t *testing.T, ctx context.Context, client string) (folder string) { //nolint:revive // t first, as everywhere in tests
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TESTED: the Node client needs %s, which is not installed here", program)
		}
	}
	folder = t.TempDir()
	npm := exec.CommandContext(ctx, "npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000", client)
	npm.Env = append(os.Environ(), "NO_UPDATE_NOTIFIER=1")
	if output, err := npm.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: the Node client could not be installed (%v):\n%s", err, output)
	}
	return folder
}

// serve builds gxpledger and lets it serve a home until the test ends. Clients may write everywhere but where the engine
// does.
func serve(t *testing.T, home string) (address string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "gxpledger")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/gxpledger/gxpledger/cmd/gxpledger")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	server := exec.CommandContext(context.WithoutCancel(t.Context()), binary,
		"serve", "--esdb", "127.0.0.1:0", "--esdb-writable", "", "--home", home, "--json")
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt) // it may have ended by itself, which Wait tells
		if err := server.Wait(); err != nil {
			t.Errorf("gxpledger serve: %v", err)
		}
	})
	var listens struct {
		Listening string `json:"listening"`
	}
	if err := json.NewDecoder(out).Decode(&listens); err != nil || listens.Listening == "" {
		t.Fatalf("gxpledger serve says %+v, %v", listens, err)
	}
	return listens.Listening
}
