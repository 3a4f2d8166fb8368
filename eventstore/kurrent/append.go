package kurrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Append implements [eventstore.Appender]. An outcome that the server left open is looked for, and what is not there is
// sent again, within Options.Wait. After that the error is ErrTransient.
func (l *Log) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	err := batch.Validate()
	if err == nil {
		err = checkNames(batch)
	}
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("append: %w", err)
	}
	held, err := l.hold(batch)
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to stream %q: %w", batch.Stream, eventstore.NotWritten(err))
	}
	at, err := l.append(ctx, held)
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to stream %q: %w", batch.Stream, err)
	}
	return at, nil
}

// hold returns batch with its events in memory, and its contents as they are: those are loaded when they are written. Of events that are larger
// than the server takes, no more than that is held.
func (l *Log) hold(batch eventstore.Batch) (eventstore.Batch, error) {
	batch.Events = slices.Clone(batch.Events)
	loaded := int64(0)
	for i, e := range batch.Events {
		if e.Load == nil {
			continue
		}
		data, err := e.Read()
		if err != nil {
			return batch, err
		}
		if loaded += int64(len(data)); loaded > l.options.MaxAppendBytes {
			data = nil
		}
		batch.Events[i].Data, batch.Events[i].Load = data, nil
	}
	if loaded > l.options.MaxAppendBytes {
		return batch, &limitError{
			limit: limitOwn, most: strconv.FormatInt(l.options.MaxAppendBytes, 10),
			proposed: appendSize{what: theBatch, events: len(batch.Events), bytes: loaded},
		}
	}
	return batch, nil
}

func (l *Log) append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	if err := l.writable(ctx); err != nil {
		return eventstore.Appended{}, eventstore.NotWritten(err)
	}
	// Of several that append the same batch at the same time, one writes it; the others find it.
	done, err := l.turns.take(ctx, "stream "+string(b.Stream))
	if err != nil {
		return eventstore.Appended{}, eventstore.NotWritten(err)
	}
	defer done()
	retry := l.retry()
	defer retry.done()
	for open := false; ; {
		at, err := l.appendOnce(ctx, b, &open)
		if err == nil {
			at.Repeated = at.Repeated && !open // it was written by a try whose outcome was open
			return at, nil
		}
		again := retry.again(ctx, err)
		switch {
		case again == nil:
		case !open:
			return eventstore.Appended{}, eventstore.NotWritten(again)
		default:
			return l.recover(ctx, b, again)
		}
	}
}

// appendOnce tries to write b, and sets open when nobody knows whether it did. What stands where b wants to decides.
func (l *Log) appendOnce(ctx context.Context, b eventstore.Batch, open *bool) (eventstore.Appended, error) {
	stream := l.names.stream(b.Stream)
	end, err := l.lastOwn(ctx, stream)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if sizeOf(end) != uint64(b.Expected.Next()) {
		return l.settle(ctx, b)
	}
	last, sent, err := l.send(ctx, b, end)
	if conflict, ok := errors.AsType[*conflictError](err); ok {
		return eventstore.Appended{}, l.awaitConflict(ctx, stream, sizeOf(end), conflict.size)
	}
	*open = *open || sent && !refused(err)
	if err != nil {
		return eventstore.Appended{}, err
	}
	at, err := l.locate(ctx, b, last)
	*open = *open && err != nil // it is known now
	return at, err
}

// refused reports whether an answer to an append says that nothing was written.
func refused(err error) bool {
	if p, ok := errors.AsType[*passingError](err); ok {
		return p.leader != ""
	}
	for _, sentinel := range []error{eventstore.ErrInvalid, eventstore.ErrTooLarge, eventstore.ErrIDReused, ErrRefused} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// awaitConflict waits until a stream shows what an append met. The leader compares with what it has, and shows what most
// of the nodes have; what it has alone it may lose, so that after a while, or with another leader, the append is tried
// again. Its error is the reason for that.
func (l *Log) awaitConflict(ctx context.Context, stream string, shown, size uint64) error {
	const patience = 3 * time.Second
	term, late := l.cluster.term(), time.After(patience)
	retry := l.retry()
	defer retry.done()
	hidden := &passingError{text: fmt.Sprintf("stream %q has %d events for the leader, and shows %d", stream, size, shown)}
	for {
		e, err := l.one(ctx, readStream(stream, backwards, nil, 1))
		switch {
		case err != nil:
			return err
		case sizeOf(e) >= max(size, shown+1):
			return &passingError{text: hidden.text, redirected: true} // at once
		case l.cluster.term() != term:
			return hidden
		}
		select {
		case <-late:
			return hidden
		default:
		}
		if err := retry.again(ctx, hidden); err != nil {
			return err
		}
	}
}

// sizeOf is the number of events of a stream that ends with e.
func sizeOf(e *event) uint64 {
	if e == nil {
		return 0
	}
	return e.Revision + 1
}

// send writes b, which comes after end, and its contents before it. What is too large is refused before anything is sent.
// It returns the position of the last event, 0 where the server does not tell, and whether b was on its way.
func (l *Log) send(ctx context.Context, b eventstore.Batch, end *event) (last eventstore.Position, sent bool, err error) {
	keeper, err := l.findKeeper(ctx)
	if err != nil {
		return 0, false, err
	}
	var at *time.Time
	switch {
	case keeper == keeperEngine:
		recordedAt, done, err := l.claim(ctx, b, end)
		if err != nil {
			return 0, false, err
		}
		defer done()
		at = &recordedAt
	case !b.RecordedAt.IsZero():
		return 0, false, fmt.Errorf("%w: this server keeps the time of events itself, and takes none from a copy: copy to the log that it serves",
			eventstore.ErrInvalid)
	}
	events, err := encode(b, at)
	if err == nil {
		err = l.options.checkSize(theBatch, events)
	}
	if err == nil {
		err = l.store(ctx, b.Contents)
	}
	if err != nil {
		return 0, false, err
	}
	last, sent, err = l.writeOnce(ctx, l.names.stream(b.Stream), b.Expected, events)
	l.learn(b, err == nil)
	return last, sent, err
}

// claim does for a server that looks at the revision alone what others do themselves: it refuses ids that stand in the
// stream, and returns the time of recording. Times are recorded in the order of positions only if no append overtakes
// another: the caller has the turn of the clock until it calls done.
func (l *Log) claim(ctx context.Context, b eventstore.Batch, end *event) (at time.Time, done func(), err error) {
	if err := l.refuseReused(ctx, b, end); err != nil {
		return time.Time{}, nil, err
	}
	if done, err = l.turns.take(ctx, "clock"); err != nil {
		return time.Time{}, nil, err
	}
	if at, err = l.date(ctx, b, end); err != nil {
		done()
		return time.Time{}, nil, err
	}
	return at, done, nil
}

// date returns when b, which comes after end, is recorded, and moves latest there. A time that b brings along must be
// behind all that the log holds, whichever process wrote it. The turn of the clock must be held.
func (l *Log) date(ctx context.Context, b eventstore.Batch, end *event) (time.Time, error) {
	if end != nil {
		r, err := record(end, b.Stream)
		if err != nil {
			return time.Time{}, err
		}
		l.see(r.RecordedAt)
	}
	if !b.RecordedAt.IsZero() {
		for r, err := range l.ReadBackwards(ctx, 0, eventstore.Filter{}) {
			if err != nil {
				return time.Time{}, err
			}
			l.see(r.RecordedAt)
			break
		}
	}
	at, err := b.TimeAfter(l.latest, l.options.Now())
	if err != nil {
		return time.Time{}, err
	}
	l.see(at)
	return at, nil
}

// see moves latest to at: a clock that was set back, or another process's that is ahead, must not turn times round. The
// turn of the clock must be held.
func (l *Log) see(at time.Time) {
	if at.After(l.latest) {
		l.latest = at
	}
}

// findKeeper finds out whether the server takes the engine's time, by an append that none can accept: a KurrentDB looks
// at the revision only, a server of package esdbserver at the metadata first.
func (l *Log) findKeeper(ctx context.Context) (timekeeper, error) {
	if keeper := timekeeper(l.keeper.Load()); keeper != keeperUnknown {
		return keeper, nil
	}
	at := time.Unix(0, 0).UTC()
	probe := eventstore.Batch{
		Stream: eventstore.EngineStream, Expected: eventstore.AtRevision(math.MaxInt32),
		Events: []eventstore.NewEvent{{ID: uuid.New(), Type: "probe.v1", Data: []byte("{}")}}, Meta: eventstore.Meta{Attempt: 1},
	}
	events, err := encode(probe, &at)
	if err != nil {
		return keeperUnknown, err
	}
	err = l.write(ctx, l.names.stream(probe.Stream), probe.Expected, events)
	var keeper timekeeper
	switch {
	case errors.Is(err, eventstore.ErrConflict):
		keeper = keeperEngine
	case errors.Is(err, eventstore.ErrInvalid):
		keeper = keeperServer
	case err == nil:
		return keeperUnknown, fmt.Errorf("%w: the server took an append at a revision that cannot be", eventstore.ErrCorrupt)
	default:
		return keeperUnknown, fmt.Errorf("ask the server whose clock it keeps: %w", err)
	}
	l.keeper.Store(int32(keeper))
	return keeper, nil
}

// write is an append that is tried again within the budget: its ids and its revision make it one, however often it comes.
func (l *Log) write(ctx context.Context, stream string, expected eventstore.Expected, events []newEvent) error {
	return l.try(ctx, func() error {
		_, _, err := l.writeOnce(ctx, stream, expected, events)
		return err
	})
}

// writeOnce is one append. It returns the position of the last event, 0 where the server does not tell, and whether the
// append was on its way.
func (l *Log) writeOnce(ctx context.Context, stream string, expected eventstore.Expected, events []newEvent) (last eventstore.Position, sent bool, err error) {
	ctx, k, err := l.cluster.begin(ctx, l.limit())
	if err != nil {
		return 0, false, err
	}
	var reply *api.AppendResp
	var trailer metadata.MD
	out, err := k.streams().Append(ctx)
	if err == nil {
		if err = sendAll(k, out, appendTo(stream, expected), events); err == nil || errors.Is(err, io.EOF) {
			reply, err = out.CloseAndRecv() // the server may have answered before it had all: here it says why
			trailer = out.Trailer()
		}
	}
	if err = k.end(err, trailer); err != nil { //nolint:contextcheck // the call has that of its caller
		if limit, ok := errors.AsType[*limitError](err); ok {
			limit.proposed = appendSize{events: len(events), bytes: sizeOfAll(events)}
		}
		return 0, true, err
	}
	last, err = written(k.node.address, reply, uint64(expected.Next())+uint64(len(events)))
	return last, true, err
}

func sendAll(k *call, out api.Streams_AppendClient, options *api.AppendReq, events []newEvent) error {
	if err := out.Send(options); err != nil {
		return err
	}
	for _, e := range events {
		k.wait()
		if err := out.Send(&api.AppendReq{Content: &api.AppendReq_ProposedMessage_{ProposedMessage: e.proposed()}}); err != nil {
			return err
		}
	}
	k.wait()
	return nil
}

func sizeOfAll(events []newEvent) (sum int64) {
	for _, e := range events {
		sum += e.size()
	}
	return sum
}

// written reads the answer to an append, after which the stream has size events.
func written(node string, sent *api.AppendResp, size uint64) (eventstore.Position, error) {
	switch result := sent.GetResult().(type) {
	case *api.AppendResp_Success_:
		if got := result.Success.GetCurrentRevision(); got != size-1 {
			return 0, fmt.Errorf("%w: the server wrote up to revision %d, and was to write up to %d", eventstore.ErrCorrupt, got, size-1)
		}
		return eventstore.Position(min(result.Success.GetPosition().GetCommitPosition(), unlimited)), nil
	case *api.AppendResp_WrongExpectedVersion_:
		conflict := &conflictError{}
		switch at := result.WrongExpectedVersion.GetCurrentRevisionOption().(type) {
		case *api.AppendResp_WrongExpectedVersion_CurrentRevision:
			conflict.size = min(at.CurrentRevision, unlimited) + 1
		}
		return 0, conflict
	}
	return 0, passing(node, "gave no answer to an append")
}

// locate returns where b stands, which was written, and its last event at a position, 0 where the server did not tell.
func (l *Log) locate(ctx context.Context, b eventstore.Batch, end eventstore.Position) (eventstore.Appended, error) {
	first := uint64(b.Expected.Next())
	last := first + uint64(len(b.Events)) - 1
	at := eventstore.Appended{First: end, Last: end, LastRevision: eventstore.Revision(last)}
	var err error
	if end == 0 {
		if at.Last, err = l.position(ctx, b.Stream, last, b.Events[len(b.Events)-1].ID); err != nil {
			return eventstore.Appended{}, err
		}
	}
	// What is acknowledged need not be shown yet. Who appended reads it: what this finds is shown with its whole batch, and all before it.
	if at.First = at.Last; last > first || end > 0 && timekeeper(l.keeper.Load()) == keeperEngine {
		at.First, err = l.position(ctx, b.Stream, first, b.Events[0].ID)
		if errors.Is(err, eventstore.ErrTransient) && !errors.Is(err, errReplaced) && end > 0 {
			return eventstore.Appended{Last: at.Last, LastRevision: at.LastRevision}, l.usable(ctx) // it is written, and cannot be read now
		}
	}
	return at, err
}

// errReplaced: another event is where one was acknowledged.
var errReplaced = errors.New("the server acknowledged an event, and has another there")

// position returns where an event stands that was acknowledged.
func (l *Log) position(ctx context.Context, stream eventstore.StreamID, revision uint64, id uuid.UUID) (eventstore.Position, error) {
	e, err := l.awaitRevision(ctx, l.names.stream(stream), revision, unlimited)
	if err != nil {
		return 0, err
	}
	if e.ID != id {
		return 0, fmt.Errorf("%w: %w: revision %d", eventstore.ErrTransient, errReplaced, revision)
	}
	return e.Position, nil
}

// recover looks a last time for b, after tries whose outcome is open. Whatever ended them, nobody knows that it was not
// written: the error must not be one that says so.
func (l *Log) recover(ctx context.Context, b eventstore.Batch, cause error) (eventstore.Appended, error) {
	if l.usable(ctx) != nil {
		return eventstore.Appended{}, cause
	}
	held, err := l.held(ctx, b)
	switch {
	case err == nil && b.Repeats(held):
		return answerOf(held), nil
	case errors.Is(cause, eventstore.ErrTransient), errors.Is(cause, eventstore.ErrConflict):
		return eventstore.Appended{}, cause
	}
	return eventstore.Appended{}, fmt.Errorf("%w: the outcome is unknown: %v", eventstore.ErrTransient, cause) //nolint:errorlint // see above
}

// settle tells what a batch is that cannot be written where it wants to: there already, or a conflict.
func (l *Log) settle(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	held, err := l.held(ctx, b)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if b.Repeats(held) {
		at := answerOf(held)
		at.Repeated = true
		return at, nil
	}
	ids := make(map[eventstore.EventID]bool, len(b.Events))
	for _, e := range b.Events {
		ids[e.ID] = true
	}
	for _, r := range held {
		if ids[r.ID] {
			return eventstore.Appended{}, fmt.Errorf("%w: %s is at position %d", eventstore.ErrIDReused, r.ID, r.Position)
		}
	}
	return eventstore.Appended{}, fmt.Errorf("%w: expected %s", eventstore.ErrConflict, b.Expected)
}

// held returns the records that stand where b wants to.
func (l *Log) held(ctx context.Context, b eventstore.Batch) ([]eventstore.Record, error) {
	var records []eventstore.Record
	next := uint64(b.Expected.Next())
	for e, err := range l.forthStream(ctx, l.names.stream(b.Stream), next, uint64(len(b.Events))) {
		if errors.Is(err, eventstore.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if want := next + uint64(len(records)); e.Revision != want {
			return nil, cut(b.Stream, int64(want), int64(e.Revision)) //nolint:gosec // revisions of a server
		}
		r, err := record(e, b.Stream)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// answerOf is the place of records.
func answerOf(records []eventstore.Record) eventstore.Appended {
	last := records[len(records)-1]
	return eventstore.Appended{First: records[0].Position, Last: last.Position, LastRevision: last.Revision}
}

// checkNames refuses names that the adapter or the server need for themselves.
func checkNames(b eventstore.Batch) error {
	if reserved(string(b.Stream)) {
		return fmt.Errorf("%w: stream %q: names that begin with %q are not for batches", eventstore.ErrInvalid, b.Stream, reservedPrefixes())
	}
	if slices.ContainsFunc(b.Events, func(e eventstore.NewEvent) bool { return e.Type == tombstone }) {
		return fmt.Errorf("%w: the type %q is not for events: a stream ends with it", eventstore.ErrInvalid, tombstone)
	}
	return nil
}
