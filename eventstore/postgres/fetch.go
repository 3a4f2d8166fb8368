package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

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
