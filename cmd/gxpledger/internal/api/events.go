package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

const (
	heartbeat      = 15 * time.Second
	reconnectAfter = 3 * time.Second
	// sendWithin is how long a client may take to receive what was written. One that is slower is dropped: it resumes after the last id that
	// it has.
	sendWithin = 30 * time.Second
	// MaxSubscribers is how many clients follow the events at once.
	MaxSubscribers = 5000
	sendAtOnce     = 64 << 10 // bytes, before they are flushed
)

// Events sends events to clients as they are recorded, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). It
// is safe for concurrent use. Run it.
type Events struct {
	log    Log
	tail   *tail
	find   func(ctx context.Context, repository string) (eventstore.StreamID, error)
	failed func(error)
	send   time.Duration // sendWithin, or less in tests
	beat   time.Duration // heartbeat, or less in tests

	open    atomic.Int64
	stopped chan struct{}
	stop    sync.Once
}

// NewEvents returns what sends the events of a log. find returns the stream of a repository, or a *[ProblemError]; failed is told what went wrong with
// the log.
func NewEvents(log Log, find func(ctx context.Context, repository string) (eventstore.StreamID, error), failed func(error)) *Events {
	return &Events{log: log, tail: newTail(log), find: find, failed: failed, send: sendWithin, beat: heartbeat, stopped: make(chan struct{})}
}

// Run follows the log until ctx ends.
func (e *Events) Run(ctx context.Context) { e.tail.run(ctx, e.failed) }

// Stop ends all connections.
func (e *Events) Stop() { e.stop.Do(func() { close(e.stopped) }) }

// Open is how many clients follow.
func (e *Events) Open() int { return int(e.open.Load()) }

// Operation is the operation that clients follow with.
func (e *Events) Operation() Operation {
	return Operation{
		ID: "events", Method: http.MethodGet, Pattern: "/v1/events", Needs: NeedSubscribe,
		Summary: "Follow the events of the log, as server-sent events",
		Parameters: []Parameter{
			{Name: "after", In: InQuery, About: "The id of an event, after which to begin; 0 for all of them. Without it, and without the header Last-Event-ID, new events alone are sent."},
			{Name: "types", In: InQuery, About: "Stored types, joined by commas, such as scan.completed.v2; without a version, all versions of it."},
			{Name: "repository", In: InQuery, About: "Name or id of one repository."},
		},
		Handle: e.serve,
	}
}

// choice is which events a client wants.
type choice struct {
	stream eventstore.StreamID // "" for all
	types  []string            // versioned; empty for all
}

func (c choice) match(f frame) bool {
	return f.text != nil && (c.stream == "" || f.stream == c.stream) && (len(c.types) == 0 || slices.Contains(c.types, f.typ))
}

func (e *Events) serve(w http.ResponseWriter, r *http.Request, call Call) error {
	if accept := r.Header.Get("Accept"); accept != "" && !strings.Contains(accept, "text/event-stream") && !strings.Contains(accept, "*/*") {
		return NewProblem(http.StatusNotAcceptable, CodeUnsupported, "this is a stream of server-sent events: accept text/event-stream")
	}
	wanted, err := e.choose(r.Context(), call)
	if err != nil {
		return err
	}
	at, err := e.begin(r, call)
	if err != nil {
		return err
	}
	if e.open.Add(1) > MaxSubscribers {
		e.open.Add(-1)
		full := NewProblem(http.StatusServiceUnavailable, CodeBusy, fmt.Sprintf("%d clients follow the events: ask again later", MaxSubscribers))
		full.RetryAfter = turnWait
		return full
	}
	defer e.open.Add(-1)
	s := &sender{w: w, control: http.NewResponseController(w), within: e.send}
	_ = s.control.SetReadDeadline(time.Time{}) // nothing more is read; a writer without deadlines has none to clear
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that keeps parts of an answer back would keep events back
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	s.write(fmt.Appendf(nil, "retry: %d\n: follows after %d\n\n", reconnectAfter.Milliseconds(), uint64(at)))
	s.flush()
	if err := e.stream(r.Context(), s, at, wanted); err != nil && r.Context().Err() == nil && s.err == nil {
		e.failed(err)
	}
	return nil // the answer has begun
}

// choose reads which events a client wants.
func (e *Events) choose(ctx context.Context, call Call) (wanted choice, err error) {
	if name := call["repository"]; name != "" {
		if wanted.stream, err = e.find(ctx, name); err != nil {
			return choice{}, err
		}
	}
	if call["types"] == "" {
		return wanted, nil
	}
	for name := range strings.SplitSeq(call["types"], ",") {
		name = strings.TrimSpace(name)
		before := len(wanted.types)
		for _, known := range eventstore.KnownTypes() {
			if known == name || strings.HasPrefix(known, name+".v") {
				wanted.types = append(wanted.types, known)
			}
		}
		if len(wanted.types) == before {
			return choice{}, NewProblem(http.StatusBadRequest, CodeBadRequest, fmt.Sprintf("no event has the type %.100q: GET /v1/contracts/ lists them", name))
		}
	}
	return wanted, nil
}

// begin returns the position after which a client wants events. It must be one that the log gave (I19).
func (e *Events) begin(r *http.Request, call Call) (eventstore.Position, error) {
	text, given := call["after"]
	if last := r.Header.Get("Last-Event-ID"); last != "" { // of a client that connects again, to the same address
		text, given = last, true
	}
	head, err := e.log.Head(r.Context())
	if err != nil {
		return 0, err
	}
	if !given {
		return head, nil
	}
	unknown := NewProblem(http.StatusBadRequest, CodeUnknownID, fmt.Sprintf("no event of this log has the id %.30q: begin with after=0, or with the head", text))
	unknown.Head = strconv.FormatUint(uint64(head), 10)
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(number, 10) != text {
		return 0, unknown
	}
	at := eventstore.Position(number)
	if at == 0 {
		return 0, nil
	}
	if at > head {
		return 0, unknown
	}
	switch _, err := e.log.At(r.Context(), at); {
	case errors.Is(err, eventstore.ErrNotFound):
		return 0, unknown
	case err != nil:
		return 0, err
	}
	return at, nil
}

// stream sends events until the client goes away or is too slow, or the server ends.
func (e *Events) stream(ctx context.Context, s *sender, at eventstore.Position, wanted choice) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beat := time.NewTicker(e.beat)
	defer beat.Stop()
	for s.err == nil {
		frames, more, err := e.tail.after(at)
		if err != nil && !errors.Is(err, errBehind) {
			return err
		}
		if err != nil {
			caughtUp, err := e.catchUp(ctx, s, at, wanted)
			if err != nil || s.err != nil {
				return err
			}
			if caughtUp > at { // else the tail has not begun
				at = caughtUp
				continue
			}
		}
		for _, f := range frames {
			if at = f.position; wanted.match(f) {
				s.write(f.text)
			}
		}
		s.flush()
		select {
		case <-more:
		case <-beat.C:
			s.write([]byte(": alive\n\n"))
			s.flush()
		case <-e.stopped:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// catchUp sends what the log has behind a position, and returns the position that it came to.
func (e *Events) catchUp(ctx context.Context, s *sender, at eventstore.Position, wanted choice) (eventstore.Position, error) {
	filter := eventstore.Filter{StreamPrefix: string(wanted.stream), Types: wanted.types}
	head, err := e.log.Head(ctx)
	if err != nil {
		return at, err
	}
	encoder := cloudevents.NewEncoder(e.log)
	for r, err := range e.log.Read(ctx, at, filter) {
		if err != nil {
			return at, err
		}
		f, err := encode(ctx, encoder, r)
		if err != nil {
			return at, err
		}
		at = r.Position
		if wanted.match(f) {
			s.write(f.text)
		}
		select {
		case <-e.stopped:
			return at, nil
		default:
		}
		if s.err != nil {
			return at, nil
		}
	}
	s.flush()
	return max(at, head), nil // what the filter left out was read over, up to the head that was asked for before
}

// sender writes to one client.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
	pending int
	err     error // the client went away, or is too slow
}

func (s *sender) write(text []byte) {
	if s.err != nil {
		return
	}
	if s.pending == 0 {
		s.err = s.control.SetWriteDeadline(time.Now().Add(s.within)) //nolint:forbidigo // a deadline of a connection is by the clock of the system
	}
	if s.err == nil {
		_, s.err = s.w.Write(text) //nolint:gosec // of a type that no browser renders, with nosniff
	}
	if s.pending += len(text); s.pending >= sendAtOnce {
		s.flush()
	}
}

func (s *sender) flush() {
	if s.err == nil && s.pending > 0 {
		s.err = s.control.Flush()
	}
	s.pending = 0
}

// eventFrame is an event in the form of server-sent events. No part of it can hold a line end: a position is digits, a type passed
// [eventstore.CheckName], and JSON escapes control characters.
func eventFrame(at eventstore.Position, typ string, document []byte) []byte {
	out := make([]byte, 0, len(document)+len(typ)+64)
	out = append(out, "id: "...)
	out = strconv.AppendUint(out, uint64(at), 10)
	out = append(out, "\nevent: "...)
	out = append(out, typ...)
	out = append(out, "\ndata: "...)
	for _, c := range document {
		if c == '\n' || c == '\r' { // between the parts of a document alone
			c = ' '
		}
		out = append(out, c)
	}
	return append(out, "\n\n"...)
}
