// Package transfer copies a log to one of another kind, event for event, and compares the two.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Errors of [Copy], beside those of the logs.
var (
	// ErrOtherHistory: the target holds other events than the source. Copy to an empty log.
	ErrOtherHistory = errors.New("the log that is copied to holds other events")
	// ErrStillWritten: a log was written to during the copy, or after it. See the text.
	ErrStillWritten = errors.New("the source log was written to during the copy")
)

// Source is what Copy needs of the log that is copied.
type Source interface {
	eventstore.Reader
	eventstore.ContentStore
	ID() uuid.UUID
	Features() eventstore.Features
}

// Target is what Copy needs of the log that is copied to.
type Target interface {
	Source
	eventstore.Appender
}

// Request says who copies a log, and why. It is recorded in the copy.
type Request struct {
	Action        uuid.UUID // UUIDv7 of the admin action
	Actor, Reason string    // the actor is required
	At            time.Time // when it was ordered
	// Checkpoints are positions of the source up to which readers have read. [Result.Checkpoints] tells where they go on.
	Checkpoints []eventstore.Position
	// Until is a position of the source behind which nothing is copied, nor read, such as that of the last event before what
	// is damaged; 0 copies all. Batches are copied whole: the last is the last that ends at or before it.
	Until eventstore.Position
}

// Step is what a copy is doing.
type Step string

// The steps of a copy, in order.
const (
	Comparing Step = "comparing" // what the target holds already
	Appending Step = "copying"   // batches
	Checking  Step = "checking"  // every event, against the source
	Contents  Step = "contents"  // reading every content back
)

// Progress is told how a copy goes, from one goroutine: done of all events, or contents, of that step; all is 0 where
// nobody knows. Nil watches nothing.
type Progress func(step Step, done, all uint64)

// Pair is the position of one event in both logs.
type Pair struct {
	From eventstore.Position `json:"from"`
	To   eventstore.Position `json:"to"`
}

// Result is the outcome of a copy.
type Result struct {
	FromLog  uuid.UUID           `json:"from_log"`
	ToLog    uuid.UUID           `json:"to_log"`
	Events   uint64              `json:"events"`  // that both logs hold
	Batches  uint64              `json:"batches"` // of these
	Contents uint64              `json:"contents"`
	First    Pair                `json:"first"` // of the first event; zeros when there is none
	Last     Pair                `json:"last"`
	Action   eventstore.Position `json:"action"`          // of the admin action, in the copy
	Until    eventstore.Position `json:"until,omitempty"` // that of the order; what the source holds behind Last was left out
	Written  uint64              `json:"written"`         // events that this run wrote, without the admin action
	// Repeated reports that the copy was complete already and nothing was written now.
	Repeated bool `json:"repeated"`
	// Lost are the contents that events name and that the source does not hold either.
	Lost []string `json:"lost"`
	// Raised is how many batches have a later recorded time in the copy: times may fall in the source between streams
	// (Features.OrderedTimes), and the copy gives such a batch the time of the one before it.
	Raised uint64 `json:"raised"`
	// Checkpoints are those of the order, each with the position in the copy of the last event that is not behind it.
	Checkpoints []Pair `json:"checkpoints"`
}

// The arguments of the admin action in the log. They are stored and never change.
const (
	argFromLog  = "from_log"
	argFromHead = "from_head"
	argToLog    = "to_log"
	argUntil    = "until" // of copies with Request.Until
)

// Copy appends every batch of from to to, in order, with its ids, revisions, data, metadata, contents and recorded time,
// compares every event and reads every content back, and then records the admin action "log.copied" at the end of the copy, with
// the contents that no event of from names. The copy keeps its own id. Snapshots are a cache and are not copied. A recorded
// time is raised where it falls ([Result.Raised]).
//
// With an order's Until, the copy ends with whole batches before it, and holds the contents that their events name: the remedy
// after a log was damaged or tampered with. The admin action says so.
//
// It may stop anywhere: called again it compares what is there and continues after it, and a complete copy stays as it is.
// An Until before the end of the first batch is ErrInvalid, and nothing was written. ErrOtherHistory is a target that holds anything else, ErrStillWritten a source that was written to. Nobody else may write
// to either log meanwhile. A batch that to refuses, as ErrTooLarge or ErrInvalid, is the end of it.
//
// Memory grows with the number of contents and of the events of the largest batch, not with their bytes: what is more than some
// MiB of a batch is read again as it is written. A target that cannot write a batch in this way holds it itself.
func Copy(ctx context.Context, from Source, to Target, order Request, watch Progress) (Result, error) {
	if order.Until > 0 {
		from = &cutSource{Source: from, until: order.Until}
	}
	c := &copier{from: from, to: to, watch: watch, held: map[string]bool{}, named: map[string]bool{}}
	c.done = Result{FromLog: from.ID(), ToLog: to.ID(), Until: order.Until, Lost: []string{}, Checkpoints: []Pair{}}
	for _, at := range order.Checkpoints {
		c.done.Checkpoints = append(c.done.Checkpoints, Pair{From: at})
	}
	err := order.validate()
	if err == nil && from.ID() == to.ID() {
		err = fmt.Errorf("%w: both are the log %s", eventstore.ErrInvalid, from.ID())
	}
	if err == nil {
		err = c.run(ctx, order)
	}
	if err != nil {
		return c.done, fmt.Errorf("cannot copy log: %w", err)
	}
	return c.done, nil
}

func (o Request) validate() error {
	if o.Action.Version() != 7 || o.Actor == "" {
		return fmt.Errorf("%w: the admin action needs a UUIDv7 and an actor", eventstore.ErrInvalid)
	}
	return nil
}

// copier is one run of Copy.
type copier struct {
	from  Source
	to    Target
	watch Progress
	done  Result
	held  map[string]bool // contents of the target
	named map[string]bool // contents that events name
	kept  map[string]bool // contents of the source, nil while nobody asked
}

func (c *copier) say(step Step, done, all uint64) {
	if c.watch != nil {
		c.watch(step, done, all)
	}
}

func (c *copier) run(ctx context.Context, order Request) error {
	if err := c.findHeld(ctx); err != nil {
		return err
	}
	at, err := c.compare(ctx, Comparing)
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
		if at, err = c.compare(ctx, Checking); err != nil {
			return err
		}
	}
	if err := c.checkUnchanged(ctx, at); err != nil {
		return err
	}
	if order.Until > 0 && at.events == 0 {
		return fmt.Errorf("%w: no whole batch ends at or before position %d", eventstore.ErrInvalid, order.Until)
	}
	loose, err := c.checkContents(ctx)
	if err != nil {
		return err
	}
	return c.recordAction(ctx, at, order, loose)
}

// complete answers for a target that held more than the source from the beginning: a copy that was finished.
func (c *copier) complete(ctx context.Context, at overlap) error {
	if !c.isAction(*at.extra, at.last.From) {
		return fmt.Errorf("%w: at its position %d it has event %s of its own, after the %d that were copied",
			ErrOtherHistory, at.extra.Position, at.extra.ID, at.events)
	}
	loose, err := c.checkContents(ctx)
	if err != nil {
		return err
	}
	if len(loose) > 0 {
		return fmt.Errorf("%w: the copy was completed at position %d and does not hold the content %s", eventstore.ErrCorrupt, at.extra.Position, loose[0].SHA256)
	}
	c.note(at)
	c.done.Action, c.done.Repeated = at.extra.Position, true
	return nil
}

// checkUnchanged refuses what somebody else changed while it was copied.
func (c *copier) checkUnchanged(ctx context.Context, at overlap) error {
	head, err := c.from.Head(ctx)
	switch {
	case err != nil:
		return err
	case at.extra != nil:
		return fmt.Errorf("%w: somebody wrote event %s to it meanwhile", ErrOtherHistory, at.extra.ID)
	case at.behind, c.done.Until == 0 && head != at.last.From:
		return fmt.Errorf("%w, at position %d: record nothing into it any more and copy again, which resumes where it stopped", ErrStillWritten, head)
	}
	return nil
}

// note takes into the result where the logs stand.
func (c *copier) note(at overlap) {
	c.done.Events, c.done.Batches, c.done.First, c.done.Last, c.done.Raised = at.events, at.batches, at.first, at.last, at.raised
}

// appendAfter writes the batches of the source that the target does not hold.
func (c *copier) appendAfter(ctx context.Context, at overlap) error {
	head, err := c.from.Head(ctx)
	if err != nil {
		return err
	}
	done, latest := at.events, at.latest
	b := c.newBatch(at.last.From)
	for r, err := range c.from.Read(ctx, at.last.From, eventstore.Filter{}) {
		if err == nil {
			err = b.add(ctx, r)
		}
		if err != nil {
			return lastWhole(err, b.after)
		}
		done++
		if !r.EndsBatch() {
			continue
		}
		latest = c.timeIn(b.first, latest)
		if err := b.append(ctx, latest); err != nil {
			return err
		}
		b = c.newBatch(r.Position)
		c.say(Appending, done, c.total(head))
	}
	if len(b.Events) > 0 {
		return lastWhole(broken(b.last), b.after)
	}
	return nil
}

// lastWhole adds to the error of a damaged source how far it is whole.
func lastWhole(err error, at eventstore.Position) error {
	if !errors.Is(err, eventstore.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w; the last whole batch before it ends at position %d", err, at)
}

// timeIn is when r is recorded in the copy, behind a batch that was recorded there at latest.
func (c *copier) timeIn(r eventstore.Record, latest time.Time) time.Time {
	if r.RecordedAt.Before(latest) && !c.from.Features().OrderedTimes {
		return latest
	}
	return r.RecordedAt
}

// total is how many events there are up to head; 0 where positions do not tell.
func (c *copier) total(head eventstore.Position) uint64 {
	if !c.from.Features().DensePositions {
		return 0
	}
	return uint64(head)
}

// broken is the error of a source whose batches are not whole.
func broken(r eventstore.Record) error {
	return fmt.Errorf("%w: the batch of the event at position %d is not whole: verify the log that is copied", eventstore.ErrCorrupt, r.Position)
}

// recordAction records the copy in its target.
func (c *copier) recordAction(ctx context.Context, at overlap, order Request, loose []eventstore.Blob) error {
	typ, data, err := eventstore.Encode(domain.AdminActed{
		ID: order.Action.String(), Action: eventstore.ActionLogCopied, Actor: order.Actor, Reason: order.Reason, At: order.At.UTC(), Outcome: "succeeded",
		Arguments: c.arguments(at.last.From), Detail: at.detail(c.done.Until),
	})
	if err != nil {
		return err
	}
	written, err := c.to.Append(ctx, eventstore.Batch{
		Stream: eventstore.EngineStream, Expected: at.engine, Contents: loose,
		Meta: eventstore.Meta{
			Actor: order.Actor, Reason: order.Reason, Scan: order.Action.String(), Correlation: order.Action.String(), Attempt: 1,
		},
		Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(order.Action, 0), Type: typ, Data: data}},
	})
	if err != nil {
		return fmt.Errorf("cannot record the copy: %w", err)
	}
	for _, blob := range loose {
		if _, err := c.to.Content(ctx, blob.SHA256); err != nil {
			return err
		}
	}
	c.note(at)
	c.done.Action = written.Last
	return nil
}

// arguments are those of the admin action.
func (c *copier) arguments(head eventstore.Position) map[string]string {
	arguments := map[string]string{
		argFromLog: c.from.ID().String(), argFromHead: strconv.FormatUint(uint64(head), 10), argToLog: c.to.ID().String(),
	}
	if c.done.Until > 0 {
		arguments[argUntil] = strconv.FormatUint(uint64(c.done.Until), 10)
	}
	return arguments
}

// isAction reports whether r records that this copy was completed when the source ended at head.
func (c *copier) isAction(r eventstore.Record, head eventstore.Position) bool {
	action, ok := c.actionIn(r)
	return ok && action.Arguments[argFromHead] == c.arguments(head)[argFromHead]
}

// actionIn returns the admin action of a copy between these two logs that r records.
func (c *copier) actionIn(r eventstore.Record) (domain.AdminActed, bool) {
	event, err := eventstore.Decode(r)
	if err != nil {
		return domain.AdminActed{}, false // whatever it is
	}
	action, ok := event.(domain.AdminActed)
	want := c.arguments(0)
	return action, ok && action.Action == eventstore.ActionLogCopied && action.Arguments[argFromLog] == want[argFromLog] && action.Arguments[argToLog] == want[argToLog]
}

// findHeld notes which contents the target holds.
func (c *copier) findHeld(ctx context.Context) error {
	for hash, err := range c.to.ContentHashes(ctx) {
		if err != nil {
			return err
		}
		c.held[hash] = true
	}
	return nil
}

// name notes the contents that an event of the source names.
func (c *copier) name(r eventstore.Record) {
	event, err := eventstore.Decode(r)
	if err != nil {
		return
	}
	for _, hash := range eventstore.ContentsNamed(event) {
		c.named[hash] = true
	}
}

// checkContents reads from the target every content of the source. It returns those that the target does not hold, since
// no event that was copied names them.
func (c *copier) checkContents(ctx context.Context) (loose []eventstore.Blob, err error) {
	if c.done.Until > 0 {
		return nil, c.checkNamed(ctx)
	}
	for hash, err := range c.from.ContentHashes(ctx) {
		if err != nil {
			return nil, err
		}
		_, err := c.to.Content(ctx, hash)
		if errors.Is(err, eventstore.ErrNotFound) {
			loose, err = append(loose, c.content(ctx, hash)), nil
		}
		if err != nil {
			return nil, err
		}
		delete(c.named, hash)
		c.done.Contents++
		c.say(Contents, c.done.Contents, 0)
	}
	c.done.Lost = append(c.done.Lost, slices.Sorted(maps.Keys(c.named))...)
	return loose, nil
}

// checkNamed reads from the target the contents that events name which were copied. What else the source holds may be of
// events that were left out.
func (c *copier) checkNamed(ctx context.Context) error {
	for _, hash := range slices.Sorted(maps.Keys(c.named)) {
		_, err := c.to.Content(ctx, hash)
		switch {
		case errors.Is(err, eventstore.ErrNotFound):
			c.done.Lost = append(c.done.Lost, hash)
			continue
		case err != nil:
			return err
		}
		c.done.Contents++
		c.say(Contents, c.done.Contents, 0)
	}
	return nil
}

// detail says what was copied, of a source that was read until a position unless that is 0.
func (s *overlap) detail(until eventstore.Position) string {
	text := fmt.Sprintf("%d events in %d batches", s.events, s.batches)
	if s.raised > 0 {
		text += fmt.Sprintf(", %d of them with a later recorded time than there, where times fell", s.raised)
	}
	if until > 0 {
		text += fmt.Sprintf("; nothing after position %d was copied", s.last.From)
	}
	return text
}
