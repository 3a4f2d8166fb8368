package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
)

// Append implements [eventstore.Appender].
func (l *Log) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	if err := batch.Validate(); err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append: %w", err)
	}
	appended, err := l.append(ctx, batch)
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append to stream %q: %w", batch.Stream, l.fault(err))
	}
	return appended, nil
}

func (l *Log) append(ctx context.Context, batch eventstore.Batch) (appended eventstore.Appended, err error) {
	if err := l.writable(ctx); err != nil {
		return eventstore.Appended{}, eventstore.NotWritten(err)
	}
	ready, err := l.makeReady(ctx, batch)
	if err != nil {
		return eventstore.Appended{}, eventstore.NotWritten(err)
	}
	if err := l.writer.transact(ctx, func(ctx context.Context) error {
		appended, err = l.writer.append(ctx, ready, l.options.Now())
		return err
	}); err != nil {
		return eventstore.Appended{}, err
	}
	if !appended.Repeated {
		l.announce()
		l.wrote(ready.bytes())
	}
	return appended, nil
}

// writable is usable for what writes.
func (l *Log) writable(ctx context.Context) error {
	if l.writer == nil {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, ErrReadOnly)
	}
	return l.usable(ctx)
}

// readyBatch is a batch with all that can be computed before the write lock is held.
type readyBatch struct {
	eventstore.Batch
	chunks   []chunk
	ids      []byte // sorted, so that they enter their tree in its order
	meta     []byte
	contents []contents.Stored
}

func (l *Log) makeReady(ctx context.Context, batch eventstore.Batch) (ready readyBatch, err error) {
	ready.Batch = batch
	if ready.chunks, err = split(batch.Events, l.sizes.chunkEvents); err != nil {
		return readyBatch{}, err
	}
	if ready.meta, err = json.Marshal(storedMeta{Meta: batch.Meta}); err != nil {
		return readyBatch{}, err
	}
	if ready.contents, err = l.encodeNew(ctx, batch.Contents); err != nil {
		return readyBatch{}, err
	}
	ids := make([]eventstore.EventID, len(batch.Events))
	for i, e := range batch.Events {
		ids[i] = e.ID
	}
	slices.SortFunc(ids, func(a, b eventstore.EventID) int { return bytes.Compare(a[:], b[:]) })
	ready.ids = make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		ready.ids = append(ready.ids, id[:]...)
	}
	return ready, nil
}

// bytes is about what ready adds to the write-ahead log, with the pages of trees that it touches.
func (r readyBatch) bytes() int64 {
	size := 4*pageSize + 2*len(r.ids)
	for _, c := range r.chunks {
		size += len(c.data) + len(c.types) + len(c.meta)
	}
	for _, c := range r.contents {
		size += len(c.Bytes) + pageSize
	}
	return int64(size)
}

// append places ready, inside the transaction.
func (w *writer) append(ctx context.Context, ready readyBatch, now time.Time) (eventstore.Appended, error) {
	stream, err := w.findStream(ctx, string(ready.Stream))
	if err != nil {
		return eventstore.Appended{}, err
	}
	if expected := int64(ready.Expected.Next()); expected != stream.next { //nolint:gosec // Validate bounds it
		return w.resolveAppend(ctx, ready, stream)
	}
	appended, err := w.write(ctx, ready, stream, now)
	if isConstraint(err) { // an id is held, or a defect: find out which
		if reused := w.refuseReused(ctx, ready); reused != nil {
			return eventstore.Appended{}, reused
		}
	}
	return appended, err
}

// resolveAppend answers a batch whose stream is not where it expects it.
func (w *writer) resolveAppend(ctx context.Context, ready readyBatch, stream streamEnd) (eventstore.Appended, error) {
	held, err := w.held(ctx, ready, stream)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if ready.Repeats(held) {
		last := held[len(held)-1]
		return eventstore.Appended{
			First: held[0].Position, Last: last.Position, LastRevision: last.Revision, Repeated: true,
		}, nil
	}
	if err := w.refuseReused(ctx, ready); err != nil {
		return eventstore.Appended{}, err
	}
	return eventstore.Appended{}, fmt.Errorf("%w: expected %s, it has %d events", eventstore.ErrConflict, ready.Expected, stream.next)
}

// held returns the records that are where ready wants to be.
func (w *writer) held(ctx context.Context, ready readyBatch, stream streamEnd) ([]eventstore.Record, error) {
	expected := int64(ready.Expected.Next()) //nolint:gosec // Validate bounds it
	size := int64(len(ready.Events))
	scan := alongStream(ready.Stream, expected, min(expected+size, stream.next)-1)
	var records []eventstore.Record
	for r, err := range scan.records(ctx, w.conn, defaultSizes().pageChunks) {
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// refuseReused returns ErrIDReused if the log holds an id of ready.
func (w *writer) refuseReused(ctx context.Context, ready readyBatch) error {
	for _, e := range ready.Events {
		var batch int64
		found, err := w.find(ctx, sqlFindID, []any{e.ID[:]}, &batch)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%w: %s is in the batch from position %d", eventstore.ErrIDReused, e.ID, batch)
		}
	}
	return nil
}

// write adds ready at the end of the log and of its stream.
func (w *writer) write(ctx context.Context, ready readyBatch, stream streamEnd, now time.Time) (eventstore.Appended, error) {
	end, err := w.findEnd(ctx)
	if err != nil {
		return eventstore.Appended{}, err
	}
	recordedAt, err := ready.TimeAfter(end.time(), now)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if stream.id == 0 {
		if stream.id, err = w.addStream(ctx, string(ready.Stream)); err != nil {
			return eventstore.Appended{}, err
		}
	}
	first, size := end.last+1, len(ready.Events)
	at := chunkInfo{
		last: end.last, lastRevision: stream.next - 1, batchFirst: first, batchSize: size,
		recordedAt: recordedAt.UnixMicro(), stream: string(ready.Stream), meta: ready.meta,
	}
	for _, c := range ready.chunks {
		at.last += int64(c.size)
		at.lastRevision += int64(c.size)
		c.chunkInfo = at
		if err := w.addChunk(ctx, c, stream.id); err != nil {
			return eventstore.Appended{}, err
		}
	}
	if err := w.addIDs(ctx, ready.ids, first); err != nil {
		return eventstore.Appended{}, err
	}
	if err := w.addContents(ctx, ready.contents); err != nil {
		return eventstore.Appended{}, err
	}
	return eventstore.Appended{
		First: eventstore.Position(first), Last: eventstore.Position(at.last), //nolint:gosec // positive
		LastRevision: eventstore.Revision(at.lastRevision), //nolint:gosec // not negative
	}, nil
}
