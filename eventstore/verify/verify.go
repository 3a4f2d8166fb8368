// Package verify checks the integrity of a log: its positions, batches, events, contents, snapshots and guards.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Log is what Run needs of a log.
type Log interface {
	eventstore.Reader
	eventstore.StreamReader
	eventstore.ContentStore
	eventstore.Snapshots
	Features() eventstore.Features
}

// Result is what Run looked at.
type Result struct {
	Head      eventstore.Position `json:"head"` // up to which the log was read
	Events    uint64              `json:"events"`
	Batches   uint64              `json:"batches"`
	Streams   uint64              `json:"streams"`
	Contents  uint64              `json:"contents"` // stored
	Snapshots uint64              `json:"snapshots"`
	Faults    uint64              `json:"faults"`
	Warnings  uint64              `json:"warnings"`
}

// Watch is told how a verification goes. It is called from one goroutine.
type Watch struct {
	// Fault, required, is told of each fault as it is found.
	Fault func(eventstore.Fault)
	// Warning, when set, is told of what is no fault and should be known.
	Warning func(eventstore.Fault)
	// Events, when set, is told after each event at which position of how many the reading is.
	Events func(at, head eventstore.Position)
	// Contents, when set, is told after each content how many were read.
	Contents func(done uint64)
}

// Run reads the whole log up to its head and reports every fault: positions and revisions without gap, whole batches,
// derived ids, times that never fall, events that decode and follow from those before them, contents that are there and
// have their hash, snapshots that equal the fold, and what an [eventstore.IntegrityChecker] finds. Appending may go on meanwhile.
//
// The error is that of a log that could not be read at all; faults are none. Memory grows with the artifacts of the
// repositories and the number of contents, not with the events.
func Run(ctx context.Context, log Log, watch Watch) (Result, error) {
	v := &verifier{
		log: log, watch: watch, dense: log.Features().DensePositions, ordered: log.Features().OrderedTimes,
		streams: map[eventstore.StreamID]*streamCheck{}, contents: map[string]named{},
		foreign: map[string]bool{},
	}
	if err := v.events(ctx); err != nil {
		return v.done, fmt.Errorf("cannot verify events: %w", err)
	}
	if err := v.endStreams(ctx); err != nil {
		return v.done, fmt.Errorf("cannot verify snapshots: %w", err)
	}
	if err := v.checkContents(ctx); err != nil {
		return v.done, fmt.Errorf("cannot verify contents: %w", err)
	}
	if checker, ok := log.(eventstore.IntegrityChecker); ok {
		if err := checker.CheckIntegrity(ctx, v.found); err != nil {
			return v.done, fmt.Errorf("cannot verify guards: %w", err)
		}
	}
	return v.done, nil
}

// verifier is one verification.
type verifier struct {
	log     Log
	watch   Watch
	dense   bool
	ordered bool
	done    Result
	at      eventstore.Position // of the last event that was read
	latest  time.Time           // the latest recorded_at, where they are in order over all streams
	skipped bool                // some events could not be read

	clocks clocks
	keys   keyHistory
	relays domain.Relays // after the events so far

	streams  map[eventstore.StreamID]*streamCheck
	contents map[string]named // that events name, by hash
	foreign  map[string]bool  // hashes that a foreign stream holds
	unnamed  bool             // an event that is missing or could not be read or decoded may name others
	copied   bool             // the log is, or was made from, a copy
}

func (v *verifier) report(f eventstore.Fault) {
	v.done.Faults++
	if f.Where == "" {
		f.Where = fmt.Sprintf("position %d", f.Position)
	}
	if f.Remedy == "" {
		f.Remedy = restore
	}
	v.watch.Fault(f)
}

// found takes what an [eventstore.IntegrityChecker] reports, which may be no fault.
func (v *verifier) found(f eventstore.Fault) {
	if f.Code == eventstore.WarningForeign {
		v.warn(f)
		return
	}
	v.report(f)
}

// warn tells of what is no fault.
func (v *verifier) warn(f eventstore.Fault) {
	v.done.Warnings++
	f.Where = cmp.Or(f.Where, fmt.Sprintf("position %d", f.Position))
	f.Remedy = cmp.Or(f.Remedy, "find out which clock was wrong, and keep the clocks of all machines in step; positions and revisions are still right")
	if v.watch.Warning != nil {
		v.watch.Warning(f)
	}
}

// restore is the remedy of what cannot be fixed in place: the log is append-only.
const restore = "stop writing to this log, keep the file as it is for an inquiry, and restore the last backup that verifies"

// events reads the log from its beginning to its head. Where the log says that it is corrupt, reading continues behind.
func (v *verifier) events(ctx context.Context) error {
	head, err := v.log.Head(ctx)
	if errors.Is(err, eventstore.ErrCorrupt) {
		v.report(eventstore.Fault{Code: eventstore.FaultUnreadable, Where: "head of the log", Text: err.Error()})
		v.unnamed = true
		return nil
	}
	v.done.Head = head
	for after := eventstore.Position(0); err == nil && after < head; {
		after, err = v.read(ctx, after)
		switch {
		case errors.Is(err, eventstore.ErrCorrupt):
			after, err = v.skip(ctx, after, err)
		case err == nil && after < head:
			v.report(eventstore.Fault{
				Code: eventstore.FaultPosition, Position: head,
				Text: fmt.Sprintf("the log says that it ends at position %d, and its last event is at %d", head, after),
			})
			return nil
		}
	}
	return err
}

// read checks the events after a position up to the head and returns the position of the last one that it got.
func (v *verifier) read(ctx context.Context, after eventstore.Position) (eventstore.Position, error) {
	for record, err := range v.log.Read(ctx, after, eventstore.Filter{}) {
		if err != nil {
			return after, err
		}
		if record.Position > v.done.Head {
			return v.done.Head, nil
		}
		if err := v.event(ctx, record); err != nil {
			return after, err
		}
		after = max(after, record.Position)
	}
	return after, nil
}

// skip finds the next position that can be read again behind one that cannot, and reports what is between. It returns
// the position after which to go on, the head when nothing more can be read.
func (v *verifier) skip(ctx context.Context, after eventstore.Position, cause error) (eventstore.Position, error) {
	readableAt := v.done.Head
	if v.dense {
		for at := next(after); at < v.done.Head; at = next(at) {
			readable, err := v.readable(ctx, at)
			if err != nil {
				return 0, err
			}
			if readable {
				readableAt = at
				break
			}
		}
	}
	f := eventstore.Fault{Code: eventstore.FaultUnreadable, Position: after, Where: fmt.Sprintf("after position %d", after), Text: cause.Error()}
	if v.dense {
		f.Position = next(after)
		f.Where = missing(f.Position, readableAt)
	}
	v.report(f)
	v.at, v.skipped, v.unnamed = readableAt, true, true
	for _, s := range v.streams {
		s.lost, s.gap = true, true // whichever had events there
	}
	return readableAt, nil
}

// readable reports whether the event after a position can be read. The error is not ErrCorrupt.
func (v *verifier) readable(ctx context.Context, after eventstore.Position) (bool, error) {
	for _, err := range v.log.Read(ctx, after, eventstore.Filter{}) {
		if err != nil && !errors.Is(err, eventstore.ErrCorrupt) {
			return false, err
		}
		return err == nil, nil
	}
	return false, nil
}

// event checks one event and all that it says of those before it.
func (v *verifier) event(ctx context.Context, r eventstore.Record) error {
	s, err := v.stream(ctx, r.Stream)
	if err != nil {
		return err
	}
	v.done.Events++
	v.checkPosition(r)
	v.checkTime(s, r)
	v.checkRevision(s, r)
	v.checkBatch(s, r)
	v.checkID(r)
	v.checkFold(s, r)
	s.gap, s.misplaced = false, false
	if v.watch.Events != nil {
		v.watch.Events(r.Position, v.done.Head)
	}
	return nil
}

func (v *verifier) checkPosition(r eventstore.Record) {
	switch {
	case r.Position <= v.at:
		v.report(eventstore.Fault{
			Code: eventstore.FaultPosition, Position: r.Position, Stream: r.Stream,
			Text: fmt.Sprintf("position %d comes after %d: positions grow", r.Position, v.at),
		})
	case v.dense && eventstore.Distance(v.at, r.Position) != 1:
		v.unnamed = true
		v.report(eventstore.Fault{
			Code: eventstore.FaultPosition, Position: next(v.at), Where: missing(next(v.at), previous(r.Position)),
			Text: fmt.Sprintf("position %d is followed by %d: positions have no gap", v.at, r.Position),
		})
	}
	v.at = max(v.at, r.Position)
}

// next and previous count positions: only those of logs whose positions are dense (I19).
func next(p eventstore.Position) eventstore.Position     { return p + 1 }
func previous(p eventstore.Position) eventstore.Position { return p - 1 }

// missing names the positions from first to last.
func missing(first, last eventstore.Position) string {
	if last <= first {
		return fmt.Sprintf("position %d", first)
	}
	return fmt.Sprintf("positions %d to %d", first, last)
}

func (v *verifier) checkTime(s *streamCheck, r eventstore.Record) {
	latest := &v.latest
	if !v.ordered {
		latest = &s.latest
	}
	if r.RecordedAt.Before(*latest) {
		v.report(eventstore.Fault{
			Code: eventstore.FaultTime, Position: r.Position, Stream: r.Stream,
			Text: fmt.Sprintf("recorded at %s, after an event recorded at %s: times never fall",
				r.RecordedAt.Format(time.RFC3339Nano), latest.Format(time.RFC3339Nano)),
		})
		return
	}
	*latest = r.RecordedAt
}
