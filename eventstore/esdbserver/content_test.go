package esdbserver_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

func sum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

// parts makes the events of a content.
func parts(list ...[]byte) []esdb.EventData {
	events := make([]esdb.EventData, len(list))
	for i, data := range list {
		events[i] = esdb.EventData{EventID: uuid.New(), EventType: "content.v1", ContentType: esdb.ContentTypeBinary, Data: data}
	}
	return events
}

func join(events []*esdb.RecordedEvent) []byte {
	var all []byte
	for _, e := range events {
		all = append(all, e.Data...)
	}
	return all
}

func TestAContentIsAStream(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	client := dial(t, served(t, log, engineOptions()))
	for name, list := range map[string][][]byte{
		"whole": {[]byte("\x00bytes\xff")}, "in parts": {[]byte("one"), []byte(""), []byte("two")}, "empty": {{}},
	} {
		content := bytes.Join(list, nil)
		stream := "content-" + sum(content)
		events := parts(list...)
		first := mustAppendNew(t, client, stream, events...)
		if again := mustAppendNew(t, client, stream, events...); *again != *first {
			t.Errorf("%s: appended at %+v, then at %+v", name, first, again)
		}
		_, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, parts(content)...)
		hasCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		page, err := client.ReadStream(within(t), stream, esdb.ReadStreamOptions{}, 10)
		got := drain(t, page, err)
		if !bytes.Equal(join(got), content) || len(got) != len(list) {
			t.Errorf("%s: the stream has %d events with %q", name, len(got), join(got))
		}
		for i, e := range got {
			if e.EventID != events[i].EventID || e.ContentType != "application/octet-stream" || e.EventType != "content.v1" {
				t.Errorf("%s: event %d is %+v", name, i, e)
			}
		}
		if held, err := log.Content(within(t), sum(content)); err != nil || !bytes.Equal(held, content) {
			t.Errorf("%s: the log holds %q, %v", name, held, err)
		}
	}
}

// mustAppendNew appends a stream that is not there.
func mustAppendNew(t *testing.T, client *esdb.Client, stream string, events ...esdb.EventData) *esdb.WriteResult {
	t.Helper()
	written, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, events...)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func TestAContentIsWholeAndItsOwn(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), engineOptions()))
	content := []byte("content")
	stream := "content-" + sum(content)
	other := parts(content)
	other[0].EventType = "content.v2"
	remarked := parts(content)
	remarked[0].Metadata = []byte(`{"by":"me"}`)
	for name, c := range map[string]struct {
		stream   string
		expected esdb.ExpectedRevision
		events   []esdb.EventData
	}{
		"other bytes":      {stream, esdb.NoStream{}, parts([]byte("another"))},
		"a part":           {stream, esdb.NoStream{}, parts([]byte("cont"))},
		"another type":     {stream, esdb.NoStream{}, other},
		"other metadata":   {stream, esdb.NoStream{}, remarked},
		"any revision":     {stream, esdb.Any{}, parts(content)},
		"another name":     {"content-x", esdb.NoStream{}, parts(content)},
		"upper case":       {"content-" + "E" + sum(content)[1:], esdb.NoStream{}, parts(content)},
		"an exact one":     {stream, esdb.Revision(0), parts(content)},
		"an existing one":  {stream, esdb.StreamExists{}, parts(content)},
		"no hash, no more": {"content-", esdb.NoStream{}, parts(content)},
	} {
		_, err := client.AppendToStream(within(t), c.stream, esdb.AppendToStreamOptions{ExpectedRevision: c.expected}, c.events...)
		if fault, _ := esdb.FromError(err); fault == nil || fault.Code() != esdb.ErrorCodeUnknown { // what the client makes of INVALID_ARGUMENT
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What an engine stored on the same log is read like what came over the protocol.
func TestAContentOfTheLogIsRead(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 600<<10) // 9.4 MiB: three parts
	batch := eventstore.Batch{
		Stream: "repository-1", Expected: eventstore.NoStream(), Meta: eventstore.Meta{Actor: "a", Attempt: 1},
		Events:   []eventstore.NewEvent{{ID: uuid.New(), Type: "test.v1", Data: []byte("{}")}},
		Contents: []eventstore.Blob{{SHA256: sum(large), Bytes: large}, {SHA256: sum(nil), Bytes: nil}},
	}
	if _, err := log.Append(within(t), batch); err != nil {
		t.Fatal(err)
	}
	client := dial(t, served(t, log, options()))
	read := func(hash string, o esdb.ReadStreamOptions, count uint64) []*esdb.RecordedEvent {
		t.Helper()
		page, err := client.ReadStream(within(t), "content-"+hash, o, count)
		return drain(t, page, err)
	}
	whole := read(sum(large), esdb.ReadStreamOptions{}, 100)
	if len(whole) != 3 || !bytes.Equal(join(whole), large) {
		t.Fatalf("read %d parts with %d bytes", len(whole), len(join(whole)))
	}
	if empty := read(sum(nil), esdb.ReadStreamOptions{}, 100); len(empty) != 1 || len(empty[0].Data) != 0 {
		t.Errorf("the empty content is %+v", empty)
	}
	for name, c := range map[string]struct {
		o     esdb.ReadStreamOptions
		count uint64
		want  []uint64
	}{
		"from a part":          {esdb.ReadStreamOptions{From: esdb.Revision(1)}, 9, []uint64{1, 2}},
		"one part":             {esdb.ReadStreamOptions{From: esdb.Revision(1)}, 1, []uint64{1}},
		"from beyond":          {esdb.ReadStreamOptions{From: esdb.Revision(3)}, 9, nil},
		"from the end":         {esdb.ReadStreamOptions{From: esdb.End{}}, 9, nil},
		"back":                 {esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 9, []uint64{2, 1, 0}},
		"back from a part":     {esdb.ReadStreamOptions{From: esdb.Revision(1), Direction: esdb.Backwards}, 9, []uint64{1, 0}},
		"back from beyond":     {esdb.ReadStreamOptions{From: esdb.Revision(1 << 62), Direction: esdb.Backwards}, 1, []uint64{2}},
		"back from the start":  {esdb.ReadStreamOptions{From: esdb.Start{}, Direction: esdb.Backwards}, 9, []uint64{0}},
		"nothing, said so too": {esdb.ReadStreamOptions{}, 0, nil},
	} {
		got := read(sum(large), c.o, c.count)
		for i, e := range got {
			if i >= len(c.want) || e.EventNumber != c.want[i] || e.EventID != whole[e.EventNumber].EventID {
				t.Errorf("%s: part %d is number %d", name, i, e.EventNumber)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: read %d parts, want %d", name, len(got), len(c.want))
		}
	}
}
