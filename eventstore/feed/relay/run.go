package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// ErrRemoved says that an administrator removed a relay while it ran.
var ErrRemoved = errors.New("relay was removed")

// CursorPrefix begins the names of the cursors of relays.
const CursorPrefix = "relay/"

// Log is what a relay needs of a log.
type Log interface {
	ID() uuid.UUID
	eventstore.Reader
	eventstore.StreamReader
	eventstore.Subscriber
}

// Encoder makes messages of records. The same record must give the same message for ever.
type Encoder interface {
	Encode(ctx context.Context, r eventstore.Record) (Message, error)
}

// Config says what to relay, and where to.
type Config struct {
	Name    string // of the relay; its cursor is named CursorPrefix + Name, and must exist
	Holder  string // of the lease, for people
	Log     Log
	Cursors feed.Cursors
	Encoder Encoder
	Target  Target
	Filter  Filter
	// Backoff defaults to [DefaultBackoff].
	Backoff Backoff
	// SendTimeout is how long one attempt to send may take. Defaults to 30 seconds.
	SendTimeout time.Duration
	// LeaseTTL is for how long a process that died keeps others from relaying. Defaults to 15 seconds.
	LeaseTTL time.Duration
	// SaveEvery and SaveAfter bound what is sent again after a crash: the number of events and the time since the cursor was last saved.
	// They default to 100 and half a second.
	SaveEvery int
	SaveAfter time.Duration
	// Now is the engine's clock. It dates what is parked and decides nothing.
	Now func() time.Time
	// Random returns numbers from 0 to 1.
	Random func() float64
	// Observe is told of each step, from one goroutine at a time. It must not block. Nil for nobody.
	Observe func(Progress)
}

// CursorName is the name of the cursor.
func (c *Config) CursorName() string { return CursorPrefix + c.Name }

// Step is what a relay did.
type Step string

// The steps.
const (
	StepStandsBy Step = "stands by" // another process holds the lease, see Err
	StepStarted  Step = "started"   // it holds the lease
	StepPassed   Step = "passed"    // the event did not pass the filter
	StepSent     Step = "sent"
	StepFailed   Step = "failed" // and is sent again after Wait, see Err
	StepParked   Step = "parked" // the target refused it, see Err
	StepHeld     Step = "held"   // its stream is parked
	StepSkipped  Step = "skipped"
	StepResumed  Step = "resumed" // nothing of its stream is parked any more
	StepReading  Step = "reading" // the log did not answer, and is asked again after Wait, see Err
	StepSaved    Step = "saved"
)

// Progress is a step of a relay, and how far it has come with it.
type Progress struct {
	Relay    string
	Step     Step
	Event    Event // zero where the step is not about one
	Err      error
	Wait     time.Duration
	Position eventstore.Position
	Parked   int // streams
	Waiting  int // events
}

// Run relays until ctx ends, the lease is lost, the target is gone or an administrator removes the relay. It waits for the lease while
// another process holds it. What was sent and not saved is sent again by the next run, with the same ids.
//
// Errors: that of ctx; [feed.ErrNoCursor]; [feed.ErrLeaseLost], after which it can be called again; [feed.ErrOtherLog] (I14);
// [ErrRemoved]; a *[GoneError]; [ErrTooManyParked], [ErrTooManySkips]; and those of the log.
func Run(ctx context.Context, c Config) error {
	c.setDefaults()
	keeper, cursor, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	keeper.end = end
	var background sync.WaitGroup
	renewing, stopRenewing := context.WithCancel(ctx)
	background.Go(func() { keeper.renew(renewing) })
	r := &runner{Config: c, keeper: keeper}
	err = r.run(ctx, cursor)
	stopRenewing()
	background.Wait()
	err = errors.Join(err, r.finish(ctx, err))
	end(nil)
	return err
}

func (c *Config) setDefaults() {
	c.Backoff = cmp.Or(c.Backoff, DefaultBackoff())
	c.SendTimeout = cmp.Or(c.SendTimeout, 30*time.Second)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 15*time.Second)
	c.SaveEvery = cmp.Or(c.SaveEvery, 100)
	c.SaveAfter = cmp.Or(c.SaveAfter, 500*time.Millisecond)
}

func (c *Config) observe(p Progress) {
	if c.Observe != nil {
		p.Relay = c.Name
		c.Observe(p)
	}
}

// runner is one run of a relay.
type runner struct {
	Config

	keeper  *keeper
	state   State
	unsaved int       // steps since the state was saved
	saved   time.Time // when it was

	actions *source[Action]            // what administrators ask for
	records *source[eventstore.Record] // the log after the position
}

func (r *runner) run(ctx context.Context, cursor feed.Cursor) error {
	if err := CheckCursor(ctx, r.Log, cursor); err != nil {
		return fmt.Errorf("cannot start relay %q: %w", r.Name, err)
	}
	var err error
	if r.state, err = DecodeState(cursor.State); err != nil {
		return err
	}
	r.state.Position, r.state.EventID = cursor.Position, cursor.EventID
	r.saved = time.Now() //nolint:forbidigo // bounds the time between two writes
	after, err := r.readActions(ctx)
	if err != nil {
		return err
	}
	if r.state.Ended != nil {
		return &GoneError{r.state.Ended.Reason}
	}
	r.observeState(StepStarted, Event{}, nil, 0)
	from := r.state.Actions
	r.actions = start(ctx, func(ctx context.Context, send func(Action) bool) error {
		return r.followActions(ctx, after, from, send)
	})
	defer func() { r.actions.stop() }()
	r.follow(ctx)
	defer func() { r.records.stop() }()
	return r.loop(ctx)
}

// follow reads the log from the position on.
func (r *runner) follow(ctx context.Context) {
	if r.records != nil {
		r.records.stop()
	}
	after := r.state.Position
	r.records = start(ctx, func(ctx context.Context, send func(eventstore.Record) bool) error {
		return r.subscribe(ctx, after, eventstore.Filter{}, send)
	})
}

// loop sends what the log and administrators ask for.
func (r *runner) loop(ctx context.Context) error {
	save := time.NewTicker(r.SaveAfter)
	defer save.Stop()
	for {
		if err := r.resume(ctx); err != nil {
			return err
		}
		var err error
		select { // actions go first
		case action := <-r.actions.values:
			_, err = r.apply(ctx, action)
		default:
			select {
			case <-ctx.Done():
				err = context.Cause(ctx)
			case action := <-r.actions.values:
				_, err = r.apply(ctx, action)
			case record := <-r.records.values:
				err = r.next(ctx, record)
			case err = <-r.actions.failed:
			case err = <-r.records.failed:
			case <-save.C:
				if r.unsaved > 0 {
					err = r.save(ctx)
				}
			}
		}
		if err != nil {
			return err
		}
	}
}

// next handles the next record of the log.
func (r *runner) next(ctx context.Context, record eventstore.Record) error {
	e := EventOf(record)
	match, err := r.Filter.Match(record)
	if err != nil {
		return err
	}
	if !match {
		r.state.Passed(e)
		return r.done(ctx, StepPassed, e, nil)
	}
	switch r.state.Choose(e) {
	case Hold:
		r.state.Held(e)
		return r.done(ctx, StepHeld, e, nil)
	case Skip:
		r.state.SkippedNext(e)
		return r.done(ctx, StepSkipped, e, nil)
	case Send:
	}
	outcome, refused, err := r.deliver(ctx, record)
	if err != nil {
		return err
	}
	switch outcome {
	case accepted:
		r.state.Accepted(e)
		return r.done(ctx, StepSent, e, nil)
	case skipped:
		r.state.SkippedNext(e)
		return r.done(ctx, StepSkipped, e, nil)
	case rejected:
		if err := r.state.Refused(e, refused.Error(), r.Now()); err != nil {
			return fmt.Errorf("cannot park the event at position %d, which %w: %w", e.Position, refused, err)
		}
		return r.done(ctx, StepParked, e, refused)
	case interrupted: // the relay was moved: this record is not the next any more
	}
	return nil
}

// resume sends what is parked and to be retried.
func (r *runner) resume(ctx context.Context) error {
	for {
		parked, ok := r.state.Retrying()
		if !ok {
			return nil
		}
		if err := r.resumeStream(ctx, parked); err != nil {
			return err
		}
	}
}

// resumeStream sends what waits of a stream, in order, until nothing does, the target refuses one of it, or an administrator moves the relay.
func (r *runner) resumeStream(ctx context.Context, parked Parked) error {
	for record, err := range r.Log.ReadStream(ctx, parked.Stream, parked.From) {
		if err != nil {
			if errors.Is(err, eventstore.ErrTransient) {
				return r.pause(ctx, err)
			}
			return err
		}
		if record.Position > r.state.Position {
			break // those are still to come from the log
		}
		match, err := r.Filter.Match(record)
		if err != nil {
			return err
		}
		if !match {
			continue
		}
		if more, err := r.resend(ctx, record); err != nil || !more {
			return err
		}
	}
	r.state.Unpark(parked.Stream)
	return r.done(ctx, StepResumed, parked.Event, nil)
}

// resend sends the next event that waits of a stream. More: the one after it may follow.
func (r *runner) resend(ctx context.Context, record eventstore.Record) (more bool, err error) {
	e := EventOf(record)
	outcome, refused := skipped, error(nil)
	if !r.state.Resuming(e) {
		if outcome, refused, err = r.deliver(ctx, record); err != nil {
			return false, err
		}
	}
	switch outcome {
	case accepted:
		r.state.Resumed(e, Send)
		return true, r.done(ctx, StepSent, e, nil)
	case skipped:
		r.state.Resumed(e, Skip)
		return true, r.done(ctx, StepSkipped, e, nil)
	case rejected:
		r.state.RefusedAgain(e, refused.Error(), r.Now())
		return false, r.done(ctx, StepParked, e, refused)
	case interrupted:
	}
	return false, nil
}

// done notes a step, and saves where it must, or where enough was done since.
func (r *runner) done(ctx context.Context, step Step, e Event, why error) error {
	r.unsaved++
	r.observeState(step, e, why, 0)
	if step == StepParked || step == StepSkipped || step == StepResumed || r.unsaved >= r.SaveEvery ||
		time.Since(r.saved) >= r.SaveAfter { //nolint:forbidigo // see run
		return r.save(ctx)
	}
	return nil
}

// save saves the position and the state in one write.
func (r *runner) save(ctx context.Context) error {
	data, err := r.state.Encode()
	if err != nil {
		return err
	}
	cursor := feed.Cursor{Name: r.CursorName(), LogID: r.Log.ID(), Position: r.state.Position, EventID: r.state.EventID, State: data}
	err = r.keeper.try(ctx, func(ctx context.Context, lease feed.Lease) error { return r.Cursors.Save(ctx, lease, cursor) })
	if err != nil {
		return fmt.Errorf("cannot save the cursor of relay %q at position %d: %w", r.Name, cursor.Position, err)
	}
	r.unsaved, r.saved = 0, time.Now() //nolint:forbidigo // see run
	r.observeState(StepSaved, Event{}, nil, 0)
	return nil
}

// finish saves what was done, where the lease is still held, and releases it.
func (r *runner) finish(ctx context.Context, ended error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.LeaseTTL)
	defer cancel()
	var saved error
	if r.unsaved > 0 && !errors.Is(ended, feed.ErrLeaseLost) && !errors.Is(ended, feed.ErrNoCursor) {
		saved = r.save(ctx)
	}
	r.keeper.mu.Lock()
	lease := r.keeper.lease
	r.keeper.mu.Unlock()
	return errors.Join(saved, r.Cursors.Release(ctx, lease))
}

func (r *runner) observeState(step Step, e Event, why error, wait time.Duration) {
	if r.Observe == nil {
		return
	}
	r.observe(Progress{
		Step: step, Event: e, Err: why, Wait: wait, Position: r.state.Position, Parked: len(r.state.Parked), Waiting: r.state.Waiting(),
	})
}
