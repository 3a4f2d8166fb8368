package transfer

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// overlap is how far two logs are the same.
type overlap struct {
	events, batches uint64
	first, last     Pair
	engine          eventstore.Expected // where the stream of admin actions ends
	latest          time.Time           // of recording, in the target
	raised          uint64              // batches that are recorded later in the target than in the source
	behind          bool                // the source goes on
	extra           *eventstore.Record  // what the target has next, where the source does not
}

// match notes an event that both logs hold.
func (s *overlap) match(from, to eventstore.Record) {
	s.last = Pair{From: from.Position, To: to.Position}
	if s.events++; s.events == 1 {
		s.first = s.last
	}
	if from.EndsBatch() {
		s.batches++
		if to.RecordedAt.After(from.RecordedAt) {
			s.raised++
		}
	}
	s.latest = to.RecordedAt
	if from.Stream == eventstore.EngineStream {
		s.engine = eventstore.AtRevision(from.Revision)
	}
}

// compare reads both logs side by side until one of them ends. An event that is not the same in both is
// ErrOtherHistory, or ErrStillWritten where there is a finished copy and the source was written to since.
func (c *copier) compare(ctx context.Context, step Step) (overlap, error) {
	at := overlap{engine: eventstore.NoStream()}
	head, err := c.from.Head(ctx)
	if err != nil {
		return at, err
	}
	next, stop := iter.Pull2(c.to.Read(ctx, 0, eventstore.Filter{}))
	defer stop()
	for from, err := range c.from.Read(ctx, 0, eventstore.Filter{}) {
		if err != nil {
			return at, err
		}
		to, err, more := next()
		if err != nil {
			return at, err
		}
		if !more {
			at.behind = true
			return at, nil
		}
		raised := from
		raised.RecordedAt = c.timeIn(from, at.latest)
		if err := c.same(raised, to); err != nil {
			return at, err
		}
		at.match(from, to)
		c.place(from, to)
		c.name(from)
		c.say(step, at.events, c.total(head))
	}
	to, err, more := next()
	if more && err == nil {
		at.extra = &to
	}
	return at, err
}

// place notes where the checkpoints are that an event is not behind.
func (c *copier) place(from, to eventstore.Record) {
	for i, at := range c.done.Checkpoints {
		if from.Position <= at.From {
			c.done.Checkpoints[i].To = to.Position
		}
	}
}

// same refuses an event of the target that is not the one of the source.
func (c *copier) same(from, to eventstore.Record) error {
	what := c.difference(from, to)
	if what == "" {
		return nil
	}
	if action, ok := c.actionIn(to); ok && from.ID != to.ID {
		return fmt.Errorf("%w since the copy was completed with its position %s: copy to a new, empty log", ErrStillWritten, action.Arguments[argFromHead])
	}
	return fmt.Errorf("%w: at its position %d it has %s", ErrOtherHistory, to.Position, what)
}

// difference says what an event of the target is that is not the one of the source, "" when it is.
func (c *copier) difference(from, to eventstore.Record) string {
	dense := c.from.Features().DensePositions && c.to.Features().DensePositions
	var what string
	switch {
	case from.ID != to.ID:
		return fmt.Sprintf("event %s, where the log that is copied has event %s at position %d", to.ID, from.ID, from.Position)
	case from.Stream != to.Stream || from.Revision != to.Revision:
		what = "place in its stream"
	case from.Type != to.Type || !bytes.Equal(from.Data, to.Data):
		what = "type or data"
	case from.Meta != to.Meta:
		what = "metadata"
	case !from.RecordedAt.Equal(to.RecordedAt):
		what = "recorded time"
	case dense && from.Position != to.Position:
		what = "position"
	default:
		return ""
	}
	return fmt.Sprintf("event %s with another %s than at position %d of the log that is copied", to.ID, what, from.Position)
}
