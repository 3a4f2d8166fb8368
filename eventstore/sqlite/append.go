package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
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

// readyBatch is a batch with all that can be computed before the write lock is held. Of a batch that is not in memory, chunks
// and contents are made as they are written.
type readyBatch struct {
	eventstore.Batch
	chunks   iter.Seq2[chunk, error]
	ids      []byte // sorted, so that they enter their tree in its order
	meta     []byte
	contents iter.Seq2[contents.Stored, error]
	written  *int64 // bytes of chunks and contents
}

func (l *Log) makeReady(ctx context.Context, batch eventstore.Batch) (ready readyBatch, err error) {
	ready.Batch, ready.written = batch, new(int64)
	ready.chunks = split(batch.Events, l.sizes.chunkEvents)
	if ready.meta, err = json.Marshal(storedMeta{Meta: batch.Meta}); err != nil {
		return readyBatch{}, err
	}
	if ready.contents, err = l.encodeNew(ctx, batch.Contents); err != nil {
		return readyBatch{}, err
	}
	if !batch.Streamed() {
		if ready.chunks, err = made(ready.chunks); err != nil {
			return readyBatch{}, err
		}
		if ready.contents, err = made(ready.contents); err != nil {
			return readyBatch{}, err
		}
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

// made makes all that seq yields now.
func made[T any](seq iter.Seq2[T, error]) (iter.Seq2[T, error], error) {
	var all []T
	for each, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, each)
	}
	return func(yield func(T, error) bool) {
		for _, each := range all {
			if !yield(each, nil) {
				return
			}
		}
	}, nil
}

// bytes is about what ready has added to the write-ahead log, with the pages of trees that it touches.
func (r readyBatch) bytes() int64 { return 4*pageSize + 2*int64(len(r.ids)) + *r.written }

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
	at, repeated, err := ready.Repeated(w.held(ctx, ready, stream))
	if err != nil || repeated {
		return at, err
	}
	if err := w.refuseReused(ctx, ready); err != nil {
		return eventstore.Appended{}, err
	}
	return eventstore.Appended{}, fmt.Errorf("%w: expected %s, it has %d events", eventstore.ErrConflict, ready.Expected, stream.next)
}

// held yields the records that are where ready wants to be.
func (w *writer) held(ctx context.Context, ready readyBatch, stream streamEnd) iter.Seq2[eventstore.Record, error] {
	expected := int64(ready.Expected.Next()) //nolint:gosec // Validate bounds it
	size := int64(len(ready.Events))
	scan := alongStream(ready.Stream, expected, min(expected+size, stream.next)-1)
	return scan.records(ctx, w.conn, defaultSizes().pageChunks)
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
	for c, err := range ready.chunks {
		if err != nil {
			return eventstore.Appended{}, err
		}
		*ready.written += c.bytes()
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
	for c, err := range ready.contents {
		if err == nil {
			*ready.written += int64(len(c.Bytes)) + pageSize
			err = w.addContent(ctx, c)
		}
		if err != nil {
			return eventstore.Appended{}, err
		}
	}
	return eventstore.Appended{
		First: eventstore.Position(first), Last: eventstore.Position(at.last), //nolint:gosec // positive
		LastRevision: eventstore.Revision(at.lastRevision), //nolint:gosec // not negative
	}, nil
}
