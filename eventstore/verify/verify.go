// Package verify checks the integrity of a log: its positions, batches, events, contents, snapshots and guards.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

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
		streams: map[eventstore.StreamID]*streamCheck{}, contents: map[string]eventstore.Position{},
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

	lastBatch, decided time.Time // of the scan before: when its batch was recorded, and when the engine decided it

	streams  map[eventstore.StreamID]*streamCheck
	contents map[string]eventstore.Position // hashes that events name, and where first
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
	v.at, v.skipped = readableAt, true
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
	s.gap = false
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

// streamCheck is what Verify keeps in mind of one stream.
type streamCheck struct {
	name   eventstore.StreamID
	next   eventstore.Revision
	last   *eventstore.Record // of the batch that is open; nil between batches
	latest time.Time          // the latest recorded_at, where they are in order in each stream alone
	state  domain.State
	digest string // of the tree in state; "" when it changed
	// gap says that the event at hand does not follow on the one before it, and that this is reported already.
	gap bool
	// lost says that there was ever such a gap, or an event that could not be decoded: the fold is not to be trusted.
	lost bool
	// snapshot is the one that the log keeps, nil without one; seen says that its revision was met.
	snapshot *eventstore.Snapshot
	seen     bool
}

// stream returns what is known of a stream. A snapshot that cannot be loaded is a fault.
func (v *verifier) stream(ctx context.Context, name eventstore.StreamID) (*streamCheck, error) {
	s := v.streams[name]
	if s != nil {
		return s, nil
	}
	s = &streamCheck{name: name, gap: v.skipped, lost: v.skipped}
	v.streams[name] = s
	v.done.Streams++
	snapshot, err := v.log.LoadSnapshot(ctx, name)
	switch {
	case err == nil:
		v.done.Snapshots++
		s.snapshot = &snapshot
	case errors.Is(err, eventstore.ErrCorrupt), errors.Is(err, eventstore.ErrSnapshotInvalid):
		v.reportSnapshot(s, err.Error())
	case !errors.Is(err, eventstore.ErrNotFound):
		return nil, err
	}
	return s, nil
}

func (v *verifier) checkRevision(s *streamCheck, r eventstore.Record) {
	if r.Revision != s.next && !s.gap {
		v.report(eventstore.Fault{
			Code: eventstore.FaultRevision, Position: r.Position, Stream: r.Stream,
			Text: fmt.Sprintf("stream %q continues with revision %d, expected %d", r.Stream, r.Revision, s.next),
		})
		s.gap, s.lost = true, true
	}
	s.next = r.Revision + 1
}

// checkBatch checks that a batch is whole: one index after the other up to its size, in the log without another event
// between (I1), and alike in what its events share.
func (v *verifier) checkBatch(s *streamCheck, r eventstore.Record) {
	fault := func(format string, args ...any) {
		v.report(eventstore.Fault{Code: eventstore.FaultBatch, Position: r.Position, Stream: r.Stream, Text: fmt.Sprintf(format, args...)})
	}
	m := r.Meta
	switch last := s.last; {
	case m.Size < 1 || m.Index < 0 || m.Index >= m.Size:
		fault("event %d of a batch of %d: there is none such", m.Index, m.Size)
		s.last = nil
		return
	case s.gap:
	case last == nil && m.Index != 0:
		fault("the batch begins with event %d of %d: the ones before it are missing", m.Index, m.Size)
	case last == nil:
	case m.Index != last.Meta.Index+1:
		fault("event %d of a batch follows on event %d of a batch of %d", m.Index, last.Meta.Index, last.Meta.Size)
	case !eventstore.SameBatch(*last, r):
		fault("scan, actor, reason, size or time differ from the event before it, which is of the same batch")
	case v.dense && eventstore.Distance(last.Position, r.Position) != 1:
		fault("the batch continues at position %d after %d: another event is in between", r.Position, last.Position)
	}
	s.last = &r
	if r.EndsBatch() {
		s.last = nil
		v.done.Batches++
	}
}

func (v *verifier) checkID(r eventstore.Record) {
	if !r.Stream.OfEngine() {
		return // a foreign stream chooses its ids
	}
	scan, err := uuid.Parse(r.Meta.Scan)
	switch {
	case err == nil && r.ID == eventstore.DeriveEventID(scan, r.Meta.Index):
	case err == nil:
		v.report(eventstore.Fault{
			Code: eventstore.FaultEventID, Position: r.Position, Stream: r.Stream,
			Text: fmt.Sprintf("id %s is not the one of event %d of scan %s", r.ID, r.Meta.Index, scan),
		})
	default:
		v.report(eventstore.Fault{
			Code: eventstore.FaultEventID, Position: r.Position, Stream: r.Stream,
			Text: fmt.Sprintf("the event names the scan %q, which is not a UUID: its id cannot be derived", r.Meta.Scan),
		})
	}
}

// checkFold decodes an event, checks it against the events before it, and folds it.
func (v *verifier) checkFold(s *streamCheck, r eventstore.Record) {
	if !r.Stream.OfEngine() {
		return // a foreign stream: its form is its own
	}
	event, err := eventstore.Decode(r)
	if err != nil {
		s.lost = true
		v.reportDecode(r, err)
		return
	}
	v.nameContents(r.Position, event)
	if !s.lost {
		v.checkScan(s, r, event)
	}
	s.state = domain.Evolve(s.state, event)
	if !s.lost {
		v.checkTree(s, r, event)
		v.checkSnapshot(s, r)
	}
}

func (v *verifier) reportDecode(r eventstore.Record, err error) {
	f := eventstore.Fault{Code: eventstore.FaultUndecodable, Position: r.Position, Stream: r.Stream, Text: err.Error()}
	if errors.Is(err, eventstore.ErrUnknownType) {
		f.Code, f.Remedy = eventstore.FaultUnknownType, "verify with the newer binary that wrote it"
	}
	v.report(f)
}

// checkScan checks that a scan is numbered after the one before it and says of itself what its record says.
func (v *verifier) checkScan(s *streamCheck, r eventstore.Record, event domain.Event) {
	var head domain.Head
	switch e := event.(type) {
	case domain.ScanCompleted:
		head = e.Head
	case domain.ScanFailed:
		head = e.Head
	case domain.RepositoryRegistered, domain.RepositoryRetired, domain.ArtifactParsed, domain.ArtifactRejected,
		domain.ArtifactRemoved, domain.ArtifactRelinked, domain.RejectionCleared, domain.AdminActed:
		return
	}
	fault := func(format string, args ...any) {
		v.report(eventstore.Fault{Code: eventstore.FaultScan, Position: r.Position, Stream: r.Stream, Text: fmt.Sprintf(format, args...)})
	}
	if head.Number != s.state.Scans+1 {
		fault("the scan has number %d, the one before it has %d", head.Number, s.state.Scans)
	}
	if head.Scan != r.Meta.Scan || eventstore.RepositoryStream(head.Repository.ID) != r.Stream {
		fault("scan %s of repository %s is in the batch of scan %s of stream %q", head.Scan, head.Repository.ID, r.Meta.Scan, r.Stream)
	}
	_, completed := event.(domain.ScanCompleted)
	v.checkClock(r, head, completed)
	if !r.EndsBatch() {
		fault("the scan is event %d of a batch of %d: it is the last", r.Meta.Index, r.Meta.Size)
	}
}

// The steps of a clock that are worth a warning.
const (
	clockStep = time.Minute      // between two clocks, or back by one
	clockLate = 10 * time.Minute // between the start of a scan and a record of it that is older
)

// checkClock warns of steps of the clocks of scans. A log keeps its times from falling, and so the steps show between its
// time and those that the engine noted: when the scan started and when its outcome was decided. A failure that waited in a
// spool is rightly recorded late.
func (v *verifier) checkClock(r eventstore.Record, head domain.Head, completed bool) { //revive:disable-line:flag-parameter // a fact of the event
	warn := func(format string, args ...any) {
		v.warn(eventstore.Fault{Code: eventstore.WarningClock, Position: r.Position, Stream: r.Stream, Text: fmt.Sprintf(format, args...)})
	}
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case head.StartedAt.Sub(r.RecordedAt) > clockLate:
		warn("scan %d of %q was recorded at %s, before it started, at %s", head.Number, head.Repository.Name, at(r.RecordedAt), at(head.StartedAt))
	case v.lastBatch.Sub(r.RecordedAt) > clockStep:
		warn("scan %d of %q was recorded at %s, and the scan before it in the log at %s: the clock went back",
			head.Number, head.Repository.Name, at(r.RecordedAt), at(v.lastBatch))
	case completed && v.decided.Sub(head.DecidedAt) > clockStep:
		warn("scan %d of %q was decided at %s, and the scan before it in the log at %s: the clock of the engine went back",
			head.Number, head.Repository.Name, at(head.DecidedAt), at(v.decided))
	case completed && r.RecordedAt.Sub(head.DecidedAt) > clockLate:
		warn("scan %d of %q was recorded at %s, long after it was decided, at %s", head.Number, head.Repository.Name, at(r.RecordedAt), at(head.DecidedAt))
	}
	v.lastBatch = r.RecordedAt
	if completed {
		v.decided = head.DecidedAt
	}
}

// checkTree checks that the tree that a scan left is the one that its events add up to.
func (v *verifier) checkTree(s *streamCheck, r eventstore.Record, event domain.Event) {
	switch e := event.(type) {
	case domain.ScanCompleted:
		if s.digest == "" {
			s.digest = s.state.TreeDigest()
		}
		if s.digest != e.TreeDigest {
			v.report(eventstore.Fault{
				Code: eventstore.FaultScan, Position: r.Position, Stream: r.Stream,
				Text: fmt.Sprintf("scan %d left the tree %s, and the events add up to %s", e.Number, e.TreeDigest, s.digest),
			})
		}
	case domain.ArtifactParsed, domain.ArtifactRejected, domain.ArtifactRemoved, domain.RejectionCleared:
		s.digest = ""
	case domain.RepositoryRegistered, domain.RepositoryRetired, domain.ArtifactRelinked, domain.ScanFailed, domain.AdminActed:
	}
}

func (v *verifier) reportSnapshot(s *streamCheck, text string) {
	v.report(eventstore.Fault{
		Code: eventstore.FaultSnapshot, Stream: s.name, Where: fmt.Sprintf("snapshot of stream %q", s.name), Text: text,
		Remedy: "the events are what counts, and later scans replace a snapshot; find out who or what changed the file",
	})
}

// checkSnapshot compares the snapshot that was taken at this event with the fold.
func (v *verifier) checkSnapshot(s *streamCheck, r eventstore.Record) {
	if s.snapshot == nil || r.Revision != s.snapshot.Revision {
		return
	}
	s.seen = true
	if s.snapshot.Version != domain.StateVersion {
		return // of another binary; this one never reads it
	}
	want, err := eventstore.EncodeState(s.state)
	switch {
	case err != nil:
		v.reportSnapshot(s, err.Error())
	case r.ID != s.snapshot.EventID:
		v.reportSnapshot(s, fmt.Sprintf("it ends with event %s at revision %d, where the log has event %s", s.snapshot.EventID, r.Revision, r.ID))
	case string(want) != string(s.snapshot.Data):
		v.reportSnapshot(s, fmt.Sprintf("at revision %d it is not the fold of the events", r.Revision))
	}
}

// endStreams checks what only shows at the end: batches that were never finished, and snapshots of what is not there.
func (v *verifier) endStreams(ctx context.Context) error {
	for _, name := range sortedStreams(v.streams) {
		s := v.streams[name]
		if s.last != nil && !s.gap {
			v.report(eventstore.Fault{
				Code: eventstore.FaultBatch, Position: s.last.Position, Stream: name,
				Text: fmt.Sprintf("the batch ends with event %d of %d: the ones after it are missing", s.last.Meta.Index, s.last.Meta.Size),
			})
		}
		if s.snapshot == nil || s.seen || s.lost {
			continue
		}
		// It may have been saved for what was appended since we began.
		later, err := v.holds(ctx, name, s.snapshot)
		if err != nil {
			return err
		}
		if !later {
			v.reportSnapshot(s, fmt.Sprintf("it ends at revision %d, the stream ends at %d", s.snapshot.Revision, s.next-1))
		}
	}
	return nil
}

func (v *verifier) holds(ctx context.Context, stream eventstore.StreamID, s *eventstore.Snapshot) (bool, error) {
	for r, err := range v.log.ReadStream(ctx, stream, s.Revision) {
		if err != nil {
			return false, err
		}
		return r.Revision == s.Revision && r.ID == s.EventID, nil
	}
	return false, nil
}

func sortedStreams(streams map[eventstore.StreamID]*streamCheck) []eventstore.StreamID {
	return slices.Sorted(maps.Keys(streams))
}
