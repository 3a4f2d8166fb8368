package esdbserver

import (
	"context"
	"slices"
	"sort"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/fair"
)

// pageBytes and pageRecords end a page of the log that subscriptions share.
const (
	pageBytes   = 512 << 10
	pageRecords = 1024
	// smallestPage is what a page costs at least, however few its records are: at the end of the log most have one.
	smallestPage = 4 << 10
)

// page holds all records of the log behind a position, up to its last one. That does not change (I3).
type page struct {
	after   eventstore.Position
	records []eventstore.Record // at least one
	size    int64
	largest int64
	readers int // guarded by the mu of its pages
}

func (g *page) last() eventstore.Position { return g.records[len(g.records)-1].Position }

// behind yields the records of a page behind a position.
func (g *page) behind(at eventstore.Position) records {
	return func(yield func(eventstore.Record, error) bool) {
		from := sort.Search(len(g.records), func(i int) bool { return g.records[i].Position > at })
		for _, r := range g.records[from:] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// pages are the pages of the log that subscriptions read, one for all that want the same records, and the newest of those that nobody
// reads any more, since others are behind. Each is counted in the budget of reads once, whoever reads it. It is safe for concurrent use.
type pages struct {
	log    eventstore.Reader
	budget *fair.Budget
	most   int64 // bytes of pages that are kept and not read

	mu      sync.Mutex // guards all below
	kept    []*page    // the last ones used are the last
	idle    int64      // bytes of those that nobody reads
	reading map[eventstore.Position]chan struct{}
}

func newPages(log eventstore.Reader, budget *fair.Budget, most int64) *pages {
	p := &pages{log: log, budget: budget, most: most, reading: map[eventstore.Position]chan struct{}{}}
	budget.Wanted = func() { p.evict(0) }
	return p
}

// find returns the page with the record behind a position, nil if it is not kept; then read is closed once somebody read it, and nil if
// nobody reads it. Who may read it says so, and does it then. Release the page.
func (p *pages) find(at eventstore.Position, mayRead bool) (found *page, read chan struct{}) { //nolint:revive // what the caller does next
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, g := range slices.Backward(p.kept) {
		if g.after <= at && at < g.last() {
			p.kept = append(slices.Delete(p.kept, i, i+1), g)
			if g.readers++; g.readers == 1 {
				p.idle -= g.size
			}
			return g, nil
		}
	}
	if read, ok := p.reading[at]; ok || !mayRead {
		return nil, read
	}
	p.reading[at] = make(chan struct{})
	return nil, nil
}

// get is find, and reads the page of the log if it is not kept, unless somebody does that already. It returns nil where the log ends. The
// caller holds the memory for it, of which the page takes none.
func (p *pages) get(ctx context.Context, at eventstore.Position) (*page, error) {
	for {
		found, read := p.find(at, true)
		switch {
		case found != nil:
			return found, nil
		case read == nil:
			return p.read(ctx, at)
		}
		select {
		case <-read:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *pages) read(ctx context.Context, at eventstore.Position) (*page, error) {
	g, err := pageOf(p.log.Read(ctx, at, eventstore.Filter{}), at)
	p.mu.Lock()
	defer p.mu.Unlock()
	if g != nil {
		p.budget.Charge(g.size)
		p.kept = append(p.kept, g)
	}
	p.end(at)
	return g, err
}

// giveUp leaves a page to others that the caller said it would read.
func (p *pages) giveUp(at eventstore.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(at)
}

// end tells those who wait for a page. mu is held.
func (p *pages) end(at eventstore.Position) {
	close(p.reading[at])
	delete(p.reading, at)
}

// pageOf reads a page, nil if nothing is found.
func pageOf(found records, after eventstore.Position) (*page, error) {
	g := &page{after: after, readers: 1}
	for r, err := range found {
		if err != nil {
			return nil, err
		}
		size := int64(len(r.Data)) + perEvent
		g.records, g.size, g.largest = append(g.records, r), g.size+size, max(g.largest, size)
		if g.size >= pageBytes || len(g.records) == pageRecords {
			break
		}
	}
	if len(g.records) == 0 {
		return nil, nil //nolint:nilnil // no page is no failure
	}
	g.size = max(g.size, smallestPage)
	return g, nil
}

// release lets go of a page.
func (p *pages) release(g *page) {
	p.mu.Lock()
	if g.readers--; g.readers == 0 {
		p.idle += g.size
	}
	p.mu.Unlock()
	most := p.most
	if p.budget.IsShort() {
		most = 0
	}
	p.evict(most)
}

// evict drops pages that nobody reads, those that were not used for longest first, until no more than most bytes of them are kept.
func (p *pages) evict(most int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.idle
	if before <= most {
		return
	}
	p.kept = slices.DeleteFunc(p.kept, func(g *page) bool {
		if p.idle <= most || g.readers > 0 {
			return false
		}
		p.idle -= g.size
		return true
	})
	if p.idle < before {
		p.budget.Charge(p.idle - before)
	}
}

// has reports whether a reader that is at a position goes on with pages that are kept, or with one that is newer than all of them.
func (p *pages) has(at eventstore.Position) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	newer := false
	for _, g := range slices.Backward(p.kept) {
		if g.after <= at && at < g.last() {
			return true
		}
		newer = newer || g.after > at
	}
	return !newer
}
