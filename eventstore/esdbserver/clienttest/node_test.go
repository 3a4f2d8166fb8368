package clienttest_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nodeClient is the official client of a language that nobody here wrote a line of.
const nodeClient = "@eventstore/db-client@6.2.1"

// patience bounds installation and checks together.
const patience = 4 * time.Minute

// TestTheNodeClientIsServed runs testdata/check.mjs, which says what is checked, against a log in SQLite.
func TestTheNodeClientIsServed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	modules := install(t, ctx)
	log, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	recorded := eventstoretest.NewBatch("repository-1", eventstore.NoStream(), "engine", 0, 2)
	recorded.Meta.Correlation = "c"
	if _, err := log.Append(ctx, recorded); err != nil {
		t.Fatal(err)
	}
	address := serve(t, log)
	check := exec.CommandContext(ctx, "node", "testdata/check.mjs", "esdb://"+address+"?tls=false", modules)
	output, err := check.CombinedOutput()
	if t.Logf("%s", output); err != nil {
		t.Fatalf("the Node client is not served as it expects: %v", err)
	}
	if n := bytes.Count(output, []byte("ok: ")); n != 5 {
		t.Errorf("%d of 5 parts were checked", n)
	}
}

// install puts the client into a folder of the test. Where that cannot be done it says so and skips: the Go client is
// tested everywhere.
func install(t *testing.T, ctx context.Context) (folder string) { //nolint:revive // t first, as everywhere in tests
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TESTED: the Node client needs %s, which is not installed here", program)
		}
	}
	folder = t.TempDir()
	npm := exec.CommandContext(ctx, "npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000", nodeClient)
	npm.Env = append(os.Environ(), "NO_UPDATE_NOTIFIER=1")
	if output, err := npm.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: the Node client could not be installed (%v):\n%s", err, output)
	}
	return folder
}

// serve serves log until the test ends. Clients may write everywhere but where the engine does.
func serve(t *testing.T, log eventstore.Log) (address string) {
	t.Helper()
	server, err := esdbserver.New(log, esdbserver.Options{Now: time.Now, Writable: []string{""}, MaxAppendSize: 12 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}
