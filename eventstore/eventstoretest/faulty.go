package eventstoretest

import (
	"context"
	"fmt"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Faulty is a log whose appends fail on cue. Each append meets the next of the faults that Next was given, and goes
// through when there is none left. All else is Log's. It is safe for concurrent use, and ready with Log alone set.
type Faulty struct {
	eventstore.Log

	mu     sync.Mutex // guards all below
	faults []Fault
	tried  []eventstore.Batch
}

// Fault is what happens to one append. It may call through to the log, or not, and changes what comes back.
type Fault func(ctx context.Context, through func() (eventstore.Appended, error)) (eventstore.Appended, error)

// Next adds faults for the appends to come, in order.
func (f *Faulty) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// Tried returns every batch that was given to Append so far, in order, whatever became of it.
func (f *Faulty) Tried() []eventstore.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]eventstore.Batch(nil), f.tried...)
}

// Append implements [eventstore.Appender] as far as the next fault lets it.
func (f *Faulty) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	return f.next(batch)(ctx, func() (eventstore.Appended, error) { return f.Log.Append(ctx, batch) })
}

func (f *Faulty) next(batch eventstore.Batch) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried = append(f.tried, batch)
	if len(f.faults) == 0 {
		return Pass()
	}
	fault := f.faults[0]
	f.faults = f.faults[1:]
	return fault
}

// Pass lets the append through, so that a later one meets the next fault.
func Pass() Fault {
	return func(_ context.Context, through func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return through()
	}
}

// FailBefore writes nothing and answers err.
func FailBefore(err error) Fault {
	return func(context.Context, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, err
	}
}

// LoseAnswer writes the batch and then answers err, which says that nobody knows: a connection cut at the worst time.
// An err of nil stands for ErrTransient. What Append itself refuses is answered as it is.
func LoseAnswer(err error) Fault {
	return func(_ context.Context, through func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		if _, refused := through(); refused != nil {
			return eventstore.Appended{}, refused
		}
		if err == nil {
			err = fmt.Errorf("lost answer: %w", eventstore.ErrTransient)
		}
		return eventstore.Appended{}, err
	}
}

// Conflict writes nothing and answers ErrConflict, though nobody else wrote.
func Conflict() Fault { return FailBefore(fmt.Errorf("on cue: %w", eventstore.ErrConflict)) }

// Overtake appends other to log first, so that the append meets a true conflict when both are for the same stream.
func Overtake(log eventstore.Appender, other eventstore.Batch) Fault {
	return func(ctx context.Context, through func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		if _, err := log.Append(ctx, other); err != nil {
			return eventstore.Appended{}, fmt.Errorf("overtake: %w", err)
		}
		return through()
	}
}

// Hold closes arrived when the append is there, and lets it through when release is closed. An append whose ctx ends
// first answers its error, with nothing written.
func Hold(arrived chan<- struct{}, release <-chan struct{}) Fault {
	return func(ctx context.Context, through func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		close(arrived)
		select {
		case <-release:
			return through()
		case <-ctx.Done():
			return eventstore.Appended{}, ctx.Err()
		}
	}
}
