package run

import (
	"context"
	"fmt"
	"iter"

	"github.com/gxpledger/gxpledger/eventstore"
)

// page is a run of whole batches, at least one, in order.
type page struct {
	records []eventstore.Record
	ends    []int // for each batch, the index behind its last record
	// large is the number of events of a batch that is too large for memory, and a page of its own; 0 for a page that holds
	// its records. Of such a batch records holds the first and the last: the others are read again where they are needed.
	large int
}

func (p page) last() eventstore.Record { return p.records[len(p.records)-1] }

// events is how many events the page has.
func (p page) events() int {
	if p.large > 0 {
		return p.large
	}
	return len(p.records)
}

// after returns the batches of p that are after position at.
func (p page) after(at eventstore.Position) page {
	for i := range p.ends {
		start := 0
		if i > 0 {
			start = p.ends[i-1]
		}
		if p.records[start].Position > at {
			if p.large > 0 {
				return p
			}
			rest := page{records: p.records[start:], ends: make([]int, 0, len(p.ends)-i)}
			for _, end := range p.ends[i:] {
				rest.ends = append(rest.ends, end-start)
			}
			return rest
		}
	}
	return page{}
}

// batches yields each batch of p as a page of its own.
func (p page) batches() iter.Seq[page] {
	return func(yield func(page) bool) {
		if p.large > 0 {
			yield(p)
			return
		}
		start := 0
		for _, end := range p.ends {
			if !yield(page{records: p.records[start:end], ends: []int{end - start}}) {
				return
			}
			start = end
		}
	}
}

// source is a part of the log to be folded.
type source struct {
	// open begins to read. The context ends it, so it must be that of the reader.
	open func(context.Context) iter.Seq2[eventstore.Record, error]
	// until ends the source with the first batch that reaches it; 0 for a source without an end.
	until eventstore.Position
	// head says how far the log reaches. A live source asks it whether more is coming or the page should go out.
	head func(context.Context) (eventstore.Position, error)
}

// cutter collects records into pages.
type cutter struct {
	maxEvents, maxBytes   int // of a page
	heldEvents, heldBytes int // of a batch that is held in memory
	page                  page
	bytes                 int
	start, startBytes     int                 // of the page before the batch that is being read
	next                  int                 // index in its batch that the next record must have
	head                  eventstore.Position // as last asked; more was there
}

// cut yields the pages of s. A page holds whole batches (I1): it is full when it has reached one of the limits at the end
// of a batch, so that a batch above the limit is a page of its own. The last error ends the sequence.
func (c *cutter) cut(ctx context.Context, s source) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		for record, err := range s.open(ctx) {
			flush, done := false, false
			var before page
			if err == nil {
				before, flush, done, err = c.take(ctx, s, record)
			}
			if err != nil {
				yield(page{}, err)
				return
			}
			if len(before.records) > 0 && !yield(before, nil) || flush && !yield(c.flush(), nil) || done {
				return
			}
		}
		switch {
		case c.next > 0:
			yield(page{}, fmt.Errorf("%w: it ends inside the batch that position %d belongs to", eventstore.ErrCorrupt, c.page.last().Position))
		case len(c.page.records) > 0:
			yield(c.flush(), nil)
		}
	}
}

// take adds a record and says whether the page should go out, and whether it is the last. Before is what must go out before
// it: the batches before one that turns out to be large.
func (c *cutter) take(ctx context.Context, s source, r eventstore.Record) (before page, flush, done bool, err error) {
	if err := c.add(r); err != nil {
		return page{}, false, false, err
	}
	if c.page.large == 0 && (r.Meta.Size > c.heldEvents || c.bytes-c.startBytes > c.heldBytes) {
		before = c.release(r.Meta.Size)
	}
	if !r.EndsBatch() {
		return before, false, false, nil
	}
	c.endBatch()
	if s.until > 0 && r.Position >= s.until {
		return before, true, true, nil
	}
	flush, err = c.full(ctx, s, r.Position)
	return before, flush, false, err
}

func (c *cutter) add(r eventstore.Record) error {
	if r.Meta.Index != c.next || r.Meta.Size < 1 || r.Meta.Index >= r.Meta.Size {
		return fmt.Errorf("%w: position %d is event %d of %d of its batch, expected event %d",
			eventstore.ErrCorrupt, r.Position, r.Meta.Index, r.Meta.Size, c.next)
	}
	c.next++
	if c.page.large > 0 {
		r.Data = nil
		c.page.records = append(c.page.records[:1], r)
		return nil
	}
	c.page.records = append(c.page.records, r)
	c.bytes += len(r.Data)
	return nil
}

// release keeps no more of the batch that is being read than its first record and its last, and returns the batches before
// it as a page.
func (c *cutter) release(size int) (before page) {
	batch := c.page.records[c.start:]
	first, last := batch[0], batch[len(batch)-1]
	first.Data, last.Data = nil, nil
	before = page{records: c.page.records[:c.start:c.start], ends: c.page.ends}
	c.page = page{records: []eventstore.Record{first}, large: size}
	if len(batch) > 1 {
		c.page.records = append(c.page.records, last)
	}
	c.start, c.bytes, c.startBytes = 0, 0, 0
	return before
}

func (c *cutter) endBatch() {
	c.page.ends = append(c.page.ends, len(c.page.records))
	c.start, c.startBytes, c.next = len(c.page.records), c.bytes, 0
}

// full reports whether the page should go out: it has reached a limit, or a live log has nothing more at the moment.
func (c *cutter) full(ctx context.Context, s source, at eventstore.Position) (bool, error) {
	if c.page.large > 0 || len(c.page.records) >= c.maxEvents || c.bytes >= c.maxBytes {
		return true, nil
	}
	if s.until > 0 || at < c.head {
		return false, nil
	}
	head, err := s.head(ctx)
	if err != nil {
		return false, fmt.Errorf("cannot read head: %w", err)
	}
	c.head = head
	return at >= head, nil
}

func (c *cutter) flush() page {
	p := c.page
	c.page, c.bytes, c.start, c.startBytes = page{records: make([]eventstore.Record, 0, min(len(p.records), c.maxEvents))}, 0, 0, 0
	return p
}
