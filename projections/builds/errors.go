package builds

import (
	"errors"
	"fmt"
	"time"
)

// The refusals. Match them with [errors.Is].
var (
	// ErrLeaseHeld: another process writes the build. Wait, or look how far it is. See [LeaseHeldError].
	ErrLeaseHeld = errors.New("build is leased to another process")
	// ErrLeaseLost: the lease ran out and another process took the build over. Nothing was written. Begin again by
	// acquiring a lease.
	ErrLeaseLost = errors.New("lease was taken over")
	// ErrSuperseded: the build was retired, another one is active. Nothing was written. Look for the active one.
	ErrSuperseded = errors.New("build was superseded")
	// ErrCancelled: an administrator cancelled the build. Nothing was written. Drop it.
	ErrCancelled = errors.New("build was cancelled")
	// ErrPaused: an administrator paused the projection. Nothing was written. Wait until it is resumed. See [PausedError].
	ErrPaused = errors.New("projection is paused")
	// ErrNotPaused: the projection is not paused.
	ErrNotPaused = errors.New("projection is not paused")
	// ErrMoved: the build's checkpoint is not the expected one. Nothing was written. Read it again.
	ErrMoved = errors.New("checkpoint has moved")
	// ErrBehind: the build is behind the active one. Nothing was changed. Catch up and try again.
	ErrBehind = errors.New("build is behind the active one")
	// ErrBuildActive: the build is what readers see and cannot be dropped.
	ErrBuildActive = errors.New("build is active")
	// ErrNoBuild: there is no such build.
	ErrNoBuild = errors.New("no such build")
	// ErrInvalid: the caller broke the contract. Correct the caller.
	ErrInvalid = errors.New("invalid argument")
)

// LeaseHeldError says who writes a build, and until when at least. It matches [ErrLeaseHeld]. It may come with a state in which
// the end of that lease was corrected: whoever decides by a clock stores what it found, so that time passes for a lease that
// ends too late.
type LeaseHeldError struct {
	Ref
	Holder string
	Until  time.Time     // by the clock of the database
	Left   time.Duration // until then, by any clock
}

// Error names the holder.
func (e *LeaseHeldError) Error() string {
	return fmt.Sprintf("%s build %d: %v: %s holds it until %s",
		e.Projection, e.Number, ErrLeaseHeld, e.Holder, e.Until.Format(time.RFC3339))
}

// Unwrap returns ErrLeaseHeld.
func (e *LeaseHeldError) Unwrap() error { return ErrLeaseHeld }

// PausedError says who paused a projection and why. It matches [ErrPaused].
type PausedError struct {
	Projection string
	Pause      Pause
}

// Error names who paused and why.
func (e *PausedError) Error() string {
	return fmt.Sprintf("projection %s is paused since %s by %s: %s", e.Projection, e.Pause.At.UTC().Format(time.RFC3339), e.Pause.By, e.Pause.Reason)
}

// Unwrap returns ErrPaused.
func (e *PausedError) Unwrap() error { return ErrPaused }
