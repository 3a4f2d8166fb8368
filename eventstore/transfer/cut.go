package transfer

import (
	"context"
	"iter"

	"github.com/gxpledger/gxpledger/eventstore"
)

// cutSource is a source up to a position.
type cutSource struct {
	Source

	until  eventstore.Position
	looked bool
	end    eventstore.Position // of the last batch that is whole there
	damage error               // what keeps the source from being read behind that
}

// Head says up to where the source is read. Where it ends is not asked: its end may be what is damaged.
func (s *cutSource) Head(context.Context) (eventstore.Position, error) { return s.until, nil }

// Read yields the batches that end at or before the position, and reads nothing behind it.
func (s *cutSource) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		s.look(ctx)
		if after < s.end {
			for r, err := range s.Source.Read(ctx, after, filter) {
				if !yield(r, err) || err != nil {
					return
				}
				if r.Position >= s.end {
					break
				}
			}
		}
		if s.damage != nil && after < s.until {
			yield(eventstore.Record{}, s.damage)
		}
	}
}

// look finds the end, which no batch says of itself before it is read.
func (s *cutSource) look(ctx context.Context) {
	if s.looked {
		return
	}
	s.looked = true
	for r, err := range s.Source.Read(ctx, 0, eventstore.Filter{}) {
		if err != nil || r.Position > s.until {
			s.damage = err
			return
		}
		if r.EndsBatch() {
			s.end = r.Position
		}
		if r.Position == s.until {
			return
		}
	}
}
