package run_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

const countedBatch = databasetest.CountedBatch

func inventory() projections.Projection { return databasetest.Inventory() }

func action(action string, box int, pairs ...string) domain.Event {
	return databasetest.Action(action, box, pairs...)
}

func batch(events ...domain.Event) projectionstest.Batch { return databasetest.Batch(events...) }

func newCounted(head eventstore.Position) *databasetest.Counted { return databasetest.NewCounted(head) }

func counting(c *run.Config) { databasetest.Counting(c) }

// config is what projectionstest.Runner uses.
func config(t *testing.T) run.Config {
	t.Helper()
	var c run.Config
	projectionstest.Runner(t, projectionstest.NewLog(t), projectionstest.Open(t), inventory(), func(made *run.Config) { c = *made })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func catchUp(t *testing.T, r *run.Runner) {
	t.Helper()
	must(t, r.CatchUp(t.Context(), 0))
}

var errBroken = errors.New("broken")

// renamed is a log whose third event is of another type.
type renamed struct {
	*databasetest.Counted
	typ string
}

func (r *renamed) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for record, err := range r.Counted.Read(ctx, after, f) {
			_, data, encoded := eventstore.Encode(action("none", 1))
			record.Data, err = data, errors.Join(err, encoded)
			if record.Position == 3 {
				record.Type = r.typ
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// damaged is a database whose build 1 cannot be read beyond its first table.
type damaged struct{ projections.Database }

func (d damaged) Inspect(ctx context.Context, ref projections.Ref, do func(projections.Snapshot) error) error {
	return d.Database.Inspect(ctx, ref, func(s projections.Snapshot) error {
		if ref.Number == 1 {
			s = &torn{Snapshot: s}
		}
		return do(s)
	})
}

type torn struct {
	projections.Snapshot
	tables int // that were read
}

func (s *torn) Rows(ctx context.Context, table projections.Table) iter.Seq2[[]any, error] {
	if s.tables++; s.tables == 1 {
		return s.Snapshot.Rows(ctx, table)
	}
	return func(yield func([]any, error) bool) { yield(nil, errBroken) }
}

// deaf is a database that is not there when a lease is given back: it fails with err, or when its time is up.
type deaf struct {
	projections.Database
	err error
}

func (d deaf) ChangeBuilds(
	ctx context.Context, projection string, decide func(builds.State) (projections.Decision, error),
) ([]projections.Build, error) {
	releases := errors.New("a lease is given back")
	found, err := d.Database.ChangeBuilds(ctx, projection, func(s builds.State) (projections.Decision, error) {
		decision, err := decide(s)
		for _, b := range builds.Diff(s, decision.State).Updated {
			if err == nil && b.Lease.Expires.IsZero() {
				err = releases
			}
		}
		return decision, err
	})
	switch {
	case !errors.Is(err, releases):
		return found, err
	case d.err != nil:
		return nil, d.err
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
