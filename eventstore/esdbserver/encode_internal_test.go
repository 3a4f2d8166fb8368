package esdbserver

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// generatedEvent is what recorded encodes by hand.
func generatedEvent(r eventstore.Record, e event, textID bool) *wire.ReadResp {
	s := &sender{textIDs: textID}
	position := uint64(r.Position)
	return &wire.ReadResp{Content: &wire.ReadResp_Event{Event: &wire.ReadResp_ReadEvent{
		Event: &wire.ReadResp_ReadEvent_RecordedEvent{
			Id: s.id(r.ID), StreamIdentifier: streamIdentifier(string(r.Stream)), StreamRevision: uint64(r.Revision),
			PreparePosition: position, CommitPosition: position, Metadata: e.systemMetadata(r.Type, r.RecordedAt),
			CustomMetadata: e.metadata, Data: e.data,
		},
		Position: &wire.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
	}}}
}

// An event that is encoded by hand is the message that generated code makes of it.
func TestAnEventIsEncodedAsGeneratedCodeDoes(t *testing.T) {
	t.Parallel()
	texts := []string{"", "x", "orders-1", strings.Repeat("ä", 100), strings.Repeat("z", 70_000)}
	numbers := []uint64{0, 1, 127, 128, 1 << 40, math.MaxUint64}
	ids := []uuid.UUID{{}, {1}, {15: 1}, uuid.Max, uuid.New()}
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string { return texts[random.IntN(len(texts))] }
	for range 3000 {
		r := eventstore.Record{
			Position: eventstore.Position(numbers[random.IntN(len(numbers))]), Revision: eventstore.Revision(numbers[random.IntN(len(numbers))]),
			Stream: eventstore.StreamID(text()), Type: text(), ID: ids[random.IntN(len(ids))],
			RecordedAt: time.UnixMicro(random.Int64N(1 << 52)),
		}
		e := event{json: random.IntN(2) > 0, data: []byte(text()), metadata: []byte(text())}
		textID := random.IntN(2) > 0
		m := recorded{
			begin: appendBegin(nil, r, e.contentType(), textID), metadata: e.metadata, data: e.data, position: uint64(r.Position),
		}
		encoded, err := m.encode([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		encoded = encoded[len("before"):]
		var got wire.ReadResp
		if err := proto.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		if want := generatedEvent(r, e, textID); !proto.Equal(&got, want) {
			t.Fatalf("encoded by hand it is\n %v\nwant\n %v", &got, want)
		}
		if m.size() != len(encoded) {
			t.Fatalf("it has %d bytes, and says %d", len(encoded), m.size())
		}
	}
}

// parsed is what encoding/json makes of a wrapped event.
func parsed(t *testing.T, data []byte) (e event, ok bool) {
	t.Helper()
	var w wrapped
	if json.Unmarshal(data, &w) != nil {
		return event{}, false
	}
	return event{json: w.JSON, data: slices.Concat(w.Data, w.Bytes), metadata: slices.Concat(w.Metadata, w.MetadataBytes)}, true
}

func sameEvents(a, b event) bool {
	return a.json == b.json && bytes.Equal(a.data, b.data) && bytes.Equal(a.metadata, b.metadata)
}

// Whatever a client wrote is unwrapped without a parser of JSON, and as such a parser would.
func TestWhatWasWrappedIsUnwrappedByItsForm(t *testing.T) {
	t.Parallel()
	parts := []string{
		"", "{}", "[]", `""`, "0", "-1.5e3", "null", "true", `"}"`, `"\""`, `"\\"`, `"\\\""`, `{"a":"}\"]","b":[{},"\\"],"c":{"d":1}}`, `[[[]],{"x":"\u0022"}]`,
		`","metadata":"`, `{"metadata":1}`, "\x00\xff", " {}", "{", "binary", strings.Repeat(`"\\`, 50),
	}
	for _, data := range parts {
		for _, metadata := range parts {
			for _, isJSON := range []bool{true, false} {
				e := event{json: isJSON, data: []byte(data), metadata: []byte(metadata)}
				text := wrap(e)
				got, ok := unwrapAsWrapped(text[len(wrapper):])
				if want, _ := parsed(t, text); !ok || !sameEvents(got, e) || !sameEvents(want, e) {
					t.Errorf("%s is unwrapped as %+v, %t", text, got, ok)
				}
			}
		}
	}
}

// FuzzUnwrap: what is unwrapped by its form is what a parser finds in it, if it finds anything.
func FuzzUnwrap(f *testing.F) {
	for _, rest := range []string{
		`"json":true}`, `"json":true,"data":{"a":[1,"}"]},"metadata":null}`, `"json":false,"bytes":"AP8=","metadataBytes":"IA=="}`,
		`"json":true,"data":1,"data":2}`, `"json":true,"data":1,"json":false}`, `"json":true,"metadata":1,"data":2}`, `"json":true,"data":"\`,
		`"json":true,"data":{"a":1},"bytes":"AA=="}`, `"json":true,"bytes":"A\nA="}`, `"json":true,"data":1}}`,
	} {
		f.Add([]byte(rest))
	}
	f.Fuzz(func(t *testing.T, rest []byte) {
		got, ok := unwrapAsWrapped(rest)
		want, isJSON := parsed(t, append([]byte(wrapper), rest...))
		if ok && isJSON && !sameEvents(got, want) {
			t.Errorf("%s%s is unwrapped as %+v, want %+v", wrapper, rest, got, want)
		}
	})
}
