package esdbserver_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// made returns n events of a client.
func made(name string, n int) []esdb.EventData {
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{
			EventID: uuid.New(), EventType: name, ContentType: esdb.ContentTypeJson,
			Data: fmt.Appendf(nil, `{"n": %d}`, i), Metadata: fmt.Appendf(nil, `{"user":"u%d"}`, i),
		}
	}
	return events
}

// drain reads a stream of the client to its end.
func drain(t *testing.T, stream *esdb.ReadStream) []*esdb.RecordedEvent {
	t.Helper()
	defer stream.Close()
	var events []*esdb.RecordedEvent
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e.OriginalEvent())
	}
}

func TestAClientReadsWhatItAppended(t *testing.T) {
	t.Parallel()
	client, ctx := dial(t, served(t, newLog(t), options())), within(t)
	events := made("order-placed", 3)
	written, err := client.AppendToStream(ctx, "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, events...)
	if err != nil {
		t.Fatal(err)
	}
	if written.NextExpectedVersion != 2 || written.CommitPosition != 3 || written.PreparePosition != 3 {
		t.Errorf("written at %+v", written)
	}
	stream, err := client.ReadStream(ctx, "order-1", esdb.ReadStreamOptions{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	got := drain(t, stream)
	if len(got) != 3 {
		t.Fatalf("read %d events, want 3", len(got))
	}
	for i, e := range got {
		want := events[i]
		if e.EventID != want.EventID || e.EventType != want.EventType || string(e.Data) != string(want.Data) ||
			string(e.UserMetadata) != string(want.Metadata) || e.ContentType != "application/json" ||
			e.EventNumber != uint64(i) || e.StreamID != "order-1" || e.Position.Commit != uint64(i+1) {
			t.Errorf("event %d is %+v", i, e)
		}
	}
}
