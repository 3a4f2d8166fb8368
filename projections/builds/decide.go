package builds

import (
	"fmt"
	"slices"
	"time"
)

// Create adds an empty build, the next in number, and leases it. Unfinished builds whose lease has run out are dropped; one
// with a live lease makes it fail with a *[LeaseHeldError].
func (s State) Create(version int, request LeaseRequest) (State, Lease, error) {
	if err := request.check(); err != nil {
		return s, Lease{}, err
	}
	kept := make([]Build, 0, len(s.Builds)+1)
	for i, b := range s.Builds {
		if !b.Unfinished() {
			kept = append(kept, b)
			continue
		}
		if held, err := s.free(i); err != nil {
			return held, Lease{}, err
		}
	}
	s.Numbers++
	s.Builds = append(kept, Build{
		Ref: Ref{Projection: s.Projection, Number: s.Numbers}, State: Filling, Point: Point{Version: version}, CreatedAt: s.Now,
	})
	s, b := s.grant(len(s.Builds)-1, request)
	return s, b.Lease, nil
}

// Acquire leases a build that is there. Refusals: ErrNoBuild; ErrSuperseded when it was retired; ErrCancelled when it was
// cancelled and no lease lives; a *[PausedError] when it is active and the projection is paused; a *[LeaseHeldError].
func (s State) Acquire(ref Ref, request LeaseRequest) (State, Build, error) {
	if err := request.check(); err != nil {
		return s, Build{}, err
	}
	i := s.index(ref)
	if i < 0 {
		return s, Build{}, missing(ref)
	}
	b := s.Builds[i]
	if b.State == Retired {
		return s, b, ErrSuperseded
	}
	if b.CancelledBy == "" {
		if err := s.paused(b); err != nil {
			return s, b, err
		}
	}
	if held, err := s.free(i); err != nil {
		return held, b, err // also of a build that was cancelled: its holder has to end its work
	}
	if b.CancelledBy != "" {
		return s, b, fmt.Errorf("%w by %s", ErrCancelled, b.CancelledBy)
	}
	s, b = s.grant(i, request)
	return s, b, nil
}

// Allows returns the build of a lease that may still write it. Refusals: ErrLeaseLost, ErrSuperseded, ErrCancelled, which
// comes with the build.
func (s State) Allows(lease Lease) (Build, error) {
	i := s.index(lease.Ref)
	if i < 0 { // only a build whose lease ran out is dropped by others
		return Build{}, fmt.Errorf("%w: %w", ErrLeaseLost, missing(lease.Ref))
	}
	switch b := s.Builds[i]; {
	case b.State == Retired:
		return b, ErrSuperseded
	case b.CancelledBy != "":
		return b, fmt.Errorf("%w by %s", ErrCancelled, b.CancelledBy)
	case b.Lease.Token != lease.Token:
		return b, fmt.Errorf("%w: token %d was given to %s, ours is %d", ErrLeaseLost, b.Lease.Token, b.Lease.Holder, lease.Token)
	default:
		return b, nil
	}
}

// Write returns nil when the holder of lease may write rows over a build that is at from. Refusals: those of Allows; a
// *[PausedError] for the active build of a projection that is paused; ErrMoved.
func (s State) Write(lease Lease, from Point) error {
	b, err := s.Allows(lease)
	if err == nil {
		err = s.paused(b)
	}
	if err == nil && b.Point != from {
		err = fmt.Errorf("%w: it is at position %d, expected %d", ErrMoved, b.Point.Position, from.Position)
	}
	return err
}

// Renew prolongs a lease by its TTL from now. Refusals: those of Allows.
func (s State) Renew(lease Lease) (State, Lease, error) {
	b, err := s.Allows(lease)
	if err != nil {
		return s, lease, err
	}
	b.Lease.LeaseRequest, b.Lease.Expires, b.LeaseLeft = lease.LeaseRequest, s.LeaseNow.Add(lease.TTL), lease.TTL
	return s.with(b), b.Lease, nil
}

// Release ends a lease for good: the build gets a token that nobody holds, so that no running renewal revives the lease,
// and an end that is past by every clock. A lease that was lost changes nothing.
func (s State) Release(lease Lease) State {
	i := s.index(lease.Ref)
	if i < 0 || s.Builds[i].Lease.Token != lease.Token {
		return s
	}
	b := s.Builds[i]
	s.Tokens++
	b.Lease.Token, b.Lease.Expires, b.LeaseLeft = s.Tokens, time.Time{}, 0
	return s.with(b)
}

// Finish makes a filled build ready, and renews its lease. Refusals: those of Allows.
func (s State) Finish(lease Lease) (State, error) {
	s, _, err := s.Renew(lease)
	if err != nil {
		return s, err
	}
	b := s.Builds[s.index(lease.Ref)]
	if b.State == Filling {
		b.State = Ready
	}
	return s.with(b), nil
}

// Activate makes a ready build the one that readers see, and retires the one before. A build that is active already stays
// so. With asked, an administrator wants it, and it is done although the projection is paused. Replace is the point of the
// active build when it may be replaced although it is ahead, nil otherwise.
//
// Refusals: those of Allows; ErrInvalid for a build that is not ready; a *[PausedError]; ErrBehind, since readers never go
// back (I7).
func (s State) Activate(lease Lease, replace *Point, asked bool) (State, error) { //revive:disable-line:flag-parameter // who wants it
	b, err := s.Allows(lease)
	switch {
	case err != nil:
		return s, err
	case b.State == Active:
		return s, nil
	case b.State != Ready:
		return s, fmt.Errorf("%w: build is %s, want %s", ErrInvalid, b.State, Ready)
	case s.Paused != nil && !asked:
		return s, &PausedError{Projection: s.Projection, Pause: *s.Paused}
	}
	if i := slices.IndexFunc(s.Builds, func(b Build) bool { return b.State == Active }); i >= 0 {
		old := s.Builds[i]
		ahead := old.Point.Position > b.Point.Position || old.Point.Log != b.Point.Log && old.Point.Position > 0
		if ahead && (replace == nil || *replace != old.Point) {
			return s, fmt.Errorf("%w: build %d is at position %d of log %x, this one at %d of %x", ErrBehind,
				old.Number, old.Point.Position, old.Point.Log, b.Point.Position, b.Point.Log)
		}
		old.State = Retired
		s = s.with(old)
	}
	b.State = Active
	return s.with(b), nil
}

// Drop removes a build that is not active, also one that was cancelled. Refusals: ErrLeaseLost, ErrSuperseded,
// ErrBuildActive.
func (s State) Drop(lease Lease) (State, error) {
	b, err := s.Allows(lease)
	if err != nil && (b.CancelledBy == "" || b.State == Retired || b.Lease.Token != lease.Token) {
		return s, err
	}
	if b.State == Active {
		return s, ErrBuildActive
	}
	return s.without(b.Ref), nil
}

// Cancel ends the unfinished build. One whose lease is live is marked: its holder may write nothing more, and drops it. One
// without is dropped at once. It returns which it was. Refusals: ErrNoBuild when nothing is being built.
func (s State) Cancel(by string) (State, Ref, error) {
	i := slices.IndexFunc(s.Builds, Build.Unfinished)
	if i < 0 {
		return s, Ref{}, fmt.Errorf("%w: nothing is being built", ErrNoBuild)
	}
	b := s.Builds[i]
	s, err := s.free(i)
	if err == nil {
		return s.without(b.Ref), b.Ref, nil
	}
	b = s.Builds[i]
	b.CancelledBy = by
	return s.with(b), b.Ref, nil
}

// Prune removes the retired builds, except the newest keep of them, and returns which they were.
func (s State) Prune(keep int) (State, []Ref) {
	var retired []Ref
	for _, b := range s.Builds {
		if b.State == Retired {
			retired = append(retired, b.Ref)
		}
	}
	retired = retired[:max(0, len(retired)-max(0, keep))]
	return s.without(retired...), retired
}

// Pause keeps the active build as it is, from its next page on. A projection that is paused already gets the new hold.
func (s State) Pause(pause Pause) State {
	s.Paused = &pause
	return s
}

// Resume ends the pause. Refusals: ErrNotPaused.
func (s State) Resume() (State, error) {
	if s.Paused == nil {
		return s, ErrNotPaused
	}
	s.Paused = nil
	return s, nil
}

// check refuses a claim that would give a lease without a holder or an end.
func (c LeaseRequest) check() error {
	if c.Holder == "" || c.TTL < time.Microsecond {
		return fmt.Errorf("%w: a lease needs a holder and a time to live", ErrInvalid)
	}
	return nil
}

// free returns a *LeaseHeldError while the lease of build i lives. The end of a lease that a clock that was ahead wrote is
// corrected, so that time passes for it.
func (s State) free(i int) (State, error) {
	b := s.Builds[i]
	left := LeaseLeft(b.Lease.Expires, s.LeaseNow, b.Lease.TTL)
	if left == 0 {
		return s, nil
	}
	if until := s.LeaseNow.Add(left); until.Before(b.Lease.Expires) {
		b.Lease.Expires = until
	}
	return s.with(b), &LeaseHeldError{Ref: b.Ref, Holder: b.Lease.Holder, Until: b.Lease.Expires, Left: left}
}

// grant gives build i to claim.
func (s State) grant(i int, request LeaseRequest) (State, Build) {
	b := s.Builds[i]
	s.Tokens++
	b.Lease = Lease{Ref: b.Ref, LeaseRequest: request, Token: s.Tokens, Expires: s.LeaseNow.Add(request.TTL)}
	b.LeaseLeft, b.Since = request.TTL, Since{At: s.Now, Position: b.Point.Position}
	return s.with(b), b
}

// paused returns a *PausedError when b is what the pause keeps as it is.
func (s State) paused(b Build) error {
	if s.Paused == nil || b.State != Active {
		return nil
	}
	return &PausedError{Projection: s.Projection, Pause: *s.Paused}
}

// index returns the index of a build, -1 when it is not there.
func (s State) index(ref Ref) int {
	return slices.IndexFunc(s.Builds, func(b Build) bool { return b.Ref == ref })
}

// with returns s with b in place of the build of that name.
func (s State) with(b Build) State {
	s.Builds = slices.Clone(s.Builds)
	s.Builds[s.index(b.Ref)] = b
	return s
}

func (s State) without(refs ...Ref) State {
	s.Builds = slices.DeleteFunc(slices.Clone(s.Builds), func(b Build) bool { return slices.Contains(refs, b.Ref) })
	return s
}

func missing(ref Ref) error {
	return fmt.Errorf("%s build %d: %w", ref.Projection, ref.Number, ErrNoBuild)
}
