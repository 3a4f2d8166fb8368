package eventstoretest

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Sparse is a log whose positions are nothing but tokens (I19): they have wide gaps, and a position that it never gave, in a
// record, as its head or of an append, fails the test that gives it. Numbers beside those that it gave mean nothing.
type Sparse struct {
	eventstore.Log

	t      testing.TB
	places eventstore.Position // between one position and the next
	mu     sync.Mutex          // guards all below
	given  map[eventstore.Position]eventstore.Position
	asked  map[eventstore.Position]bool // positions that were never given
}

// NewSparse returns a log that keeps what it is given in dense, whose positions are dense, with gaps of that many places.
func NewSparse(tb testing.TB, dense eventstore.Log, places int) *Sparse {
	tb.Helper()
	return &Sparse{
		Log: dense, t: tb, places: eventstore.Position(places),
		given: map[eventstore.Position]eventstore.Position{0: 0}, asked: map[eventstore.Position]bool{},
	}
}

// Features says that positions are not dense.
func (s *Sparse) Features() eventstore.Features {
	f := s.Log.Features()
	f.DensePositions = false
	return f
}

// offset is where positions begin: a log of bytes has something before its first event.
const offset = 4096

// give returns the position that stands for one of the dense log.
func (s *Sparse) give(at eventstore.Position) eventstore.Position {
	if at == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := offset + at*s.places
	s.given[out] = at
	return out
}

// take returns the position of the dense log that one stands for, or an error when it was never given.
func (s *Sparse) take(at eventstore.Position) (eventstore.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dense, ok := s.given[at]
	if !ok {
		if !s.asked[at] {
			s.t.Errorf("the log was asked at position %d, which it never gave", at)
		}
		s.asked[at] = true
		return 0, fmt.Errorf("%w: position %d was never given", eventstore.ErrInvalid, at)
	}
	return dense, nil
}

// records gives records the positions that stand for theirs.
func (s *Sparse) records(of iter.Seq2[eventstore.Record, error]) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range of {
			r.Position = s.give(r.Position)
			if !yield(r, err) {
				return
			}
		}
	}
}

// behind is records of what read yields at a position.
func (s *Sparse) behind(
	at eventstore.Position, read func(eventstore.Position) iter.Seq2[eventstore.Record, error],
) iter.Seq2[eventstore.Record, error] {
	dense, err := s.take(at)
	if err != nil {
		return func(yield func(eventstore.Record, error) bool) { yield(eventstore.Record{}, err) }
	}
	return s.records(read(dense))
}

// Append implements [eventstore.Appender].
func (s *Sparse) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	appended, err := s.Log.Append(ctx, batch)
	appended.First, appended.Last = s.give(appended.First), s.give(appended.Last)
	return appended, err
}

// At implements [eventstore.Reader].
func (s *Sparse) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	dense, err := s.take(at)
	if err != nil {
		return eventstore.Record{}, err
	}
	r, err := s.Log.At(ctx, dense)
	r.Position = s.give(r.Position)
	return r, err
}

// Read implements [eventstore.Reader].
func (s *Sparse) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return s.behind(after, func(at eventstore.Position) iter.Seq2[eventstore.Record, error] { return s.Log.Read(ctx, at, filter) })
}

// ReadBackwards implements [eventstore.Reader].
func (s *Sparse) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return s.behind(before, func(at eventstore.Position) iter.Seq2[eventstore.Record, error] {
		return s.Log.ReadBackwards(ctx, at, filter)
	})
}

// Head implements [eventstore.Reader].
func (s *Sparse) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := s.Log.Head(ctx)
	return s.give(head), err
}

// ReadStream implements [eventstore.StreamReader].
func (s *Sparse) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return s.records(s.Log.ReadStream(ctx, stream, from))
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (s *Sparse) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	return s.records(s.Log.ReadStreamBackwards(ctx, stream))
}

// Subscribe implements [eventstore.Subscriber].
func (s *Sparse) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return s.behind(after, func(at eventstore.Position) iter.Seq2[eventstore.Record, error] {
		return s.Log.Subscribe(ctx, at, filter)
	})
}
