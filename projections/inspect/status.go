package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
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
	StatePaused     State = "paused"      // paused by an administrator; see Pause
)

// Status says how a projection is.
type Status struct {
	Name    string
	Version int // of the projection that this binary knows
	State   State
	Active  *projections.Build  // what readers see; nil when there is none
	Next    *projections.Build  // the build that is to replace it, while there is one
	Retired int                 // how many builds there are that readers saw before
	Pause   *projections.Pause  // nil unless the projection is paused
	Head    eventstore.Position // of the log
	Lag     uint64              // positions between the active build and the head
	LagTime time.Duration       // how long the oldest event that the active build lacks has been waiting; 0 when there is none
	Fault   *projections.Fault  // of Active, or of Next; nil unless one stopped
	// Mismatch says why the log is not the one that Active was built from; nil when it is. Head then has nothing to do with
	// the position of Active, and Lag is 0.
	Mismatch *projections.MismatchError
}

// StatusOptions say what counts as a stall.
type StatusOptions struct {
	// StallAfter is how long an event may wait while the position does not move. 0 means the default of 30 s.
	StallAfter time.Duration
}

// Statuses returns the status of every projection, in the order in which they were given. It writes nothing, and works
// while others write.
func Statuses(ctx context.Context, pipeline projections.Pipeline, options StatusOptions) ([]Status, error) {
	if options.StallAfter <= 0 {
		options.StallAfter = 30 * time.Second
	}
	head, err := pipeline.Log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read the status: cannot read head: %w", err)
	}
	all := make([]Status, 0, len(pipeline.Projections))
	for _, p := range pipeline.Projections {
		s, err := status(ctx, pipeline, p, head)
		if err != nil {
			return nil, fmt.Errorf("cannot read the status of %s: %w", p.Name, err)
		}
		s.State = s.state(pipeline.Now(), options.StallAfter)
		all = append(all, s)
	}
	return all, nil
}

func status(ctx context.Context, pipeline projections.Pipeline, p projections.Projection, head eventstore.Position) (Status, error) {
	s := Status{Name: p.Name, Version: p.Version, Head: head}
	builds, err := pipeline.Database.Builds(ctx, p.Name)
	if err != nil {
		return s, err
	}
	for _, b := range builds {
		switch b.State {
		case projections.BuildActive:
			s.Active = &b
		case projections.BuildFilling, projections.BuildReady:
			s.Next = &b
		case projections.BuildRetired:
			s.Retired++
		}
	}
	if s.Pause, err = pipeline.Database.Paused(ctx, p.Name); err != nil {
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
	if err := pipeline.Belongs(ctx, s.Active.Ref, s.Active.Checkpoint); errors.As(err, &s.Mismatch) {
		return s, nil
	} else if err != nil {
		return s, err
	}
	if s.Active.Checkpoint.Position >= head {
		return s, nil
	}
	s.Lag = eventstore.Distance(s.Active.Checkpoint.Position, head)
	s.LagTime, err = waiting(ctx, pipeline, s.Active.Checkpoint.Position)
	return s, err
}

// waiting returns how long the event behind at has been in the log.
func waiting(ctx context.Context, pipeline projections.Pipeline, at eventstore.Position) (time.Duration, error) {
	for record, err := range pipeline.Log.Read(ctx, at, eventstore.Filter{}) {
		if err != nil {
			return 0, fmt.Errorf("cannot read after position %d: %w", at, err)
		}
		return max(0, pipeline.Now().Sub(record.RecordedAt)), nil
	}
	return 0, nil
}

// Troubled reports whether somebody has to do something: the projection is stalled, faulted or mismatched.
func (s Status) Troubled() bool {
	return s.State == StateStalled || s.State == StateFaulted || s.State == StateMismatched
}

func (s Status) state(now time.Time, stallAfter time.Duration) State {
	switch {
	case s.Mismatch != nil:
		return StateMismatched
	case s.Fault != nil:
		return StateFaulted
	case s.Active == nil:
		return StateAbsent
	case s.Pause != nil:
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
func Position(ctx context.Context, pipeline projections.Pipeline) (eventstore.Position, error) {
	lowest := ^eventstore.Position(0)
	for _, p := range pipeline.Projections {
		active, err := pipeline.Active(ctx, p.Name)
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

// Check returns nil if the log is the one that the tables were built from (I14), or the *[projections.MismatchError] of each
// projection that was built from another, joined. It writes nothing.
func Check(ctx context.Context, pipeline projections.Pipeline) error {
	var errs []error
	for _, p := range pipeline.Projections {
		active, err := pipeline.Active(ctx, p.Name)
		if err == nil && active != nil {
			err = pipeline.Belongs(ctx, active.Ref, active.Checkpoint)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
