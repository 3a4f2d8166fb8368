package kurrent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Append implements [eventstore.Appender]. An outcome that the server left open is looked for, as long as ctx allows: a
// batch that is there was written, one that is not may still come, and the error is ErrTransient.
func (l *Log) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	err := batch.Validate()
	if err == nil {
		err = checkStream(batch.Stream)
	}
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("append: %w", err)
	}
	at, err := l.append(ctx, batch)
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to stream %q: %w", batch.Stream, err)
	}
	return at, nil
}

func (l *Log) append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	if err := l.writable(ctx); err != nil {
		return eventstore.Appended{}, err
	}
	// Of several that append the same batch at the same time, one writes it; the others find it.
	done, err := l.turns.take(ctx, "stream "+string(b.Stream))
	if err != nil {
		return eventstore.Appended{}, err
	}
	defer done()
	end, err := l.last(ctx, l.names.stream(b.Stream))
	if err != nil {
		return eventstore.Appended{}, err
	}
	if sizeOf(end) != uint64(b.Expected.Next()) {
		return l.settle(ctx, b)
	}
	err = l.send(ctx, b, end)
	switch {
	case err == nil:
		return l.locate(ctx, b)
	case errors.Is(err, eventstore.ErrConflict):
		return l.settle(ctx, b)
	case errors.Is(err, eventstore.ErrTransient) && ctx.Err() == nil:
		return l.recover(ctx, b, err)
	default:
		return eventstore.Appended{}, err
	}
}

// sizeOf is the number of events of a stream that ends with e.
func sizeOf(e *esdb.RecordedEvent) uint64 {
	if e == nil {
		return 0
	}
	return e.EventNumber + 1
}

// send writes b, which comes after end, and its contents before it. What is too large is refused before anything is sent.
func (l *Log) send(ctx context.Context, b eventstore.Batch, end *esdb.RecordedEvent) error {
	keeper, err := l.findKeeper(ctx)
	if err != nil {
		return err
	}
	var at *time.Time
	switch {
	case keeper == keeperEngine:
		recordedAt, done, err := l.claim(ctx, b, end)
		if err != nil {
			return err
		}
		defer done()
		at = &recordedAt
	case !b.RecordedAt.IsZero():
		return fmt.Errorf("%w: this server keeps the time of events itself, and takes none from a copy: copy to the log that it serves",
			eventstore.ErrInvalid)
	}
	events, err := encode(b, at)
	if err == nil {
		err = l.options.checkSize("the batch", events)
	}
	if err == nil {
		err = l.store(ctx, b.Contents)
	}
	if err != nil {
		return err
	}
	err = l.write(ctx, l.names.stream(b.Stream), b.Expected, events)
	l.learn(b, err == nil)
	return err
}

// claim does for a server that looks at the revision alone what others do themselves: it refuses ids that stand in the
// stream, and returns the time of recording. Times are recorded in the order of positions only if no append overtakes
// another: the caller has the turn of the clock until it calls done.
func (l *Log) claim(ctx context.Context, b eventstore.Batch, end *esdb.RecordedEvent) (at time.Time, done func(), err error) {
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
func (l *Log) date(ctx context.Context, b eventstore.Batch, end *esdb.RecordedEvent) (time.Time, error) {
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

// write is one append. Its errors are those of package eventstore.
func (l *Log) write(ctx context.Context, stream string, expected eventstore.Expected, events []esdb.EventData) error {
	var revision esdb.ExpectedRevision = esdb.NoStream{}
	if next := expected.Next(); next > 0 {
		revision = esdb.Revision(uint64(next) - 1)
	}
	deadline := l.options.Timeout // the client has one of its own otherwise
	_, err := flight[*esdb.WriteResult]{
		clients: l.clients, timeout: deadline,
		do: func(ctx context.Context, client *esdb.Client, emit func(*esdb.WriteResult) bool) error {
			options := esdb.AppendToStreamOptions{ExpectedRevision: revision, Deadline: &deadline}
			result, err := client.AppendToStream(ctx, stream, options, events...)
			if err == nil {
				emit(result)
			}
			return err
		},
	}.one(ctx)
	return err
}

// locate returns where b stands, which was written. The client is told one position only.
func (l *Log) locate(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	first := uint64(b.Expected.Next())
	last := first + uint64(len(b.Events)) - 1
	at := eventstore.Appended{LastRevision: eventstore.Revision(last)}
	var err error
	if at.First, err = l.position(ctx, b.Stream, first, b.Events[0].ID); err != nil {
		return eventstore.Appended{}, err
	}
	if at.Last = at.First; last > first {
		at.Last, err = l.position(ctx, b.Stream, last, b.Events[len(b.Events)-1].ID)
	}
	return at, err
}

// position returns where an event stands that was acknowledged.
func (l *Log) position(ctx context.Context, stream eventstore.StreamID, revision uint64, id uuid.UUID) (eventstore.Position, error) {
	e, err := first(l.forthStream(ctx, l.names.stream(stream), revision, 1))
	switch {
	case errors.Is(err, eventstore.ErrNotFound):
	case err != nil:
		return 0, err
	case e != nil && e.EventNumber == revision && e.EventID == id:
		return eventstore.Position(e.Position.Commit), nil
	}
	return 0, fmt.Errorf("%w: the server acknowledged revision %d, and does not have it", eventstore.ErrTransient, revision)
}

// recover looks for b after an append whose outcome the server left open.
func (l *Log) recover(ctx context.Context, b eventstore.Batch, cause error) (eventstore.Appended, error) {
	held, err := l.held(ctx, b)
	if err != nil || !b.Repeats(held) {
		return eventstore.Appended{}, cause
	}
	return answer(held), nil
}

// settle tells what a batch is that cannot be written where it wants to: there already, or a conflict.
func (l *Log) settle(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	held, err := l.held(ctx, b)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if b.Repeats(held) {
		at := answer(held)
		at.Repeated = true
		return at, nil
	}
	ids := make(map[eventstore.EventID]bool, len(b.Events))
	for _, e := range b.Events {
		ids[e.ID] = true
	}
	for _, r := range held {
		if ids[r.ID] {
			return eventstore.Appended{}, fmt.Errorf("%w: %s stands at position %d", eventstore.ErrIDReused, r.ID, r.Position)
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
		if want := next + uint64(len(records)); e.EventNumber != want {
			return nil, cut(b.Stream, int64(want), int64(e.EventNumber)) //nolint:gosec // revisions of a server
		}
		r, err := record(e, b.Stream)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// answer is the place of records.
func answer(records []eventstore.Record) eventstore.Appended {
	last := records[len(records)-1]
	return eventstore.Appended{First: records[0].Position, Last: last.Position, LastRevision: last.Revision}
}
