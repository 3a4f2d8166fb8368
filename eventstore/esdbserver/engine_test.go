package esdbserver_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// asEngine returns a batch of size events, and the same as an engine appends it over the protocol.
func asEngine(t *testing.T, meta eventstore.Meta, size int) (eventstore.Batch, []esdb.EventData) {
	t.Helper()
	batch := eventstore.Batch{Stream: "repository-1", Expected: eventstore.NoStream(), Meta: meta}
	events := make([]esdb.EventData, size)
	for i := range events {
		meta.Index, meta.Size = i, size
		text, err := json.Marshal(meta)
		if err != nil {
			t.Fatal(err)
		}
		e := eventstore.NewEvent{ID: uuid.New(), Type: "artifact.parsed.v1", Data: fmt.Appendf(nil, `{ "n":%d}`, i)}
		batch.Events = append(batch.Events, e)
		events[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson, Data: e.Data, Metadata: text}
	}
	return batch, events
}

func fullMeta() eventstore.Meta {
	return eventstore.Meta{
		Actor: "Ada <é\u2028\n\">", Reason: "why", Scan: "s", Attempt: 3,
		Correlation: "c", Causation: "d", TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "x=y",
	}
}

// What an engine appends over the protocol is what it would append to the log itself, and is read back as such.
func TestAnEngineWritesThroughTheProtocol(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	client := dial(t, served(t, log, engineOptions()))
	batch, events := asEngine(t, fullMeta(), 3)
	mustAppendNew(t, client, "repository-1", events...)
	var records []eventstore.Record
	for r, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	if want := batch.Records(1, records[0].RecordedAt); !reflect.DeepEqual(records, want) {
		t.Fatalf("the log holds\n %+v\nwant\n %+v", records, want)
	}
	page, err := client.ReadAll(within(t), esdb.ReadAllOptions{}, 10)
	for i, e := range drain(t, page, err) {
		r := records[i]
		var read struct {
			eventstore.Meta
			CorrelationID string `json:"$correlationId"`
			CausationID   string `json:"$causationId"`
			TraceID       string `json:"$traceId"`
			SpanID        string `json:"$spanId"`
		}
		if err := json.Unmarshal(e.UserMetadata, &read); err != nil {
			t.Fatal(err)
		}
		if read.Meta != r.Meta || read.CorrelationID != "c" || read.CausationID != "d" ||
			read.TraceID != "0af7651916cd43dd8448eb211c80319c" || read.SpanID != "b7ad6b7169203331" {
			t.Errorf("event %d has the metadata %s", i, e.UserMetadata)
		}
		if string(e.Data) != string(r.Data) || e.ContentType != "application/json" || !e.CreatedDate.Equal(r.RecordedAt) {
			t.Errorf("event %d is %+v, want %+v", i, e, r)
		}
		events[i].Metadata = e.UserMetadata // as it was read, it can be appended again
	}
	if again := mustAppendNew(t, client, "repository-1", events...); again.NextExpectedVersion != 2 || again.CommitPosition != 3 {
		t.Errorf("the same batch again is at %+v", again)
	}
}

// Metadata that the log could not give back is refused in the streams of the engine, and kept verbatim elsewhere.
func TestOnlyTheMetadataOfALogIsTakenForIt(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	client := dial(t, served(t, log, engineOptions()))
	for i, text := range []string{
		``, `{}`, `[]`, `x`, `{"actor":"a","index":0,"size":1,"attempt":0}`, `{"actor":"a","index":1,"size":1,"attempt":1}`,
		`{"actor":"a","index":0,"size":2,"attempt":1}`, `{"actor":"a","index":0,"size":1,"attempt":1,"more":1}`,
		`{"actor":"a","index":0,"size":1,"attempt":1}{}`, `{"index":0,"size":1,"attempt":1,"correlation":"a","$correlationId":"b"}`,
	} {
		_, events := asEngine(t, eventstore.Meta{Attempt: 1}, 1)
		events[0].Metadata, events[0].EventType = []byte(text), "e"
		for _, stream := range []string{"repository-2", "engine"} {
			_, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, events...)
			if fault, _ := esdb.FromError(err); fault == nil || fault.Code() != esdb.ErrorCodeUnknown {
				t.Errorf("%q in stream %s: %v", text, stream, err)
			}
		}
		stream := fmt.Sprintf("s-%d", i)
		mustAppend(t, client, stream, events...)
		for r, err := range log.ReadStream(within(t), eventstore.StreamID(stream), 0) {
			if err != nil || r.Meta.Actor != "esdb" {
				t.Errorf("%q makes a record %+v, %v", text, r, err)
			}
		}
		page, err := client.ReadStream(within(t), stream, esdb.ReadStreamOptions{}, 1)
		if got := drain(t, page, err)[0]; text != "" && string(got.UserMetadata) != text {
			t.Errorf("%q is read as %q", text, got.UserMetadata)
		}
	}
	batch, events := asEngine(t, eventstore.Meta{Actor: "a", Attempt: 1}, 2)
	events[1].Metadata = []byte(`{"actor":"b","index":1,"size":2,"attempt":1}`)
	if _, err := client.AppendToStream(within(t), string(batch.Stream), esdb.AppendToStreamOptions{}, events...); err == nil {
		t.Error("two events of one batch have different actors")
	}
	_, events = asEngine(t, eventstore.Meta{Actor: "a", Attempt: 1}, 1)
	events[0].ContentType = esdb.ContentTypeBinary
	if _, err := client.AppendToStream(within(t), "repository-3", esdb.AppendToStreamOptions{}, events...); err == nil {
		t.Error("an event of the engine is binary")
	}
}

// A client cannot forge what the engine recorded: neither its streams, nor its types, nor its metadata.
func TestAClientIsNoEngine(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	o := options()
	o.Writable = []string{"", "repository-", "engine", "content-", "$"}
	client := dial(t, served(t, log, o))
	_, events := asEngine(t, fullMeta(), 1)
	for _, stream := range []string{"repository-1", "repository-", "engine", "content-" + sum(nil), "content-x", "$$s", "$settings"} {
		_, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{}, events...)
		hasCode(t, err, esdb.ErrorCodeAccessDenied)
	}
	for _, name := range eventstore.KnownTypes() {
		events[0].EventType = name
		_, err := client.AppendToStream(within(t), "s", esdb.AppendToStreamOptions{}, events...)
		hasCode(t, err, esdb.ErrorCodeAccessDenied)
	}
	events[0].EventType = "e"
	mustAppend(t, client, "s", events...)
	for r, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil || r.Meta.Actor != "esdb" || r.Meta.Scan != "" {
			t.Errorf("record %+v, %v", r, err)
		}
	}
}

func TestOnlyOpenStreamsAreWritten(t *testing.T) {
	t.Parallel()
	o := options()
	o.Writable = []string{"order-", "invoice"}
	client := dial(t, served(t, newLog(t), o))
	mustAppend(t, client, "order-1", made("e", 1)...)
	mustAppend(t, client, "invoices", made("e", 1)...)
	o.Writable = nil
	closed := dial(t, served(t, newLog(t), o))
	for _, c := range []struct {
		client *esdb.Client
		stream string
	}{{client, "orders"}, {client, "x-order-1"}, {client, "Order-1"}, {closed, "order-1"}} {
		_, err := c.client.AppendToStream(within(t), c.stream, esdb.AppendToStreamOptions{}, made("e", 1)...)
		hasCode(t, err, esdb.ErrorCodeAccessDenied)
	}
}

// A server may serve a log that is on another server: what its clients wrote passes through that one as it is.
func TestAnEngineWritesWhatAClientOfItsOwnWrote(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), engineOptions()))
	_, events := asEngine(t, eventstore.Meta{Actor: "esdb", Attempt: 1}, 1)
	events[0].EventType, events[0].Data = "e", []byte(`{"esdb-client-event":1,"json":true,"data":{"n":1}}`)
	mustAppendNew(t, client, "orders-1", events...)
	mustAppend(t, client, "orders-1", events...) // again
	page, err := client.ReadStream(within(t), "orders-1", esdb.ReadStreamOptions{}, 9)
	got := drain(t, page, err)
	if len(got) != 1 || string(got[0].Data) != string(events[0].Data) || string(got[0].UserMetadata) != string(events[0].Metadata) {
		t.Errorf("read %+v", got)
	}
}
