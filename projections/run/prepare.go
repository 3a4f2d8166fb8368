package run

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// preparer turns pages into operations. It is safe for concurrent use, since projections are pure (I6, I9).
type preparer struct {
	decode func(eventstore.Record) (domain.Event, error)
	mu     sync.Mutex              // guards known
	known  map[string]reflect.Type // what decode makes of a stored name
}

// handled is the types of events that a projection wants.
type handled map[reflect.Type]bool

// decoded is a page with what its events say to one set of projections.
type decoded struct {
	page   page
	events []domain.Event // nil for those that nobody handles
	errs   map[int]error  // by index, what could not be decoded
	types  []reflect.Type // of what was decoded, or of what the stored name says; nil when nobody knows
}

// decodePage decodes what is in wanted. Of the others it makes sure that the type is known at all: an event of a newer
// binary may change what the tables mean, so that skipping it would be wrong. Foreign streams are skipped, whatever their type.
func (p *preparer) decodePage(pg page, wanted handled) decoded {
	d := decoded{page: pg, events: make([]domain.Event, len(pg.records)), types: make([]reflect.Type, len(pg.records))}
	for i, r := range pg.records {
		if !r.Stream.OfEngine() {
			continue
		}
		if d.types[i] = p.typeOf(r.Type); d.types[i] != nil && !wanted[d.types[i]] {
			continue
		}
		event, err := p.decode(r)
		if err == nil && event == nil {
			err = errors.New("no event")
		}
		switch {
		case err == nil:
			d.events[i], d.types[i] = event, reflect.TypeOf(event)
			p.learn(r.Type, d.types[i])
			continue
		case !errors.Is(err, eventstore.ErrUnknownType):
			err = fmt.Errorf("cannot decode: %w", err)
		}
		if d.errs == nil {
			d.errs = map[int]error{}
		}
		d.errs[i] = err
	}
	return d
}

// typeOf returns the type that events of a stored name decode to; nil before one was decoded.
func (p *preparer) typeOf(name string) reflect.Type {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[name]
}

func (p *preparer) learn(name string, t reflect.Type) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[name] = t
}

// applying is how a page is applied: to which projection, and without which events.
type applying struct {
	projections.Projection
	handles handled
	skips   skips
}

// apply returns the operations that the first n records of d mean.
func (d decoded) apply(how applying, n int) ([]projections.Op, error) {
	events := make([]projections.Event, 0, n)
	for i, r := range d.page.records[:n] {
		if how.skips[r.ID] {
			continue
		}
		if err := d.errs[i]; err != nil && (d.types[i] == nil || how.handles[d.types[i]]) {
			return nil, err // whoever may have wanted it stops
		}
		if d.events[i] != nil && how.handles[d.types[i]] {
			events = append(events, projections.Event{Record: r, Event: d.events[i]})
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	var rows projections.Rows
	if err := safely(how.Apply, events, &rows); err != nil {
		return nil, err
	}
	return rows.Ops(), nil
}

// safely calls apply and turns a panic into an error: one projection's mistake must not stop the others.
func safely(apply func([]projections.Event, *projections.Rows) error, events []projections.Event, rows *projections.Rows) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &projections.PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return apply(events, rows)
}
