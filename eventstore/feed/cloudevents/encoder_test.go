package cloudevents_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	for path, trace := range map[string]string{
		"a\nce-id: 1": "00-zz", "a\u009b2J": "01" + parent[2:], "a\ufdd0": strings.ToUpper(parent), "\x00": strings.ReplaceAll(parent, "-", "0"), "\u007f": parent + "0",
		strings.Repeat("x", cloudevents.MaxAttribute+1): "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
	} {
		data, err := json.Marshal(map[string]string{"path": path})
		if err != nil {
			t.Fatal(err)
		}
		m := meta()
		m.TraceParent = trace
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

func TestTheIdOfARepositoryIsEscapedInTheSource(t *testing.T) {
	t.Parallel()
	log, records := record(t, "repository-a b/é%?#", meta(), stored{"rejection.cleared.v1", []byte(`{"path":"x"}`)})
	got, err := cloudevents.NewEncoder(log).Encode(t.Context(), records[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := "/logs/" + log.ID().String() + "/repositories/a%20b%2F%C3%A9%25%3F%23"; got.Source != want || got.Extensions["partitionkey"] != "a b/é%?#" {
		t.Errorf("source is %s, key %s; want %s", got.Source, got.Extensions["partitionkey"], want)
	}
}

// One encoder serves any number of batches, in any order and from several goroutines, and each event has the scan of its own batch.
func TestBatchesAreNotMixed(t *testing.T) {
	t.Parallel()
	log := memory.New(time.Now)
	t.Cleanup(func() { _ = log.Close() })
	want := map[eventstore.EventID]string{}
	expected := map[string]eventstore.Expected{}
	for number := 1; number <= 6; number++ {
		name := []string{repository, "other"}[number%2]
		scan := uuid.Must(uuid.NewV7())
		completed := bytes.Replace(golden(t, "scan.completed.v2"), []byte(`"number":7,`), fmt.Appendf(nil, `"number":%d,`, number), 1)
		batch := eventstore.Batch{Stream: eventstore.StreamID(eventstore.RepositoryPrefix + name), Expected: expected[name], Meta: eventstore.Meta{Actor: "ada", Scan: scan.String(), Attempt: 1}}
		if batch.Expected.IsZero() {
			batch.Expected = eventstore.NoStream()
		}
		for i, e := range []stored{{"rejection.cleared.v1", []byte(`{"path":"x"}`)}, {"rejection.cleared.v1", []byte(`{"path":"y"}`)}, {"scan.completed.v2", completed}} {
			id := eventstore.DeriveEventID(scan, i)
			batch.Events, want[id] = append(batch.Events, eventstore.NewEvent{ID: id, Type: e.typ, Data: e.data}), strconv.Itoa(number)
		}
		appended, err := log.Append(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		expected[name] = eventstore.AtRevision(appended.LastRevision)
	}
	encoder := cloudevents.NewEncoder(log)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, backwards := range []bool{false, true} {
				read := log.Read(t.Context(), 0, eventstore.Filter{})
				if backwards {
					read = log.ReadBackwards(t.Context(), 0, eventstore.Filter{})
				}
				for r, err := range read {
					if err != nil {
						t.Error(err)
						return
					}
					got, err := encoder.Encode(t.Context(), r)
					if err != nil || got.Extensions["scannumber"] != want[r.ID] || got.Extensions["scanid"] == "" {
						t.Errorf("position %d has the extensions %v, %v; want scan %s", r.Position, got.Extensions, err, want[r.ID])
					}
				}
			}
		})
	}
	group.Wait()
}

// A log that was restored may hold another batch where one was.
func TestABatchThatReplacedAnotherIsReadAgain(t *testing.T) {
	t.Parallel()
	cleared := stored{"rejection.cleared.v1", []byte(`{"path":"x"}`)}
	first, before := record(t, eventstore.RepositoryStream(repository), meta(), cleared, stored{"scan.completed.v2", golden(t, "scan.completed.v2")})
	m := meta()
	m.Scan = uuid.Must(uuid.NewV7()).String()
	second, after := record(t, eventstore.RepositoryStream(repository), m, cleared, stored{"admin.acted.v1", golden(t, "admin.acted.v1")})
	log := &replaced{first}
	encoder := cloudevents.NewEncoder(log)
	if got, err := encoder.Encode(t.Context(), before[0]); err != nil || got.Extensions["scannumber"] != "7" {
		t.Fatalf("got %v, %v", got, err)
	}
	log.countingLog = second
	if got, err := encoder.Encode(t.Context(), after[0]); err != nil || got.Extensions["scannumber"] != "" {
		t.Errorf("got the scan of another batch: %v, %v", got.Extensions, err)
	}
}

// Batches of one scan id, or of none, are told apart by stream and revision.
func TestBatchesWithoutAScanIDAreNotMixed(t *testing.T) {
	t.Parallel()
	encoder := cloudevents.NewEncoder(numbered{completed: golden(t, "scan.completed.v2")})
	for _, at := range []struct {
		stream   eventstore.StreamID
		revision eventstore.Revision
	}{{"repository-1", 0}, {"repository-2", 0}, {"repository-2", 2}, {"repository-1", 2}, {"repository-1", 0}} {
		r := eventstore.Record{
			Position: 1, Stream: at.stream, Revision: at.revision, ID: uuid.MustParse(scan), Type: "rejection.cleared.v1", Data: []byte(`{"path":"x"}`),
			Meta: eventstore.Meta{Size: 2},
		}
		got, err := encoder.Encode(t.Context(), r)
		if want := numberAt(at.stream, at.revision+1); err != nil || got.Extensions["scannumber"] != want {
			t.Errorf("%s at revision %d has scan %s, %v; want %s", at.stream, at.revision, got.Extensions["scannumber"], err, want)
		}
	}
}

// numbered is a log with the end of a batch everywhere.
type numbered struct {
	tail

	completed []byte
}

func (l numbered) ReadStream(_ context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		yield(eventstore.Record{
			Position: 2, Stream: stream, Revision: from, ID: uuid.MustParse(scan), Type: "scan.completed.v2", Meta: eventstore.Meta{Index: 1, Size: 2},
			Data: bytes.Replace(l.completed, []byte(`"number":7,`), fmt.Appendf(nil, `"number":%s,`, numberAt(stream, from)), 1),
		}, nil)
	}
}

// numberAt is the number of the scan whose batch ends at a revision in the log of numbered.
func numberAt(stream eventstore.StreamID, end eventstore.Revision) string {
	return string(stream[len(stream)-1:]) + strconv.FormatUint(uint64(end), 10)
}

// replaced is a log in place of which another one may come.
type replaced struct{ *countingLog }

func TestADamagedEndOfABatchIsNotSent(t *testing.T) {
	t.Parallel()
	log, records := record(t, eventstore.RepositoryStream(repository), meta(), stored{"rejection.cleared.v1", []byte(`{"path":"x"}`)}, stored{"scan.completed.v2", golden(t, "scan.completed.v2")})
	if _, err := cloudevents.NewEncoder(log).Encode(t.Context(), records[0]); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(*eventstore.Record){
		"of a larger batch": func(r *eventstore.Record) { r.Meta.Index, r.Meta.Size = 4, 5 },
		"not the end":       func(r *eventstore.Record) { r.Meta.Index = 0 },
		"of another scan":   func(r *eventstore.Record) { r.Meta.Scan = "other" },
		"further on":        func(r *eventstore.Record) { r.Revision++ },
		"not its type":      func(r *eventstore.Record) { r.Data = []byte(`{"number":"x"}`) },
	} {
		last := records[1]
		damage(&last)
		if got, err := cloudevents.NewEncoder(tail{last}).Encode(t.Context(), records[0]); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
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
