package esdbtest

import (
	"context"
	"iter"
	"math"
	"slices"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Read implements reads and subscriptions.
func (n *Node) Read(request *api.ReadReq, call api.Streams_ReadServer) error {
	o := request.GetOptions()
	r := rightRead
	if o.GetAll() != nil {
		r = rightReadAll
	}
	if err := n.enter(call.Context(), describe(o), r, string(o.GetStream().GetStreamIdentifier().GetStreamName())); err != nil {
		return err
	}
	if o == nil {
		return errHandler
	}
	if err := combination(o); err != nil {
		return err
	}
	f, err := filterOf(o)
	if err != nil {
		return err
	}
	reader := &reader{
		node: n, ctx: call.Context(), o: o, filter: f, call: call, strings: o.GetUuidOption().GetString_() != nil,
		backwards: o.GetReadDirection() == api.ReadReq_Options_Backwards,
	}
	switch {
	case o.GetStream() != nil && (o.GetStream().GetStreamIdentifier() == nil || len(o.GetStream().GetStreamIdentifier().GetStreamName()) == 0):
		return errHandler
	case o.GetSubscription() != nil && o.GetStream() != nil:
		return reader.followStream(string(o.GetStream().GetStreamIdentifier().GetStreamName()))
	case o.GetSubscription() != nil:
		return reader.followAll()
	case o.GetStream() != nil:
		return reader.stream(string(o.GetStream().GetStreamIdentifier().GetStreamName()))
	default:
		return reader.all()
	}
}

// reader is one call of Read.
type reader struct {
	node      *Node
	ctx       context.Context //nolint:containedctx // of the call
	o         *api.ReadReq_Options
	filter    *filter
	call      api.Streams_ReadServer
	strings   bool // ids are sent as text
	backwards bool
	epoch     int
}

// look returns what a reader is shown now, and what is closed when that changes. A node that must lead, and does not, is an error.
func (r *reader) look() (view, <-chan struct{}, error) {
	c := r.node.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	r.epoch = r.node.epoch
	return r.node.view(), c.changed, r.node.demandLeader(r.ctx)
}

// event is an entry as clients get it.
func (e *entry) event(id *shared.UUID) *api.ReadResp_ReadEvent_RecordedEvent {
	kind := "application/octet-stream"
	if e.json {
		kind = "application/json"
	}
	return &api.ReadResp_ReadEvent_RecordedEvent{
		Id: id, StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(e.stream)}, StreamRevision: e.revision,
		CommitPosition: e.position, PreparePosition: e.position, Data: e.data, CustomMetadata: e.meta,
		Metadata: map[string]string{"type": e.name, "content-type": kind, "created": strconv.FormatInt(e.created.UnixNano()/100, 10)},
	}
}

// send sends what a test made of a message.
func (r *reader) send(m *api.ReadResp) error {
	messages := []*api.ReadResp{m}
	if rewrite := r.node.cluster.rewriter(); rewrite != nil {
		messages = rewrite(m)
	}
	for _, m := range messages {
		if m.GetEvent() != nil {
			r.node.cluster.count(func(q *Requests) { q.Events++ })
		}
		if err := r.call.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) sendEvent(e *entry) error {
	id := structured(e.id)
	if r.strings {
		id = &shared.UUID{Value: &shared.UUID_String_{String_: e.id.String()}}
	}
	return r.send(&api.ReadResp{Content: &api.ReadResp_Event{Event: &api.ReadResp_ReadEvent{
		Event: e.event(id), Position: &api.ReadResp_ReadEvent_CommitPosition{CommitPosition: e.position},
	}}})
}

// sendUpTo sends the first count of entries that are shown.
func (r *reader) sendUpTo(entries iter.Seq[*entry], count uint64) error {
	for e := range entries {
		if e.hidden.Load() {
			continue
		}
		if count == 0 {
			break
		}
		count--
		if err := r.sendEvent(e); err != nil {
			return err
		}
	}
	return nil
}

var errStreamResult = status.Error(codes.Unknown, "Unexpected ReadStreamResult: Error")

// stream reads a stream (facts: read/*).
func (r *reader) stream(name string) error {
	v, _, err := r.look()
	if err != nil {
		return err
	}
	if r.node.cluster.beStrange() {
		return r.call.Send(&api.ReadResp{Content: &api.ReadResp_CaughtUp_{CaughtUp: &api.ReadResp_CaughtUp{}}})
	}
	at := r.o.GetStream()
	from, end := at.GetRevision(), at.GetEnd() != nil || at.GetRevision() == math.MaxUint64
	shown, found := v.read(name)
	switch {
	case at.GetRevisionOption() == nil:
		return nil
	case from > math.MaxInt64 && !end:
		return errHandler
	case r.o.GetCount() == 0, end && !r.backwards:
		return errStreamResult
	case v.tombstoned(name):
		return errStreamDeleted(r.ctx, name)
	case !found:
		return r.send(&api.ReadResp{Content: &api.ReadResp_StreamNotFound_{StreamNotFound: &api.ReadResp_StreamNotFound{
			StreamIdentifier: at.GetStreamIdentifier(),
		}}})
	}
	last := uint64(v.last(name))
	entries := slices.Values(shown[beginAt(shown, from):])
	if r.backwards {
		if !end {
			shown = shown[:beginAt(shown, from+1)]
		}
		entries = valuesBackwards(shown)
	}
	told := r.o.GetControlOption().GetCompatibility() >= 1
	first := last + 1
	if len(shown) > 0 {
		first = shown[0].revision
	}
	page := min(r.o.GetCount(), defaultWindow)
	if told && !r.backwards && from <= last && (first >= from+page || len(shown) == 0) { // the first page has no event
		if err := r.sendFirst(v.settings(name), first); err != nil {
			return err
		}
	}
	if err := r.sendUpTo(entries, r.o.GetCount()); err != nil || !told {
		return err
	}
	return r.send(&api.ReadResp{Content: &api.ReadResp_LastStreamPosition{LastStreamPosition: last}})
}

// sendFirst tells where a stream begins: where it was cut, and where that is behind its end what it continues with.
func (r *reader) sendFirst(s settings, first uint64) error {
	positions := []uint64{first}
	if cut := s.TruncateBefore; cut != nil && uint64(*cut) > first {
		positions = []uint64{uint64(*cut), first}
	}
	for _, at := range positions {
		if err := r.send(&api.ReadResp{Content: &api.ReadResp_FirstStreamPosition{FirstStreamPosition: at}}); err != nil {
			return err
		}
	}
	return nil
}

// beginAt returns the index of the first entry at or behind a revision.
func beginAt(entries []*entry, revision uint64) int {
	if i := slices.IndexFunc(entries, func(e *entry) bool { return e.revision >= revision }); i >= 0 {
		return i
	}
	return len(entries)
}

func valuesBackwards(entries []*entry) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, e := range slices.Backward(entries) {
			if !yield(e) {
				return
			}
		}
	}
}

// begin returns where a read or a subscription of $all begins, false if the request does not say.
func (r *reader) begin(v view) (p place, ok bool, err error) {
	switch at := r.o.GetAll(); {
	case at.GetStart() != nil:
		return v.start(), true, nil
	case at.GetEnd() != nil:
		return v.end(), true, nil
	case at.GetPosition() == nil:
		return p, false, nil
	default:
		commit, prepare := at.GetPosition().GetCommitPosition(), at.GetPosition().GetPreparePosition()
		c := r.node.cluster
		c.mu.Lock()
		defer c.mu.Unlock()
		c.checkGiven(describe(r.o), commit, prepare)
		p = v.place(commit, prepare)
		return p, true, nil
	}
}

// all reads $all: forwards from a position on, backwards from before it (facts: all/*, all_filter/*).
func (r *reader) all() error {
	v, _, err := r.look()
	if err != nil {
		return err
	}
	p, ok, err := r.begin(v)
	if err != nil || !ok {
		return err
	}
	if err := r.readError(v, p); err != nil && !r.node.cluster.hangs() {
		return err
	}
	count := r.o.GetCount()
	if p.verdict == placeInvalid && r.node.cluster.hangs() {
		count = 0
	}
	if count > 1 && r.filter == nil {
		r.node.cluster.count(func(q *Requests) { q.Unfiltered++ })
	}
	if count == 0 || r.filter != nil && r.filter.hangs { // notes 7.8
		<-r.ctx.Done()
		return status.FromContextError(r.ctx.Err()).Err()
	}
	entries := slices.Values(v.store.all[p.index:v.all])
	if r.backwards {
		before := p.index
		if p.commit > 0 && p.prepare < p.commit { // notes 7.1: one more is passed over
			before = max(0, before-1)
		}
		entries = valuesBackwards(v.store.all[:before])
	}
	if r.filter == nil {
		return r.sendUpTo(entries, count)
	}
	return r.sendMatches(entries, count)
}

// sendMatches goes on for one match more than asked, as the server does (issue 16, section 2).
func (r *reader) sendMatches(entries iter.Seq[*entry], count uint64) error {
	for e := range entries {
		r.node.cluster.count(func(q *Requests) { q.Considered++ })
		if r.ctx.Err() != nil {
			break
		}
		if e.hidden.Load() || !r.filter.match(e) {
			continue
		}
		if count == 0 {
			return nil
		}
		count--
		if err := r.sendEvent(e); err != nil {
			return err
		}
	}
	return nil
}
