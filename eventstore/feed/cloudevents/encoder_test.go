package cloudevents_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

const (
	repository = "6b1f3a52-0c3e-4a63-9a5b-0d9f6a0c1e11"
	scan       = "01951c2e-7a00-7000-8000-000000000001"
	parent     = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// golden returns the stored form of an event.
func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "events", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	var data bytes.Buffer
	if err := json.Compact(&data, raw); err != nil {
		tb.Fatal(err)
	}
	return data.Bytes()
}

// stored is an event of a batch.
type stored struct {
	typ  string
	data []byte
}

// record appends one batch to a new log and returns the log and its records.
func record(tb testing.TB, stream eventstore.StreamID, meta eventstore.Meta, events ...stored) (*countingLog, []eventstore.Record) {
	tb.Helper()
	log := memory.New(func() time.Time { return time.Date(2026, 3, 1, 7, 0, 2, 1000, time.FixedZone("", 3600)) })
	tb.Cleanup(func() { _ = log.Close() })
	id := uuid.MustParse(meta.Scan)
	batch := eventstore.Batch{Stream: stream, Expected: eventstore.NoStream(), Meta: meta}
	for i, e := range events {
		batch.Events = append(batch.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(id, i), Type: e.typ, Data: e.data})
	}
	if _, err := log.Append(context.Background(), batch); err != nil {
		tb.Fatal(err)
	}
	var records []eventstore.Record
	for r, err := range log.Read(context.Background(), 0, eventstore.Filter{}) {
		if err != nil {
			tb.Fatal(err)
		}
		records = append(records, r)
	}
	return &countingLog{Log: log}, records
}

// countingLog counts how often a stream is read.
type countingLog struct {
	*memory.Log

	reads int
}

func (l *countingLog) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	l.reads++
	return l.Log.ReadStream(ctx, stream, from)
}

func meta() eventstore.Meta {
	return eventstore.Meta{Actor: "ada", Scan: scan, Attempt: 1, TraceParent: parent}
}

func TestTheEventsOfAScanSayWhichScanAndWhereInItsBatchTheyAre(t *testing.T) {
	t.Parallel()
	names := []string{
		"repository.registered.v1", "artifact.parsed.v1", "artifact.parsed.v2", "artifact.rejected.v1", "artifact.removed.v1", "artifact.relinked.v1",
		"rejection.cleared.v1", "scan.completed.v2",
	}
	subjects := []string{
		"pumps", ".gxp/evidence/EV-1#1", ".gxp/evidence/EV-1#1", ".gxp/specs/SPEC-9.md", ".gxp/risk_assessment.log#4", ".gxp/risk_assessment.log#2",
		".gxp/specs/SPEC-9.md", scan,
	}
	var events []stored
	for _, name := range names {
		events = append(events, stored{name, golden(t, name)})
	}
	log, records := record(t, eventstore.RepositoryStream(repository), meta(), events...)
	encoder := cloudevents.NewEncoder(log)
	for i, r := range records {
		got, err := encoder.Encode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"specversion": "1.0", "datacontenttype": "application/json", "id": eventstore.DeriveEventID(uuid.MustParse(scan), i).String(),
			"source": "/logs/" + log.ID().String() + "/repositories/" + repository, "type": "io.gxpledger." + names[i], "subject": subjects[i],
			"time": "2026-03-01T06:00:02.000001Z", "dataschema": "urn:gxpledger:schema:" + names[i],
			"sequence": "0000000000000000000" + string(rune('1'+i)), "partitionkey": repository, "scanid": scan, "scannumber": "7",
			"batchindex": string(rune('0' + i)), "batchsize": "8", "commitsha": strings.Repeat("1", 40), "traceparent": parent,
		}
		if have := got.Attributes(); !maps.Equal(have, want) {
			t.Errorf("%s is\n %v\nwant\n %v", names[i], have, want)
		}
		if !bytes.Equal(got.Data, events[i].data) {
			t.Errorf("%s has the data %s", names[i], got.Data)
		}
		checkStructured(t, got)
		checkBinary(t, got)
	}
	if log.reads != 1 {
		t.Errorf("the end of one batch was read %d times", log.reads)
	}
}

func TestWhatNoScanRecordedHasNoScan(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"admin.acted.v1": "artifacts", "key.trusted.v1": strings.Repeat("8", 64), "key.revoked.v1": strings.Repeat("8", 64),
		"scan.attempt_failed.v1": "01951c2e-7a00-7000-8000-000000000003", "repository.changed.v1": "pumps", "repository.retired.v1": "pumps",
	} {
		stream, key, source := eventstore.EngineStream, "engine", "/engine"
		if strings.HasPrefix(name, "repository.") {
			stream, key, source = eventstore.RepositoryStream(repository), repository, "/repositories/"+repository
		}
		log, records := record(t, stream, meta(), stored{name, golden(t, name)})
		got, err := cloudevents.NewEncoder(log).Encode(t.Context(), records[0])
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != want || got.Extensions["partitionkey"] != key || got.Source != "/logs/"+log.ID().String()+source {
			t.Errorf("%s has subject %q, key %q and source %q", name, got.Subject, got.Extensions["partitionkey"], got.Source)
		}
		_, scanned := got.Extensions["scanid"]
		_, numbered := got.Extensions["scannumber"]
		if scanned != (name == "scan.attempt_failed.v1") || numbered {
			t.Errorf("%s has the extensions %v", name, got.Extensions)
		}
	}
}

// What a newer gxpledger wrote is passed on, without what only its data says.
func TestATypeOfANewerVersionIsSentAsItIs(t *testing.T) {
	t.Parallel()
	data := []byte(`{"path":"x","new":true}`)
	log, records := record(t, eventstore.RepositoryStream(repository), meta(), stored{"artifact.parsed.v1000", data}, stored{"scan.completed.v1000", data})
	got, err := cloudevents.NewEncoder(log).Encode(t.Context(), records[0])
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != "io.gxpledger.artifact.parsed.v1000" || got.Subject != "" || !bytes.Equal(got.Data, data) {
		t.Errorf("got %+v", got)
	}
	if names := slices.Sorted(maps.Keys(got.Extensions)); !slices.Equal(names, []string{"batchindex", "batchsize", "partitionkey", "sequence", "traceparent"}) {
		t.Errorf("extensions %v", names)
	}
}

func TestHostileValuesAreLeftOutAndStayInTheData(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"a\nce-id: 1", "a\u009b2J", "a\ufdd0", strings.Repeat("x", cloudevents.MaxAttribute+1)} {
		data, err := json.Marshal(map[string]string{"path": path})
		if err != nil {
			t.Fatal(err)
		}
		m := meta()
		m.TraceParent = "00-zz"
		log, records := record(t, eventstore.RepositoryStream(repository), m, stored{"rejection.cleared.v1", data})
		got, err := cloudevents.NewEncoder(log).Encode(t.Context(), records[0])
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != "" || got.Extensions["traceparent"] != "" || !bytes.Equal(got.Data, data) {
			t.Errorf("%.30q: got %+v", path, got)
		}
		checkStructured(t, got)
	}
}

func TestEventsOfOtherApplicationsAreNotSentInTheNameOfGxpledger(t *testing.T) {
	t.Parallel()
	log, records := record(t, "orders-1", meta(), stored{"artifact.parsed.v2", []byte(`{}`)})
	if got, err := cloudevents.NewEncoder(log).Encode(t.Context(), records[0]); !errors.Is(err, cloudevents.ErrForeign) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestADamagedBatchIsNotSent(t *testing.T) {
	t.Parallel()
	cleared := stored{"rejection.cleared.v1", []byte(`{"path":"x"}`)}
	log, records := record(t, eventstore.RepositoryStream(repository), meta(), cleared, cleared)
	for name, damage := range map[string]func(*eventstore.Record){
		"no end":            func(r *eventstore.Record) { r.Meta.Size = 3 },
		"end before itself": func(r *eventstore.Record) { r.Meta.Size = 0 },
		"negative index":    func(r *eventstore.Record) { r.Meta.Index = -1 },
		"another scan":      func(r *eventstore.Record) { r.Meta.Scan = "other" },
		"another stream":    func(r *eventstore.Record) { r.Stream += "0" },
		"not its type":      func(r *eventstore.Record) { r.Data = []byte(`{"path":7}`) },
		"data that is cut":  func(r *eventstore.Record) { r.Data = r.Data[:5] },
		"text for data":     func(r *eventstore.Record) { r.Data = []byte(`"x"`) },
		"cut, unknown type": func(r *eventstore.Record) { r.Type, r.Data = "new.v1", r.Data[:5] },
	} {
		r := records[0]
		damage(&r)
		if got, err := cloudevents.NewEncoder(log).Encode(t.Context(), r); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := cloudevents.NewEncoder(log).Encode(cancelled, records[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended: got %+v, %v", got, err)
	}
}
