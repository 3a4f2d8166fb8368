package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Head implements [eventstore.Reader].
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := l.number(ctx, "SELECT coalesce(max(last), 0) FROM chunks")
	if err != nil {
		return 0, fmt.Errorf("cannot read head: %w", err)
	}
	return eventstore.Position(head), nil //nolint:gosec // not negative
}

// number reads one number, or says why it cannot.
func (l *Log) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := l.usable(ctx); err != nil {
		return 0, err
	}
	statement, err := l.reading.prepare(ctx, query) //nolint:sqlclosecheck // closing the database does
	if err == nil {
		err = statement.QueryRowContext(ctx, args...).Scan(&n)
	}
	return n, l.fault(err)
}

// At implements [eventstore.Reader].
func (l *Log) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return eventstore.Record{}, fmt.Errorf("cannot read position %d: %w", at, err)
	}
	if at > 0 && at <= head {
		for r, err := range l.read(ctx, upwards(at-1, at), eventstore.Filter{}) {
			return r, err
		}
	}
	return eventstore.Record{}, fmt.Errorf("cannot read position %d: %w", at, eventstore.ErrNotFound)
}

// Read implements [eventstore.Reader].
func (l *Log) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	head, err := l.Head(ctx)
	if err != nil {
		return fail(err)
	}
	return l.read(ctx, upwards(after, head), filter)
}

// ReadBackwards implements [eventstore.Reader].
func (l *Log) ReadBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	head, err := l.Head(ctx)
	if err != nil {
		return fail(err)
	}
	if before > 0 {
		head = min(head, before-1)
	}
	return l.read(ctx, downwards(head), filter)
}

// ReadStream implements [eventstore.StreamReader].
func (l *Log) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	end, err := l.streamEnd(ctx, stream)
	if err != nil {
		return fail(err)
	}
	return l.read(ctx, alongStream(stream, int64(min(from, math.MaxInt64)), end), eventstore.Filter{})
}

// ReadStreamBackwards implements [eventstore.StreamReader].
func (l *Log) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	end, err := l.streamEnd(ctx, stream)
	if err != nil {
		return fail(err)
	}
	return l.read(ctx, backAlongStream(stream, end), eventstore.Filter{})
}

// streamEnd returns the last revision of stream, -1 when it has none.
func (l *Log) streamEnd(ctx context.Context, stream eventstore.StreamID) (int64, error) {
	end, err := l.number(ctx, `SELECT coalesce(max(last_revision), -1) FROM chunks
		WHERE stream = (SELECT id FROM streams WHERE name = ?)`, string(stream))
	if err != nil {
		return 0, fmt.Errorf("cannot read end of stream %q: %w", stream, err)
	}
	return end, nil
}

func fail(err error) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) { yield(eventstore.Record{}, err) }
}

// read yields what of a way passes filter, with errors in the terms of package eventstore.
func (l *Log) read(ctx context.Context, w rangeScan, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range w.records(ctx, l.reading, l.sizes.pageChunks) {
			if err == nil {
				err = l.usable(ctx)
			}
			if err != nil {
				yield(eventstore.Record{}, fmt.Errorf("cannot read log: %w", l.fault(err)))
				return
			}
			if filter.Match(r) && !yield(r, nil) {
				return
			}
		}
	}
}

// sizes are how much is stored and read at once.
type sizes struct {
	chunkEvents int // in a chunk, at most
	pageChunks  int // read by one query, at most; the first reads one: many readers want no more than that
	hashes      int // listed by one query
}

func defaultSizes() sizes {
	return sizes{chunkEvents: 64, pageChunks: 8, hashes: 1000}
}

// pageBytes is the size of data at which a page ends early.
const pageBytes = 4 << 20

// rangeScan leads over the records of the log or of one stream, one number at a time, from one to another number, both
// included. A number that is not there is corruption.
type rangeScan struct {
	query    string // with the first number as ?1, and a stream as ?2
	stream   string
	from, to int64 // positions or revisions; from beyond to leads nowhere
	step     int64 // 1 or -1
	number   func(eventstore.Record) int64
	kind     string // of number, for the error
}

const sqlChunks = `SELECT c.last, c.size, s.name, c.last_revision, c.batch_first, c.batch_size, c.recorded_at,
	c.meta, c.ids, c.types, c.lengths, c.data, c.checksum
	FROM chunks AS c JOIN streams AS s ON s.id = c.stream `

func upwards(after, until eventstore.Position) rangeScan {
	return rangeScan{
		query: sqlChunks + "WHERE c.last >= ?1 ORDER BY c.last LIMIT ?3",
		from:  clamp(after) + 1, to: clamp(until), step: 1, number: positionOf, kind: "position",
	}
}

func downwards(from eventstore.Position) rangeScan {
	return rangeScan{
		// From the chunk that holds the position on, which ends there or later.
		query: sqlChunks + `WHERE c.last <= coalesce((SELECT min(last) FROM chunks WHERE last >= ?1), ?1)
			ORDER BY c.last DESC LIMIT ?3`,
		from: clamp(from), to: 1, step: -1, number: positionOf, kind: "position",
	}
}

func alongStream(stream eventstore.StreamID, from, to int64) rangeScan {
	return rangeScan{
		query: sqlChunks + `WHERE c.stream = (SELECT id FROM streams WHERE name = ?2) AND c.last_revision >= ?1
			ORDER BY c.last_revision LIMIT ?3`,
		stream: string(stream), from: from, to: to, step: 1,
		number: revisionOf, kind: fmt.Sprintf("stream %q: revision", stream),
	}
}

func backAlongStream(stream eventstore.StreamID, from int64) rangeScan {
	return rangeScan{
		query: sqlChunks + `WHERE c.stream = (SELECT id FROM streams WHERE name = ?2) AND c.last_revision <= ?1
			ORDER BY c.last_revision DESC LIMIT ?3`,
		stream: string(stream), from: from, to: 0, step: -1,
		number: revisionOf, kind: fmt.Sprintf("stream %q: revision", stream),
	}
}

func clamp(p eventstore.Position) int64 { return int64(min(p, math.MaxInt64-1)) }

func positionOf(r eventstore.Record) int64 { return int64(r.Position) } //nolint:gosec // came from an int64

func revisionOf(r eventstore.Record) int64 { return int64(r.Revision) } //nolint:gosec // came from an int64

// querier is a *sql.DB or a *sql.Conn.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// records yields the records of w in order, from up to most chunks at a time. It holds no query while the loop body runs.
func (w rangeScan) records(ctx context.Context, db querier, most int) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		at := w.from
		for limit := 1; (w.to-at)*w.step >= 0; limit = min(2*limit, most) {
			records, err := w.page(ctx, db, at, limit)
			if err != nil {
				yield(eventstore.Record{}, err)
				return
			}
			for _, r := range records {
				if n := w.number(r); n != at {
					yield(eventstore.Record{}, w.missing(at))
					return
				}
				if !yield(r, nil) || at == w.to {
					return
				}
				at += w.step
			}
		}
	}
}

func (w rangeScan) missing(at int64) error {
	return fmt.Errorf("%w: %s %d is missing", eventstore.ErrCorrupt, w.kind, at)
}

// page reads up to limit chunks from the one that holds the number at on, and leaves out what comes before it. It ends early with the
// chunk that brings it to pageBytes.
func (w rangeScan) page(ctx context.Context, db querier, at int64, limit int) (records []eventstore.Record, err error) {
	rows, err := db.QueryContext(ctx, w.query, at, w.stream, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for size := 0; size < pageBytes && rows.Next(); {
		found, err := scanChunk(rows)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			size += len(r.Data)
		}
		if w.step < 0 {
			slices.Reverse(found)
		}
		records = append(records, found...)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	before := func(r eventstore.Record) bool { return (w.number(r)-at)*w.step < 0 }
	if records = slices.DeleteFunc(records, before); len(records) == 0 {
		return nil, w.missing(at)
	}
	return records, nil
}

func scanChunk(rows *sql.Rows) ([]eventstore.Record, error) {
	var c chunk
	var meta, ids, types, lengths, data, checksum sql.RawBytes // valid until the next row: records copies
	if err := rows.Scan(&c.last, &c.size, &c.stream, &c.lastRevision, &c.batchFirst, &c.batchSize, &c.recordedAt,
		&meta, &ids, &types, &lengths, &data, &checksum); err != nil {
		return nil, err
	}
	c.meta, c.ids, c.types, c.lengths, c.data, c.checksum = meta, ids, types, lengths, data, checksum
	return c.records()
}

// records checks a chunk that was read and returns its events. They share nothing with the chunk.
func (c *chunk) records() ([]eventstore.Record, error) {
	records, err := c.unpack()
	if err != nil {
		return nil, fmt.Errorf("%w: positions %d to %d: %w", eventstore.ErrCorrupt, c.first(), c.last, err)
	}
	return records, nil
}
