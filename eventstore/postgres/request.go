package postgres

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
)

// request is one batch in the appender. It shares nothing with the batch of the caller, who may have
// gone.
type request struct {
	batch    eventstore.Batch  // without contents
	digests  []digest          // of the events
	meta     string            // as stored
	contents []contents.Stored // those that the log did not hold
	size     int               // bytes that go to the server, about
	suspect  bool              // an index refused it: its ids are to be looked up; the appender's alone
	sent     bool              // it went to the server with a COMMIT once; the appender's alone
	gone     atomic.Bool       // nobody waits for the answer any more
	done     chan answer       // holds one
}

// answer is what Append returns.
type answer struct {
	appended eventstore.Appended
	err      error
}

func (r *request) answer(appended eventstore.Appended, err error) {
	if !r.sent {
		err = eventstore.NotWritten(err)
	}
	r.done <- answer{appended, err}
}

// Append implements [eventstore.Appender].
func (l *Log) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	if err := batch.Validate(); err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append: %w", err)
	}
	appended, err := l.append(ctx, batch)
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("cannot append to stream %q: %w", batch.Stream, err)
	}
	return appended, nil
}

func (l *Log) append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	r, err := l.enqueue(ctx, batch)
	if err != nil {
		return eventstore.Appended{}, eventstore.NotWritten(err)
	}
	select {
	case a := <-r.done:
		return a.appended, a.err
	case <-ctx.Done():
		r.gone.Store(true)
		return eventstore.Appended{}, context.Cause(ctx)
	}
}

// enqueue hands batch to the appender.
func (l *Log) enqueue(ctx context.Context, batch eventstore.Batch) (*request, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if l.identity.fault != nil {
		return nil, l.identity.fault
	}
	r, err := l.prepare(ctx, batch)
	if err != nil {
		return nil, err
	}
	select {
	case l.queue <- r:
		return r, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.closing:
		return nil, eventstore.ErrClosed
	}
}

// prepare copies, encodes and hashes batch, so that little is left to do under the lock.
func (l *Log) prepare(ctx context.Context, batch eventstore.Batch) (*request, error) {
	r := &request{batch: batch, digests: make([]digest, len(batch.Events)), done: make(chan answer, 1)}
	r.batch.Contents = nil
	r.batch.Events = make([]eventstore.NewEvent, len(batch.Events))
	var err error
	if r.meta, err = encodeMeta(batch.Meta); err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	at := eventPlace{stream: batch.Stream, size: len(batch.Events), meta: r.meta}
	for i, e := range batch.Events {
		e.Data = bytes.Clone(e.Data)
		at.index, at.revision = i, uint64(batch.Expected.Next())+uint64(i)
		r.batch.Events[i], r.digests[i] = e, newDigest(at, e.ID, e.Type, e.Data)
		r.size += len(e.Data) + len(e.Type) + perEvent
	}
	if size := r.size + len(r.meta); size > maxBatchBytes {
		return nil, fmt.Errorf("%w: %d bytes of data and metadata, a log on PostgreSQL takes %d: record fewer artifacts at a time",
			eventstore.ErrTooLarge, size, maxBatchBytes)
	}
	return r, l.prepareContents(ctx, r, batch.Contents)
}

// prepareContents encodes what the log does not hold yet. Another append may add one of them meanwhile; the insert then
// passes over it.
func (l *Log) prepareContents(ctx context.Context, r *request, blobs []eventstore.Blob) error {
	held, err := l.held(ctx, blobs)
	if err != nil {
		return fmt.Errorf("cannot find contents: %w", err)
	}
	for _, b := range blobs {
		if held[b.SHA256] {
			continue
		}
		held[b.SHA256] = true
		c, err := l.codec.Encode(b)
		if err != nil {
			return err
		}
		r.contents = append(r.contents, c)
		r.size += len(c.Bytes)
	}
	return nil
}
