package postgres

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Head implements [eventstore.Reader].
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := l.head(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot read head: %w", err)
	}
	return eventstore.Position(head), nil //nolint:gosec // the table allows none below 0
}

// head reads the counter row. Every event up to it is committed, and none below it will ever come (I3).
func (l *Log) head(ctx context.Context) (int64, error) {
	var head int64
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, l.sql.head).Scan(&head)
	})
	return head, err
}

// At implements [eventstore.Reader].
func (l *Log) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	upTo := func(head int64) *pageCursor {
		return newCursor(max(at, 1)-1, eventstore.Filter{}, min(head, clamp(uint64(at))))
	}
	for r, err := range l.records(ctx, upTo) {
		return r, err
	}
	return eventstore.Record{}, fmt.Errorf("cannot read position %d: %w", at, eventstore.ErrNotFound)
}

// Read implements [eventstore.Reader].
func (l *Log) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newCursor(after, filter, head) })
}

// ReadBackwards implements [eventstore.Reader].
func (l *Log) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newBackwardCursor(before, filter, head) })
}

// ReadStream implements [eventstore.StreamReader].
func (l *Log) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newStreamCursor(stream, from, head) })
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (l *Log) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	return l.records(ctx, func(head int64) *pageCursor { return newBackwardStreamCursor(stream, head) })
}

// records yields what a walk up to the head of now gives. No connection is held while the body of the loop runs.
func (l *Log) records(ctx context.Context, begin func(head int64) *pageCursor) iter.Seq2[eventstore.Record, error] {
	head, err := l.head(ctx) // now, not when the loop begins
	return func(yield func(eventstore.Record, error) bool) {
		if err != nil {
			yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
			return
		}
		for w := begin(head); !w.done(); {
			records, err := l.next(ctx, w)
			if err != nil {
				yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
				return
			}
			for _, r := range records {
				if err := l.usable(ctx); err != nil {
					yield(eventstore.Record{}, fmt.Errorf("cannot read: %w", err))
					return
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// next reads the next page of w on a connection of its own.
func (l *Log) next(ctx context.Context, w *pageCursor) ([]eventstore.Record, error) {
	var records []eventstore.Record
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		try := w.clone() // so that another try begins where this one did
		var err error
		if records, err = l.page(ctx, conn, try); err == nil {
			*w = *try
		}
		return err
	})
	return records, err
}

// usable returns why nothing more is yielded.
func (l *Log) usable(ctx context.Context) error {
	select {
	case <-l.closing:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}

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

// newStreamCursor leads along a stream. One whose name cannot be has no events, and PostgreSQL would refuse the text.
func newStreamCursor(stream eventstore.StreamID, from eventstore.Revision, head int64) *pageCursor {
	return &pageCursor{single: true, stream: stream, head: head, next: clamp(uint64(from)), ended: stream.Validate() != nil}
}

func newBackwardStreamCursor(stream eventstore.StreamID, head int64) *pageCursor {
	return &pageCursor{single: true, stream: stream, head: head, next: math.MaxInt64, back: true, ended: stream.Validate() != nil}
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

// fetch returns the records of the next page of w.spans and takes what it covers off them.
func (l *Log) fetch(ctx context.Context, conn *pgxpool.Conn, w *pageCursor) ([]eventstore.Record, error) {
	p := newPage(w, l.sizes)
	var batch pgx.Batch
	query := l.sql.eventsForward
	if w.back {
		query = l.sql.eventsBackward
	}
	batch.Queue(query, p.los, p.his, w.filter.Types).Query(p.read)
	if w.filter.Types != nil {
		batch.Queue(l.sql.countEvents, p.los, p.his).QueryRow(func(row pgx.Row) error { return row.Scan(&p.stored) })
	}
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("cannot read events: %w", err)
	}
	if w.filter.Types != nil && p.stored != p.wanted {
		return nil, fmt.Errorf("%w: of %d events between the positions %d and %d, %d are there",
			eventstore.ErrCorrupt, p.wanted, min(p.los[0], p.los[len(p.los)-1]), max(p.his[0], p.his[len(p.his)-1]), p.stored)
	}
	return p.records, p.leave(w)
}

// page is a part of a walk that is read at once.
type page struct {
	sizes    sizes
	back     bool
	filtered bool // events of other types are left out
	spans    []span
	los, his []int64 // positions of spans, those that adjoin put together
	wanted   int64   // events in them
	stored   int64   // events that the log holds there, asked only when filtered

	records []eventstore.Record
	current int  // span of the last record
	size    int  // bytes of data
	full    bool // it was cut short
}

// newPage takes spans off w until they hold w.limit events.
func newPage(w *pageCursor, sizes sizes) *page {
	if w.limit == 0 {
		w.limit = sizes.firstPage
	}
	p := &page{sizes: sizes, back: w.back, filtered: w.filter.Types != nil}
	for left := int64(w.limit); left > 0 && len(w.spans) > 0; {
		s := w.spans[0]
		if n := s.hi - s.lo + 1; n <= left {
			w.spans = w.spans[1:]
		} else if w.back {
			s.lo = s.hi - left + 1
			w.spans[0].hi = s.lo - 1
		} else {
			s.hi = s.lo + left - 1
			w.spans[0].lo = s.hi + 1
		}
		n := s.hi - s.lo + 1
		left, p.wanted = left-n, p.wanted+n
		p.spans = append(p.spans, s)
		p.join(s)
	}
	return p
}

// join adds the positions of s to what is asked for.
func (p *page) join(s span) {
	last := len(p.los) - 1
	switch {
	case last >= 0 && !p.back && p.his[last]+1 == s.lo:
		p.his[last] = s.hi
	case last >= 0 && p.back && p.los[last]-1 == s.hi:
		p.los[last] = s.lo
	default:
		p.los, p.his = append(p.los, s.lo), append(p.his, s.hi)
	}
}

// read takes the rows until there are too many bytes.
func (p *page) read(rows pgx.Rows) error {
	for rows.Next() {
		var position int64
		var id [16]byte
		var checksum []byte
		r := eventstore.Record{}
		if err := rows.Scan(&position, &id, &r.Type, &r.Data, &checksum); err != nil {
			return err
		}
		if p.size += len(r.Data); p.size > p.sizes.pageBytes && len(p.records) > 0 {
			p.full = true
			return nil // the driver passes over the rest
		}
		r.ID = id
		if err := p.add(r, position, checksum); err != nil {
			return err
		}
	}
	return rows.Err()
}

// add completes r with what its batch says, and checks it.
func (p *page) add(r eventstore.Record, position int64, checksum []byte) error {
	if want := p.expect(); !p.filtered && position != want {
		return fmt.Errorf("%w: position %d is missing", eventstore.ErrCorrupt, want)
	}
	for position < p.spans[p.current].lo || position > p.spans[p.current].hi {
		if p.current++; p.current == len(p.spans) {
			return fmt.Errorf("%w: position %d is not in order", eventstore.ErrCorrupt, position)
		}
	}
	b := p.spans[p.current].batchRow
	index := position - b.first
	at := eventPlace{
		stream: b.stream, revision: uint64(b.revision + index), //nolint:gosec // the table allows none below 0
		index: int(index), size: int(b.size), meta: b.text,
	}
	if !bytes.Equal(newDigest(at, r.ID, r.Type, r.Data).seal(position, b.recordedAt), checksum) {
		return fmt.Errorf("%w: the checksum at position %d does not fit", eventstore.ErrCorrupt, position)
	}
	r.Position, r.Stream, r.Revision = eventstore.Position(position), b.stream, eventstore.Revision(at.revision) //nolint:gosec // above 0
	r.RecordedAt, r.Meta = b.recordedAt, b.meta
	r.Meta.Index = at.index
	p.records = append(p.records, r)
	return nil
}

// expect returns the position that the next record has when no type is left out, 0 when there is none.
func (p *page) expect() int64 {
	if len(p.records) == 0 {
		if p.back {
			return p.spans[0].hi
		}
		return p.spans[0].lo
	}
	last, s := p.last(), p.spans[p.current]
	switch {
	case !p.back && last < s.hi:
		return last + 1
	case p.back && last > s.lo:
		return last - 1
	case p.current+1 == len(p.spans):
		return 0
	case p.back:
		return p.spans[p.current+1].hi
	default:
		return p.spans[p.current+1].lo
	}
}

func (p *page) last() int64 { return int64(p.records[len(p.records)-1].Position) } //nolint:gosec // it was an int64

// leave gives back to w what a page that was cut short did not read, and chooses the size of the next page.
func (p *page) leave(w *pageCursor) error {
	if !p.full {
		if want := p.expect(); !p.filtered && want != 0 {
			return fmt.Errorf("%w: position %d is missing", eventstore.ErrCorrupt, want)
		}
		if p.size < p.sizes.pageBytes/2 {
			w.limit = min(2*w.limit, p.sizes.largestPage)
		}
		return nil
	}
	rest := append([]span(nil), p.spans[p.current:]...)
	if rest[0].lo = p.last() + 1; p.back {
		rest[0].lo, rest[0].hi = p.spans[p.current].lo, p.last()-1
	}
	if rest[0].lo > rest[0].hi {
		rest = rest[1:]
	}
	w.spans = append(rest, w.spans...)
	w.limit = max(1, w.limit/4)
	return nil
}
