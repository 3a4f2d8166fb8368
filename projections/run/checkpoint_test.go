package run_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// restored is a log that says that it is another.
type restored struct {
	eventstore.Log

	id uuid.UUID
}

func (r restored) ID() uuid.UUID { return r.id }

// older is a database whose checkpoints do not say where in its stream an event is.
type older struct{ projections.Database }

func (o older) Builds(ctx context.Context, projection string) ([]projections.Build, error) {
	builds, err := o.Database.Builds(ctx, projection)
	for i := range builds {
		builds[i].Checkpoint.Stream, builds[i].Checkpoint.Revision = "", 0
	}
	return builds, err
}

// story is a log of a few batches.
func story(t *testing.T, boxes ...int) eventstore.Log {
	t.Helper()
	log := projectionstest.NewLog(t)
	for _, box := range boxes {
		log.Add(t, batch(action("box", box, "label", "a"), action("label", box, "label", "b")))
	}
	return log
}

// rewritten is a log of other batches than story's.
func rewritten(t *testing.T) eventstore.Log {
	t.Helper()
	log := projectionstest.NewLog(t)
	for box := range 5 {
		log.Add(t, batch(action("box", box, "label", "a")))
	}
	return log
}

// TestALogThatWasSwappedIsNotAskedForAPositionOfTheOther holds I14 and I19.
func TestALogThatWasSwappedIsNotAskedForAPositionOfTheOther(t *testing.T) {
	t.Parallel()
	same := story(t, 1, 2)
	first := eventstoretest.NewSparse(t, same, 137) // its last event is at 4096 + 4*137 = 4644
	for name, test := range map[string]struct {
		log  eventstore.Log
		want string // "" for no mismatch
	}{
		"itself":        {first, ""},
		"rewritten":     {eventstoretest.NewSparse(t, rewritten(t), 1000), "the tables saw event"},
		"cut":           {eventstoretest.NewSparse(t, story(t, 1), 1000), "the log has no event at position 4644"},
		"moved":         {eventstoretest.NewSparse(t, same, 1000), "of the log, the tables saw it at 4644"},
		"truncated":     {eventstoretest.NewSparse(t, story(t, 1), 7), "they reach position 4644, the log ends at 4110"},
		"of the oldest": {eventstoretest.NewSparse(t, story(t), 7), "they reach position 4644, the log ends at 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := projectionstest.Open(t)
			catchUp(t, projectionstest.Runner(t, first, db, inventory()))
			checks(t, projectionstest.Runner(t, restored{test.log, first.ID()}, db, inventory()), test.want)
		})
	}
}

// replaced is a log whose Head comes from a server that does not know that it was replaced, and whose other servers know.
type replaced struct {
	eventstore.Log

	ends bool
}

func (replaced) Head(context.Context) (eventstore.Position, error) { return 1, nil }

func (r replaced) EndsBefore(context.Context, eventstore.Position) (bool, error) { return r.ends, nil }

// TestAnOldHeadIsNoTruncation holds I14 over a log of several servers.
func TestAnOldHeadIsNoTruncation(t *testing.T) {
	t.Parallel()
	log, db := story(t, 1, 2), projectionstest.Open(t)
	catchUp(t, projectionstest.Runner(t, log, db, inventory()))
	checks(t, projectionstest.Runner(t, replaced{log, false}, db, inventory()), "")
	checks(t, projectionstest.Runner(t, replaced{log, true}, db, inventory()), "they reach position 4, the log ends at 1")
}

// TestACheckpointOfTheOlderFormIsCheckedByItsPosition holds I14 for tables that an older version wrote.
func TestACheckpointOfTheOlderFormIsCheckedByItsPosition(t *testing.T) {
	t.Parallel()
	first := story(t, 1, 2)
	sparse := eventstoretest.NewSparse(t, first, 137)
	for name, test := range map[string]struct {
		made, log eventstore.Log
		want      string
	}{
		"itself":    {first, first, ""},
		"sparse":    {sparse, sparse, ""},
		"rewritten": {first, rewritten(t), "is at position 4 of the log, the tables saw event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := projectionstest.Open(t)
			catchUp(t, projectionstest.Runner(t, test.made, db, inventory()))
			checks(t, projectionstest.Runner(t, restored{test.log, first.ID()}, older{db}, inventory()), test.want)
		})
	}
}

func checks(t *testing.T, runner *run.Runner, want string) {
	t.Helper()
	err := inspect.Check(t.Context(), runner.Pipeline)
	if want == "" {
		must(t, err)
		return
	}
	if mismatch, ok := errors.AsType[*projections.MismatchError](err); !ok || !strings.Contains(mismatch.Error(), want) {
		t.Errorf("the check says %v, want a mismatch that says %q", err, want)
	}
}
