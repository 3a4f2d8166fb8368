package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// VerifyLog is what Verify needs of a log.
type VerifyLog interface {
	Reader
	StreamReader
	ContentStore
	Snapshots
	Features() Features
}

// Examiner is a log that can look at how it is kept, where no reading of it would show a fault: guards that are gone,
// indexes that do not agree with the events. Verify asks the logs that are one.
type Examiner interface {
	// Examine reports every such fault. The error is that of a log that could not be examined at all. Appending may go
	// on meanwhile.
	Examine(ctx context.Context, report func(Fault)) error
}

// Fault is one thing that is wrong with a log. The JSON tags are stable.
type Fault struct {
	Code     FaultCode `json:"code"`
	Position Position  `json:"position,omitempty"` // of the event, where the fault is one of an event
	Stream   StreamID  `json:"stream,omitempty"`
	Where    string    `json:"where"`  // names the place: "position 7", "content 3f0a..."
	Text     string    `json:"text"`   // one sentence: what is there, what was expected; hostile until neutralised
	Remedy   string    `json:"remedy"` // one sentence: what to do
}

// FaultCode names a kind of fault. The values are stable.
type FaultCode string

// The kinds of fault.
const (
	FaultUnreadable    FaultCode = "unreadable"     // the log itself says that it is corrupt there
	FaultPosition      FaultCode = "position"       // a missing, repeated or falling position
	FaultRevision      FaultCode = "revision"       // a missing or repeated revision of a stream
	FaultBatch         FaultCode = "batch"          // a batch that is not whole, or whose events differ in what they share
	FaultEventID       FaultCode = "event_id"       // an id that is not derived from its scan
	FaultTime          FaultCode = "time"           // a recorded_at before that of an earlier event
	FaultUndecodable   FaultCode = "undecodable"    // data that is not what its type says
	FaultUnknownType   FaultCode = "unknown_type"   // a type that this binary does not know
	FaultScan          FaultCode = "scan"           // a scan that contradicts the events before it
	FaultContentLost   FaultCode = "content_lost"   // an event names a content that is not stored
	FaultContentBroken FaultCode = "content_broken" // a content that does not have its hash
	FaultSnapshot      FaultCode = "snapshot"       // a snapshot that is not the fold of its events
	FaultGuard         FaultCode = "guard"          // what keeps the log append-only is gone or was changed
	FaultFile          FaultCode = "file"           // the file or database of the log does not fit together
)

// Verified is what Verify looked at.
type Verified struct {
	Head      Position `json:"head"` // up to which the log was read
	Events    uint64   `json:"events"`
	Batches   uint64   `json:"batches"`
	Streams   uint64   `json:"streams"`
	Contents  uint64   `json:"contents"` // stored
	Snapshots uint64   `json:"snapshots"`
	Faults    uint64   `json:"faults"`
}

// VerifyWatch is told how a verification goes. It is called from one goroutine.
type VerifyWatch struct {
	// Fault, required, is told of each fault as it is found.
	Fault func(Fault)
	// Events, when set, is told after each event at which position of how many the reading is.
	Events func(at, head Position)
	// Contents, when set, is told after each content how many were read.
	Contents func(done uint64)
}

// Verify reads the whole log up to its head and reports every fault: positions and revisions without gap, whole batches,
// derived ids, times that never fall, events that decode and follow from those before them, contents that are there and
// have their hash, snapshots that equal the fold, and what an [Examiner] finds. Appending may go on meanwhile.
//
// The error is that of a log that could not be read at all; faults are none. Memory grows with the artifacts of the
// repositories and the number of contents, not with the events.
func Verify(ctx context.Context, log VerifyLog, watch VerifyWatch) (Verified, error) {
	v := &verifier{
		log: log, watch: watch, dense: log.Features().DensePositions, ordered: log.Features().OrderedTimes,
		streams: map[StreamID]*streamCheck{}, contents: map[string]Position{},
	}
	if err := v.events(ctx); err != nil {
		return v.done, fmt.Errorf("verify events: %w", err)
	}
	if err := v.endStreams(ctx); err != nil {
		return v.done, fmt.Errorf("verify snapshots: %w", err)
	}
	if err := v.checkContents(ctx); err != nil {
		return v.done, fmt.Errorf("verify contents: %w", err)
	}
	if examiner, ok := log.(Examiner); ok {
		if err := examiner.Examine(ctx, v.report); err != nil {
			return v.done, fmt.Errorf("verify guards: %w", err)
		}
	}
	return v.done, nil
}

// verifier is one run of Verify.
type verifier struct {
	log      VerifyLog
	watch    VerifyWatch
	dense    bool
	ordered  bool
	done     Verified
	at       Position  // of the last event that was read
	latest   time.Time // the latest recorded_at, where they are in order over all streams
	skipped  bool      // some events could not be read
	streams  map[StreamID]*streamCheck
	contents map[string]Position // hashes that events name, and where first
}

func (v *verifier) report(f Fault) {
	v.done.Faults++
	if f.Where == "" {
		f.Where = fmt.Sprintf("position %d", f.Position)
	}
	if f.Remedy == "" {
		f.Remedy = restore
	}
	v.watch.Fault(f)
}

// restore is the remedy of what cannot be mended in place: the log is append-only.
const restore = "stop writing to this log, keep the file as it is for an inquiry, and restore the last backup that verifies"

// events reads the log from its beginning to its head. Where the log says that it is corrupt, reading goes on behind.
func (v *verifier) events(ctx context.Context) error {
	head, err := v.log.Head(ctx)
	if errors.Is(err, ErrCorrupt) {
		v.report(Fault{Code: FaultUnreadable, Where: "head of the log", Text: err.Error()})
		return nil
	}
	v.done.Head = head
	for after := Position(0); err == nil && after < head; {
		after, err = v.read(ctx, after)
		switch {
		case errors.Is(err, ErrCorrupt):
			after, err = v.skip(ctx, after, err)
		case err == nil && after < head:
			v.report(Fault{
				Code: FaultPosition, Position: head,
				Text: fmt.Sprintf("the log says that it ends at position %d, and its last event is at %d", head, after),
			})
			return nil
		}
	}
	return err
}

// read checks the events after a position up to the head and returns the position of the last one that it got.
func (v *verifier) read(ctx context.Context, after Position) (Position, error) {
	for record, err := range v.log.Read(ctx, after, Filter{}) {
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

// skip finds the next position that can be read again behind one that cannot, and reports what lies between. It returns
// the position after which to go on, the head when nothing more can be read.
func (v *verifier) skip(ctx context.Context, after Position, cause error) (Position, error) {
	next := v.done.Head
	if v.dense {
		for at := after + 1; at < v.done.Head; at++ {
			readable, err := v.readable(ctx, at)
			if err != nil {
				return 0, err
			}
			if readable {
				next = at
				break
			}
		}
	}
	where := fmt.Sprintf("position %d", after+1)
	if next > after+1 {
		where = fmt.Sprintf("positions %d to %d", after+1, next)
	}
	v.report(Fault{Code: FaultUnreadable, Position: after + 1, Where: where, Text: cause.Error()})
	v.at, v.skipped = next, true
	for _, s := range v.streams {
		s.lost, s.gap = true, true // whichever had events there
	}
	return next, nil
}

// readable reports whether the event after a position can be read. The error is not ErrCorrupt.
func (v *verifier) readable(ctx context.Context, after Position) (bool, error) {
	for _, err := range v.log.Read(ctx, after, Filter{}) {
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return false, err
		}
		return err == nil, nil
	}
	return false, nil
}

// event checks one event and all that it says of those before it.
func (v *verifier) event(ctx context.Context, r Record) error {
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
	s.gap = false
	if v.watch.Events != nil {
		v.watch.Events(r.Position, v.done.Head)
	}
	return nil
}

func (v *verifier) checkPosition(r Record) {
	switch {
	case r.Position <= v.at:
		v.report(Fault{
			Code: FaultPosition, Position: r.Position, Stream: r.Stream,
			Text: fmt.Sprintf("position %d comes after %d: positions grow", r.Position, v.at),
		})
	case v.dense && r.Position != v.at+1:
		where := fmt.Sprintf("position %d", v.at+1)
		if r.Position > v.at+2 {
			where = fmt.Sprintf("positions %d to %d", v.at+1, r.Position-1)
		}
		v.report(Fault{
			Code: FaultPosition, Position: v.at + 1, Where: where,
			Text: fmt.Sprintf("position %d is followed by %d: positions have no gap", v.at, r.Position),
		})
	}
	v.at = max(v.at, r.Position)
}

func (v *verifier) checkTime(s *streamCheck, r Record) {
	latest := &v.latest
	if !v.ordered {
		latest = &s.latest
	}
	if r.RecordedAt.Before(*latest) {
		v.report(Fault{
			Code: FaultTime, Position: r.Position, Stream: r.Stream,
			Text: fmt.Sprintf("recorded at %s, after an event recorded at %s: times never fall",
				r.RecordedAt.Format(time.RFC3339Nano), latest.Format(time.RFC3339Nano)),
		})
		return
	}
	*latest = r.RecordedAt
}
