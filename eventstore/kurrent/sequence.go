package kurrent

import (
	"fmt"
	"maps"

	"github.com/gxpledger/gxpledger/eventstore"
)

// sequence checks that records come as appends wrote them: batch after batch, each whole and in one piece, and each
// stream without a missing revision. What a server cut off or lost is noticed here (package comment, "Tampering"). It
// is not safe for concurrent use.
type sequence struct {
	backwards bool
	complete  bool // it begins at an end of the log, so that what is missing there is missed
	previous  *eventstore.Record
	next      map[eventstore.StreamID]int64 // revision that a stream goes on with
}

func upwards(after eventstore.Position) *sequence {
	return &sequence{complete: after == 0, next: map[eventstore.StreamID]int64{}}
}

// downwards begins at the end of the log or of a stream if complete, and otherwise anywhere.
func downwards(complete bool) *sequence { //revive:disable-line:flag-parameter // a fact, not a switch
	return &sequence{backwards: true, complete: complete, next: map[eventstore.StreamID]int64{}}
}

// begin says with which revision a stream begins.
func (s *sequence) begin(stream eventstore.StreamID, revision uint64) *sequence {
	s.next[stream] = int64(revision) //nolint:gosec // a revision of a server
	return s
}

// again returns s as it was at first, for a read that is ranged over again.
func (s *sequence) again() *sequence {
	return &sequence{backwards: s.backwards, complete: s.complete, next: maps.Clone(s.next)}
}

// check returns ErrCorrupt if r cannot follow what came before.
func (s *sequence) check(r eventstore.Record) error {
	revision := int64(r.Revision) //nolint:gosec // a revision of a server
	want, known := s.next[r.Stream]
	if known && revision != want || !known && s.complete && !s.backwards && revision != 0 {
		return cut(r.Stream, want, revision)
	}
	if !s.joins(r) {
		return fmt.Errorf("%w: event %d of %d of a batch, revision %d of stream %q, is there alone: a part of a batch is missing "+
			"(truncated or tampered with)", eventstore.ErrCorrupt, r.Meta.Index, r.Meta.Size, r.Revision, r.Stream)
	}
	s.next[r.Stream] = revision + s.step()
	s.previous = &r
	return nil
}

// cut is the error of revisions that are not there.
func cut(stream eventstore.StreamID, want, got int64) error {
	return fmt.Errorf("%w: stream %q continues with revision %d where %d is expected: events were truncated, deleted or tampered with",
		eventstore.ErrCorrupt, stream, got, want)
}

func (s *sequence) step() int64 {
	if s.backwards {
		return -1
	}
	return 1
}

// joins reports whether r goes on with the batch of the previous record, or begins one after its end.
func (s *sequence) joins(r eventstore.Record) bool {
	p := s.previous
	switch {
	case p == nil:
		return !s.complete || s.fresh(r)
	case s.through(*p):
		return s.fresh(r)
	default:
		return r.Stream == p.Stream && r.Meta.Size == p.Meta.Size && int64(r.Meta.Index) == int64(p.Meta.Index)+s.step()
	}
}

// through reports whether the batch of r has no more records in this direction.
func (s *sequence) through(r eventstore.Record) bool {
	if s.backwards {
		return r.Meta.Index == 0
	}
	return r.EndsBatch()
}

// fresh reports whether r begins a batch in this direction.
func (s *sequence) fresh(r eventstore.Record) bool {
	if s.backwards {
		return r.EndsBatch()
	}
	return r.Meta.Index == 0
}

// end returns ErrCorrupt if something is missing behind what came. Backwards, it is for the very beginning only.
func (s *sequence) end() error {
	if p := s.previous; p != nil && !s.through(*p) {
		return fmt.Errorf("%w: the log ends in a batch, at revision %d of stream %q (truncated or tampered with)",
			eventstore.ErrCorrupt, p.Revision, p.Stream)
	}
	if !s.backwards {
		return nil
	}
	for stream, next := range s.next {
		if next >= 0 {
			return fmt.Errorf("%w: stream %q begins with revision %d: what came before was truncated, deleted or tampered with",
				eventstore.ErrCorrupt, stream, next+1)
		}
	}
	return nil
}
