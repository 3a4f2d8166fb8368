package run_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// notHeld makes batches that are larger than either bound too large for memory.
func notHeld(events, bytes int) func(*run.Config) {
	return func(c *run.Config) { c.HeldEvents, c.HeldBytes, c.PageEvents = events, bytes, 3 }
}

func boxes(from, n int) projectionstest.Batch {
	var events []domain.Event
	for i := range n {
		events = append(events, action("box", from+i))
	}
	return batch(events...)
}

func TestALargeBatchIsOneTransactionInParts(t *testing.T) { // I1, I5
	t.Parallel()
	for name, bound := range map[string]func(*run.Config){"events": notHeld(10, 1<<20), "bytes": notHeld(1000, 2000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := projectionstest.NewLog(t, boxes(0, 2), boxes(10, 50), boxes(100, 2))
			db := &databasetest.Spy{Database: projectionstest.Open(t)}
			runner := projectionstest.Runner(t, log, db, inventory(), bound)
			catchUp(t, runner)
			if len(db.Pages) != 3 || db.Pages[0].To.Position != 2 || db.Pages[1].To.Position != 52 || db.Pages[2].To.Position != 54 {
				t.Fatalf("pages are %+v, want those before and after the large batch apart", db.Pages)
			}
			if large := db.Pages[1]; len(large.Ops) > 0 || large.More == nil || db.Pages[0].More != nil || db.Pages[2].More != nil {
				t.Errorf("the large batch has %d operations in memory", len(large.Ops))
			}
			whole := projectionstest.Open(t)
			catchUp(t, projectionstest.Runner(t, log, whole, inventory()))
			got, want := projectionstest.Dump(t.Context(), t, db, inventory()), projectionstest.Dump(t.Context(), t, whole, inventory())
			if got != want {
				t.Errorf("tables are\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAFaultyEventInALargeBatchIsNamed(t *testing.T) {
	t.Parallel()
	db := projectionstest.Open(t)
	c := config(t)
	notHeld(1, 1<<20)(&c)
	c.Decode = func(r eventstore.Record) (domain.Event, error) {
		if r.Position == 11 {
			return nil, fmt.Errorf("%w: scan.dreamt.v9", eventstore.ErrUnknownType)
		}
		return databasetest.DecodeCounted(r)
	}
	runner, err := run.NewRunner(newCounted(5*countedBatch), db, []projections.Projection{inventory()}, c)
	must(t, err)
	err = runner.CatchUp(t.Context(), 0)
	var stopped *projections.EventError
	if !errors.As(err, &stopped) || stopped.Position != 11 || !errors.Is(err, eventstore.ErrUnknownType) {
		t.Errorf("error is %v, want ErrUnknownType at position 11", err)
	}
	at, err := inspect.Position(t.Context(), runner.Pipeline)
	must(t, err)
	if at != 2*countedBatch {
		t.Errorf("position is %d, want %d, before the batch", at, 2*countedBatch)
	}
}

// changing is a log that gives something else when it is read again.
type changing struct {
	*databasetest.Counted
	reads  int
	change func(*eventstore.Record) error
}

func (c *changing) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		c.reads++
		again := c.reads > 1
		for record, err := range c.Counted.Read(ctx, after, f) {
			if again && record.Position == 4 && err == nil {
				err = c.change(&record)
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

func TestALargeBatchThatIsNotWhatItWasIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*eventstore.Record) error
		want   error
	}{
		"the log fails":           {func(*eventstore.Record) error { return errBroken }, errBroken},
		"another batch":           {func(r *eventstore.Record) error { r.Meta.Index++; return nil }, eventstore.ErrCorrupt},
		"a batch of another size": {func(r *eventstore.Record) error { r.Meta.Size++; return nil }, eventstore.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runner := projectionstest.Runner(t, &changing{Counted: newCounted(2 * countedBatch), change: test.change}, projectionstest.Open(t), inventory(),
				databasetest.Counting, notHeld(1, 1<<20))
			err := runner.CatchUp(t.Context(), 0)
			if stopped := (*projections.EventError)(nil); !errors.Is(err, test.want) || errors.As(err, &stopped) || !strings.Contains(err.Error(), "cannot read log") {
				t.Errorf("error is %v, want that of the log, and no event at fault", err)
			}
			at, err := inspect.Position(t.Context(), runner.Pipeline)
			must(t, err)
			if at != 0 {
				t.Errorf("position is %d, want 0: nothing of the batch", at)
			}
		})
	}
}
