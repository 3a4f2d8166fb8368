package projections

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sort"
	"sync"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// preparer turns pages into operations. It is safe for concurrent use, since projections are pure (I6, I9).
type preparer struct {
	decode func(eventstore.Record) (domain.Event, error)
	mu     sync.Mutex      // guards known
	known  map[string]bool // event types that decode knows
}

// decoded is a page with what its events say to one set of projections.
type decoded struct {
	page   page
	events []domain.Event // nil for those that nobody handles
	errs   map[int]error  // by index, what could not be decoded
}

// decodePage decodes what is in handled. Of the others it makes sure that the type is known at all: an event of a newer
// binary may change what the tables mean, so that skipping it would be wrong. Guests are passed over, whatever their type.
func (p *preparer) decodePage(pg page, handled map[string]bool) decoded {
	d := decoded{page: pg, events: make([]domain.Event, len(pg.records))}
	fail := func(i int, err error) {
		if d.errs == nil {
			d.errs = map[int]error{}
		}
		d.errs[i] = err
	}
	for i, r := range pg.records {
		if !r.Stream.OfEngine() || !handled[r.Type] && p.knows(r.Type) {
			continue
		}
		event, err := p.decode(r)
		switch {
		case errors.Is(err, eventstore.ErrUnknownType):
			fail(i, err)
		case !handled[r.Type]:
			p.learn(r.Type) // readable or not: nobody asked for it
		case err != nil:
			fail(i, fmt.Errorf("decode: %w", err))
		case event == nil:
			fail(i, errors.New("decode: no event"))
		default:
			d.events[i] = event
		}
	}
	return d
}

func (p *preparer) knows(eventType string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[eventType]
}

func (p *preparer) learn(eventType string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[eventType] = true
}

// applying is how a page is applied: to which projection, and without which events.
type applying struct {
	Projection
	handles map[string]bool
	skips   skips
}

// apply returns the operations that the first n records of d mean.
func (d decoded) apply(how applying, n int) ([]Op, error) {
	events := make([]Event, 0, n)
	for i, r := range d.page.records[:n] {
		if how.skips[r.ID] {
			continue
		}
		err := d.errs[i]
		if err != nil && (how.handles[r.Type] || errors.Is(err, eventstore.ErrUnknownType)) {
			return nil, err
		}
		if how.handles[r.Type] && d.events[i] != nil {
			events = append(events, Event{Record: r, Event: d.events[i]})
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	var rows Rows
	if err := safely(how.Apply, events, &rows); err != nil {
		return nil, err
	}
	return rows.Ops(), nil
}

// safely calls apply and turns a panic into an error: one projection's mistake must not stop the others.
func safely(apply func([]Event, *Rows) error, events []Event, rows *Rows) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return apply(events, rows)
}

// culprit returns the index of the record at which applying fails, or adds the operation that failed. A failure stays
// when more records follow, so that the first record at which it shows is found by halving. Where nobody can tell, as for
// a reference that leads nowhere at the end of the page, it is the last record.
func (d decoded) culprit(how applying, failure error) int {
	var refused *OpError
	byOp := errors.As(failure, &refused)
	return sort.Search(len(d.page.records)-1, func(i int) bool {
		ops, err := d.apply(how, i+1)
		return err != nil || byOp && len(ops) > refused.Index
	})
}
