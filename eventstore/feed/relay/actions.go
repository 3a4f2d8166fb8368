package relay

import (
	"context"
	"errors"

	"github.com/gxpledger/gxpledger/eventstore"
)

// apply does what an administrator asked for, and saves that it did. Moved: the relay was moved, and what is in hand is not next any more.
func (r *runner) apply(ctx context.Context, action Action) (moved bool, err error) {
	if moved, err = r.change(ctx, action); err != nil {
		return false, err
	}
	r.state.Actions = action.revision + 1
	if err := r.save(ctx); err != nil {
		return false, err
	}
	if moved {
		r.follow(ctx)
	}
	return moved, nil
}

// change applies an action to the state.
func (r *runner) change(ctx context.Context, action Action) (moved bool, err error) {
	switch action.Name {
	case "":
		return false, ErrRemoved
	case ActionRetry:
		r.state.Retry(action.Stream)
		return false, nil
	case ActionSkip:
		return false, r.state.SkipAt(action.Position)
	case ActionRedeliver:
		if action.After >= r.state.Position {
			return false, nil
		}
		count, err := r.countWaiting(ctx, action.After)
		if err != nil {
			return false, err
		}
		r.state.Rewind(action.After, action.AfterEvent, count)
		return true, nil
	}
	return false, nil
}

// countWaiting counts the events that wait of each parked stream up to a position.
func (r *runner) countWaiting(ctx context.Context, upTo eventstore.Position) (map[eventstore.StreamID]int, error) {
	count := map[eventstore.StreamID]int{}
	for _, parked := range r.state.Parked {
		for record, err := range r.Log.ReadStream(ctx, parked.Stream, parked.From) {
			if err != nil {
				return nil, err
			}
			if record.Position > upTo {
				break
			}
			match, err := r.Filter.Match(record)
			if err != nil {
				return nil, err
			}
			if match {
				count[parked.Stream]++
			}
		}
	}
	return count, nil
}

// readActions applies what administrators asked for while the relay did not run, and returns the position after which the others come.
func (r *runner) readActions(ctx context.Context) (eventstore.Position, error) {
	var after eventstore.Position
	for record, err := range r.Log.ReadStream(ctx, eventstore.EngineStream, r.state.Actions) {
		if err != nil {
			return 0, err
		}
		after = record.Position
		action, ok, err := actionOn(r.Name, record)
		if err != nil {
			return 0, err
		}
		if ok {
			if _, err := r.change(ctx, action); err != nil {
				return 0, err
			}
		}
		r.state.Actions = record.Revision + 1
		r.unsaved++
	}
	if r.unsaved == 0 {
		return after, nil
	}
	return after, r.save(ctx)
}

// followActions hands on what administrators ask for after a position, from a revision of the stream "engine" on.
func (r *runner) followActions(ctx context.Context, after eventstore.Position, from eventstore.Revision, send func(Action) bool) error {
	var failed error
	err := r.subscribe(ctx, after, eventstore.Filter{StreamPrefix: string(eventstore.EngineStream)}, func(record eventstore.Record) bool {
		if record.Stream != eventstore.EngineStream || record.Revision < from {
			return true
		}
		var action Action
		var ok bool
		if action, ok, failed = actionOn(r.Name, record); failed != nil {
			return false
		}
		return !ok || send(action)
	})
	return errors.Join(failed, err)
}

// subscribe hands on the records after a position until ctx ends or send returns false. A log that does not answer is asked again.
func (r *runner) subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter, send func(eventstore.Record) bool) error {
	for attempt := 1; ; attempt++ {
		var failed error
		for record, err := range r.Log.Subscribe(ctx, after, filter) {
			if err != nil {
				failed = err
				break
			}
			if !send(record) {
				return nil
			}
			after, attempt = record.Position, 1
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(failed, eventstore.ErrTransient):
			return failed
		}
		if err := wait(ctx, r.Backoff.After(attempt, 0, 0)); err != nil {
			return err
		}
	}
}
