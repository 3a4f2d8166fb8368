package cloudevents_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

// tail is a log that has one record.
type tail struct{ last eventstore.Record }

func (tail) ID() uuid.UUID { return uuid.MustParse("01951c2e-7a00-7000-8000-0000000000ff") }

func (r tail) ReadStream(context.Context, eventstore.StreamID, eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) { yield(r.last, nil) }
}

func (r tail) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	return r.ReadStream(ctx, stream, 0)
}

// FuzzEncode: whatever a log holds, an event is refused with a reason, or both modes say what it is, and the SDK of others reads it.
func FuzzEncode(f *testing.F) {
	for _, typ := range eventstore.KnownTypes() {
		f.Add("repository-"+repository, typ, golden(f, typ), "scan.completed.v2", golden(f, "scan.completed.v2"), parent)
	}
	f.Add("engine", "a\r\nb", []byte(`{"a":"\u0000"}`), "x", []byte(`{}`), "00-")
	f.Add("repository-é/..?#%", "rejection.cleared.v1", []byte("{\"path\":\"\\ud800\\n\"}"), "scan.completed.v1", []byte(`{"number":-1,"scan":"\n"}`), "")
	f.Fuzz(func(t *testing.T, stream, typ string, data []byte, lastType string, lastData []byte, traceParent string) {
		r := eventstore.Record{
			Position: 1, Stream: eventstore.StreamID(stream), ID: uuid.MustParse(scan), Type: typ, RecordedAt: time.Unix(1, 0), Data: data,
			Meta: eventstore.Meta{Size: 2, TraceParent: traceParent},
		}
		last := r
		last.Revision, last.Type, last.Data, last.Meta.Index = 1, lastType, lastData, 1
		e, err := cloudevents.NewEncoder(tail{last}).Encode(t.Context(), r)
		if err != nil {
			if !errors.Is(err, eventstore.ErrCorrupt) && !errors.Is(err, cloudevents.ErrForeign) {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		checkStructured(t, e)
		checkBinary(t, e)
		checkSDK(t, e)
	})
}
