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

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// The programs that nobody here wrote a line of.
const (
	cloudEventsSDK = "cloudevents@10.0.0"
	asyncAPIParser = "@asyncapi/parser@3.6.6"
)

// patience bounds installation and checks together.
const patience = 4 * time.Minute

// TestNodeReadsEventsAndContracts runs testdata/check.mjs, which says what is checked, over the golden events in both modes of
// CloudEvents, over the schemas and over the AsyncAPI document.
func TestNodeReadsEventsAndContracts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	modules := install(t, ctx, cloudEventsSDK, asyncAPIParser)
	asyncAPI, ok := contracts.Find(contracts.Documents(), contracts.NameAsyncAPI)
	if !ok {
		t.Fatal("there is no AsyncAPI document")
	}
	events := encoded(t)
	sent, document := filepath.Join(t.TempDir(), "sent.json"), filepath.Join(t.TempDir(), "asyncapi.json")
	write(t, sent, events)
	write(t, document, json.RawMessage(asyncAPI.Data))
	folder := t.TempDir()
	for _, d := range contracts.Documents() {
		if d.MediaType == contracts.MediaTypeSchema {
			write(t, filepath.Join(folder, d.Name+".json"), json.RawMessage(d.Data))
		}
	}
	output, err := exec.CommandContext(ctx, "node", "testdata/check.mjs", modules, sent, document, cloudevents.MediaType, folder).CombinedOutput()
	if t.Logf("%s", output); err != nil {
		t.Fatalf("Node does not read what is sent: %v", err)
	}
	if n := bytes.Count(output, []byte("ok: ")); n != 4 {
		t.Errorf("%d of 4 parts were checked", n)
	}
}

// sent is one event in both modes, and what it should be read as.
type sent struct {
	Structured json.RawMessage   `json:"structured"`
	Headers    map[string]string `json:"headers"`
	Body       json.RawMessage   `json:"body"`
	Attributes map[string]string `json:"attributes"`
}

// encoded are the golden events of every version as one batch of a log, with a path beyond ASCII among them.
func encoded(t *testing.T) (out []sent) {
	t.Helper()
	scan := uuid.MustParse("01951c2e-7a00-7000-8000-000000000001")
	batch := eventstore.Batch{
		Stream: eventstore.RepositoryStream("6b1f3a52-0c3e-4a63-9a5b-0d9f6a0c1e11"), Expected: eventstore.NoStream(),
		Meta: eventstore.Meta{Actor: "ada", Scan: scan.String(), Attempt: 1, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	add := func(typ string, data []byte) {
		batch.Events = append(batch.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(scan, len(batch.Events)), Type: typ, Data: data})
	}
	add("rejection.cleared.v1", []byte(`{"path":".gxp/specs/SPEC é “1” 100%.md"}`))
	for _, typ := range append(eventstore.KnownTypes(), eventstore.TypeScanCompleted) {
		data, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "events", typ+".json"))
		if err != nil {
			t.Fatal(err)
		}
		add(typ, data)
	}
	log := memory.New(time.Now)
	t.Cleanup(func() { _ = log.Close() })
	if _, err := log.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	encoder := cloudevents.NewEncoder(log)
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := encoder.Encode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		structured, err := e.Structured()
		if err != nil {
			t.Fatal(err)
		}
		attributes, contentType, body := e.Binary()
		headers := map[string]string{"content-type": contentType}
		for name, value := range attributes {
			headers["ce-"+name] = value
		}
		out = append(out, sent{structured, headers, body, e.Attributes()})
	}
	return out
}

func write(t *testing.T, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// install puts packages of npm into a folder of the test. Where that cannot be done it says so and skips: the Go SDK and another
// validator are tested everywhere.
func install(t *testing.T, ctx context.Context, packages ...string) (folder string) { //nolint:revive // t first, as everywhere in tests
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TESTED: the checks in Node need %s, which is not installed here", program)
		}
	}
	folder = t.TempDir()
	npm := exec.CommandContext(ctx, "npm", append([]string{
		"install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000",
	}, packages...)...)
	npm.Env = append(os.Environ(), "NO_UPDATE_NOTIFIER=1")
	if output, err := npm.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: the packages of npm could not be installed (%v):\n%s", err, output)
	}
	return folder
}
