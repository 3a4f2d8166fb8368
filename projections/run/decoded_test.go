package run_test

import (
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// I11: a projection asks for a type of event and gets every stored version of it, those included that no table of names
// here has. The version is made up.
func TestAProjectionGetsEveryVersionThatDecodesToItsEvents(t *testing.T) {
	t.Parallel()
	const madeUp = "admin.acted.v999"
	decode := func(r eventstore.Record) (domain.Event, error) {
		if r.Type == madeUp {
			r.Type = eventstore.TypeAdminActed
		}
		return eventstore.Decode(r)
	}
	log := projectionstest.NewLog(t)
	types := []string{eventstore.TypeAdminActed, madeUp, eventstore.TypeAdminActed, madeUp}
	expected := eventstore.NoStream()
	for i, typ := range types {
		appended, err := log.Append(t.Context(), eventstore.Batch{
			Stream: eventstore.EngineStream, Expected: expected, Meta: eventstore.Meta{Attempt: 1},
			Events: []eventstore.NewEvent{{ID: uuid.Must(uuid.NewV7()), Type: typ, Data: []byte(`{"action":"box","target":"` + strconv.Itoa(i) + `"}`)}},
		})
		must(t, err)
		expected = eventstore.AtRevision(appended.LastRevision)
	}
	var targets []string
	p := inventory()
	p.Handles = []domain.Event{domain.AdminActed{}}
	p.Apply = func(page []projections.Event, _ *projections.Rows) error {
		for _, e := range page {
			if action, ok := e.Event.(domain.AdminActed); ok {
				targets = append(targets, action.Target)
			}
		}
		return nil
	}
	runner := projectionstest.Runner(t, log, projectionstest.Open(t), p, func(c *run.Config) { c.Decode = decode })
	must(t, runner.CatchUp(t.Context(), 0))
	if len(targets) != len(types) {
		t.Errorf("applied the events %v, want all %d", targets, len(types))
	}
}
