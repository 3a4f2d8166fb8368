package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
)

// request is one batch in the appender. It shares nothing with the batch of the caller, who may have gone, unless that is
// loaded as it is written: then the caller waits until the appender is done with it.
type request struct {
	batch    eventstore.Batch  // without contents
	streamed bool              // nothing below was made yet but meta; a group of its own
	missing  []eventstore.Blob // of a streamed batch: contents that the log did not hold
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
	var unread *loadError
	if !r.sent || errors.As(err, &unread) { // which ended a transaction that held the lock and met no earlier try
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
		if r.streamed {
			a := <-r.done // the next load fails, and ends the transaction
			if errors.Is(a.err, errGone) {
				a.err = eventstore.NotWritten(context.Cause(ctx))
			}
			return a.appended, a.err
		}
		return eventstore.Appended{}, context.Cause(ctx)
	}
}

// errGone ends the transaction of a streamed batch that nobody waits for any more.
var errGone = errors.New("the append was cancelled")

// loadError is the error of loading a part of a batch: nothing was written.
type loadError struct{ error }

func (e *loadError) Unwrap() error { return e.error }

// event returns the data of an event of r, and its digest.
func (r *request) event(i int) ([]byte, digest, error) {
	e := r.batch.Events[i]
	if !r.streamed {
		return e.Data, r.digests[i], nil
	}
	if r.gone.Load() {
		return nil, digest{}, &loadError{errGone}
	}
	data, err := e.Read()
	if err != nil {
		return nil, digest{}, &loadError{err}
	}
	return data, r.digest(i, data), nil
}

func (r *request) digest(i int, data []byte) digest {
	e := r.batch.Events[i]
	at := eventPlace{
		stream: r.batch.Stream, size: len(r.batch.Events), meta: r.meta, index: i, revision: uint64(r.batch.Expected.Next()) + uint64(i), //nolint:gosec // an index
	}
	return newDigest(at, e.ID, e.Type, data)
}

// encoded yields the contents of r as they are stored.
func (r *request) encoded(codec *contents.Codec) iter.Seq2[contents.Stored, error] {
	return func(yield func(contents.Stored, error) bool) {
		for _, c := range r.contents {
			if !yield(c, nil) {
				return
			}
		}
		for _, b := range r.missing {
			var c contents.Stored
			err := errGone
			if !r.gone.Load() {
				b.Bytes, err = b.Read()
			}
			if err == nil {
				c, err = codec.Encode(b)
			}
			if err != nil {
				err = &loadError{err}
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
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
	r := &request{batch: batch, streamed: batch.Streamed(), done: make(chan answer, 1)}
	r.batch.Contents = nil
	var err error
	if r.meta, err = encodeMeta(batch.Meta); err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	if !r.streamed {
		r.batch.Events = make([]eventstore.NewEvent, len(batch.Events))
		r.digests = make([]digest, len(batch.Events))
		for i, e := range batch.Events {
			e.Data = bytes.Clone(e.Data)
			r.batch.Events[i] = e
			r.digests[i] = r.digest(i, e.Data)
			r.size += len(e.Data) + len(e.Type) + perEvent
		}
	}
	if err := checkSize(r.size + len(r.meta)); err != nil {
		return nil, err
	}
	return r, l.prepareContents(ctx, r, batch.Contents)
}

// checkSize refuses a batch of size bytes that is above the limit.
func checkSize(size int) error {
	if size <= maxBatchBytes {
		return nil
	}
	return fmt.Errorf("%w: %d bytes of data and metadata, a log on PostgreSQL takes %d: record fewer artifacts at a time",
		eventstore.ErrTooLarge, size, maxBatchBytes)
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
		if r.streamed {
			r.missing = append(r.missing, b)
			continue
		}
		c, err := l.codec.Encode(b)
		if err != nil {
			return err
		}
		r.contents = append(r.contents, c)
		r.size += len(c.Bytes)
	}
	return nil
}
