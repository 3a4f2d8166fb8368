package esdbserver

import (
	"context"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

// maxGiven bounds how many positions are remembered.
const maxGiven = 1 << 16

// positions remembers the last record at or before a number that a client may send: of a position that it was given, that itself. It
// does not change, since nothing is ever recorded at or before where a log ended once (I3). The newest are kept. It is safe for
// concurrent use.
type positions struct {
	mu     sync.Mutex // guards all below
	lastBy map[eventstore.Position]eventstore.Position
	order  []eventstore.Position // a ring
	oldest int                   // of a ring that is full
}

// learn remembers that the last record at or before a number is at a position.
func (p *positions) learn(number, at eventstore.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastBy == nil {
		p.lastBy = map[eventstore.Position]eventstore.Position{}
	}
	if _, ok := p.lastBy[number]; ok {
		return
	}
	p.lastBy[number] = at
	if len(p.order) < maxGiven {
		p.order = append(p.order, number)
		return
	}
	delete(p.lastBy, p.order[p.oldest])
	p.order[p.oldest] = number
	p.oldest = (p.oldest + 1) % maxGiven
}

func (p *positions) find(number eventstore.Position) (at eventstore.Position, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok = p.lastBy[number]
	return at, ok
}

// give remembers a position that a client is told of, where the log does not know numbers that it did not give.
func (s *Server) give(at eventstore.Position) {
	if !s.log.Features().DensePositions {
		s.given.learn(at, at)
	}
}

// lastBy returns the position of the last record at or before a number that a client sent, which is not behind the head, 0 where
// there is none. A client may have counted, or have the number of another log: the log is not asked what is there (I19), but read
// backwards until a record is at the number or before it.
func (s *Server) lastBy(ctx context.Context, sent uint64) (eventstore.Position, error) {
	number := eventstore.Position(sent)
	if number == 0 || s.log.Features().DensePositions {
		return number, nil
	}
	if at, ok := s.given.find(number); ok {
		return at, nil
	}
	var at eventstore.Position
	for r, err := range s.log.ReadBackwards(ctx, 0, eventstore.Filter{}) {
		if err != nil {
			return 0, err
		}
		if r.Position <= number {
			at = r.Position
			break
		}
	}
	s.given.learn(number, at)
	return at, nil
}

// with yields the record at a position of the log, and then what is on one side of it.
func (v *service) with(ctx context.Context, at eventstore.Position, beside records) records {
	return func(yield func(eventstore.Record, error) bool) {
		first, err := v.log.At(ctx, at) // here, where there is memory for it
		if yield(first, err) && err == nil {
			beside(yield)
		}
	}
}
