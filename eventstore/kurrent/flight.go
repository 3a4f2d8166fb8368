package kurrent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/metadata"

	"github.com/gxpledger/gxpledger/eventstore"
)

// flight is one use of the client: do hands over what it gets to emit, and ends when emit says false.
type flight[T any] struct {
	clients *clients
	// timeout bounds the wait for the client, for the first message, and for each one after it.
	timeout time.Duration
	// live bounds the first only: what comes after it may take for ever.
	live bool
	do   func(ctx context.Context, client *esdb.Client, emit func(T) bool) error
}

// messages is how many messages are held for a slow loop.
const messages = 16

// yield runs f in a goroutine of its own and yields its messages. If that goroutine is stuck in the client, it is left
// there. Errors are translated. A flight that may be ranged over again is flown again.
func (f flight[T]) yield(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		caller := ctx
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		timer := time.NewTimer(f.timeout)
		defer timer.Stop()
		out, fault, err := f.start(ctx)
		if err != nil {
			yield(zero, translate(caller, err))
			return
		}
		for {
			message, err := f.next(caller, out, timer.C)
			if errors.Is(err, errLanded) {
				if err = f.outcome(caller, *fault); err == nil {
					return
				}
			}
			if !yield(message, err) || err != nil {
				return
			}
			if timer.Stop(); !f.live {
				timer.Reset(f.timeout)
			}
		}
	}
}

// errLanded: the flight is over, for the reason that it gives.
var errLanded = errors.New("flight is over")

// next returns the next message, or why there is none. The goroutine of the flight may be stuck; nobody waits for it.
func (f flight[T]) next(caller context.Context, out <-chan T, late <-chan time.Time) (T, error) {
	var zero T
	select {
	case message, ok := <-out:
		if !ok {
			return zero, errLanded
		}
		return message, nil
	case <-caller.Done():
		return zero, context.Cause(caller)
	case <-f.clients.closed:
		return zero, eventstore.ErrClosed
	case <-late:
		return zero, f.timedOut()
	}
}

// outcome is the error of a flight that is over, nil if it did all that it was to do.
func (f flight[T]) outcome(caller context.Context, fault error) error {
	if fault != nil {
		err := translate(caller, fault)
		if errors.Is(err, eventstore.ErrTransient) {
			err = late(caller, err)
		}
		return err
	}
	select {
	case <-f.clients.closed: // it may have ended for that
		return eventstore.ErrClosed
	default:
	}
	if caller.Err() != nil {
		return context.Cause(caller)
	}
	return nil
}

// aMoment is how much earlier than this process a server may see that the deadline of a call has passed.
const aMoment = 50 * time.Millisecond

// late returns the error of ctx in place of err if the deadline of ctx has passed: the client and the server may see that
// before the timer of ctx does, and say all kinds of things then.
func late(ctx context.Context, err error) error {
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) > aMoment { //nolint:forbidigo // by the clock that ctx goes by
		return err
	}
	moment := time.NewTimer(aMoment)
	defer moment.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-moment.C:
		return context.DeadlineExceeded
	}
}

// timedOut is the error of a server that did not answer.
func (f flight[T]) timedOut() error {
	return fmt.Errorf("%w within %s", eventstore.ErrTransient, f.timeout)
}

// start begins the flight. Once out is closed, fault is its error.
func (f flight[T]) start(ctx context.Context) (out <-chan T, fault *error, err error) {
	boarding, cancel := context.WithTimeoutCause(ctx, f.timeout, f.timedOut())
	defer cancel()
	g, err := f.clients.board(boarding)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	forget := f.clients.onClose(stop) // also while the loop's body runs, which may be what closes the log
	// Without this a member of a cluster answers from what it has, which need not be what was acknowledged. The client
	// has an option for it, which has no effect.
	ctx = metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
	messages := make(chan T, messages)
	fault = new(error)
	free := sync.OnceFunc(func() { <-g.slots })
	go func() {
		defer f.clients.leave(g)
		defer forget()
		defer stop()
		defer close(messages)
		defer free()
		*fault = contain(func() error {
			return f.do(ctx, g.client, func(message T) bool {
				if f.live {
					free() // it only listens now
				}
				select {
				case messages <- message:
					return true
				case <-ctx.Done():
					return false
				}
			})
		})
		if lost(*fault) {
			f.clients.retire(g)
		}
	}()
	return messages, fault, nil
}

// one returns the only message of f.
func (f flight[T]) one(ctx context.Context) (T, error) {
	for message, err := range f.yield(ctx) {
		return message, err
	}
	var zero T
	return zero, nil
}
