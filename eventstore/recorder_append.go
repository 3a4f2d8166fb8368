package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// final reports whether trying the same call again cannot help.
func final(ctx context.Context, err error) bool {
	for _, sentinel := range []error{ErrConflict, ErrIDReused, ErrInvalid, ErrTooLarge, ErrCorrupt, ErrClosed, ErrUnknownType, ErrNotFound} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return ctx.Err() != nil
}

// append appends batch, again and again while the log does not answer: the same events, ids and expectation, so that it
// is written once (I4).
func (s *session) append(ctx context.Context, batch Batch) (Appended, error) {
	var at Appended
	err := s.retry(ctx, &s.attempt, func() error {
		s.attempt++
		batch.Meta.Attempt = s.attempt
		var err error
		at, err = s.log.Append(ctx, batch)
		return err
	})
	if err != nil {
		return Appended{}, fmt.Errorf("append %d events to %s: %w", len(batch.Events), batch.Stream, err)
	}
	return at, nil
}

// retry calls try until it succeeds, fails for good, or has failed config.Tries times.
func (r *Recorder) retry(ctx context.Context, attempt *int, try func() error) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval, waits.Multiplier = r.config.FirstWait, r.config.LongestWait, 2
	for n := 1; ; n++ {
		err := try()
		if err == nil || final(ctx, err) {
			return err
		}
		if n >= r.config.Tries {
			return fmt.Errorf("gave up after %d tries: %w", n, err)
		}
		wait := waits.NextBackOff()
		r.observe(Trouble{Attempt: *attempt, Wait: wait, Err: err})
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
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
