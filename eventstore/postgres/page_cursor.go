package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

// sizes are how much is read at once.
type sizes struct {
	batches                int // looked up in one query
	firstPage, largestPage int // events: a page twice as large follows one that was not too many bytes
	pageBytes              int // where a page ends early
	hashes                 int // listed in one query
}

// pageCursor is a running read: along all events or those of one stream, forwards or backwards. It counts in keys: positions
// along all events, revisions along a stream.
type pageCursor struct {
	single  bool                // along one stream
	stream  eventstore.StreamID // which
	filter  eventstore.Filter
	back    bool
	head    int64 // no event beyond it is read
	next    int64 // key of the next event that is not in spans
	started bool  // a batch was read
	ended   bool  // there is nothing after spans
	spans   []span
	limit   int // events on the next page; 0 before the first
}

// span is the part of a batch that is wanted.
type span struct {
	*batchRow

	lo, hi int64 // positions, both included
}

// batchRow is a row of the table batches.
type batchRow struct {
	first, size, revision int64
	stream                eventstore.StreamID
	recordedAt            time.Time
	text                  string          // metadata as stored
	meta                  eventstore.Meta // the same
}

func newCursor(after eventstore.Position, filter eventstore.Filter, head int64) *pageCursor {
	w := &pageCursor{filter: filter, head: head, next: clamp(uint64(after)) + 1}
	w.ended = w.next > head
	return w
}

func newBackwardCursor(before eventstore.Position, filter eventstore.Filter, head int64) *pageCursor {
	w := &pageCursor{filter: filter, head: head, next: head, back: true}
	if before > 0 {
		w.next = min(head, clamp(uint64(before))-1)
	}
	w.ended = w.next < 1
	return w
}

func newStreamCursor(stream eventstore.StreamID, from eventstore.Revision, head int64) *pageCursor {
	return &pageCursor{single: true, stream: stream, head: head, next: clamp(uint64(from))}
}

func newBackwardStreamCursor(stream eventstore.StreamID, head int64) *pageCursor {
	return &pageCursor{single: true, stream: stream, head: head, next: math.MaxInt64, back: true}
}

// clamp keeps n among the numbers that the database has, and whose successor it has.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64-1)) }

// clone returns a copy that shares no span that one of the two may change.
func (w *pageCursor) clone() *pageCursor {
	c := *w
	c.spans = slices.Clone(w.spans)
	return &c
}

func (w *pageCursor) done() bool { return w.ended && len(w.spans) == 0 }

// page returns the next records, perhaps none, and moves w on.
func (l *Log) page(ctx context.Context, conn *pgxpool.Conn, w *pageCursor) ([]eventstore.Record, error) {
	if len(w.spans) == 0 {
		if err := l.look(ctx, conn, w); err != nil {
			return nil, err
		}
	}
	if len(w.spans) == 0 {
		return nil, nil
	}
	return l.fetch(ctx, conn, w)
}

// look finds the next batches.
func (l *Log) look(ctx context.Context, conn *pgxpool.Conn, w *pageCursor) error {
	query := l.sql.batchesForward
	args := []any{w.next, w.head, l.sizes.batches}
	switch {
	case !w.single && w.back:
		query = l.sql.batchesBackward
	case w.single && w.back:
		query, args = l.sql.streamBatchesBackward, append(args, string(w.stream))
	case w.single:
		query, args = l.sql.streamBatchesForward, append(args, string(w.stream))
	}
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("cannot find batches: %w", err)
	}
	batches, err := pgx.CollectRows(rows, scanBatch)
	if err != nil {
		return fmt.Errorf("cannot find batches: %w", err)
	}
	before := w.next
	for _, b := range batches {
		if err := w.add(b); err != nil {
			return err
		}
	}
	return w.finish(len(batches), len(batches) < l.sizes.batches || w.next == before)
}

func scanBatch(row pgx.CollectableRow) (*batchRow, error) {
	b := &batchRow{}
	var stream string
	if err := row.Scan(&b.first, &b.size, &stream, &b.revision, &b.recordedAt, &b.text); err != nil {
		return nil, err
	}
	b.stream, b.recordedAt = eventstore.StreamID(stream), b.recordedAt.UTC()
	meta, err := decodeMeta(b.text)
	if err != nil {
		return nil, fmt.Errorf("%w: metadata of the batch at position %d: %w", eventstore.ErrCorrupt, b.first, err)
	}
	b.meta, b.meta.Size = meta, int(b.size)
	return b, nil
}

// add takes b, which must continue where w is, and notes the part of it that is wanted.
func (w *pageCursor) add(b *batchRow) error {
	low := b.first
	if w.single {
		low = b.revision
	}
	high := low + b.size - 1
	// A stream may end anywhere. A look beyond its end gives its last batch: of what was asked for, or of what was read.
	if w.single && !w.back && high < w.next {
		return nil
	}
	if w.single && w.back && !w.started {
		w.next = high
	}
	adjoins := low <= w.next && w.next <= high
	if w.started {
		adjoins = !w.back && low == w.next || w.back && high == w.next
	}
	if !adjoins {
		return w.missing()
	}
	w.started = true
	s := span{batchRow: b, lo: b.first + w.next - low, hi: b.first + b.size - 1}
	if w.next = high + 1; w.back {
		s.lo, s.hi = b.first, s.lo
		w.next = low - 1
	}
	if strings.HasPrefix(string(b.stream), w.filter.StreamPrefix) {
		w.spans = append(w.spans, s)
	}
	return nil
}

// finish notes whether the walk ended with a look, the last of a stream when there was no more to be found.
func (w *pageCursor) finish(n int, last bool) error {
	switch {
	case w.single && !w.back:
		w.ended = last
	case w.single:
		w.ended = !w.started || w.next < 0
	case w.back:
		w.ended = w.next < 1
	default:
		w.ended = w.next > w.head
	}
	if n == 0 && !w.ended {
		return w.missing()
	}
	return nil
}

func (w *pageCursor) missing() error {
	if w.single {
		return fmt.Errorf("%w: revision %d of stream %s is missing", eventstore.ErrCorrupt, w.next, w.stream)
	}
	return fmt.Errorf("%w: position %d is missing", eventstore.ErrCorrupt, w.next)
}
