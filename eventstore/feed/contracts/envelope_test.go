package contracts_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// sent is the golden event in a file as it leaves a log in structured mode, alone in its batch.
func sent(t *testing.T, file string, golden []byte) []byte {
	t.Helper()
	name, _, _ := strings.Cut(file, "+")
	stream := eventstore.RepositoryStream("6b1f3a52-0c3e-4a63-9a5b-0d9f6a0c1e11")
	if strings.HasPrefix(name, "admin.") || strings.HasPrefix(name, "key.") || strings.HasPrefix(name, "scan.attempt_failed.") {
		stream = eventstore.EngineStream
	}
	var data bytes.Buffer
	if err := json.Compact(&data, golden); err != nil {
		t.Fatal(err)
	}
	scan := uuid.MustParse("01951c2e-7a00-7000-8000-000000000001")
	log := memory.New(func() time.Time { return time.Date(2026, 3, 1, 7, 0, 2, 0, time.UTC) })
	t.Cleanup(func() { _ = log.Close() })
	_, err := log.Append(t.Context(), eventstore.Batch{
		Stream: stream, Expected: eventstore.NoStream(),
		Meta:   eventstore.Meta{Actor: "ada", Scan: scan.String(), Attempt: 1, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(scan, 0), Type: name, Data: data.Bytes()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	record, err := log.At(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	event, err := cloudevents.NewEncoder(log).Encode(t.Context(), record)
	if err != nil {
		t.Fatal(err)
	}
	document, err := event.Structured()
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestEveryGoldenEventIsSentInAValidEnvelope(t *testing.T) {
	t.Parallel()
	schemaOf := compile(t)
	envelope := schemaOf(contracts.NameEnvelope)
	rules, _ := contracts.Find(contracts.Documents(), contracts.NameEnvelope)
	for file, golden := range goldens(t) {
		root, ok := instance(t, sent(t, file, golden)).(map[string]any)
		if !ok {
			t.Fatalf("%s is sent as no object", file)
		}
		if err := envelope.Validate(root); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		schema, _ := root["dataschema"].(string)
		if err := schemaOf(strings.TrimPrefix(schema, cloudevents.SchemaPrefix)).Validate(root["data"]); err != nil {
			t.Errorf("%s: its data is not what %s says: %v", file, schema, err)
		}
		root["data"] = map[string]any{}
		b := breaker{t: t, file: file, valid: func() bool { return envelope.Validate(root) == nil }}
		b.breakAll(instance(t, rules.Data), root, "")
		if b.removed < 12 {
			t.Errorf("%s: %d attributes were removed", file, b.removed)
		}
	}
}
