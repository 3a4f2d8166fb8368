package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// outcome is what became of an event.
type outcome int

const (
	accepted    outcome = iota
	rejected            // the target refuses it for good
	skipped             // an administrator skipped it while it could not be sent
	interrupted         // an administrator moved the relay
)

// deliver sends a record until the target accepts or refuses it. While it waits between attempts, it does what administrators ask for.
func (r *runner) deliver(ctx context.Context, record eventstore.Record) (outcome, error, error) { //nolint:revive // the refusal, then the error
	message, err := r.Encoder.Encode(ctx, record)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot encode the event at position %d: %w", record.Position, err)
	}
	e := EventOf(record)
	for attempt := 1; ; attempt++ {
		err := r.send(ctx, message)
		refused, isRefused := errors.AsType[*RefusedError](err)
		gone, isGone := errors.AsType[*GoneError](err)
		switch {
		case err == nil:
			return accepted, nil, nil
		case isRefused:
			return rejected, refused, nil
		case isGone:
			r.state.Gone(e, gone.Reason, r.Now())
			r.unsaved++
			return 0, nil, gone
		case ctx.Err() != nil:
			return 0, nil, context.Cause(ctx)
		}
		wait := r.Backoff.After(attempt, askedFor(err), r.Random())
		if err := r.failed(ctx, e, err, wait); err != nil {
			return 0, nil, err
		}
		if outcome, err := r.waitToSend(ctx, e, wait); outcome != accepted || err != nil {
			return outcome, nil, err
		}
	}
}

// send is one attempt, under a deadline.
func (r *runner) send(ctx context.Context, message Message) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.SendTimeout, fmt.Errorf("the target did not answer within %s", r.SendTimeout))
	defer cancel()
	err := r.Target.Send(ctx, message)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// askedFor is how long the target asks to wait.
func askedFor(err error) time.Duration {
	if later, ok := errors.AsType[*LaterError](err); ok {
		return later.After
	}
	return 0
}

// failed notes a failed attempt, and saves that for people to see, at most once in SaveAfter.
func (r *runner) failed(ctx context.Context, e Event, why error, wait time.Duration) error {
	first := r.state.Failure == nil
	r.state.Failed(e, why.Error(), r.Now())
	r.unsaved++
	r.observeState(StepFailed, e, why, wait)
	if first || time.Since(r.saved) >= r.SaveAfter { //nolint:forbidigo // see run
		return r.save(ctx)
	}
	return nil
}

// waitToSend waits for the next attempt. Accepted: make it.
func (r *runner) waitToSend(ctx context.Context, e Event, d time.Duration) (outcome, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-timer.C:
			return accepted, nil
		case err := <-r.actions.failed:
			return 0, err
		case action := <-r.actions.values:
			moved, err := r.apply(ctx, action)
			switch {
			case err != nil:
				return 0, err
			case moved:
				return interrupted, nil
			case slices.Contains(r.state.Skips, e.Position):
				return skipped, nil
			case action.Name == ActionRetry:
				return accepted, nil
			}
		}
	}
}

// pause waits after the log did not answer.
func (r *runner) pause(ctx context.Context, why error) error {
	d := r.Backoff.After(1, 0, r.Random())
	r.observeState(StepReading, Event{}, why, d)
	return wait(ctx, d)
}
