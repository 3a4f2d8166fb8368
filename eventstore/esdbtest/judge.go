package esdbtest

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// Committed is an event that a majority has.
type Committed struct {
	Stream             string
	Revision, Position uint64
	ID                 uuid.UUID
}

// Committed returns what a majority has, in order.
func (c *Cluster) Committed() []Committed {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Committed
	for _, e := range c.truth {
		if !e.hidden.Load() {
			found = append(found, Committed{e.stream, e.revision, e.position, e.id})
		}
	}
	return found
}

// Acknowledged is an append that a client was told of.
type Acknowledged struct {
	Stream      string
	First, Last uint64 // revisions
	IDs         []uuid.UUID
}

func (c *Cluster) acknowledge(stream string, d decision) {
	if len(d.entries) == 0 {
		return
	}
	a := Acknowledged{Stream: stream, First: d.entries[0].revision, Last: d.entries[len(d.entries)-1].revision}
	for _, e := range d.entries {
		a.IDs = append(a.IDs, e.id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acknowledgements = append(c.acknowledgements, a)
}

// Acknowledged returns the appends that were acknowledged, repetitions too, in order.
func (c *Cluster) Acknowledged() []Acknowledged {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.acknowledgements)
}

// Judge compares what was acknowledged with what a majority has: each event is there once, where the acknowledgement puts it. It looks at neither
// a client nor a node.
func (c *Cluster) Judge() error {
	at := map[uuid.UUID][]Committed{}
	for _, e := range c.Committed() {
		at[e.ID] = append(at[e.ID], e)
	}
	for _, a := range c.Acknowledged() {
		for i, id := range a.IDs {
			switch held := at[id]; {
			case len(held) == 0:
				return fmt.Errorf("event %s was acknowledged at revision %d of stream %q, and is lost", id, a.First+uint64(i), a.Stream)
			case len(held) > 1:
				return fmt.Errorf("event %s was written %d times: %v", id, len(held), held)
			case held[0].Stream != a.Stream || held[0].Revision != a.First+uint64(i):
				return fmt.Errorf("event %s was acknowledged at revision %d of stream %q, and is %+v", id, a.First+uint64(i), a.Stream, held[0])
			}
		}
	}
	return nil
}

// JudgeSubscriber compares what a subscriber was sent with what a majority has in the streams that it follows: each event once, in order, and none
// left out. It looks at neither a client nor a node.
func (c *Cluster) JudgeSubscriber(follows func(stream string) bool, sent []Committed) error {
	held := slices.DeleteFunc(c.Committed(), func(e Committed) bool { return !follows(e.Stream) })
	for i, e := range sent {
		if i == len(held) {
			return fmt.Errorf("a subscriber was sent %d events too many, of which the first is %+v", len(sent)-i, e)
		}
		if e != held[i] {
			return fmt.Errorf("event %d that a subscriber was sent is %+v, where a majority has %+v", i, e, held[i])
		}
	}
	if missing := held[len(sent):]; len(missing) > 0 {
		return fmt.Errorf("a subscriber was not sent %d events, of which the first is %+v", len(missing), missing[0])
	}
	return nil
}
