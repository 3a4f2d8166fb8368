package builds_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections/builds"
)

// The end of a lease that a clock that was ahead wrote is corrected by whoever meets it, so that time passes for it.
func TestALeaseThatEndsTooLateIsCorrected(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s, lease, err := builds.State{Projection: "p", Now: now, LeaseNow: now.AddDate(13, 0, 0)}.Create(1, claim())
	if err != nil {
		t.Fatal(err)
	}
	s.LeaseNow = now
	for name, request := range map[string]func(builds.State) (builds.State, error){
		"create":  func(s builds.State) (builds.State, error) { s, _, err := s.Create(1, claim()); return s, err },
		"acquire": func(s builds.State) (builds.State, error) { s, _, err := s.Acquire(lease.Ref, claim()); return s, err },
	} {
		next, err := request(s)
		held, ok := errors.AsType[*builds.LeaseHeldError](err)
		if !ok || held.Left != time.Minute || !next.Builds[0].Lease.Expires.Equal(now.Add(time.Minute)) {
			t.Errorf("%s answers %v and leaves %+v, want a lease that is held for a minute", name, err, next.Builds[0].Lease)
		}
		next.LeaseNow = now.Add(time.Minute)
		if _, err := request(next); err != nil {
			t.Errorf("%s after a minute answers %v", name, err)
		}
	}
}

func TestALeaseNeedsAHolderAndATTL(t *testing.T) {
	t.Parallel()
	for _, c := range []builds.LeaseRequest{{}, {Holder: "x"}, {TTL: time.Minute}, {Holder: "x", TTL: time.Nanosecond}} {
		if _, _, err := (builds.State{Projection: "p"}).Create(1, c); !errors.Is(err, builds.ErrInvalid) {
			t.Errorf("create with %+v answers %v, want ErrInvalid", c, err)
		}
	}
}

// A build that was made from another log is not behind where its positions say nothing, and is replaced only where that was
// asked for.
func TestABuildOfAnotherLogIsReplacedOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	active := builds.Build{Ref: builds.Ref{Projection: "p", Number: 1}, State: builds.Active, Point: builds.Point{Log: [16]byte{1}, Position: 5}}
	lease := builds.Lease{Ref: builds.Ref{Projection: "p", Number: 2}, Token: 7}
	ready := builds.Build{Ref: lease.Ref, State: builds.Ready, Lease: lease, Point: builds.Point{Log: [16]byte{2}, Position: 9}}
	s := builds.State{Projection: "p", Builds: []builds.Build{active, ready}, Numbers: 2, Tokens: 7}
	if _, err := s.Activate(lease, nil, false); !errors.Is(err, builds.ErrBehind) {
		t.Errorf("activating over another log answers %v, want ErrBehind", err)
	}
	other := active.Point
	other.Position++
	if _, err := s.Activate(lease, &other, false); !errors.Is(err, builds.ErrBehind) {
		t.Errorf("activating over a build that has moved answers %v, want ErrBehind", err)
	}
	next, err := s.Activate(lease, &active.Point, false)
	if err != nil || next.Builds[0].State != builds.Retired || next.Builds[1].State != builds.Active {
		t.Errorf("activating over a log that was given up answers %v and leaves %+v", err, next.Builds)
	}
	if again, err := next.Activate(lease, nil, false); err != nil || len(builds.Diff(next, again).Updated) > 0 {
		t.Errorf("activating it again answers %v and changes %+v", err, again)
	}
}
