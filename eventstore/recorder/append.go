package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gxpledger/gxpledger/eventstore"
)

// final reports whether trying the same call again cannot help.
func final(err error) bool {
	for _, sentinel := range []error{eventstore.ErrConflict, eventstore.ErrIDReused, eventstore.ErrInvalid, eventstore.ErrTooLarge, eventstore.ErrCorrupt, eventstore.ErrClosed, eventstore.ErrUnknownType, eventstore.ErrNotFound} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// maybeWritten reports whether an append that returned err may have been written. before is the answer for the earlier
// tries of the batch: a log that refuses the batch for its revision or an id has looked for it, and answers for them too.
func maybeWritten(err error, before bool) bool {
	switch {
	case err == nil, errors.Is(err, eventstore.ErrConflict), errors.Is(err, eventstore.ErrIDReused):
		return false
	case errors.Is(err, eventstore.ErrNotWritten), errors.Is(err, eventstore.ErrInvalid), errors.Is(err, eventstore.ErrTooLarge):
		return before
	}
	return true
}

// append appends batch, again and again while the log does not answer: the same events, ids and expectation, so that it
// is written once (I4). What is unknown of the scan when no answer came is at least what.
func (s *session) append(ctx context.Context, batch eventstore.Batch, what Unknown) (eventstore.Appended, error) {
	var at eventstore.Appended
	sent := false
	err := s.retry(ctx, &s.attempt, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.attempt++
		batch.Meta.Attempt = s.attempt
		var err error
		at, err = s.log.Append(ctx, batch)
		sent = maybeWritten(err, sent)
		return err
	})
	if err != nil {
		if sent {
			s.unknown = max(s.unknown, what)
		}
		events := "1 event"
		if n := len(batch.Events); n != 1 {
			events = fmt.Sprintf("%d events", n)
		}
		return eventstore.Appended{}, fmt.Errorf("cannot append %s to %s: %w", events, batch.Stream, err)
	}
	return at, nil
}

// retry calls try until it succeeds, fails for good, has failed config.Tries times, or config.Wait has passed. The error is that of ctx too when
// that has ended meanwhile.
func (r *Recorder) retry(ctx context.Context, attempt *int, try func() error) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval, waits.Multiplier = r.config.FirstWait, r.config.LongestWait, 2
	var spent <-chan time.Time
	if r.config.Wait > 0 {
		timer := time.NewTimer(r.config.Wait)
		defer timer.Stop()
		spent = timer.C
	}
	for n := 1; ; n++ {
		err := try()
		switch {
		case err == nil, final(err), endedBy(ctx, err):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case n >= r.config.Tries && n == 1:
			return err
		case n >= r.config.Tries:
			return fmt.Errorf("gave up after %d tries: %w", n, err)
		}
		select {
		case <-spent:
			return fmt.Errorf("gave up after %s, %d tries: %w", r.config.Wait, n, err)
		default:
		}
		wait := waits.NextBackOff()
		r.observe(Retry{Attempt: *attempt, Wait: wait, Err: err})
		if ended := pause(ctx, wait); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// endedBy reports whether err says that ctx, and no shorter time that a callee set, has ended.
func endedBy(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// pause waits, or returns the context's error when that ends first.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
