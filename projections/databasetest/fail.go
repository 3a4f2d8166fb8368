package databasetest

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// FailEveryCall fails each call of the driver that a method of db makes, one after the other and in several ways, and then uses
// db, as [CancelEveryCall] does. What a method that reads answers without an error is what other, another handle, answers. The
// driver of db is that of package drivertest.
func FailEveryCall(t *testing.T, db, other Database, more map[string]func(ctx context.Context) error) {
	t.Helper()
	c := newCancelling(t, db)
	faults := drivertest.Faults()
	for name, use := range c.all(more) {
		drivertest.SweepSomeFaults(t, faults, len(faults), use, func(t *testing.T, at string, _ error) {
			t.Helper()
			c.check(name+": after "+at, other)
		})
	}
	must(t, c.pause(t.Context()))
	for name, read := range c.reads() {
		var got any
		drivertest.SweepFaults(t, faults, func(ctx context.Context) (err error) {
			got, err = read(ctx, db)
			return err
		}, func(t *testing.T, at string, err error) {
			t.Helper()
			want, fault := read(t.Context(), other)
			if fault != nil || err == nil && !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %s is not told, and the answer is\n%+v\nwant\n%+v, %v", name, at, got, want, fault)
			}
		})
	}
}

// reads are methods that change nothing, by what they answer.
func (c *cancelling) reads() map[string]func(ctx context.Context, db Database) (any, error) {
	return map[string]func(ctx context.Context, db Database) (any, error){
		"Builds":  func(ctx context.Context, db Database) (any, error) { return db.Builds(ctx, "lasting") },
		"Paused":  func(ctx context.Context, db Database) (any, error) { return db.Paused(ctx, "passing") },
		"Outbox":  func(ctx context.Context, db Database) (any, error) { return db.Outbox(ctx) },
		"Inspect": func(ctx context.Context, db Database) (any, error) { return c.read(ctx, db) },
		"Digests": func(ctx context.Context, db Database) (any, error) { return db.Digests(ctx, c.live.Ref) },
		"CheckSchema": func(ctx context.Context, db Database) (any, error) {
			return db.CheckSchema(ctx, c.live.Ref, oneTable("lasting"))
		},
	}
}

// FailOperations fails calls of the driver while projections catch up, are rebuilt, pruned and verified, and checks that readers see
// whole tables throughout, that what is reported as done is done, and that the next try does it. Open opens one database, with the
// driver of package drivertest or without.
func FailOperations(t *testing.T, open func(now func() time.Time, failing bool) Database) {
	t.Helper()
	o := operations{t: t, log: NewCounted(3 * CountedBatch)}
	o.db, o.other = open(o.clock.now, true), open(o.clock.now, false)
	o.config = func(c *run.Config) {
		Counting(c)
		// A lease that was given without an answer is waited for, and so are queries of former tables, on slow machines too.
		c.Tries, c.Wait = 2, time.Second
	}
	catchUp(t, o.runner(o.other))
	o.want = projectionstest.Dump(t.Context(), t, o.other, Inventory())
	whole(t, o.other, o.log)
	faults := drivertest.Faults()[:3]
	for name, use := range map[string]func(ctx context.Context) error{
		"rebuild": o.rebuild, "catch up": o.catchUp, "prune": o.prune, "verify": o.verify, "status": o.status,
	} {
		drivertest.SweepSomeFaults(t, faults, len(faults), use, func(t *testing.T, at string, _ error) {
			t.Helper()
			o.clock.advance(time.Hour) // leases that could not be given up have run out
			o.check(name, at)
		})
		if err := use(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	whole(t, o.other, o.log)
}

// operations are what is done to one database.
type operations struct {
	t         *testing.T
	clock     clock
	log       *Counted
	db, other Database
	config    func(*run.Config)
	want      string // the tables
}

func (o *operations) runner(db Database) *run.Runner {
	return projectionstest.Runner(o.t, o.log, db, Inventory(), o.config)
}

// check fails the test unless readers see whole tables, and the handle can write.
func (o *operations) check(name, at string) {
	o.t.Helper()
	if got := projectionstest.Dump(o.t.Context(), o.t, o.other, Inventory()); got != o.want {
		o.t.Fatalf("%s: after %s, readers see\n%s\nwant\n%s", name, at, got, o.want)
	}
	broken, err := o.other.CheckSchema(o.t.Context(), o.active().Ref, Inventory())
	if err != nil || len(broken) > 0 {
		o.t.Fatalf("%s: after %s, around the tables: %v, %v", name, at, broken, err)
	}
	for who, db := range map[string]Database{"the handle": o.db, "another handle": o.other} {
		if err := projections.SaveOutboxEntry(o.t.Context(), db, projections.OutboxEntry{Action: doneAction("keep")}); err != nil {
			o.t.Fatalf("%s: after %s, %s cannot write: %v", name, at, who, err)
		}
	}
	if _, err := projections.PruneBuilds(o.t.Context(), o.other, "inventory", 1, doneAction("keep")); err != nil {
		o.t.Fatalf("%s: after %s, another handle cannot prune: %v", name, at, err)
	}
}

func (o *operations) active() projections.Build {
	o.t.Helper()
	b, err := o.runner(o.other).Active(o.t.Context(), "inventory")
	must(o.t, err)
	return *b
}

func newAction(action string) domain.AdminActed {
	return domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: action, Actor: "ann", Reason: "test"}
}

// take takes an action out of the outbox; one without an action when it is not there.
func (o *operations) take(action domain.AdminActed) projections.OutboxEntry {
	o.t.Helper()
	kept, err := o.other.Outbox(o.t.Context())
	must(o.t, err)
	i := slices.IndexFunc(kept, func(e projections.OutboxEntry) bool { return e.Action.ID == action.ID })
	if i < 0 {
		return projections.OutboxEntry{}
	}
	must(o.t, o.other.RemoveOutboxEntry(o.t.Context(), action.ID))
	return kept[i]
}

//nolint:contextcheck // faults are in ctx, and what looks at the outcome meets none
func (o *operations) rebuild(ctx context.Context) error {
	before, action := o.active().Number, newAction("rebuild")
	report, err := o.runner(o.db).Rebuild(ctx, "inventory", run.RebuildOptions{Action: &action})
	kept, now := o.take(action), o.active()
	outcome := kept.Action.Outcome
	if err == nil && (outcome != run.OutcomeSucceeded || now.Number != report.Number || now.Number == before || len(report.Differs) > 0) {
		o.t.Fatalf("a rebuild of build %d is said to be done: outcome %s, %+v; the active build is %d", before, outcome, report, now.Number)
	}
	if outcome == run.OutcomeSucceeded && now.Number == before {
		o.t.Fatalf("a rebuild is recorded as done, and readers still see build %d: %v", before, err)
	}
	if outcome == run.OutcomeSucceeded {
		if kept.Ref != now.Ref {
			o.t.Fatalf("a rebuild of %+v is recorded as that of %+v", now.Ref, kept.Ref)
		}
		stored, fault := o.other.Digests(o.t.Context(), now.Ref)
		if fault != nil || len(stored) != len(Inventory().Tables) {
			o.t.Fatalf("the digests of build %d are %v, %v", now.Number, stored, fault)
		}
	}
	return err
}

//nolint:contextcheck // faults are in ctx, and what looks at the outcome meets none
func (o *operations) catchUp(ctx context.Context) error {
	before := o.active().Checkpoint.Position
	if before == o.log.head {
		o.log.Grow()
	}
	into := projectionstest.Open(o.t)
	_, err := projectionstest.Runner(o.t, o.log, into, Inventory(), Counting).AsOf(o.t.Context(), o.log.head, into)
	must(o.t, err)
	later := projectionstest.Dump(o.t.Context(), o.t, into, Inventory())
	must(o.t, into.Close())
	err = o.runner(o.db).CatchUp(ctx, 0)
	switch now := o.active().Checkpoint.Position; {
	case now == o.log.head: // also where the answer was lost
		o.want = later
	case err == nil:
		o.t.Fatalf("the tables are said to show position %d, and show %d", o.log.head, now)
	case now != before:
		o.t.Fatalf("readers see position %d, neither %d nor %d", now, before, o.log.head)
	}
	return err
}

//nolint:contextcheck // faults are in ctx, and what looks at the outcome meets none
func (o *operations) prune(ctx context.Context) error {
	if all, err := o.other.Builds(o.t.Context(), "inventory"); err != nil || len(all) == 1 {
		must(o.t, err)
		_, err := o.runner(o.other).Rebuild(o.t.Context(), "inventory", run.RebuildOptions{})
		must(o.t, err)
	}
	action := newAction("prune")
	pruned, err := projections.PruneBuilds(ctx, o.db, "inventory", 0, action)
	left, fault := o.other.Builds(o.t.Context(), "inventory")
	must(o.t, fault)
	kept := o.take(action).Action.ID != ""
	if err == nil && (len(pruned) == 0 || !kept) || (len(left) == 1) != kept {
		o.t.Fatalf("pruned %v, %v; %d builds are left, and that it was done is in the outbox: %t", pruned, err, len(left), kept)
	}
	return err
}

//nolint:contextcheck // faults are in ctx, and what looks at the outcome meets none
func (o *operations) verify(ctx context.Context) error {
	v, err := inspect.Verify(ctx, o.runner(o.db), "inventory", projectionstest.Open(o.t))
	if err == nil && (len(v.Differences) > 0 || len(v.Broken) > 0 || len(v.Tables) != 3 || v.Tables[2].Rows != int64(v.Checkpoint.Position) || v.Unknown != nil) {
		o.t.Fatalf("a verification says %+v", v)
	}
	return err
}

//nolint:contextcheck // faults are in ctx, and what looks at the outcome meets none
func (o *operations) status(ctx context.Context) error {
	all, err := inspect.Statuses(ctx, o.runner(o.db).Pipeline, inspect.StatusOptions{})
	if err == nil && (len(all) != 1 || all[0].Active == nil || all[0].Active.Number != o.active().Number) {
		o.t.Fatalf("the status is %+v", all)
	}
	return err
}
