package esdbtest

import (
	"cmp"
	"math"
	"time"

	"github.com/google/uuid"
)

// expectation is what an append, or a deletion, says of the stream. Numbers below 0 are those of the server's texts.
type expectation struct {
	revision uint64 // of anExact
	kind     int64
}

const (
	noStream     = -1
	anyRevision  = -2
	streamExists = -4
	anExact      = 0
)

// number is the expectation as the server's texts have it.
func (x expectation) number() int64 {
	if x.kind == anExact {
		return int64(x.revision)
	}
	return x.kind
}

type revisioner interface{ GetRevision() uint64 }

// expectedOf returns the expectation of a request, false if it names none.
func expectedOf(o revisioner, none, some, exists, exact bool) (expectation, bool) {
	switch {
	case none:
		return expectation{kind: noStream}, true
	case some:
		return expectation{kind: anyRevision}, true
	case exists:
		return expectation{kind: streamExists}, true
	default:
		return expectation{revision: o.GetRevision()}, exact
	}
}

// proposal is an append.
type proposal struct {
	stream   string
	expected expectation
	events   []*entry // as yet without revisions and positions
}

type outcome int

const (
	outcomeWritten outcome = iota
	outcomeRepeated
	outcomeConflict
	outcomeDeleted
)

// decision is what becomes of a proposal.
type decision struct {
	outcome outcome
	current int64    // revision of the stream's last entry before it, -1 for none
	entries []*entry // those of the proposal in the log: written now, or when they were written first
	end     int      // the log up to which must be readable before the answer
	soft    bool     // the stream is deleted softly: a repetition has no position
	marker  *entry   // what an append of nothing writes
}

// written reports whether the proposal is in the log.
func (d decision) written() bool { return d.outcome == outcomeWritten || d.outcome == outcomeRepeated }

// append decides about a proposal and writes it (notes 3.1; facts: append/*, append_nothing/*, repeat/*).
func (s *store) append(p proposal, now time.Time) decision {
	v := s.written(now)
	d := decision{current: v.last(p.stream), soft: v.settings(p.stream).deleted()}
	if v.tombstoned(p.stream) {
		d.outcome = outcomeDeleted
		return d
	}
	switch kind := p.expected.number(); {
	case p.expected.kind == streamExists && d.soft:
		d.outcome = outcomeDeleted
		return d
	case p.expected.kind == streamExists && d.current < 0 && len(v.entries("$$"+p.stream)) == 0:
		d.outcome = outcomeConflict
		return d
	case p.expected.kind == anyRevision || p.expected.kind == streamExists:
		d.outcome, d.entries = s.recognise(p)
	case kind == d.current || kind == noStream && d.soft && len(p.events) > 0 && !repeatsFirst(v, p, 0):
		d.outcome = outcomeWritten
	case kind > d.current || len(p.events) == 0:
		d.outcome = outcomeConflict
	default:
		d.outcome, d.entries = repeatsAt(v, p, uint64(kind+1))
	}
	if d.outcome == outcomeWritten {
		s.write(p, &d, now)
	}
	for _, e := range d.entries {
		d.end = max(d.end, e.index+1)
	}
	return d
}

// recognise looks for the ids in what this node wrote since it started: the weak kind of idempotency.
func (s *store) recognise(p proposal) (outcome, []*entry) {
	var held []*entry
	for _, e := range p.events {
		if old := s.ids[e.id]; old != nil && old.stream == p.stream {
			held = append(held, old)
			continue
		}
		if len(held) > 0 {
			return outcomeConflict, nil
		}
		return outcomeWritten, nil
	}
	if len(held) == 0 {
		return outcomeWritten, nil
	}
	return outcomeRepeated, held
}

func repeatsFirst(v view, p proposal, from uint64) bool {
	o, _ := repeatsAt(v, p, from)
	return o == outcomeRepeated
}

// repeatsAt compares the ids with those in the stream from a revision on: the strong kind of idempotency.
func repeatsAt(v view, p proposal, from uint64) (outcome, []*entry) {
	held := v.entries(p.stream)
	for len(held) > 0 && held[0].revision < from {
		held = held[1:]
	}
	if len(held) < len(p.events) {
		return outcomeConflict, nil
	}
	for i, e := range p.events {
		if held[i].id != e.id {
			return outcomeConflict, nil
		}
	}
	return outcomeRepeated, held[:len(p.events)]
}

// write adds the entries of a proposal. An append of nothing takes a position and is not shown (facts: append_nothing/position).
func (s *store) write(p proposal, d *decision, now time.Time) {
	if d.soft {
		old := s.streams.of("$$" + p.stream)
		s.add([]*entry{{
			id: uuid.New(), stream: "$$" + p.stream, revision: old[len(old)-1].revision + 1, name: metadataName, json: true, created: now,
			data: undeleted(old[len(old)-1].data, d.current+1),
		}})
	}
	if len(p.events) == 0 {
		d.marker = &entry{stream: p.stream, created: now}
		d.marker.hidden.Store(true)
		s.add([]*entry{d.marker})
		d.end = len(s.all)
		return
	}
	for i, e := range p.events {
		e.stream, e.revision = p.stream, uint64(d.current+1)+uint64(i)
	}
	s.add(p.events)
	for _, e := range p.events {
		s.ids[e.id] = cmp.Or(s.ids[e.id], e)
	}
	d.entries = p.events
}

// deletion is a request to delete a stream.
type deletion struct {
	stream   string
	expected expectation
	forever  bool
}

// delete decides about a deletion and writes its event (facts: delete/*, tombstone/*).
func (s *store) delete(p deletion, now time.Time) (decision, *entry) {
	stream, x := p.stream, p.expected
	v := s.written(now)
	d := decision{current: v.last(stream), soft: v.settings(stream).deleted()}
	meta := v.last("$$" + stream)
	switch known := d.current >= 0 || meta >= 0; {
	case v.tombstoned(stream) || x.kind == streamExists && d.soft:
		d.outcome = outcomeDeleted
	case !known && (!p.forever || x.kind == streamExists):
		d.outcome = outcomeConflict
	case x.kind == anyRevision || x.kind == streamExists || x.kind == noStream && d.soft:
	case x.number() != d.current:
		d.outcome = outcomeConflict
	}
	if d.outcome != outcomeWritten {
		return d, nil
	}
	e := &entry{id: uuid.New(), stream: stream, revision: deletedFor, name: tombstoneName, created: now}
	if !p.forever {
		e.stream, e.revision, e.name, e.json = "$$"+stream, uint64(meta+1), metadataName, true
		e.data = undeleted(nil, math.MaxInt64)
	}
	s.add([]*entry{e})
	d.end = len(s.all)
	return d, e
}
