package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

// Log is what events are read from.
type Log interface {
	cloudevents.Log
	eventstore.Reader
	eventstore.Subscriber
}

// frame is an event as it is sent.
type frame struct {
	position eventstore.Position
	stream   eventstore.StreamID
	typ      string
	text     []byte // nil for an event that is not sent: of another application
}

// tail follows the log once for all clients, and keeps the last events as they are sent. A client that is further behind reads the log.
type tail struct {
	log     Log
	encoder *cloudevents.Encoder
	most    int // bytes that are kept

	mu      sync.Mutex // guards all below
	base    eventstore.Position
	frames  []frame // all behind base, in order
	size    int
	changed chan struct{} // closed and replaced when there are more, or none will come
	ended   error
}

const (
	tailBytes   = 32 << 20
	tailAgain   = time.Second // until a log that did not answer is asked again
	frameExtra  = 200         // bytes of a frame beside its text
	framesAtAll = 1 << 16     // are kept at most
)

func newTail(log Log) *tail {
	return &tail{log: log, encoder: cloudevents.NewEncoder(log), most: tailBytes, changed: make(chan struct{})}
}

// run follows the log until ctx ends, or the log cannot be followed any more. failed is told what is tried again.
func (t *tail) run(ctx context.Context, failed func(error)) {
	t.end(t.follow(ctx, failed))
}

func (t *tail) follow(ctx context.Context, failed func(error)) error {
	var at eventstore.Position
	begun := false
	for {
		err := t.read(ctx, &at, &begun)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, eventstore.ErrTransient):
			failed(err)
			return err
		}
		failed(err)
		select {
		case <-time.After(tailAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read adds what is recorded after a position, which it moves. The first time, that is the head.
func (t *tail) read(ctx context.Context, at *eventstore.Position, begun *bool) error {
	if !*begun {
		head, err := t.log.Head(ctx)
		if err != nil {
			return err
		}
		*at, *begun = head, true
		t.begin(head)
	}
	for r, err := range t.log.Subscribe(ctx, *at, eventstore.Filter{}) {
		if err != nil {
			return err
		}
		f, err := encode(ctx, t.encoder, r)
		if err != nil {
			return err
		}
		t.add(f)
		*at = r.Position
	}
	return ctx.Err()
}

// encode returns an event as it is sent.
func encode(ctx context.Context, encoder *cloudevents.Encoder, r eventstore.Record) (frame, error) {
	f := frame{position: r.Position, stream: r.Stream, typ: r.Type}
	event, err := encoder.Encode(ctx, r)
	if errors.Is(err, cloudevents.ErrForeign) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	document, err := event.Structured()
	if err != nil {
		return f, fmt.Errorf("cannot encode position %d: %w", r.Position, err)
	}
	f.text = eventFrame(r.Position, event.Type, document)
	return f, nil
}

// begin says from where on the tail has all events.
func (t *tail) begin(head eventstore.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base = head
	t.wake()
}

func (t *tail) add(f frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frames = append(t.frames, f)
	t.size += len(f.text) + frameExtra
	drop := 0
	for (t.size > t.most || len(t.frames)-drop > framesAtAll) && drop < len(t.frames)-1 {
		t.size -= len(t.frames[drop].text) + frameExtra
		t.base = t.frames[drop].position
		drop++
	}
	t.frames = t.frames[drop:] // what is dropped stays as it is: clients may still send it
	t.wake()
}

// wake needs mu.
func (t *tail) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tail) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = err
	t.wake()
}

// errBehind says that the log has to be read for what follows a position.
var errBehind = errors.New("the position is before what is kept")

// after returns the events behind a position, in order, or errBehind. more is closed when there may be others.
func (t *tail) after(at eventstore.Position) (frames []frame, more <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return nil, nil, t.ended
	}
	if at < t.base {
		return nil, t.changed, errBehind
	}
	low, high := 0, len(t.frames)
	for low < high {
		if middle := (low + high) / 2; t.frames[middle].position <= at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return t.frames[low:len(t.frames):len(t.frames)], t.changed, nil
}
