package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// streamCheck is what Verify keeps in mind of one stream.
type streamCheck struct {
	name   eventstore.StreamID
	next   eventstore.Revision
	last   *eventstore.Record // of the batch that is open; nil between batches
	latest time.Time          // the latest recorded_at, where they are in order in each stream alone
	state  domain.State
	digest string // of the tree in state; "" when it changed
	// tree is what the last completed scan left, and counted says that the tree in state is still that one.
	tree         domain.TreeSummary
	counted      bool
	batch        *batchCheck // that is open; nil between batches
	keysRevision int64       // that the last scan used
	// misplaced says that the event at hand does not follow in its batch, and that this is reported already.
	misplaced bool
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
		s.misplaced = true
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
		v.nameForeign(r.Stream)
		return // a foreign stream: its form is its own
	}
	event, err := eventstore.Decode(r)
	if err != nil {
		s.lost, v.unnamed = true, true
		v.reportDecode(r, err)
		return
	}
	v.judge(s, r, event)
	if !s.lost {
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

// judge compares an event with its batch and with the events before it, folds it, and reports what contradicts.
func (v *verifier) judge(s *streamCheck, r eventstore.Record, event domain.Event) {
	if s.batch == nil || r.Meta.Index == 0 {
		s.batch = newBatchCheck()
	}
	found := v.nameContents(r.Position, event)
	if !s.lost {
		if text := shapeFault(r, event); text != "" && !s.misplaced {
			v.report(eventstore.Fault{Code: eventstore.FaultBatch, Position: r.Position, Stream: r.Stream, Text: text})
		}
		found = append(found, s.batch.event(s.state, r, event)...)
		found = append(found, v.checkKeys(s, r, event)...)
		found = append(found, v.checkRelays(r, event)...)
		v.checkClock(r, event)
	}
	s.state = domain.Evolve(s.state, event)
	s.moved(event)
	if completed, ok := event.(domain.ScanCompleted); ok && !s.lost {
		found = append(found, s.complete(&completed)...)
	}
	if len(found) > 0 {
		v.report(eventstore.Fault{Code: eventstore.FaultScan, Position: r.Position, Stream: r.Stream, Text: strings.Join(found, "; ")})
	}
	if r.EndsBatch() {
		s.batch = nil
	}
}

// moved forgets what was counted of the tree when an event changes it.
func (s *streamCheck) moved(event domain.Event) {
	switch e := event.(type) {
	case domain.ArtifactParsed, domain.ArtifactRejected, domain.ArtifactRemoved, domain.RejectionCleared:
		s.digest, s.counted = "", false
	case domain.ArtifactRelinked:
		s.counted = false
	case domain.ScanCompleted:
		s.counted = s.counted && len(e.Relinked) == 0
	case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ScanFailed, domain.AdminActed,
		domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
	}
}

// complete compares the outcome of a scan with its batch and with the tree that its events add up to.
func (s *streamCheck) complete(e *domain.ScanCompleted) []string {
	before := s.tree
	if !s.counted {
		s.tree, s.counted = s.state.Summarize(), true
	}
	if s.digest == "" {
		s.digest = s.state.TreeDigest()
	}
	found := s.batch.completed(e, s.state, s.tree, before)
	if s.digest != e.TreeDigest {
		found = append(found, fmt.Sprintf("scan %d left the tree %s, and the events add up to %s", e.Number, e.TreeDigest, s.digest))
	}
	return found
}

// The steps of a clock that are worth a warning.
const (
	clockStep = time.Minute      // between two clocks, or back by one
	clockLate = 10 * time.Minute // between the start of a scan and a record of it that is older
)

// checkClock warns of steps of the clocks. A log keeps its times from falling, and so the steps show between its time and
// those that the engine noted: when a scan started and when its outcome was decided, when a repository was retired, when an
// admin action was done. A failure that waited in a spool is rightly recorded late, as is an admin action that waited in
// the outbox.
func (v *verifier) checkClock(r eventstore.Record, event domain.Event) {
	warn := func(format string, args ...any) {
		v.warn(eventstore.Fault{Code: eventstore.WarningClock, Position: r.Position, Stream: r.Stream, Text: fmt.Sprintf(format, args...)})
	}
	switch e := event.(type) {
	case domain.ScanCompleted:
		if text := v.clocks.completed(r.RecordedAt, e.Head); text != "" {
			warn("scan %d of %q was %s", e.Number, e.Repository.Name, text)
		}
	case domain.ScanFailed:
		if text := v.clocks.scan(r.RecordedAt, e.Head); text != "" {
			warn("scan %d of %q was %s", e.Number, e.Repository.Name, text)
		}
	case domain.RepositoryRetired:
		if apart := r.RecordedAt.Sub(e.RetiredAt).Abs(); apart > clockLate {
			warn("the retirement of %q was recorded at %s, and decided at %s", e.Repository.Name, shortTime(r.RecordedAt), shortTime(e.RetiredAt))
		}
	case domain.RepositoryChanged:
		if apart := r.RecordedAt.Sub(e.ChangedAt).Abs(); apart > clockLate {
			warn("the change of %q was recorded at %s, and decided at %s", e.Repository.Name, shortTime(r.RecordedAt), shortTime(e.ChangedAt))
		}
	case domain.KeyTrusted:
		if apart := r.RecordedAt.Sub(e.TrustedAt).Abs(); apart > clockLate {
			warn("that the key %q is trusted was recorded at %s, and decided at %s", e.Name, shortTime(r.RecordedAt), shortTime(e.TrustedAt))
		}
	case domain.KeyRevoked:
		if apart := r.RecordedAt.Sub(e.RevokedAt).Abs(); apart > clockLate {
			warn("that the key %q is revoked was recorded at %s, and decided at %s", e.Name, shortTime(r.RecordedAt), shortTime(e.RevokedAt))
		}
	case domain.RelayAdded:
		warnRelay(warn, r, e.Name, e.AddedAt)
	case domain.RelayRemoved:
		warnRelay(warn, r, e.Name, e.RemovedAt)
	case domain.ScanAttemptFailed:
		if e.FailedAt.Sub(r.RecordedAt) > clockLate {
			warn("the failed scan of %q was recorded at %s, before it failed, at %s", e.Name, shortTime(r.RecordedAt), shortTime(e.FailedAt))
		}
	case domain.AdminActed:
		if e.At.Sub(r.RecordedAt) > clockLate {
			warn("the admin action %s was recorded at %s, before it was done, at %s", e.Action, shortTime(r.RecordedAt), shortTime(e.At))
		}
	case domain.RepositoryRegistered, domain.ArtifactParsed, domain.ArtifactRejected, domain.ArtifactRemoved,
		domain.ArtifactRelinked, domain.RejectionCleared:
	}
}

func shortTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// clocks are the times of the scan before: when its batch was recorded, and when the engine decided it.
type clocks struct{ recorded, decided time.Time }

// scan returns what the times of a scan say of the clocks, "" for nothing, and remembers them.
func (c *clocks) scan(recorded time.Time, head domain.Head) string {
	before := c.recorded
	c.recorded = recorded
	switch {
	case head.StartedAt.Sub(recorded) > clockLate:
		return fmt.Sprintf("recorded at %s, before it started, at %s", shortTime(recorded), shortTime(head.StartedAt))
	case head.DecidedAt.Sub(recorded) > clockLate:
		return fmt.Sprintf("recorded at %s, before it was decided, at %s", shortTime(recorded), shortTime(head.DecidedAt))
	case head.StartedAt.Sub(head.DecidedAt) > clockLate:
		return fmt.Sprintf("decided at %s, before it started, at %s", shortTime(head.DecidedAt), shortTime(head.StartedAt))
	case before.Sub(recorded) > clockStep:
		return fmt.Sprintf("recorded at %s, and the scan before it in the log at %s: the clock went back", shortTime(recorded), shortTime(before))
	}
	return ""
}

// completed is scan for one that completed, which is recorded as soon as it is decided.
func (c *clocks) completed(recorded time.Time, head domain.Head) string {
	before := c.decided
	c.decided = head.DecidedAt
	text := c.scan(recorded, head)
	switch {
	case text != "":
	case before.Sub(head.DecidedAt) > clockStep:
		return fmt.Sprintf("decided at %s, and the scan before it in the log at %s: the clock of the engine went back", shortTime(head.DecidedAt), shortTime(before))
	case recorded.Sub(head.DecidedAt) > clockLate:
		return fmt.Sprintf("recorded at %s, long after it was decided, at %s", shortTime(recorded), shortTime(head.DecidedAt))
	}
	return text
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
