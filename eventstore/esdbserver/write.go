package esdbserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"

	"github.com/gxpledger/gxpledger/eventstore"
)

const (
	// maxTries bounds how often an append that names no revision is tried while others write to its stream.
	maxTries = 16
	// maxLookBack bounds how many events of a stream are looked at for an earlier try of such an append.
	maxLookBack = 10_000
)

// write appends an order to the log. One that names no revision goes to the end of its stream, and again to the new end if others
// were faster. What the log refuses may have been written by an earlier try, whose answer the client did not get: see repeated.
func (v *service) write(ctx context.Context, user string, o *order) (outcome, error) {
	return v.beginWrite(ctx, user, o)()
}

// beginWrite is write in two steps: with the first, the order has its place in the log behind those that were begun before it, where
// the log takes several at a time. Finish has to be called.
func (v *service) beginWrite(ctx context.Context, user string, o *order) (finish func() (outcome, error)) {
	if len(o.proposals) == 0 {
		done, err := v.writeNothing(ctx, o)
		return func() (outcome, error) { return done, err }
	}
	batch, err := v.compose(user, o)
	if err != nil {
		return func() (outcome, error) { return outcome{}, err }
	}
	try := v.try(ctx, o.expected, batch)
	return func() (outcome, error) {
		for n := 1; ; n++ {
			done, again, err := try()
			switch {
			case !again:
				return done, err
			case n == maxTries:
				return outcome{}, refuse(codes.Aborted, "Operation timed out: others write to the stream all the time.")
			}
			// Of all that know one end of a stream, one is written: those that were not take turns.
			leave, err := v.again.enter(ctx, batch.Stream)
			if err != nil {
				return outcome{}, ended(ctx, err)
			}
			try = v.try(ctx, o.expected, batch)
			finished := try
			try = func() (outcome, bool, error) {
				defer leave()
				return finished()
			}
		}
	}
}

// streamTurns are the turns of appends to streams, each of which waits for those before it. The zero value is ready.
type streamTurns struct {
	mu      sync.Mutex
	waiting map[eventstore.StreamID]*streamTurn // of streams that somebody has the turn of
}

type streamTurn struct {
	turn chan struct{} // holds one value while somebody has it
	n    int           // who has it or waits
}

// enter waits for the turn of a stream, which ends with leave. The error is that of ctx.
func (t *streamTurns) enter(ctx context.Context, stream eventstore.StreamID) (leave func(), err error) {
	t.mu.Lock()
	s := t.waiting[stream]
	if s == nil {
		if t.waiting == nil {
			t.waiting = map[eventstore.StreamID]*streamTurn{}
		}
		s = &streamTurn{turn: make(chan struct{}, 1)}
		t.waiting[stream] = s
	}
	s.n++
	t.mu.Unlock()
	gone := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if s.n--; s.n == 0 {
			delete(t.waiting, stream)
		}
	}
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}

// try hands a batch to the log. It is tried again where others were faster, and where they left the stream as it is expected.
func (v *service) try(ctx context.Context, e expectation, batch eventstore.Batch) (finish func() (_ outcome, again bool, err error)) {
	var end streamEnd
	if e.loose() {
		var err error
		if end, err = v.endOf(ctx, batch.Stream); err != nil || !e.holds(end) {
			return func() (outcome, bool, error) { return outcome{conflict: err == nil}, false, err }
		}
	}
	batch.Expected = e.at(end)
	wait := eventstore.Enqueue(ctx, v.log, batch)
	return func() (outcome, bool, error) {
		appended, err := wait()
		switch conflict := errors.Is(err, eventstore.ErrConflict); {
		case err == nil:
			return v.written(appended.LastRevision, appended.Last), false, nil
		case conflict && e.loose():
			return outcome{}, true, nil
		case conflict, errors.Is(err, eventstore.ErrIDReused):
			done, expected, failure := v.repeated(ctx, e, batch)
			if expected && !conflict {
				failure = idReused()
			}
			return done, expected && conflict, failure
		default:
			return outcome{}, false, v.appendFault(batch, err)
		}
	}
}

// writeNothing answers an append without events, which says no more than whether the stream is as expected.
func (v *service) writeNothing(ctx context.Context, o *order) (outcome, error) {
	if err := v.permit(o.stream); err != nil {
		return outcome{}, err
	}
	stream := eventstore.StreamID(o.stream)
	if err := stream.Validate(); err != nil {
		return outcome{}, malformed(err.Error())
	}
	end, err := v.endOf(ctx, stream)
	if err != nil {
		return outcome{}, err
	}
	head, err := v.log.Head(ctx)
	v.give(head)
	return outcome{conflict: !o.expected.holds(end), end: end, position: head}, err
}

// written is the outcome of an append whose last event is at a revision and a position.
func (v *service) written(last eventstore.Revision, at eventstore.Position) outcome {
	v.give(at)
	return outcome{end: streamEnd(last) + 1, position: at}
}

// repeated answers an append that the log refused: with the place of an earlier try that was written, with a conflict where the
// stream is elsewhere or holds a part of the append, and with a refusal where an id is held by another event. Where the stream is as the
// append expects it, as it may be meanwhile, expected is true and there is no answer.
//
// An event is the same if id, type and data are. Metadata may differ: some clients put the trace of each try into it. What an
// engine appends is the same only with the same metadata, which is the log's own.
func (v *service) repeated(ctx context.Context, e expectation, batch eventstore.Batch) (_ outcome, expected bool, err error) {
	from, found, err := v.placeOfFirst(ctx, e, batch)
	if err != nil {
		return outcome{}, false, err
	}
	held, same, last := 0, true, eventstore.Record{}
	if found {
		for r, err := range v.log.ReadStream(ctx, batch.Stream, from) {
			if err != nil {
				return outcome{}, false, err
			}
			if held == len(batch.Events) || r.ID != batch.Events[held].ID {
				break
			}
			same = same && v.sameEvent(r, batch, held)
			held, last = held+1, r
		}
	}
	switch {
	case held == len(batch.Events) && same:
		return v.written(last.Revision, last.Position), false, nil
	case held > 0 && !same:
		return outcome{}, false, idReused()
	}
	end, err := v.endOf(ctx, batch.Stream)
	if err != nil || held == 0 && e.holds(end) {
		return outcome{}, err == nil, err
	}
	return outcome{conflict: true, end: end}, false, nil
}

// placeOfFirst returns the revision at which the first event of an append would stand, were it written: behind the one that is
// expected, or where its id is.
func (v *service) placeOfFirst(ctx context.Context, e expectation, batch eventstore.Batch) (at eventstore.Revision, found bool, err error) {
	switch e.kind {
	case expectNoStream:
		return 0, true, nil
	case expectRevision:
		return eventstore.Revision(e.revision + 1), true, nil
	case expectAny, expectExists, expectNothing:
	}
	looked := 0
	for r, err := range v.log.ReadStreamBackwards(ctx, batch.Stream) {
		if err != nil {
			return 0, false, err
		}
		if r.ID == batch.Events[0].ID {
			return r.Revision, true, nil
		}
		if looked++; looked == maxLookBack {
			break
		}
	}
	return 0, false, nil
}

// sameEvent reports whether r is the event of batch with an index.
func (v *service) sameEvent(r eventstore.Record, batch eventstore.Batch, index int) bool {
	proposed := batch.Events[index]
	meta := r.Meta
	meta.Index, meta.Size, meta.Attempt = batch.Meta.Index, batch.Meta.Size, batch.Meta.Attempt
	if v.options.AllowEngineStreams && meta != batch.Meta {
		return false
	}
	held, want := clientEvent(r.Data), clientEvent(proposed.Data)
	return r.Type == proposed.Type && held.json == want.json && bytes.Equal(held.data, want.data)
}

// idReused is no case of the protocol. Clients know its code as "exists already".
func idReused() *refusal {
	return refuse(codes.AlreadyExists,
		"an event id was used for another event, or at another place: ids are for ever, and a repeated append must be the same",
		"exception", "event-id-reused")
}

// appendFault makes a refusal of what the log says to a batch.
func (v *service) appendFault(batch eventstore.Batch, err error) error {
	switch {
	case errors.Is(err, eventstore.ErrIDReused):
		return idReused()
	case errors.Is(err, eventstore.ErrInvalid):
		if fault := batch.Validate(); fault != nil {
			return malformed(strings.ToValidUTF8(fault.Error(), "?"))
		}
		return err
	case errors.Is(err, eventstore.ErrTooLarge):
		return appendTooLarge(v.logLimit())
	default:
		return err
	}
}

// logLimit is the largest batch that the log takes.
func (v *service) logLimit() int {
	if limit := v.log.Features().MaxBatchBytes; limit > 0 && limit < int64(v.options.MaxAppendSize) {
		return int(limit)
	}
	return v.options.MaxAppendSize
}

// compose makes a batch of an order that has events. What it expects is not set yet.
func (v *service) compose(user string, o *order) (batch eventstore.Batch, err error) {
	if err := v.permit(o.stream); err != nil {
		return eventstore.Batch{}, err
	}
	meta, ours := sharedMeta(o.proposals)
	ours = ours && v.options.AllowEngineStreams
	if !ours {
		meta = eventstore.Meta{Actor: actor(user), Attempt: 1}
	}
	batch = eventstore.Batch{Stream: eventstore.StreamID(o.stream), Meta: meta}
	hash, isContent := contentHash(o.stream)
	switch {
	case isContent:
		if err := contentAllowed(o, ours); err != nil {
			return eventstore.Batch{}, err
		}
		batch.Events, batch.Contents, err = storeContent(hash, o.proposals)
	case ours:
		batch.Events, err = engineEvents(o.proposals)
	case engines(o.stream):
		err = malformed("events of an engine's stream have the log's metadata, each with its index and the size of the " +
			"append, and share the rest")
	default:
		batch.Events, err = clientEvents(o.proposals)
	}
	return batch, err
}

// contentAllowed refuses an append of a content that could not be read back as it is.
func contentAllowed(o *order, ours bool) error { //nolint:revive // what the metadata is, not a switch
	if o.expected.kind != expectNoStream {
		return malformed("the stream of a content is appended once: expect no stream")
	}
	for i, p := range o.proposals {
		if !ours && len(p.metadata) > 0 {
			return malformed(fmt.Sprintf("event %d: an event of a content has the log's metadata or none", i))
		}
	}
	return nil
}

// engineEvents are what an engine proposes, as it is. An event of a client of another server, which writes to this one through an
// engine, is wrapped once more, so that it comes back as it is too.
func engineEvents(proposals []proposal) ([]eventstore.NewEvent, error) {
	events := make([]eventstore.NewEvent, len(proposals))
	for i, p := range proposals {
		if !p.json {
			return nil, malformed(fmt.Sprintf("event %d: an event of an engine is application/json", i))
		}
		events[i] = eventstore.NewEvent{ID: p.id, Type: p.name, Data: p.data}
		if _, ok := unwrap(p.data); ok {
			events[i].Data = wrap(p.event)
		}
	}
	return events, nil
}

// linkEvent is the type of events that stand for an event of another stream in EventStoreDB.
const linkEvent = "$>"

// clientEvents are what a client proposes, wrapped where they must be.
func clientEvents(proposals []proposal) ([]eventstore.NewEvent, error) {
	events := make([]eventstore.NewEvent, len(proposals))
	for i, p := range proposals {
		if p.name == linkEvent {
			return nil, refuse(codes.Unimplemented, fmt.Sprintf("event %d: link events (%s) are not served here: a gxpledger log resolves "+
				"no links", i, linkEvent))
		}
		if known(p.name) {
			return nil, accessDenied(fmt.Sprintf("event %d: the type %q is the engine's", i, p.name))
		}
		events[i] = eventstore.NewEvent{ID: p.id, Type: p.name, Data: wrap(p.event)}
	}
	return events, nil
}

// actor is who is recorded for the events of a client.
func actor(user string) string {
	if user == "" {
		return "esdb"
	}
	return "esdb:" + user
}

// ClosedTo names the streams that begin with prefix, if clients may append to none of them, whatever Options.Writable says; "" where
// they may.
func ClosedTo(prefix string) string {
	for _, closed := range []string{"$", eventstore.RepositoryPrefix, contentPrefix} {
		if strings.HasPrefix(prefix, closed) {
			return closed + "..."
		}
	}
	if prefix == string(eventstore.EngineStream) {
		return prefix
	}
	return ""
}

// engines reports whether a stream is written by engines alone.
func engines(stream string) bool { return !strings.HasPrefix(stream, "$") && ClosedTo(stream) != "" }

// known reports whether the engine has events of that type. One in a client's stream could be taken for a fact that the
// engine recorded.
func known(name string) bool { return slices.Contains(eventstore.KnownTypes(), name) }

// permit refuses to write streams that are not open to clients.
func (v *service) permit(stream string) error {
	switch {
	case v.options.AllowEngineStreams && !strings.HasPrefix(stream, "$"):
		return nil
	case strings.HasPrefix(stream, "$"):
		return accessDenied("streams of the system, whose names begin with $, are not kept: a log has no metadata of streams")
	case engines(stream):
		return accessDenied(fmt.Sprintf("stream %q is written by the engine alone", stream))
	}
	for _, prefix := range v.options.Writable {
		if strings.HasPrefix(stream, prefix) {
			return nil
		}
	}
	return accessDenied(fmt.Sprintf("stream %q is not open to clients: the operator may open a prefix of names", stream))
}

// sharedMeta returns the metadata of a batch if each of its events carries it: as the log tells it, each with its own
// index and the size of the batch, and all else alike.
func sharedMeta(proposals []proposal) (eventstore.Meta, bool) {
	var shared eventstore.Meta
	for i, p := range proposals {
		meta, ok := decodeMeta(p.metadata)
		if !ok || meta.Index != i || meta.Size != len(proposals) {
			return eventstore.Meta{}, false
		}
		if meta.Index = 0; i == 0 {
			shared = meta
		}
		if meta != shared {
			return eventstore.Meta{}, false
		}
	}
	return shared, true
}

// decodeMeta reads what encodeMeta wrote. It takes nothing that the log could not give back.
func decodeMeta(text []byte) (eventstore.Meta, bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var m clientMeta
	if err := decoder.Decode(&m); err != nil || decoder.More() {
		return eventstore.Meta{}, false
	}
	if m.knownNames != (knownNames{}) && m.knownNames != namesOf(m.Meta) {
		return eventstore.Meta{}, false
	}
	return m.Meta, m.Attempt > 0
}
