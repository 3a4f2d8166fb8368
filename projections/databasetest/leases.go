package databasetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// A lease whose end a clock that was ahead wrote keeps nobody waiting for longer than its length.
func (a Adapter) testALeaseThatEndsTooLateRunsOut(t *testing.T) {
	for _, end := range []string{"2039-01-01T00:00:00.000000Z", "9999-12-31T00:00:00.000000Z"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			path := a.New(t)
			db := a.open(t, path)
			log := NewCounted(CountedBatch)
			runner := projectionstest.Runner(t, log, db, Inventory(), Counting, func(c *run.Config) { c.LeaseTTL = 300 * time.Millisecond })
			catchUp(t, runner)
			dead := "UPDATE projection_builds SET holder = 'gone:1', expires_at = '" + end + "'"
			a.tamper(t, path, dead)
			if b := status(t, runner).Active; b.LeaseLeft <= 0 || b.LeaseLeft > b.Lease.TTL {
				t.Errorf("%s is left of a lease of %s", b.LeaseLeft, b.Lease.TTL)
			}
			log.Grow()
			catchUp(t, runner)
			a.tamper(t, path, dead)
			_, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
			must(t, err)
			_, err = projections.CreateBuild(t.Context(), db, Inventory(), projections.LeaseRequest{Holder: "gone:2", TTL: 300 * time.Millisecond})
			must(t, err)
			a.tamper(t, path, dead)
			eventually(t, "an unfinished build is taken up", func() bool {
				_, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
				if err != nil && !errors.Is(err, projections.ErrLeaseHeld) {
					t.Fatal(err)
				}
				return err == nil
			})
			whole(t, db, log)
		})
	}
}

// A lease that was given up is free by every clock: one that stands still would wait for ever.
func (a Adapter) testALeaseThatWasGivenUpIsFreeByEveryClock(t *testing.T) {
	for _, year := range []int{1, 1800, 1969, 2026, 2300} {
		path := a.New(t)
		now := func() time.Time { return time.Date(year, 2, 1, 0, 0, 0, 0, time.UTC) }
		db := a.openAt(t, path, now)
		log := NewCounted(CountedBatch)
		runner := projectionstest.Runner(t, log, db, Inventory(), Counting)
		catchUp(t, runner)
		log.Grow()
		catchUp(t, runner)
		whole(t, db, log)
	}
}

// Two processes lease, write, renew and release one build while the clock of each goes where it likes. Only the holder of
// the last token writes (I8), and a lease without a sign of life is taken over once its length has passed.
func (a Adapter) testLeasesUnderAnyClocks(t *testing.T) { // I8
	path := a.New(t)
	var clocks [2]clock
	dbs := [2]Database{a.openAt(t, path, clocks[0].now), a.openAt(t, path, clocks[1].now)}
	first, err := projections.CreateBuild(t.Context(), dbs[0], Inventory(), projections.LeaseRequest{Holder: "first", TTL: time.Minute})
	must(t, err)
	must(t, projections.Release(t.Context(), dbs[0], first))
	at, given, valid := projections.Checkpoint{Version: 1}, first.Token, uint64(0) // the last token, and the one that writes
	var leases [2]projections.Lease
	next := func(l projections.Lease) projections.Page {
		return projections.Page{Lease: l, From: at, Tables: Inventory().Tables, To: projections.Checkpoint{Log: uuid.Max, Position: at.Position + 1, Event: uuid.Max, Version: 1}}
	}
	rapid.Check(t, func(rt *rapid.T) {
		who := rapid.IntRange(0, 1)
		taken := func(i int, b projections.Build) {
			if b.Lease.Token <= given {
				rt.Fatalf("token %d was given after %d", b.Lease.Token, given)
			}
			leases[i], given, valid = b.Lease, b.Lease.Token, b.Lease.Token
		}
		acquire := func(i int) error {
			b, err := projections.Acquire(t.Context(), dbs[i], first.Ref, projections.LeaseRequest{Holder: "x", TTL: time.Minute})
			var held *projections.LeaseHeldError
			switch {
			case err == nil:
				taken(i, b)
			case !errors.As(err, &held):
				rt.Fatal(err)
			case held.Left <= 0 || held.Left > time.Minute:
				rt.Fatalf("%s is left of a lease of a minute", held.Left)
			}
			return err
		}
		mine := func(what string, l projections.Lease, err error) {
			if (err == nil) != (l.Token == valid) || err != nil && !errors.Is(err, projections.ErrLeaseLost) {
				rt.Fatalf("%s with token %d of %d answers %v", what, l.Token, valid, err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"clock": func(rt *rapid.T) {
				const century = int64(100 * 365 * 24 * time.Hour)
				clocks[who.Draw(rt, "who")].nanoseconds.Store(rapid.Int64Range(-century, century).Draw(rt, "at"))
			},
			"wait": func(rt *rapid.T) {
				clocks[who.Draw(rt, "who")].advance(time.Duration(rapid.IntRange(1, 90).Draw(rt, "s")) * time.Second)
			},
			"acquire": func(rt *rapid.T) { _ = acquire(who.Draw(rt, "who")) },
			"write": func(rt *rapid.T) {
				l := leases[who.Draw(rt, "who")]
				if l.Token == 0 {
					return
				}
				l.Ref = first.Ref
				page := next(l)
				err := dbs[0].WritePage(t.Context(), page)
				mine("write", l, err)
				if err == nil {
					at = page.To
				}
			},
			"renew": func(rt *rapid.T) {
				i := who.Draw(rt, "who")
				if leases[i].Token == 0 {
					return
				}
				_, err := projections.Renew(t.Context(), dbs[i], leases[i])
				mine("renew", leases[i], err)
			},
			"release": func(rt *rapid.T) {
				i := who.Draw(rt, "who")
				if leases[i].Token == 0 {
					return
				}
				if leases[i].Token == valid {
					valid = 0
				}
				must(t, projections.Release(t.Context(), dbs[i], leases[i]))
				leases[i] = projections.Lease{}
			},
		})
		i := who.Draw(rt, "heir")
		err := acquire(i)
		if held, ok := errors.AsType[*projections.LeaseHeldError](err); ok {
			clocks[i].advance(held.Left)
			err = acquire(i)
		}
		if err != nil {
			rt.Fatalf("after its length a lease without a sign of life is held: %v", err)
		}
	})
	if at.Position == 0 {
		t.Error("nothing was written")
	}
}

// Nobody ends the admin action of a holder that lives, also when its build was cancelled; one that died before it noticed is ended
// as cancelled.
func (a Adapter) testTheActionOfACancelledBuildIsCancelled(t *testing.T) { // I8
	var c clock
	path := a.New(t)
	sleeper, other := a.openAt(t, path, c.now), a.openAt(t, path, c.now)
	runner := projectionstest.Runner(t, NewCounted(CountedBatch), other, Inventory(), Counting)
	lease, err := projections.CreateBuild(t.Context(), sleeper, Inventory(), projections.LeaseRequest{Holder: "sleeper", TTL: time.Minute})
	must(t, err)
	must(t, projections.SaveOutboxEntry(t.Context(), sleeper, projections.OutboxEntry{Action: asked("a", "rebuild"), Ref: lease.Ref}))
	cancel := asked("c", "cancel")
	cancel.Outcome = run.OutcomeSucceeded
	_, err = projections.CancelBuild(t.Context(), other, "inventory", "ada", cancel)
	must(t, err)
	if n, err := runner.Interrupt(t.Context()); n != 0 || err != nil {
		t.Errorf("%d acts of a living holder were ended, %v", n, err)
	}
	if all := outbox(t, other); len(all) != 2 || all[0].Action.Outcome != "" {
		t.Errorf("kept is %+v, want the rebuild at work", all)
	}
	c.advance(2 * time.Minute)
	if n, err := runner.Interrupt(t.Context()); n != 1 || err != nil {
		t.Errorf("%d acts were ended, %v; want 1", n, err)
	}
	if all := outbox(t, other); len(all) != 2 || all[0].Action.Outcome != run.OutcomeCancelled {
		t.Errorf("kept is %+v, want the rebuild as cancelled", all)
	}
	err = sleeper.WritePage(t.Context(), projections.Page{
		Lease: lease, From: projections.Checkpoint{Version: 1}, Tables: Inventory().Tables,
		To: projections.Checkpoint{Log: uuid.Max, Position: eventstore.Position(1), Event: uuid.Max, Version: 1},
	})
	if !errors.Is(err, projections.ErrCancelled) && !errors.Is(err, projections.ErrLeaseLost) {
		t.Errorf("the sleeper's write answers %v, want that it was cancelled", err)
	}
}
