package eventstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
)

// CopySource is what Copy needs of the log that is copied.
type CopySource interface {
	Reader
	ContentStore
	ID() uuid.UUID
	Features() Features
}

// CopyTarget is what Copy needs of the log that is copied to.
type CopyTarget interface {
	CopySource
	Appender
}

// CopyOrder says who copies a log, and why. It is recorded in the copy.
type CopyOrder struct {
	Act           uuid.UUID // UUIDv7 of the act
	Actor, Reason string    // the actor is required
	At            time.Time // when it was ordered
	// Checkpoints are positions of the source up to which readers have read. Copied.Checkpoints tells where they go on.
	Checkpoints []Position
}

// CopyStep is what a copy is doing.
type CopyStep string

// The steps of a copy, in order.
const (
	CopyComparing CopyStep = "comparing" // what the target holds already
	CopyAppending CopyStep = "copying"   // batches
	CopyChecking  CopyStep = "checking"  // every event, against the source
	CopyContents  CopyStep = "contents"  // reading every content back
)

// CopyWatch is told how a copy goes, from one goroutine: done of all events, or contents, of that step; all is 0 where
// nobody knows. Nil watches nothing.
type CopyWatch func(step CopyStep, done, all uint64)

// CopiedPosition is where one event stands in both logs.
type CopiedPosition struct {
	From Position `json:"from"`
	To   Position `json:"to"`
}

// Copied is what a copy came to.
type Copied struct {
	FromLog  uuid.UUID      `json:"from_log"`
	ToLog    uuid.UUID      `json:"to_log"`
	Events   uint64         `json:"events"`  // that both logs hold
	Batches  uint64         `json:"batches"` // of these
	Contents uint64         `json:"contents"`
	First    CopiedPosition `json:"first"` // of the first event; zeros when there is none
	Last     CopiedPosition `json:"last"`
	Act      Position       `json:"act"`     // of the act, in the copy
	Written  uint64         `json:"written"` // events that this run wrote, without the act
	// Repeated reports that the copy was complete already and nothing was written now.
	Repeated bool `json:"repeated"`
	// Lost are the contents that events name and that the source does not hold either.
	Lost []string `json:"lost"`
	// Raised is how many batches have a later recorded time in the copy: times may fall in the source between streams
	// (Features.OrderedTimes), and the copy gives such a batch the time of the one before it.
	Raised uint64 `json:"raised"`
	// Checkpoints are those of the order, each with the position in the copy of the last event that is not behind it.
	Checkpoints []CopiedPosition `json:"checkpoints"`
}

// The act in the log. It is stored and never changes.
const (
	actCopied   = "log.copied"
	argFromLog  = "from_log"
	argFromHead = "from_head"
	argToLog    = "to_log"
)

// Copy brings every batch of from to to, in order, with its ids, revisions, data, metadata, contents and recorded time,
// compares every event and reads every content back, and then records the act "log.copied" at the end of the copy, with
// the contents that no event of from names. The copy keeps its own id. Snapshots are a cache and are not copied. A recorded
// time is raised where it falls (Copied.Raised).
//
// It may stop anywhere: called again it compares what is there and goes on behind it, and a complete copy stays as it is.
// ErrOtherHistory is a target that holds anything else, ErrStillWritten a source that has gone on. Nobody else may write
// to either log meanwhile. A batch that to refuses, as ErrTooLarge or ErrInvalid, is the end of it.
//
// Memory grows with the largest batch and its contents, the number of contents, and the contents that nothing names.
func Copy(ctx context.Context, from CopySource, to CopyTarget, order CopyOrder, watch CopyWatch) (Copied, error) {
	c := &copier{from: from, to: to, watch: watch, held: map[string]bool{}, named: map[string]bool{}}
	c.done = Copied{FromLog: from.ID(), ToLog: to.ID(), Lost: []string{}, Checkpoints: []CopiedPosition{}}
	for _, at := range order.Checkpoints {
		c.done.Checkpoints = append(c.done.Checkpoints, CopiedPosition{From: at})
	}
	err := order.validate()
	if err == nil && from.ID() == to.ID() {
		err = fmt.Errorf("%w: both are the log %s", ErrInvalid, from.ID())
	}
	if err == nil {
		err = c.run(ctx, order)
	}
	if err != nil {
		return c.done, fmt.Errorf("copy log: %w", err)
	}
	return c.done, nil
}

func (o CopyOrder) validate() error {
	if o.Act.Version() != 7 || o.Actor == "" {
		return fmt.Errorf("%w: the act needs a UUIDv7 and an actor", ErrInvalid)
	}
	return nil
}

// copier is one run of Copy.
type copier struct {
	from  CopySource
	to    CopyTarget
	watch CopyWatch
	done  Copied
	held  map[string]bool // contents of the target
	named map[string]bool // contents that events name
}

func (c *copier) say(step CopyStep, done, all uint64) {
	if c.watch != nil {
		c.watch(step, done, all)
	}
}

func (c *copier) run(ctx context.Context, order CopyOrder) error {
	if err := c.findHeld(ctx); err != nil {
		return err
	}
	at, err := c.compare(ctx, CopyComparing)
	if err != nil {
		return err
	}
	if at.extra != nil {
		return c.complete(ctx, at)
	}
	if at.behind {
		if err := c.appendAfter(ctx, at); err != nil {
			return err
		}
		if at, err = c.compare(ctx, CopyChecking); err != nil {
			return err
		}
	}
	if err := c.settled(ctx, at); err != nil {
		return err
	}
	loose, err := c.checkContents(ctx)
	if err != nil {
		return err
	}
	return c.act(ctx, at, order, loose)
}

// complete answers for a target that held more than the source from the beginning: a copy that was finished.
func (c *copier) complete(ctx context.Context, at standing) error {
	if !c.isAct(*at.extra, at.last.From) {
		return fmt.Errorf("%w: it goes on at its position %d with event %s, behind all %d that it has of the log that is copied",
			ErrOtherHistory, at.extra.Position, at.extra.ID, at.events)
	}
	loose, err := c.checkContents(ctx)
	if err != nil {
		return err
	}
	if len(loose) > 0 {
		return fmt.Errorf("%w: the copy was completed at position %d and does not hold the content %s", ErrCorrupt, at.extra.Position, loose[0].SHA256)
	}
	c.note(at)
	c.done.Act, c.done.Repeated = at.extra.Position, true
	return nil
}

// settled refuses what somebody else changed while it was copied.
func (c *copier) settled(ctx context.Context, at standing) error {
	head, err := c.from.Head(ctx)
	switch {
	case err != nil:
		return err
	case at.extra != nil:
		return fmt.Errorf("%w: somebody wrote event %s to it meanwhile", ErrOtherHistory, at.extra.ID)
	case at.behind, head != at.last.From:
		return fmt.Errorf("%w, at position %d: record nothing into it any more and copy again, which goes on where it stopped", ErrStillWritten, head)
	}
	return nil
}

// note takes into the result where the logs stand.
func (c *copier) note(at standing) {
	c.done.Events, c.done.Batches, c.done.First, c.done.Last, c.done.Raised = at.events, at.batches, at.first, at.last, at.raised
}

// appendAfter writes the batches of the source that the target does not hold.
func (c *copier) appendAfter(ctx context.Context, at standing) error {
	head, err := c.from.Head(ctx)
	if err != nil {
		return err
	}
	var batch []Record
	done, latest := at.events, at.latest
	for r, err := range c.from.Read(ctx, at.last.From, Filter{}) {
		if err != nil {
			return err
		}
		if err := follows(batch, r); err != nil {
			return err
		}
		batch = append(batch, r)
		done++
		if !r.EndsBatch() {
			continue
		}
		latest = c.timeIn(batch[0], latest)
		if err := c.appendBatch(ctx, batch, latest); err != nil {
			return err
		}
		batch = nil
		c.say(CopyAppending, done, c.total(head))
	}
	if len(batch) > 0 {
		return broken(batch[len(batch)-1])
	}
	return nil
}

// timeIn is when r is recorded in the copy, behind a batch that was recorded there at latest.
func (c *copier) timeIn(r Record, latest time.Time) time.Time {
	if r.RecordedAt.Before(latest) && !c.from.Features().OrderedTimes {
		return latest
	}
	return r.RecordedAt
}

// total is how many events there are up to head; 0 where positions do not tell.
func (c *copier) total(head Position) uint64 {
	if !c.from.Features().DensePositions {
		return 0
	}
	return uint64(head)
}

// follows refuses an event that does not go on with its batch, or begin one.
func follows(batch []Record, r Record) error {
	if r.Meta.Index != len(batch) {
		return broken(r)
	}
	if len(batch) == 0 {
		return nil
	}
	first := batch[0]
	meta := r.Meta
	meta.Index = 0
	if r.Stream != first.Stream || r.Revision != first.Revision+Revision(len(batch)) || !r.RecordedAt.Equal(first.RecordedAt) || meta != first.Meta {
		return broken(r)
	}
	return nil
}

// broken is the error of a source whose batches are not whole.
func broken(r Record) error {
	return fmt.Errorf("%w: the batch of the event at position %d is not whole: verify the log that is copied", ErrCorrupt, r.Position)
}

// appendBatch writes one batch, as recorded at a time, with the contents that its events name.
func (c *copier) appendBatch(ctx context.Context, records []Record, recordedAt time.Time) error {
	first := records[0]
	b := Batch{Stream: first.Stream, Expected: NoStream(), Meta: first.Meta, RecordedAt: recordedAt}
	if first.Revision > 0 {
		b.Expected = AtRevision(first.Revision - 1)
	}
	for _, r := range records {
		b.Events = append(b.Events, NewEvent{ID: r.ID, Type: r.Type, Data: r.Data})
	}
	var err error
	if b.Contents, err = c.contentsOf(ctx, records); err != nil {
		return err
	}
	if _, err := c.to.Append(ctx, b); err != nil {
		return fmt.Errorf("batch at position %d: %w", first.Position, err)
	}
	for _, content := range b.Contents {
		c.held[content.SHA256] = true
	}
	c.done.Written += uint64(len(records))
	return nil
}

// act records the copy in its target.
func (c *copier) act(ctx context.Context, at standing, order CopyOrder, loose []Blob) error {
	typ, data, err := Encode(domain.AdminActed{
		ID: order.Act.String(), Action: actCopied, Actor: order.Actor, Reason: order.Reason, At: order.At.UTC(), Outcome: "succeeded",
		Arguments: c.arguments(at.last.From), Detail: at.detail(),
	})
	if err != nil {
		return err
	}
	written, err := c.to.Append(ctx, Batch{
		Stream: EngineStream, Expected: at.engine, Contents: loose,
		Meta: Meta{
			Actor: order.Actor, Reason: order.Reason, Scan: order.Act.String(), Correlation: order.Act.String(), Attempt: 1,
		},
		Events: []NewEvent{{ID: DeriveEventID(order.Act, 0), Type: typ, Data: data}},
	})
	if err != nil {
		return fmt.Errorf("record the act: %w", err)
	}
	for _, blob := range loose {
		if _, err := c.to.Content(ctx, blob.SHA256); err != nil {
			return err
		}
	}
	c.note(at)
	c.done.Act = written.Last
	return nil
}

// arguments are those of the act.
func (c *copier) arguments(head Position) map[string]string {
	return map[string]string{
		argFromLog: c.from.ID().String(), argFromHead: strconv.FormatUint(uint64(head), 10), argToLog: c.to.ID().String(),
	}
}

// isAct reports whether r records that this copy was completed when the source ended at head.
func (c *copier) isAct(r Record, head Position) bool {
	act, ok := c.actIn(r)
	return ok && act.Arguments[argFromHead] == c.arguments(head)[argFromHead]
}

// actIn returns the act of a copy between these two logs that r records.
func (c *copier) actIn(r Record) (domain.AdminActed, bool) {
	event, err := Decode(r)
	if err != nil {
		return domain.AdminActed{}, false // whatever it is
	}
	act, ok := event.(domain.AdminActed)
	want := c.arguments(0)
	return act, ok && act.Action == actCopied && act.Arguments[argFromLog] == want[argFromLog] && act.Arguments[argToLog] == want[argToLog]
}
