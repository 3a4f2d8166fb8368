package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// LastVerification is the outcome of a verification in the background. The JSON names are stable.
type LastVerification struct {
	StartedAt  time.Time `json:"started_at,omitzero"` // zero where an older gxpledger verified
	FinishedAt time.Time `json:"finished_at"`
	Position   uint64    `json:"position"` // of the log, up to which it was read
	Faults     int       `json:"faults"`
	Unknown    int       `json:"unknown"` // checks that could not be made
	Warnings   int       `json:"warnings"`
	Intact     bool      `json:"intact"` // neither faults nor unknown
}

// verificationState is how far the verification in the background is. It is kept in the home.
type verificationState struct {
	Log   string            `json:"log"`            // its id: the state is worth nothing for another
	Began time.Time         `json:"began,omitzero"` // the verification that Done and Found are of
	Done  []string          `json:"done,omitempty"` // the parts that are done of the verification that was begun
	Found Verification      `json:"found"`          // by these parts
	Last  *LastVerification `json:"last,omitempty"`
}

// The parts of a verification: the rights on servers, and what reads the log. The others are the projections.
const (
	partAccess = "access"
	partLog    = "log"
)

// VerifyEveryOptions say how to verify in the background.
type VerifyEveryOptions struct {
	// Every is from the end of a verification to the beginning of the next: a minute or more.
	Every time.Duration
	// Rate limits how many events and contents are read in a second; 0 for no limit.
	Rate int
	// Finished is told of each verification. It is called from one goroutine.
	Finished func(Verification, LastVerification)
	// Failed is told why a verification could not go on. It is tried again after a while.
	Failed func(error)
}

// VerifyEvery verifies again and again, as [Ledger.Verify] does, until ctx ends, and returns nil. It updates no tables. The
// outcome of the last verification is kept in the home, see [Admin.LastVerification], as is which parts of the one that runs
// are done: the rights on servers, the log, and the tables of each projection. A process that ends in the middle of one leaves these to
// the next, unless that begins later than options.Every after it.
//
// It waits between verifications, and inside one as options.Rate says.
//
// Errors: [ErrInvalid] for the options alone. What keeps a verification from going on is told to options.Failed.
func (l *Ledger) VerifyEvery(ctx context.Context, options VerifyEveryOptions) error {
	if options.Every < time.Minute || options.Rate < 0 {
		return fmt.Errorf("cannot verify: %w: Every must be a minute or more, and Rate not negative", ErrInvalid)
	}
	for ctx.Err() == nil {
		wait, err := l.verifyOnce(ctx, options)
		if err != nil && ctx.Err() == nil {
			const again = time.Minute
			wait = min(options.Every, again)
			if options.Failed != nil {
				options.Failed(err)
			}
		}
		pause(ctx, wait)
	}
	return nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// verifyOnce does the verification that is due, and returns how long to wait for the next.
func (l *Ledger) verifyOnce(ctx context.Context, options VerifyEveryOptions) (time.Duration, error) {
	state, err := l.verificationState(ctx)
	if err != nil {
		return 0, err
	}
	now := l.config.Now
	if state.Last != nil && len(state.Done) == 0 {
		if wait := state.Last.FinishedAt.Add(options.Every).Sub(now()); wait > 0 {
			return min(wait, options.Every), nil // a clock that was set back makes nobody wait for longer
		}
	}
	if age := now().Sub(state.Began); age < 0 || age > options.Every {
		state.Done = nil // what was found so long ago is not the present
	}
	v := newVerification(l, VerifyOptions{})
	if len(state.Done) > 0 {
		v.result = state.Found
	} else {
		state.Began = now().UTC()
	}
	v.pace = &pace{rate: options.Rate}
	v.done = state.Done
	v.finished = func(part string) error {
		state.Done = append(state.Done, part)
		state.Found = v.result
		return l.settings.WriteVerification(state)
	}
	if err := v.run(ctx); err != nil {
		return 0, err
	}
	v.judge(nil)
	last := LastVerification{
		StartedAt: state.Began, FinishedAt: now().UTC(), Position: uint64(v.result.Log.Head), Intact: v.result.Intact,
		Faults: len(v.result.Faults), Unknown: len(v.result.Unknown), Warnings: len(v.result.Warnings),
	}
	if err := l.settings.WriteVerification(verificationState{Log: state.Log, Last: &last}); err != nil {
		return 0, err
	}
	if options.Finished != nil {
		options.Finished(v.result, last)
	}
	return options.Every, nil
}

// verificationState reads how far the verification of the log is.
func (l *Ledger) verificationState(ctx context.Context) (verificationState, error) {
	id, err := l.logID(ctx)
	if err != nil {
		return verificationState{}, err
	}
	if err := l.settings.CreateHome(); err != nil {
		return verificationState{}, err
	}
	var state verificationState
	if err := l.settings.ReadVerification(&state); err != nil {
		return verificationState{}, err
	}
	if state.Log != id {
		state = verificationState{Log: id}
	}
	return state, nil
}

// LastVerification returns the outcome of the last verification in the background by this home of the log at hand, nil when
// there was none.
//
// It waits for the log to say its id.
//
// Errors: that of ctx, and those of a home or a log that cannot be read.
func (a Admin) LastVerification(ctx context.Context) (*LastVerification, error) {
	var state verificationState
	if err := a.ledger.settings.ReadVerification(&state); err != nil || state.Last == nil {
		return nil, err
	}
	if id, err := a.ledger.logID(ctx); err != nil || state.Log != id {
		return nil, err
	}
	return state.Last, nil
}

// pace keeps a reading from taking a whole disk or server for itself.
type pace struct {
	rate  int // in a second; 0 for no limit
	count int
}

// step counts one thing that was read, and waits now and then. The error is that of ctx.
func (p *pace) step(ctx context.Context) error {
	const rests = 20 // in a second
	if p == nil || p.rate == 0 {
		return ctx.Err()
	}
	if p.count++; p.count >= max(p.rate/rests, 1) {
		pause(ctx, time.Duration(p.count)*time.Second/time.Duration(p.rate))
		p.count = 0
	}
	return ctx.Err()
}

// pacedLog is a log that is read at a pace.
type pacedLog struct {
	eventstore.Log
	pace *pace
}

// Read implements [eventstore.Reader].
func (p pacedLog) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range p.Log.Read(ctx, after, filter) {
			if err == nil {
				err = p.pace.step(ctx)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// EndsBefore does what the log does, see [projections.Pipeline.Belongs].
func (p pacedLog) EndsBefore(ctx context.Context, at eventstore.Position) (bool, error) {
	if log, ok := p.Log.(logEnder); ok {
		return log.EndsBefore(ctx, at)
	}
	head, err := p.Head(ctx)
	return at > head, err
}

// Content implements [eventstore.ContentStore].
func (p pacedLog) Content(ctx context.Context, hash string) ([]byte, error) {
	if err := p.pace.step(ctx); err != nil {
		return nil, err
	}
	return p.Log.Content(ctx, hash)
}

// CheckIntegrity implements [eventstore.IntegrityChecker], where the log does.
func (p pacedLog) CheckIntegrity(ctx context.Context, report func(eventstore.Fault)) error {
	if checker, ok := p.Log.(eventstore.IntegrityChecker); ok {
		return checker.CheckIntegrity(ctx, report)
	}
	return nil
}

// part does one part of a verification, unless it is done.
func (v *verification) part(name string, do func() error) error {
	if slices.Contains(v.done, name) {
		return nil
	}
	if err := do(); err != nil {
		return err
	}
	if v.finished == nil {
		return nil
	}
	return v.finished(name)
}

// judge says whether all is well.
func (v *verification) judge(err error) {
	v.result.Intact = err == nil && len(v.result.Faults) == 0 && len(v.result.Unknown) == 0
}

// logID returns the id of the log at hand, "" for a log that does not even tell that.
func (l *Ledger) logID(ctx context.Context) (_ string, err error) {
	log, closing, err := l.logToVerify(ctx)
	if errors.Is(err, eventstore.ErrCorrupt) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, closing()) }()
	return log.ID().String(), nil
}
