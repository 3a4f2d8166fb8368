package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// State is what a projection is doing.
type State string

// The states. The values are stable: people's scripts know them.
const (
	StateAbsent     State = "absent"      // there is no build that readers could see
	StateCatchingUp State = "catching-up" // events are waiting and were not for long, or the position moves
	StateLive       State = "live"        // the tables show the head of the log
	StateStalled    State = "stalled"     // the head moved, the position did not
	StateFaulted    State = "faulted"     // stopped at an event; see Fault
	StateMismatched State = "mismatched"  // the tables were built from another log (I14); see Mismatch
	StatePaused     State = "paused"      // held by an administrator; see Hold
)

// Status says how a projection is.
type Status struct {
	Name    string
	Version int // of the projection that this binary knows
	State   State
	Active  *Build              // what readers see; nil when there is none
	Next    *Build              // the build that is to replace it, while there is one
	Before  *Build              // the newest of those that readers saw before, for a rollback; nil when there is none
	Retired int                 // how many of those there are
	Hold    *Hold               // nil unless the projection is paused
	Head    eventstore.Position // of the log
	Lag     uint64              // positions between the active build and the head
	LagTime time.Duration       // how long the oldest event that the active build lacks has been waiting; 0 when there is none
	Fault   *Fault              // of Active, or of Next; nil unless one stopped
	// Mismatch says why the log is not the one that Active was built from; nil when it is. Head then has nothing to do with
	// the position of Active, and Lag is 0.
	Mismatch *MismatchError
}

// StatusOptions say what counts as a stall.
type StatusOptions struct {
	// StallAfter is how long an event may wait while the position does not move. 0 means the default of 30 s.
	StallAfter time.Duration
}

// Status returns the status of every projection, in the order in which they were given. It writes nothing, and works
// while others write.
func (r *Runner) Status(ctx context.Context, options StatusOptions) ([]Status, error) {
	if options.StallAfter <= 0 {
		options.StallAfter = 30 * time.Second
	}
	head, err := r.log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("status: read head: %w", err)
	}
	all := make([]Status, 0, len(r.projections))
	for _, p := range r.projections {
		s, err := r.status(ctx, p, head)
		if err != nil {
			return nil, fmt.Errorf("status of %s: %w", p.Name, err)
		}
		s.State = s.state(r.config.Now(), options.StallAfter)
		all = append(all, s)
	}
	return all, nil
}

func (r *Runner) status(ctx context.Context, p Projection, head eventstore.Position) (Status, error) {
	s := Status{Name: p.Name, Version: p.Version, Head: head}
	builds, err := r.db.Builds(ctx, p.Name)
	if err != nil {
		return s, err
	}
	for _, b := range builds {
		switch b.State {
		case BuildActive:
			s.Active = &b
		case BuildFilling, BuildReady:
			s.Next = &b
		case BuildRetired:
			s.Before = &b
			s.Retired++
		}
	}
	if s.Hold, err = r.db.Held(ctx, p.Name); err != nil {
		return s, err
	}
	if s.Next != nil {
		s.Fault = s.Next.Fault
	}
	if s.Active == nil {
		s.Lag = uint64(head)
		return s, nil
	}
	if s.Active.Fault != nil {
		s.Fault = s.Active.Fault
	}
	if err := r.belongs(ctx, s.Active.Ref, s.Active.Checkpoint); errors.As(err, &s.Mismatch) {
		return s, nil
	} else if err != nil {
		return s, err
	}
	if s.Active.Checkpoint.Position >= head {
		return s, nil
	}
	s.Lag = uint64(head - s.Active.Checkpoint.Position)
	s.LagTime, err = r.waiting(ctx, s.Active.Checkpoint.Position)
	return s, err
}

// waiting returns how long the event behind at has been in the log.
func (r *Runner) waiting(ctx context.Context, at eventstore.Position) (time.Duration, error) {
	for record, err := range r.log.Read(ctx, at, eventstore.Filter{}) {
		if err != nil {
			return 0, fmt.Errorf("read position %d: %w", at+1, err)
		}
		return max(0, r.config.Now().Sub(record.RecordedAt)), nil
	}
	return 0, nil
}

// Troubled reports whether somebody has to do something: the projection is stalled, faulted or mismatched.
func (s Status) Troubled() bool {
	return s.State == StateStalled || s.State == StateFaulted || s.State == StateMismatched
}

// Pace is how fast the holder of a build's last lease has folded: positions in a second, 0 when it is not known.
func (b Build) Pace() float64 {
	span := b.UpdatedAt.Sub(b.Since.At)
	if b.Since.At.IsZero() || span <= 0 || b.Checkpoint.Position <= b.Since.Position {
		return 0
	}
	return float64(b.Checkpoint.Position-b.Since.Position) / span.Seconds()
}

// Left is how long a build needs to the head of the log at its pace; 0 when it is there or its pace is not known.
func (b Build) Left(head eventstore.Position) time.Duration {
	pace := b.Pace()
	if pace == 0 || b.Checkpoint.Position >= head {
		return 0
	}
	return time.Duration(float64(head-b.Checkpoint.Position) / pace * float64(time.Second))
}

func (s Status) state(now time.Time, stallAfter time.Duration) State {
	switch {
	case s.Mismatch != nil:
		return StateMismatched
	case s.Fault != nil:
		return StateFaulted
	case s.Active == nil:
		return StateAbsent
	case s.Hold != nil:
		return StatePaused
	case s.Lag == 0:
		return StateLive
	case s.LagTime > stallAfter && now.Sub(s.Active.UpdatedAt) > stallAfter:
		return StateStalled
	default:
		return StateCatchingUp
	}
}

// Position returns the position that every projection's tables show at least, 0 when one has none.
func (r *Runner) Position(ctx context.Context) (eventstore.Position, error) {
	lowest := forever
	for _, p := range r.projections {
		active, err := r.active(ctx, p.Name)
		if err != nil {
			return 0, fmt.Errorf("position of %s: %w", p.Name, err)
		}
		if active == nil {
			return 0, nil
		}
		lowest = min(lowest, active.Checkpoint.Position)
	}
	return lowest, nil
}

// Check returns nil if the log is the one that the tables were built from (I14), or the *[MismatchError] of each
// projection that was built from another, joined. It writes nothing.
func (r *Runner) Check(ctx context.Context) error {
	var errs []error
	for _, p := range r.projections {
		active, err := r.active(ctx, p.Name)
		if err == nil && active != nil {
			err = r.belongs(ctx, active.Ref, active.Checkpoint)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
