package databasetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// Counted is a log of which every process can make the same n events: batches of a few admin actions, whose number says what they
// are. What is behind head is not there yet.
type Counted struct {
	id   uuid.UUID
	mu   sync.Mutex
	head eventstore.Position
	more chan struct{}
	// actions are those of administrators, beside the events that are counted.
	actions []domain.AdminActed
}

// CountedBatch is how many events a batch of [Counted] has.
const CountedBatch = 4

// NewCounted returns a log of head events.
func NewCounted(head eventstore.Position) *Counted {
	return &Counted{id: uuid.MustParse("00000000-0000-4000-8000-000000000001"), head: head, more: make(chan struct{})}
}

// ID returns the same id for each.
func (c *Counted) ID() uuid.UUID { return c.id }

// Head returns where the log ends now.
func (c *Counted) Head(context.Context) (eventstore.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, nil
}

// Grow adds a batch.
func (c *Counted) Grow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head += CountedBatch
	close(c.more)
	c.more = make(chan struct{})
}

func (c *Counted) Read(ctx context.Context, after eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		head, err := c.Head(ctx)
		for p := after + 1; p <= head; p++ {
			if !yield(c.Record(p), err) {
				return
			}
		}
	}
}

// Subscribe yields what Read yields, and what the log grows by.
func (c *Counted) Subscribe(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for {
			c.mu.Lock()
			more := c.more
			c.mu.Unlock()
			for r, err := range c.Read(ctx, after, f) {
				if !yield(r, err) {
					return
				}
				after = r.Position
			}
			select {
			case <-more:
			case <-ctx.Done():
				yield(eventstore.Record{}, ctx.Err())
				return
			}
		}
	}
}

// At returns the event at a position.
func (c *Counted) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	if head, _ := c.Head(ctx); at == 0 || at > head {
		return eventstore.Record{}, eventstore.ErrNotFound
	}
	return c.Record(at), nil
}

// countedStream is the stream of the events that are counted.
const countedStream = eventstore.RepositoryPrefix + "counted"

// ReadStream yields the events that are counted, or the admin actions.
func (c *Counted) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	if stream == countedStream {
		return c.Read(ctx, eventstore.Position(from), eventstore.Filter{})
	}
	return func(yield func(eventstore.Record, error) bool) {
		c.mu.Lock()
		actions := slices.Clone(c.actions)
		c.mu.Unlock()
		for i, action := range actions {
			typ, data, err := eventstore.Encode(action)
			if !yield(eventstore.Record{Type: typ, Data: data, Revision: eventstore.Revision(i)}, err) {
				return
			}
		}
	}
}

// Record returns the event at p, whether the log reaches it or not.
func (c *Counted) Record(p eventstore.Position) eventstore.Record {
	n := int(p)
	r := eventstore.Record{
		Position: p, Stream: countedStream, Revision: eventstore.Revision(p - 1), Type: eventstore.TypeAdminActed,
		RecordedAt: projectionstest.Epoch().Add(time.Duration((n-1)/CountedBatch) * time.Second),
		Meta:       eventstore.Meta{Actor: "ann", Index: (n - 1) % CountedBatch, Size: CountedBatch, Attempt: 1},
		Data:       []byte(fmt.Sprint(n)),
	}
	binary.BigEndian.PutUint64(r.ID[8:], uint64(n))
	return r
}

// DecodeCounted is the decoder of Counted: each batch makes a box, fills it, and drops one of those before.
func DecodeCounted(r eventstore.Record) (domain.Event, error) {
	if r.Position == 0 {
		return eventstore.Decode(r) // an admin action
	}
	n := int(r.Position)
	box := (n - 1) / CountedBatch
	switch r.Meta.Index {
	case 0:
		return Action("box", box, "label", fmt.Sprint(box)), nil
	case 1:
		return Action("put", box, "slot", "left", "name", fmt.Sprint(n)), nil
	case 2:
		return Action("label", box, "label", "number "+fmt.Sprint(box)), nil
	default:
		return Action("drop", box-box%7-1), nil
	}
}

// Counting makes a Runner decode the events of a Counted.
func Counting(c *run.Config) { c.Decode = DecodeCounted }

// forged is a log in which every event has another id.
type forged struct{ *Counted }

func (f *forged) forge(p eventstore.Position) eventstore.Record {
	r := f.Record(p)
	r.ID[0] = 0xff
	return r
}

func (f *forged) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range f.Counted.Read(ctx, after, filter) {
			if !yield(f.forge(r.Position), err) {
				return
			}
		}
	}
}

func (f *forged) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	if stream == countedStream {
		return f.Read(ctx, eventstore.Position(from), eventstore.Filter{})
	}
	return f.Counted.ReadStream(ctx, stream, from)
}

func (f *forged) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	r, err := f.Counted.At(ctx, at)
	if err != nil {
		return r, err
	}
	return f.forge(r.Position), nil
}
