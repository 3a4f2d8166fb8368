package builds_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/projections/builds"
)

// world is a database and the processes that use it, in a few lines: it stores what the rules say, and keeps a record of
// what must never happen.
type world struct {
	builds.State
	leases  []builds.Lease        // every one that was ever given
	holder  map[builds.Ref]uint64 // the token that may write each build; 0 when it was given up
	dropped map[builds.Ref]bool
	shown   uint64 // the furthest that readers saw
}

func (w *world) lease(t *rapid.T) builds.Lease {
	if len(w.leases) == 0 {
		return builds.Lease{Ref: builds.Ref{Projection: "p", Number: 1}, LeaseRequest: claim()}
	}
	recent := w.leases[max(0, len(w.leases)-3):] // those that may still matter, and now and then one that cannot
	if rapid.IntRange(0, 4).Draw(t, "old") == 0 {
		recent = w.leases
	}
	return rapid.SampledFrom(recent).Draw(t, "lease")
}

func (w *world) given(t *rapid.T, l builds.Lease) {
	for _, before := range w.leases {
		if l.Token <= before.Token {
			t.Fatalf("token %d was given after %d", l.Token, before.Token)
		}
	}
	w.leases = append(w.leases, l)
	w.holder[l.Ref] = l.Token
}

func (w *world) at(ref builds.Ref) *builds.Build {
	i := slices.IndexFunc(w.Builds, func(b builds.Build) bool { return b.Ref == ref })
	if i < 0 {
		return nil
	}
	return &w.Builds[i]
}

func (w *world) active() *builds.Build {
	i := slices.IndexFunc(w.Builds, func(b builds.Build) bool { return b.State == builds.Active })
	if i < 0 {
		return nil
	}
	return &w.Builds[i]
}

func claim() builds.LeaseRequest { return builds.LeaseRequest{Holder: "x:1", TTL: time.Minute} }

// become stores a state as a database does, and checks what holds for any two states that follow each other.
func (w *world) become(t *rapid.T, next builds.State) {
	c := builds.Diff(w.State, next)
	if next.Tokens < w.Tokens || next.Numbers < w.Numbers {
		t.Fatalf("a counter went back: %+v after %+v", next, w.State)
	}
	for _, b := range c.Dropped {
		if b.State == builds.Active {
			t.Fatalf("build %d was dropped while readers saw it", b.Number)
		}
		w.dropped[b.Ref] = true
	}
	for _, b := range c.Created {
		if b.Number <= w.Numbers || w.dropped[b.Ref] {
			t.Fatalf("number %d was given twice", b.Number)
		}
	}
	stored := slices.DeleteFunc(slices.Clone(w.Builds), func(b builds.Build) bool { return w.dropped[b.Ref] })
	for _, b := range c.Updated {
		i := slices.IndexFunc(stored, func(old builds.Build) bool { return old.Ref == b.Ref })
		if b.Lease.Token < stored[i].Lease.Token {
			t.Fatalf("build %d got token %d after %d", b.Number, b.Lease.Token, stored[i].Lease.Token)
		}
		if b.Point != stored[i].Point {
			t.Fatalf("a rule moved the checkpoint of build %d", b.Number)
		}
		if stored[i].State == builds.Retired && b.State != builds.Retired {
			t.Fatalf("build %d was retired and is %s", b.Number, b.State)
		}
		stored[i] = b
		if n := count(stored, builds.Active); n > 1 {
			t.Fatalf("%d builds are active in the middle of a change: a database would refuse it", n)
		}
	}
	if stored = append(stored, c.Created...); !slices.Equal(stored, next.Builds) {
		t.Fatalf("what differs is %+v, which makes %+v, want %+v", c, stored, next.Builds)
	}
	w.State = next
	if b := w.active(); b != nil {
		if c.Activated == nil && b.Point.Position < w.shown {
			t.Fatalf("readers went back from %d to %d", w.shown, b.Point.Position)
		}
		w.shown = b.Point.Position
	}
}

func count(all []builds.Build, stage builds.Stage) (n int) {
	for _, b := range all {
		if b.State == stage {
			n++
		}
	}
	return n
}

// refused fails the test unless err is nil or one of want.
func refused(t *rapid.T, err error, want ...error) {
	if err != nil && !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
		t.Fatalf("refused with %v", err)
	}
}

// Any number of processes with clocks of their own create, lease, write, finish, activate, drop, cancel, prune, pause and
// resume. Only the holder of the last token writes, a fencing token never goes back, at most one build is active and it is
// never removed, readers never go back, a pause keeps the active build as it is, and a process that is gone holds nothing up
// for longer than its lease (I7, I8).
func TestBuildsUnderAnyHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		w := &world{
			State:  builds.State{Projection: "p", Now: begin, LeaseNow: begin},
			holder: map[builds.Ref]uint64{}, dropped: map[builds.Ref]bool{},
		}
		t.Repeat(map[string]func(*rapid.T){
			"": w.check,
			"clock": func(t *rapid.T) {
				w.LeaseNow = w.LeaseNow.Add(time.Duration(rapid.IntRange(-90, 90).Draw(t, "seconds")) * time.Second)
			},
			"create": func(t *rapid.T) {
				next, l, err := w.Create(1, claim())
				refused(t, err, builds.ErrLeaseHeld)
				w.become(t, next)
				if err == nil {
					w.given(t, l)
				}
			},
			"acquire": func(t *rapid.T) {
				ref := w.lease(t).Ref
				next, b, err := w.Acquire(ref, claim())
				refused(t, err, builds.ErrNoBuild, builds.ErrSuperseded, builds.ErrCancelled, builds.ErrPaused, builds.ErrLeaseHeld)
				w.become(t, next)
				if err == nil {
					w.given(t, b.Lease)
					if w.Paused != nil && b.State == builds.Active {
						t.Fatalf("a paused build was leased")
					}
				}
			},
			"write":    w.write,
			"renew":    w.renew,
			"finish":   func(t *rapid.T) { w.byHolder(t, "finish", builds.State.Finish) },
			"drop":     w.drop,
			"activate": w.activate,
			"release": func(t *rapid.T) {
				l := w.lease(t)
				if b := w.at(l.Ref); b != nil && b.Lease.Token == l.Token {
					w.holder[l.Ref] = 0
				}
				w.become(t, w.Release(l))
			},
			"cancel": func(t *rapid.T) {
				unfinished := count(w.Builds, builds.Filling) + count(w.Builds, builds.Ready)
				next, ref, err := w.Cancel("ada")
				refused(t, err, builds.ErrNoBuild)
				w.become(t, next)
				b := w.at(ref)
				if (err == nil) != (unfinished == 1) || err == nil && b != nil && b.CancelledBy != "ada" {
					t.Fatalf("cancelling one of %d answers %v and leaves %+v", unfinished, err, b)
				}
			},
			"prune": func(t *rapid.T) {
				keep := rapid.IntRange(-1, 2).Draw(t, "keep")
				retired := count(w.Builds, builds.Retired)
				next, pruned := w.Prune(keep)
				w.become(t, next)
				if left := count(w.Builds, builds.Retired); left != min(retired, max(keep, 0)) || left+len(pruned) != retired {
					t.Fatalf("pruned %v of %d retired builds, keeping %d", pruned, retired, keep)
				}
			},
			"pause": func(t *rapid.T) { w.become(t, w.Pause(builds.Pause{By: "ada", Reason: "why", At: w.Now})) },
			"resume": func(t *rapid.T) {
				paused := w.Paused != nil
				next, err := w.Resume()
				if paused == (err != nil) {
					t.Fatalf("resume answers %v", err)
				}
				w.become(t, next)
			},
		})
	})
}

// check is what holds in every state.
func (w *world) check(t *rapid.T) {
	if n := count(w.Builds, builds.Active); n > 1 {
		t.Fatalf("%d builds are active", n)
	}
	if n := count(w.Builds, builds.Filling) + count(w.Builds, builds.Ready); n > 1 {
		t.Fatalf("%d builds are unfinished", n)
	}
	if !slices.IsSortedFunc(w.Builds, func(a, b builds.Build) int { return a.Number - b.Number }) {
		t.Fatalf("builds are out of order: %+v", w.Builds)
	}
	if b := w.active(); b != nil && b.CancelledBy != "" {
		t.Fatalf("a cancelled build is active")
	}
	// Whatever a process that is gone has left, a new build can be made once its lease has run out.
	later := w.State
	if held, _, err := later.Create(1, claim()); err != nil {
		held.LeaseNow = held.LeaseNow.Add(time.Minute)
		if _, _, err := held.Create(1, claim()); err != nil {
			t.Fatalf("after its length a lease without a sign of life is held: %v", err)
		}
	}
}

// allowed reports whether the rules must let l write its build.
func (w *world) allowed(l builds.Lease) bool {
	b := w.at(l.Ref)
	return b != nil && w.holder[l.Ref] == l.Token && l.Token > 0 && b.State != builds.Retired && b.CancelledBy == ""
}

func (w *world) write(t *rapid.T) {
	l := w.lease(t)
	var from builds.Point
	if b := w.at(l.Ref); b != nil {
		from = b.Point
	}
	moved := rapid.IntRange(0, 9).Draw(t, "moved") == 0
	if moved {
		from.Position++
	}
	err := w.Write(l, from)
	refused(t, err, builds.ErrLeaseLost, builds.ErrSuperseded, builds.ErrCancelled, builds.ErrPaused, builds.ErrMoved)
	b := w.at(l.Ref)
	held := b != nil && b.State == builds.Active && w.Paused != nil
	if (err == nil) != (w.allowed(l) && !held && !moved) {
		t.Fatalf("writing build %+v with token %d, expected at %+v, paused %v, answers %v", b, l.Token, from, w.Paused != nil, err)
	}
	if err != nil {
		return
	}
	w.Builds = slices.Clone(w.Builds)
	b = w.at(l.Ref)
	b.Point.Position++
	b.Lease.Expires = w.LeaseNow.Add(l.TTL)
	if b.State == builds.Active {
		w.shown = b.Point.Position
	}
}

// byHolder checks that a request is granted to the holder alone.
func (w *world) byHolder(t *rapid.T, what string, request func(builds.State, builds.Lease) (builds.State, error)) {
	l := w.lease(t)
	next, err := request(w.State, l)
	refused(t, err, builds.ErrLeaseLost, builds.ErrSuperseded, builds.ErrCancelled)
	if (err == nil) != w.allowed(l) {
		t.Fatalf("%s with token %d answers %v: %+v", what, l.Token, err, w.State)
	}
	w.become(t, next)
}

func (w *world) renew(t *rapid.T) {
	w.byHolder(t, "renew", func(s builds.State, l builds.Lease) (builds.State, error) {
		next, renewed, err := s.Renew(l)
		if err == nil && !renewed.Expires.Equal(s.LeaseNow.Add(l.TTL)) {
			return next, fmt.Errorf("it ends at %s", renewed.Expires)
		}
		return next, err
	})
}

func (w *world) drop(t *rapid.T) {
	l := w.lease(t)
	next, err := w.Drop(l)
	refused(t, err, builds.ErrLeaseLost, builds.ErrSuperseded, builds.ErrCancelled, builds.ErrBuildActive)
	b := w.at(l.Ref)
	if (err == nil) != (b != nil && w.holder[l.Ref] == l.Token && b.Unfinished()) {
		t.Fatalf("dropping %+v with token %d answers %v", b, l.Token, err)
	}
	w.become(t, next)
}

func (w *world) activate(t *rapid.T) {
	l, asked, replace := w.lease(t), rapid.Bool().Draw(t, "asked"), (*builds.Point)(nil)
	old, b := w.active(), w.at(l.Ref)
	if old != nil && rapid.Bool().Draw(t, "replace") {
		point := old.Point
		replace = &point
	}
	next, err := w.Activate(l, replace, asked)
	refused(t, err, builds.ErrLeaseLost, builds.ErrSuperseded, builds.ErrCancelled, builds.ErrInvalid, builds.ErrPaused, builds.ErrBehind)
	behind := old != nil && b != nil && b.State == builds.Ready && old.Point.Position > b.Point.Position && replace == nil
	paused := b != nil && b.State == builds.Ready && w.Paused != nil && !asked
	if (err == nil) != (w.allowed(l) && b.State != builds.Filling && !behind && !paused) {
		t.Fatalf("activating %+v with token %d over %+v, replacing %v, asked %v, answers %v", b, l.Token, old, replace, asked, err)
	}
	w.become(t, next)
	if err == nil && w.active().Ref != l.Ref {
		t.Fatalf("build %d was activated, and readers see %+v", l.Number, w.active())
	}
}
