package run

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/gxpledger/gxpledger/eventstore"
)

// job is one page in progress: read, made ready by a worker, written in order.
type job struct {
	ready chan struct{} // closed when pages holds one for each target
	pages []prepared
	err   error // of reading; the last job
}

// pump is the one way in which events become rows: live, catching up, rebuilding, as-of and verifying.
//
//  1. One goroutine reads pages of whole batches, once for all targets.
//  2. Workers decode and apply them, several pages at a time: that is pure, so that order does not matter.
//  3. The caller's goroutine writes them, in order, each target in a transaction of its own.
//
// What stops a target is left in its err, and the others go on. pump returns what stops all of them: an error of the log
// or of ctx; or nil when s has ended or no target is left.
func (r *Runner) pump(ctx context.Context, s source, targets []*target) error {
	ctx, cancel := context.WithCancel(ctx)
	jobs := make(chan *job, r.config.Workers) // how far reading may run ahead
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer close(jobs)
		r.read(ctx, s, targets, jobs)
	}()
	defer func() {
		cancel()
		for j := range jobs { // let the reader and the workers end
			<-j.ready
		}
		<-finished
	}()
	for j := range jobs {
		<-j.ready
		if j.err != nil {
			return j.err
		}
		alive := false
		for i, t := range targets {
			r.write(ctx, t, j.pages[i])
			alive = alive || t.err == nil
		}
		if !alive {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// read sends the pages of s to jobs and sets workers on them.
func (r *Runner) read(ctx context.Context, s source, targets []*target, jobs chan<- *job) {
	wanted := handled{}
	from := make([]start, len(targets)) // only the writer may look at a target once it runs
	for i, t := range targets {
		from[i] = start{t.checkpoint.Position, t.skips}
		maps.Copy(wanted, t.handles)
	}
	workers := make(chan struct{}, r.config.Workers)
	c := cutter{
		maxEvents: r.config.PageEvents, maxBytes: r.config.PageBytes, heldEvents: r.config.HeldEvents, heldBytes: r.config.HeldBytes,
	}
	for pg, err := range c.cut(ctx, s) {
		j := &job{ready: make(chan struct{}), err: err}
		if err != nil {
			j.err = fmt.Errorf("cannot read log: %w", err)
			close(j.ready)
		} else {
			workers <- struct{}{} // workers always end: they wait for nothing
			go func() {
				defer func() { <-workers }()
				defer close(j.ready)
				j.pages = r.prepareAll(pg, targets, from, wanted)
			}()
		}
		select {
		case jobs <- j:
		case <-ctx.Done():
			<-j.ready
			return
		}
	}
}

// start is where a target stood when reading began.
type start struct {
	position eventstore.Position
	skips    skips
}

func (r *Runner) prepareAll(pg page, targets []*target, from []start, wanted handled) []prepared {
	pages := make([]prepared, len(targets))
	if pg.large > 0 { // it is read again as it is written
		for i := range pages {
			pages[i].decoded.page = pg
		}
		return pages
	}
	d := r.prepare.decodePage(pg, wanted)
	for i, t := range targets {
		if pg.last().Position <= from[i].position {
			pages[i] = prepared{decoded: d} // seen: write will pass over it
			continue
		}
		pages[i] = prepare(d, t, from[i])
	}
	return pages
}

// between returns the part of the log behind after that reaches until, with the whole batch that until belongs to.
func (r *Runner) between(after, until eventstore.Position) source {
	return source{until: until, head: r.Log.Head, open: func(ctx context.Context) iter.Seq2[eventstore.Record, error] {
		return r.Log.Read(ctx, after, eventstore.Filter{})
	}}
}

// catchUpTo pumps what targets lack up to until. It fails when the log ends before.
func (r *Runner) catchUpTo(ctx context.Context, targets []*target, until eventstore.Position) error {
	after := until
	for _, t := range targets {
		if t.err == nil {
			after = min(after, t.checkpoint.Position)
		}
	}
	if after >= until {
		return nil
	}
	if err := r.pump(ctx, r.between(after, until), targets); err != nil {
		return err
	}
	for _, t := range targets {
		if t.err == nil && t.checkpoint.Position < until {
			return fmt.Errorf("%w: it ends at position %d, expected events up to %d", eventstore.ErrCorrupt, t.checkpoint.Position, until)
		}
	}
	return nil
}

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
			var at taken
			if err == nil {
				at, err = c.take(ctx, s, record)
			}
			if err != nil {
				yield(page{}, err)
				return
			}
			if len(at.before.records) > 0 && !yield(at.before, nil) || at.flush && !yield(c.flush(), nil) || at.done {
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

// taken says what follows from a record.
type taken struct {
	before page // must go out first: the batches before one that turns out to be large
	flush  bool // the page should go out
	done   bool // it is the last
}

// take adds a record.
func (c *cutter) take(ctx context.Context, s source, r eventstore.Record) (at taken, err error) {
	if err := c.add(r); err != nil {
		return at, err
	}
	if c.page.large == 0 && (r.Meta.Size > c.heldEvents || c.bytes-c.startBytes > c.heldBytes) {
		at.before = c.release(r.Meta.Size)
	}
	if !r.EndsBatch() {
		return at, nil
	}
	c.endBatch()
	if s.until > 0 && r.Position >= s.until {
		at.flush, at.done = true, true
		return at, nil
	}
	at.flush, err = c.full(ctx, s, r.Position)
	return at, err
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
