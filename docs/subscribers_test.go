package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

// shownEnvelope is a marker with the name of a golden event and the JSON below it.
var shownEnvelope = regexp.MustCompile("(?ms)^<!-- envelope: ([\\w.]+) -->\n```json\n(.*?)^```$")

// scanTail is a log that has the last event of a batch.
type scanTail struct{ last eventstore.Record }

func (scanTail) ID() uuid.UUID { return uuid.MustParse("0192f0c1-2d3e-7f40-8a5b-6c7d8e9fa0b1") }

func (s scanTail) ReadStream(context.Context, eventstore.StreamID, eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) { yield(s.last, nil) }
}

func (s scanTail) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	return s.ReadStream(ctx, stream, 0)
}

// The envelope that subscribers.md shows is what the encoder makes of a golden event. UPDATE_GOLDEN=1 writes it.
func TestGoldenEnvelopeIsThatOfTheEncoder(t *testing.T) {
	t.Parallel()
	const document = "subscribers.md"
	text := read(t, document)
	if len(shownEnvelope.FindAllString(text, -1)) != 1 {
		t.Fatalf("%s does not show one envelope", document)
	}
	want := shownEnvelope.ReplaceAllStringFunc(text, func(block string) string {
		name := shownEnvelope.FindStringSubmatch(block)[1]
		return "<!-- envelope: " + name + " -->\n```json\n" + envelope(t, name) + "\n```"
	})
	if want == text {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") != "1" {
		t.Fatalf("%s shows another envelope: run UPDATE_GOLDEN=1 go test ./docs", document)
	}
	if err := os.WriteFile(document, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

// envelope is a golden event as the third of a scan of 41 events, indented.
func envelope(t *testing.T, name string) string {
	t.Helper()
	golden := func(name string) []byte {
		return []byte(read(t, filepath.Join(root, "eventstore", "testdata", "events", name+".json")))
	}
	scan := uuid.MustParse("01951c2e-7a00-7000-8000-000000000001")
	record := eventstore.Record{
		Position: 1042, Stream: eventstore.RepositoryStream("6b1f3a52-0c3e-4a63-9a5b-0d9f6a0c1e11"), Revision: 100, ID: eventstore.DeriveEventID(scan, 2),
		Type: name, RecordedAt: time.Date(2026, 3, 1, 7, 0, 1, 512345000, time.UTC), Data: golden(name),
		Meta: eventstore.Meta{
			Actor: "ada", Scan: scan.String(), Index: 2, Size: 41, Attempt: 1, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		},
	}
	last := record
	last.Revision, last.ID, last.Type, last.Data, last.Meta.Index = 138, eventstore.DeriveEventID(scan, 40), eventstore.TypeScanCompleted, golden(eventstore.TypeScanCompleted), 40
	event, err := cloudevents.NewEncoder(scanTail{last}).Encode(t.Context(), record)
	if err != nil {
		t.Fatal(err)
	}
	structured, err := event.Structured()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, structured, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
