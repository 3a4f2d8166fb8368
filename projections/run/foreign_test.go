package run_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// TestForeignStreamsAreNeverProjected: what services append to streams of their own may have any type and say anything.
func TestForeignStreamsAreNeverProjected(t *testing.T) {
	t.Parallel()
	var seen []eventstore.StreamID
	p := inventory()
	p.Handles = []domain.Event{domain.ScanCompleted{}}
	p.Apply = func(page []projections.Event, _ *projections.Rows) error {
		for _, e := range page {
			seen = append(seen, e.Stream)
		}
		return nil
	}
	log := projectionstest.NewLog(t)
	for i, typ := range []string{"order.shipped.v1", eventstore.TypeScanCompleted} {
		_, err := log.Append(t.Context(), eventstore.Batch{
			Stream: eventstore.StreamID("guest-" + uuid.NewString()), Expected: eventstore.NoStream(), Meta: eventstore.Meta{Attempt: 1},
			Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(uuid.Must(uuid.NewV7()), i), Type: typ, Data: []byte(`{"number":7}`)}},
		})
		must(t, err)
	}
	own := log.Add(t, projectionstest.Batch{Events: []domain.Event{domain.ScanCompleted{Head: domain.Head{Number: 1}}}})
	config := run.DefaultConfig(projectionstest.Epoch, eventstore.Decode, "tester")
	runner, err := run.NewRunner(log, projectionstest.Open(t), []projections.Projection{p}, config)
	must(t, err)
	must(t, runner.CatchUp(t.Context(), 0))
	if len(seen) != 1 || !seen[0].OfEngine() {
		t.Errorf("projected events of %v, want that of the repository alone", seen)
	}
	if at, err := inspect.Position(t.Context(), runner.Pipeline); err != nil || at != own {
		t.Errorf("position %d, %v; want %d, past the guests", at, err, own)
	}
}
