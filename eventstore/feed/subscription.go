package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/gxpledger/gxpledger/eventstore"
)

// subscription is one call of Subscribe.
type subscription struct {
	*Subscriber

	choice   choice
	name     string // of the cursor; "" for none
	lease    Lease  // zero while another consumer holds the cursor
	taken    time.Time
	cursor   Cursor
	after    eventstore.Position // that was seen last
	out      chan *message.Message
	renewing chan struct{} // closed when renewals ended
}

// prepare finds where a subscription starts, and takes the lease if it is free.
func (s *Subscriber) prepare(ctx context.Context, topic string) (*subscription, error) {
	run := &subscription{Subscriber: s, out: make(chan *message.Message)}
	var err error
	if run.choice, err = s.choose(ctx, topic); err != nil {
		return nil, err
	}
	if s.config.Cursor == "" {
		run.after, err = s.config.Start.find(ctx, s.log)
		return run, err
	}
	run.name = s.CursorName(topic)
	var held *LeaseHeldError
	if err := run.acquire(ctx); err != nil && !errors.As(err, &held) {
		return nil, err
	}
	return run, nil
}

// acquire takes the lease and checks that the cursor belongs to the log (I14).
func (r *subscription) acquire(ctx context.Context) error {
	taken := time.Now() //nolint:forbidigo // measures how long the lease lasts at least
	lease, cursor, err := r.config.Cursors.Acquire(ctx, r.name, r.config.Holder, r.config.TTL)
	if err != nil {
		return err
	}
	r.lease, r.cursor, r.after, r.taken = lease, cursor, cursor.Position, taken
	if err := CheckLog(ctx, r.log, cursor); err != nil {
		r.release(ctx)
		r.lease = Lease{}
		return err
	}
	return nil
}

// CheckLog returns [ErrOtherLog] unless cursor belongs to log: their ids are equal and the event at its position is the one that it
// names (I14). Other errors are those of the log.
func CheckLog(ctx context.Context, log Log, cursor Cursor) error {
	if id := log.ID(); id != cursor.LogID {
		return fmt.Errorf("cursor %q: %w: of log %s, this is %s", cursor.Name, ErrOtherLog, cursor.LogID, id)
	}
	if cursor.Position == 0 {
		return nil
	}
	record, err := log.At(ctx, cursor.Position)
	switch {
	case errors.Is(err, eventstore.ErrNotFound):
		return fmt.Errorf("cursor %q: %w: no event is at position %d", cursor.Name, ErrOtherLog, cursor.Position)
	case err != nil:
		return fmt.Errorf("cannot check cursor %q: %w", cursor.Name, err)
	case record.ID != cursor.EventID:
		return fmt.Errorf("cursor %q: %w: event %s is at position %d, not %s", cursor.Name, ErrOtherLog, record.ID, cursor.Position, cursor.EventID)
	}
	return nil
}

// release gives the lease back, if there is one, also when ctx has ended.
func (r *subscription) release(ctx context.Context) {
	if r.lease.Token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.TTL)
	defer cancel()
	_ = r.config.Cursors.Release(ctx, r.lease) // else it expires
}

// all delivers until ctx ends, which is no error, or something fails.
func (r *subscription) all(ctx context.Context, end context.CancelCauseFunc) error {
	err := r.await(ctx)
	if err == nil {
		if r.name != "" {
			r.renewing = make(chan struct{})
			go r.renew(ctx, end)
		}
		err = r.follow(ctx)
		cause := context.Cause(ctx)
		end(nil)
		if r.name != "" {
			<-r.renewing
			r.release(ctx)
		}
		if cause != nil {
			err = cause
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// await waits for the lease.
func (r *subscription) await(ctx context.Context) error {
	for r.name != "" && r.lease.Token == 0 {
		if err := pause(ctx, min(r.config.TTL/4, time.Second)); err != nil {
			return err
		}
		var held *LeaseHeldError
		err := r.acquire(ctx)
		if err != nil && !errors.As(err, &held) && !errors.Is(err, eventstore.ErrTransient) {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// renew keeps the lease until ctx ends. When it is lost, or the store does not answer as long as it lasts, it ends the subscription.
func (r *subscription) renew(ctx context.Context, end context.CancelCauseFunc) {
	defer close(r.renewing)
	for pause(ctx, r.config.TTL/4) == nil {
		began := time.Now() //nolint:forbidigo // measures how long the lease lasts at least
		limited, cancel := context.WithDeadline(ctx, r.taken.Add(r.config.TTL))
		_, err := r.config.Cursors.Renew(limited, r.lease, r.config.TTL)
		late := limited.Err() != nil
		cancel()
		switch {
		case err == nil:
			r.taken = began
		case late:
			end(fmt.Errorf("cursor %q: %w: it could not be renewed in time: %w", r.name, ErrLeaseLost, err))
		case !errors.Is(err, eventstore.ErrTransient):
			end(err)
		}
	}
}

// follow delivers what the log yields. A log that did not answer is asked again from the last record that was seen.
func (r *subscription) follow(ctx context.Context) error {
	for wait := r.config.MinBackoff; ; wait = min(2*wait, r.config.MaxBackoff) {
		from := r.after
		err := r.once(ctx)
		if !errors.Is(err, eventstore.ErrTransient) {
			return err
		}
		if r.after != from {
			wait = r.config.MinBackoff
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (r *subscription) once(ctx context.Context) error {
	for record, err := range r.log.Subscribe(ctx, r.after, r.choice.filter) {
		if err != nil {
			return err
		}
		if r.choice.has(record) {
			if err := r.deliver(ctx, record); err != nil {
				return err
			}
		}
		r.after = record.Position
	}
	return ctx.Err()
}

// deliver delivers a record until it is acknowledged, and moves the cursor.
func (r *subscription) deliver(ctx context.Context, record eventstore.Record) error {
	for wait := r.config.MinBackoff; ; wait = min(2*wait, r.config.MaxBackoff) {
		acknowledged, err := r.try(ctx, record)
		if err != nil {
			return err
		}
		if acknowledged {
			return r.save(ctx, record)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// try delivers a record once, and reports whether it was acknowledged.
func (r *subscription) try(ctx context.Context, record eventstore.Record) (acknowledged bool, err error) {
	m, err := r.config.Message(ctx, record)
	if err != nil {
		return false, fmt.Errorf("cannot make a message of event %s at position %d: %w", record.ID, record.Position, err)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	m.SetContext(inner)
	select {
	case r.out <- m:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	select {
	case <-m.Acked():
		return true, nil
	case <-m.Nacked():
		return false, nil
	case <-ctx.Done():
	}
	select {
	case <-m.Acked(): // at the same moment: it need not come again
		return true, nil
	default:
		return false, context.Cause(ctx)
	}
}

// save moves the cursor. A store that does not answer is asked again until the lease is lost. The end of ctx alone does not undo an
// acknowledgement: one more try has the time of a lease, whose token keeps it from moving the cursor of a successor.
func (r *subscription) save(ctx context.Context, record eventstore.Record) error {
	if r.name == "" {
		return nil
	}
	next := r.cursor
	next.Position, next.EventID = record.Position, record.ID
	for {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.TTL)
		err := r.config.Cursors.Save(limited, r.lease, next)
		cancel()
		if err == nil {
			r.cursor = next
			return nil
		}
		if !errors.Is(err, eventstore.ErrTransient) {
			return err
		}
		if err := pause(ctx, r.config.MinBackoff); err != nil {
			return err
		}
	}
}
