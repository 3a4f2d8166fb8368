package esdbserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
)

func TestAClientReadsWhatItAppended(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := made("order-placed", 3)
			written, err := client.AppendToStream(within(t), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, events...)
			if err != nil {
				t.Fatal(err)
			}
			if written.NextExpectedVersion != 2 || written.CommitPosition != 3 || written.PreparePosition != 3 {
				t.Errorf("written at %+v", written)
			}
			stream, err := client.ReadStream(within(t), "order-1", esdb.ReadStreamOptions{}, 100)
			got := drain(t, stream, err)
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
		})
	}
}

// oddPayloads are bytes that a log of JSON could be tempted to change.
func oddPayloads() []string {
	return []string{
		"", "{}", "null", ` {"a": 1}`, "{\"a\":\"\u2028<&>\"}\n", `"\ud800"`, "{", "\"\xff\"", "\x00\x01",
		`{"esdb-client-event":1,"json":true}`, `{"esdb-client-event":1,`, `{"n":1e400,"n":2}`,
	}
}

// What a client may say of an event comes back as it was, whatever bytes it is, and the log holds JSON all the same.
func TestAnyBytesComeBack(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	client := dial(t, served(t, log, options()))
	for _, data := range oddPayloads() {
		for _, metadata := range oddPayloads() {
			comesBack(t.Context(), t, client, esdb.EventData{ContentType: esdb.ContentTypeJson, Data: []byte(data), Metadata: []byte(metadata)})
			comesBack(t.Context(), t, client, esdb.EventData{ContentType: esdb.ContentTypeBinary, Data: []byte(data), Metadata: []byte(metadata)})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		comesBack(t.Context(), t, client, esdb.EventData{
			ContentType: esdb.ContentType(rapid.IntRange(0, 1).Draw(t, "content type")),
			Data:        rapid.SliceOf(rapid.Byte()).Draw(t, "data"), Metadata: rapid.SliceOf(rapid.Byte()).Draw(t, "metadata"),
		})
	})
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil || !json.Valid(r.Data) || !utf8.Valid(r.Data) {
			t.Errorf("the log holds %q, %v", r.Data, err)
		}
	}
}

// comesBack appends an event to a stream of its own, and reads it.
func comesBack(ctx context.Context, t rapid.TB, client *esdb.Client, want esdb.EventData) {
	t.Helper()
	want.EventID, want.EventType = uuid.New(), "e"
	stream := want.EventID.String()
	if _, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, want); err != nil {
		t.Fatal(err)
	}
	page, err := client.ReadStream(ctx, stream, esdb.ReadStreamOptions{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	e, err := page.Recv()
	if err != nil {
		t.Fatal(err)
	}
	got := e.Event
	if string(got.Data) != string(want.Data) || (got.ContentType == "application/json") != (want.ContentType == esdb.ContentTypeJson) {
		t.Errorf("data %q as %s comes back as %q", want.Data, got.ContentType, got.Data)
	}
	if string(got.UserMetadata) != string(want.Metadata) {
		t.Errorf("metadata %q comes back as %q", want.Metadata, got.UserMetadata)
	}
}

// The largest event that is taken is one that clients can receive.
func TestALargeEventComesBack(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), options()))
	comesBack(t.Context(), t, client, esdb.EventData{ContentType: esdb.ContentTypeBinary, Data: bytes.Repeat([]byte{0xff}, 16<<20-64<<10-2)})
}

func TestAnAppendIsWrittenWhereItIsExpected(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustAppend(t, client, "s", made("e", 3)...)
			for _, c := range []struct {
				stream   string
				expected esdb.ExpectedRevision
				conflict string // "" if it is written
			}{
				{"s", esdb.Revision(2), ""},
				{"s", esdb.Revision(2), "expecting '2' but got '3'"},
				{"s", esdb.Revision(1), "expecting '1' but got '3'"},
				{"s", esdb.Revision(9), "expecting '9' but got '3'"},
				{"s", esdb.Revision(1 << 63), "but got '3'"},
				{"s", esdb.NoStream{}, "expecting 'no_stream' but got '3'"},
				{"s", esdb.StreamExists{}, ""},
				{"s", esdb.Any{}, ""},
				{"none", esdb.Revision(0), "expecting '0' but got 'no_stream'"},
				{"none", esdb.StreamExists{}, "expecting 'stream_exists' but got 'no_stream'"},
				{"new", esdb.NoStream{}, ""},
				{"another", esdb.Any{}, ""},
			} {
				_, err := client.AppendToStream(within(t), c.stream, esdb.AppendToStreamOptions{ExpectedRevision: c.expected}, made("e", 1)...)
				if c.conflict == "" {
					if err != nil {
						t.Errorf("%s, expecting %v: %v", c.stream, c.expected, err)
					}
					continue
				}
				hasCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
				if !strings.Contains(err.Error(), c.conflict) {
					t.Errorf("%s, expecting %v: told %q, want %q in it", c.stream, c.expected, err, c.conflict)
				}
			}
		})
	}
}

// A client that did not get the answer repeats the append, and the log holds it once.
func TestARepeatedAppendIsWrittenOnce(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustAppend(t, client, "s", made("before", 2)...)
			for name, expected := range map[string]esdb.ExpectedRevision{
				"no stream": esdb.NoStream{}, "revision": esdb.Revision(1), "any": esdb.Any{}, "exists": esdb.StreamExists{},
			} {
				stream := "s-" + strings.ReplaceAll(name, " ", "")
				if name != "no stream" {
					mustAppend(t, client, stream, made("before", 2)...)
				}
				events := made("e", 3)
				append3 := func() *esdb.WriteResult {
					t.Helper()
					written, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					return written
				}
				first := append3()
				mustAppend(t, client, stream, made("after", 2)...)
				if again := append3(); *again != *first {
					t.Errorf("%s: first written at %+v, then at %+v", name, first, again)
				}
				page, err := client.ReadStream(within(t), stream, esdb.ReadStreamOptions{}, 100)
				if n, want := len(drain(t, page, err)), int(first.NextExpectedVersion)+3; n != want {
					t.Errorf("%s: the stream has %d events, want %d", name, n, want)
				}
			}
		})
	}
}

// An id is for ever: what is not the same append is refused, rather than written twice or taken for written. An event is the same
// with other metadata: clients put the trace of each try into it.
func TestAnIdIsUsedOnce(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := made("e", 3)
			first := mustAppend(t, client, "s", events...)
			changed, renamed, traced := slices.Clone(events), slices.Clone(events), slices.Clone(events)
			changed[2].Data = []byte(`{"n": 7}`)
			renamed[0].EventType = "f"
			traced[0].Metadata, traced[2].Metadata = []byte(`{"$traceId":"2"}`), nil
			const written, taken, conflict = esdb.ErrorCode(-1), esdb.ErrorCodeResourceAlreadyExists, esdb.ErrorCodeWrongExpectedVersion
			for name, c := range map[string]struct {
				stream      string
				events      []esdb.EventData
				any, absent esdb.ErrorCode // expecting any revision, and no stream
			}{
				"in another stream":   {"t", events, taken, taken},
				"with other data":     {"s", changed, taken, taken},
				"with another type":   {"s", renamed, taken, taken},
				"with other metadata": {"s", traced, written, written},
				"in another batch":    {"s", append(made("e", 1), events...), taken, conflict},
				"with one more":       {"s", append(slices.Clone(events), made("e", 1)...), conflict, conflict},
				"a part and one more": {"s", append(slices.Clone(events[:1]), made("e", 1)...), conflict, conflict},
				"in another order":    {"s", []esdb.EventData{events[1], events[0]}, conflict, conflict},
			} {
				for expected, want := range map[esdb.ExpectedRevision]esdb.ErrorCode{esdb.Any{}: c.any, esdb.NoStream{}: c.absent} {
					again, err := client.AppendToStream(within(t), c.stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, c.events...)
					switch fault, ok := esdb.FromError(err); {
					case want == written && (!ok || *again != *first):
						t.Errorf("%s, expecting %T: %v, %+v, want %+v", name, expected, err, again, first)
					case want != written && (ok || fault.Code() != want):
						t.Errorf("%s, expecting %T: %v, want code %v", name, expected, err, want)
					}
				}
			}
			page, err := client.ReadAll(within(t), esdb.ReadAllOptions{}, 100)
			if n := len(drain(t, page, err)); n != 3 {
				t.Errorf("the log holds %d events, want 3", n)
			}
			again, err := client.AppendToStream(within(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(0)}, events[1:]...)
			if err != nil || *again != *first {
				t.Errorf("the last two, where they are: %+v, %v, want %+v", again, err, first)
			}
		})
	}
}

// Events of before were held as they are where they were JSON without metadata. They come back with the metadata of the log, as they
// did, and a repeated append of one is known.
func TestAnEventThatIsNotWrappedIsKnown(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	event := esdb.EventData{EventID: uuid.New(), EventType: "e", ContentType: esdb.ContentTypeJson, Data: []byte(`{"n": 1}`)}
	if _, err := log.Append(within(t), eventstore.Batch{
		Stream: "s", Expected: eventstore.NoStream(), Meta: eventstore.Meta{Actor: "esdb", Attempt: 1},
		Events: []eventstore.NewEvent{{ID: event.EventID, Type: event.EventType, Data: event.Data}},
	}); err != nil {
		t.Fatal(err)
	}
	client := dial(t, served(t, log, options()))
	if again := mustAppend(t, client, "s", event); again.CommitPosition != 1 {
		t.Errorf("it is written again at %+v", again)
	}
	page, err := client.ReadStream(within(t), "s", esdb.ReadStreamOptions{}, 9)
	got := drain(t, page, err)
	if len(got) != 1 || string(got[0].Data) != string(event.Data) || string(got[0].UserMetadata) != `{"actor":"esdb","index":0,"size":1,"attempt":1}` {
		t.Errorf("read %+v", got)
	}
}

func TestAnyRevisionIsFoundAmongOtherWriters(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const writers, appends = 4, 5
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for range appends {
						if _, err := client.AppendToStream(within(t), "s", esdb.AppendToStreamOptions{}, made("e", 2)...); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			page, err := client.ReadStream(within(t), "s", esdb.ReadStreamOptions{}, 1000)
			if n := len(drain(t, page, err)); n != 2*writers*appends {
				t.Errorf("the stream has %d events, want %d", n, 2*writers*appends)
			}
		})
	}
}

// An append without events asks only whether the stream is as expected.
func TestAnEmptyAppendWritesNothing(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), options()))
	empty := func(stream string, expected esdb.ExpectedRevision) error {
		_, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected})
		return err
	}
	if err := empty("none", esdb.NoStream{}); err != nil {
		t.Error(err)
	}
	mustAppend(t, client, "s", made("e", 1)...)
	if err := empty("s", esdb.Revision(0)); err != nil {
		t.Error(err)
	}
	hasCode(t, empty("s", esdb.NoStream{}), esdb.ErrorCodeWrongExpectedVersion)
	hasCode(t, empty("repository-1", esdb.NoStream{}), esdb.ErrorCodeAccessDenied)
	page, err := client.ReadAll(within(t), esdb.ReadAllOptions{}, 10)
	if n := len(drain(t, page, err)); n != 1 {
		t.Errorf("the log has %d events, want 1", n)
	}
}
