package verify_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// TestVerifyIgnoresForeignStreams: their ids and forms are their own; that they are there and unharmed is checked all the same.
func TestVerifyIgnoresForeignStreams(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.mustRecord()
	for _, guest := range []eventstore.NewEvent{
		{ID: uuid.New(), Type: "order.shipped.v1", Data: []byte(`{"order":7}`)},
		{ID: uuid.New(), Type: eventstore.TypeScanCompleted, Data: []byte(`{"number":99}`)},
	} {
		_, err := d.log.Append(t.Context(), eventstore.Batch{
			Stream: eventstore.StreamID("guest-" + guest.Type), Expected: eventstore.NoStream(),
			Meta: eventstore.Meta{Attempt: 1, Scan: uuid.Must(uuid.NewV7()).String()}, Events: []eventstore.NewEvent{guest},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	verified, err := verify.Run(t.Context(), d.log, verify.Watch{
		Fault: func(f eventstore.Fault) { t.Errorf("fault %+v", f) },
	})
	if err != nil || verified.Events != 4 {
		t.Errorf("verified %+v, %v; want all 4 events", verified, err)
	}
}
