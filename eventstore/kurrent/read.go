package kurrent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore"
)

// records are what a log yields.
type records = iter.Seq2[eventstore.Record, error]

// Head implements [eventstore.Reader]. What others appended since it was last asked is passed over on the server.
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	end, err := l.end(ctx)
	if err != nil {
		return 0, fmt.Errorf("read head: %w", err)
	}
	if end == nil {
		return 0, nil
	}
	return end.Position, nil
}

// Read implements [eventstore.Reader]. The server chooses by the filter's prefix.
func (l *Log) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	end, err := l.end(ctx)
	if err != nil {
		return fail(err)
	}
	return func(yield func(eventstore.Record, error) bool) {
		if err := l.usable(ctx); err != nil || end == nil || after >= end.Position {
			tell(yield, err)
			return
		}
		found := l.span(ctx, after, end, l.chosen(end, filter.StreamPrefix), l.names.filter(filter.StreamPrefix))
		l.read(ctx, l.choose(ctx, found, filter.StreamPrefix), upwards(after), filter)(yield)
	}
}

// ReadBackwards implements [eventstore.Reader]. The server chooses by the filter's prefix.
func (l *Log) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	end, err := l.end(ctx)
	if err != nil {
		return fail(err)
	}
	if end == nil {
		return l.nothing(ctx)
	}
	f := l.names.filter(filter.StreamPrefix)
	found := l.backFrom(ctx, end, f)
	if 0 < before && before <= end.Position {
		found = l.backBefore(ctx, before, end, f)
	}
	return l.read(ctx, l.choose(ctx, found, filter.StreamPrefix), downwards(before == 0), filter)
}

// backFrom yields an event and what comes before it and passes a filter, backwards.
func (l *Log) backFrom(ctx context.Context, end *event, f *filter) events {
	return func(yield func(*event, error) bool) {
		if yield(end, nil) {
			p := l.allBackwards(end.Position, f)
			p.shown = true
			l.pages(ctx, p)(yield)
		}
	}
}

// backBefore reads $all backwards from before a position. One that is not of this server costs reading all behind it.
func (l *Log) backBefore(ctx context.Context, before eventstore.Position, end *event, f *filter) events {
	return func(yield func(*event, error) bool) {
		for e, err := range l.pages(ctx, l.allBackwards(before, f)) {
			if errors.Is(err, errPosition) {
				for e, err := range l.backFrom(ctx, end, f) {
					if (err != nil || e.Position < before) && !yield(e, err) {
						return
					}
				}
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// ReadStream implements [eventstore.StreamReader].
func (l *Log) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	size, err := l.size(ctx, stream)
	if err != nil {
		return fail(fmt.Errorf("read stream %q: %w", stream, err))
	}
	if uint64(from) >= size {
		return l.nothing(ctx)
	}
	found := l.forthStream(ctx, l.names.stream(stream), uint64(from), size-uint64(from))
	return l.read(ctx, found, upwards(1).begin(stream, uint64(from)), eventstore.Filter{})
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (l *Log) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	size, err := l.size(ctx, stream)
	if err != nil {
		return fail(fmt.Errorf("read stream %q: %w", stream, err))
	}
	if size == 0 {
		return l.nothing(ctx)
	}
	found := l.backStream(ctx, l.names.stream(stream), size-1)
	return l.read(ctx, found, downwards(true).begin(stream, size-1), eventstore.Filter{})
}

// size returns the number of events of a stream of the log.
func (l *Log) size(ctx context.Context, stream eventstore.StreamID) (uint64, error) {
	if err := l.usable(ctx); err != nil || !possible(stream) {
		return 0, err
	}
	e, err := l.lastOwn(ctx, l.names.stream(stream))
	if _, ok := errors.AsType[*foreignError](err); ok {
		return 0, nil
	}
	return sizeOf(e), err
}

// lastWhole returns the last event of a stream, nil if it has none, which is the end of a batch.
func (l *Log) lastWhole(ctx context.Context, stream string) (*event, error) {
	e, err := l.last(ctx, stream)
	if err != nil {
		return nil, err
	}
	return l.whole(ctx, e)
}

// possible reports whether there may be a stream of that name.
func possible(stream eventstore.StreamID) bool {
	return stream.Validate() == nil && !reserved(string(stream))
}

func fail(err error) records {
	return func(yield func(eventstore.Record, error) bool) { yield(eventstore.Record{}, err) }
}

// tell yields err if there is one.
func tell(yield func(eventstore.Record, error) bool, err error) {
	if err != nil {
		yield(eventstore.Record{}, err)
	}
}

// nothing yields no record.
func (l *Log) nothing(ctx context.Context) records {
	return func(yield func(eventstore.Record, error) bool) { tell(yield, l.usable(ctx)) }
}

// choose passes on what is of the log. The server passes on the same, and what other applications write below the prefix.
func (l *Log) choose(ctx context.Context, found events, prefix string) events {
	return func(yield func(*event, error) bool) {
		for e, err := range found {
			if err == nil {
				ours := l.chosen(e, prefix)
				if ours {
					var foreign bool
					foreign, err = l.foreign(ctx, e)
					ours = !foreign
				}
				if err == nil && !ours {
					continue
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// chosen reports whether an event is of a batch of a stream whose name begins with prefix.
func (l *Log) chosen(e *event, prefix string) bool {
	stream, ok := l.names.batches(e.Stream)
	return ok && strings.HasPrefix(string(stream), prefix)
}

// read yields what of found passes filter, after checking that nothing is missing in it.
func (l *Log) read(ctx context.Context, found events, s *sequence, filter eventstore.Filter) records {
	return func(yield func(eventstore.Record, error) bool) {
		s := s.again()
		for e, err := range found {
			if err == nil {
				err = l.usable(ctx)
			}
			var r eventstore.Record
			if err == nil {
				r, err = l.check(e, s)
			}
			if errors.Is(err, eventstore.ErrNotFound) {
				err = fmt.Errorf("%w: a stream that was there is gone: %w", eventstore.ErrCorrupt, err)
			}
			if err != nil {
				yield(eventstore.Record{}, fmt.Errorf("read log: %w", err))
				return
			}
			if filter.Match(r) && !yield(r, nil) {
				return
			}
		}
		tell(yield, s.end())
	}
}

// check reads an event and checks that it may follow those before.
func (l *Log) check(e *event, s *sequence) (eventstore.Record, error) {
	stream, ok := l.names.batches(e.Stream)
	if !ok {
		return eventstore.Record{}, fmt.Errorf("%w: the server sent an event of stream %q, which is not of this log", eventstore.ErrCorrupt, e.Stream)
	}
	r, err := record(e, stream)
	if err != nil {
		return eventstore.Record{}, err
	}
	return r, s.check(r)
}

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
