package esdbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Append implements the call (facts: append/*, append_nothing/*, repeat/*, malformed/*, size/*).
func (n *Node) Append(call api.Streams_AppendServer) error {
	ctx := call.Context()
	fault := n.cluster.nextFault()
	if err := n.enter(ctx, "Append", rightNone, ""); err != nil {
		return err
	}
	if fault.Early {
		return fault.Err
	}
	p, expected, err := n.receive(call)
	if err != nil {
		return err
	}
	if fault.Err != nil && !fault.Write {
		return fault.Err
	}
	w, d, err := n.write(ctx, p)
	if err == nil && d.written() {
		err = w.acknowledged(ctx, d)
	}
	switch {
	case err != nil:
		return err
	case fault.Err != nil:
		return fault.Err
	case d.outcome == outcomeConflict:
		return call.SendAndClose(conflict(d, expected))
	case d.outcome == outcomeDeleted:
		return errStreamDeleted(ctx, p.stream)
	}
	n.cluster.acknowledge(p.stream, d)
	return call.SendAndClose(success(d))
}

// receive reads an append to its end, unless it is refused before.
func (n *Node) receive(call api.Streams_AppendServer) (p proposal, expected *api.AppendReq_Options, err error) {
	ctx, size := call.Context(), 0
	for {
		m, err := call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			if expected == nil || len(expected.GetStreamIdentifier().GetStreamName()) == 0 {
				return p, nil, errHandler
			}
			return p, expected, nil
		case err != nil:
			return p, nil, err
		case proto.Size(m) > maxMessage:
			return p, nil, errMessage
		}
		if o := m.GetOptions(); o != nil {
			if expected != nil {
				return p, nil, errHandler
			}
			expected, p.stream = o, string(o.GetStreamIdentifier().GetStreamName())
			var ok bool
			p.expected, ok = expectedOf(o, o.GetNoStream() != nil, o.GetAny() != nil, o.GetStreamExists() != nil, o.GetExpectedStreamRevision() != nil)
			if err := n.cluster.authorise(ctx, rightWrite, p.stream); err != nil { // before all events came (secure/acl_append_many)
				return p, nil, err
			}
			if !ok {
				return p, nil, errExpectation("AppendReq")
			}
			continue
		}
		if m.GetProposedMessage() == nil || expected == nil {
			return p, nil, errHandler
		}
		e, err := n.cluster.proposed(ctx, m.GetProposedMessage())
		if err != nil {
			return p, nil, err
		}
		p.events = append(p.events, e)
		if size += len(e.data); n.cluster.tooLarge(size) {
			return p, nil, refuse(ctx, codes.InvalidArgument, fmt.Sprintf("Maximum Append Size of %d Exceeded.", n.cluster.options.MaxAppendSize),
				"exception", "maximum-append-size-exceeded", "maximum-append-size", strconv.Itoa(n.cluster.options.MaxAppendSize))
		}
	}
}

// errMessage is the answer to a message that is too large (size/message_17MiB). gRPC would answer in other words.
var errMessage = status.Error(codes.ResourceExhausted, "Received message exceeds the maximum configured message size.")

// tooLarge reports whether the data of an append are above the limit. Only they count (notes 3.2; facts: size/metadata_only).
func (c *Cluster) tooLarge(size int) bool {
	return size > c.options.MaxAppendSize
}

func errExpectation(request string) error {
	return status.Errorf(codes.InvalidArgument,
		"'None' is not a valid EventStore.Client.Streams.%s+Types+Options+ExpectedStreamRevisionOneofCase", request)
}

// message is an event of an append or of a batch.
type message interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

// proposed reads an event (facts: malformed/*).
func (c *Cluster) proposed(ctx context.Context, m message) (*entry, error) {
	meta := m.GetMetadata()
	for _, key := range []string{"type", "content-type"} {
		if _, ok := meta[key]; !ok {
			return nil, refuse(ctx, codes.InvalidArgument, fmt.Sprintf("Required Metadata Property '%s' is missing", key),
				"exception", "missing-required-metadata-property", "required-metadata-properties", "type,content-type")
		}
	}
	id, err := parse(m.GetId())
	if err != nil || id == uuid.Nil || meta["type"] == "" {
		return nil, errHandler
	}
	e := &entry{
		id: id, name: meta["type"], json: meta["content-type"] == "application/json", created: c.options.Now(),
		data: m.GetData(), meta: m.GetCustomMetadata(),
	}
	if limit, size := c.options.MaxAppendEventSize, len(e.data)+len(e.meta)+2*len(utf16.Encode([]rune(e.name))); limit > 0 && size > limit { // notes 1.4
		return nil, refuse(ctx, codes.InvalidArgument,
			fmt.Sprintf("Event with Id: %s, Size: %d, exceeds Maximum Append Event Size of %d.", id, size, limit),
			"exception", "maximum-append-event-size-exceeded", "maximum-append-event-size", strconv.Itoa(limit),
			"event-id", id.String(), "proposed-append-event-size", strconv.Itoa(size))
	}
	return e, nil
}

// writer returns the node that decides about a write: this one, or the leader to whom it forwards. It needs mu.
func (n *Node) writer(ctx context.Context) (*Node, error) {
	if n.leads() {
		return n, nil
	}
	if err := n.demandLeader(ctx); err != nil {
		return nil, err
	}
	leader := n.cluster.leading()
	switch {
	case leader == nil:
		return nil, errNoLeader
	case !leader.up(): // loss_of_leader/append_through_follower; the 5 s are left out
		return nil, status.Error(codes.Aborted, "Operation timed out: Forwarding timeout")
	}
	return leader, nil
}

// write decides about a proposal and writes it. w is the node that did, which acknowledges it.
func (n *Node) write(ctx context.Context, p proposal) (w *Node, d decision, err error) {
	c := n.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if w, err = n.writer(ctx); err != nil {
		return nil, d, err
	}
	if p.stream == "$$" {
		c.tb.Error("an append to the stream $$ ends the process of a real server (facts: lethal/append_to_dollar_dollar)")
	}
	if d = w.store.append(p, c.options.Now()); d.outcome == outcomeWritten {
		c.wrote(w, c.lag)
	}
	return w, d, nil
}

// errTimeout is what a writer is told whose write got no majority in time (notes 3.6). The 2 s that it takes are left out.
var errTimeout = status.Error(codes.Aborted, "Operation timed out: Commit phase timeout.")

// acknowledged waits until the log up to what was decided may be acknowledged. A repetition of what is not readable yet is dropped by
// the server (notes 3.1, IdempotentNotReady).
func (n *Node) acknowledged(ctx context.Context, d decision) error {
	c := n.cluster
	if d.end == 0 {
		return nil
	}
	for {
		c.mu.Lock()
		changed, epoch := c.changed, n.epoch
		has := len(n.store.all) >= d.end && len(c.truth) >= d.end && c.truth[d.end-1] == n.store.all[d.end-1]
		ready := has && (n.view().own >= d.end || c.lag.AckFirst)
		hopeless := n.index != c.leader || !c.quorum() || d.outcome == outcomeRepeated
		c.mu.Unlock()
		switch {
		case ready:
			return nil
		case hopeless:
			return errTimeout
		case c.pass():
			continue
		}
		if err := n.wait(ctx, changed, epoch); err != nil {
			return err
		}
	}
}

func success(d decision) *api.AppendResp {
	s := &api.AppendResp_Success{PositionOption: &api.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}}
	at := d.marker
	if len(d.entries) > 0 {
		at = d.entries[len(d.entries)-1]
	}
	switch {
	case len(d.entries) > 0:
		s.CurrentRevisionOption = &api.AppendResp_Success_CurrentRevision{CurrentRevision: at.revision}
	case d.current >= 0:
		s.CurrentRevisionOption = &api.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(d.current)}
	default:
		s.CurrentRevisionOption = &api.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
	}
	if at != nil && (d.outcome != outcomeRepeated || !d.soft) {
		s.PositionOption = &api.AppendResp_Success_Position{Position: &api.AppendResp_Position{CommitPosition: at.position, PreparePosition: at.position}}
	}
	return &api.AppendResp{Result: &api.AppendResp_Success_{Success: s}}
}

// conflict names what the stream has and what was expected, for clients of each age.
func conflict(d decision, o *api.AppendReq_Options) *api.AppendResp {
	type wrong = api.AppendResp_WrongExpectedVersion
	w := &wrong{
		CurrentRevisionOption:        &api.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}},
		CurrentRevisionOption_20_6_0: &api.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}},
	}
	if d.current >= 0 {
		current := uint64(d.current)
		w.CurrentRevisionOption = &api.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: current}
		w.CurrentRevisionOption_20_6_0 = &api.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: current}
	}
	revision := func(r uint64) {
		w.ExpectedRevisionOption_20_6_0 = &api.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: r}
	}
	switch {
	case o.GetNoStream() != nil:
		w.ExpectedRevisionOption = &api.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
		revision(1<<64 - 1)
	case o.GetAny() != nil:
		w.ExpectedRevisionOption = &api.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &api.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case o.GetStreamExists() != nil:
		w.ExpectedRevisionOption = &api.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &api.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	default:
		w.ExpectedRevisionOption = &api.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: o.GetRevision()}
		revision(o.GetRevision())
	}
	return &api.AppendResp{Result: &api.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}

// Delete deletes a stream so that it may be written again.
func (n *Node) Delete(ctx context.Context, request *api.DeleteReq) (*api.DeleteResp, error) {
	o := request.GetOptions()
	x, ok := expectedOf(o, o.GetNoStream() != nil, o.GetAny() != nil, o.GetStreamExists() != nil, o.GetExpectedStreamRevision() != nil)
	if !ok {
		return nil, errExpectation("DeleteReq")
	}
	at, err := n.delete(ctx, "Delete", string(o.GetStreamIdentifier().GetStreamName()), x)
	if err != nil {
		return nil, err
	}
	return &api.DeleteResp{PositionOption: &api.DeleteResp_Position_{Position: &api.DeleteResp_Position{CommitPosition: at, PreparePosition: at}}}, nil
}

// Tombstone deletes a stream for ever.
func (n *Node) Tombstone(ctx context.Context, request *api.TombstoneReq) (*api.TombstoneResp, error) {
	o := request.GetOptions()
	x, ok := expectedOf(o, o.GetNoStream() != nil, o.GetAny() != nil, o.GetStreamExists() != nil, o.GetExpectedStreamRevision() != nil)
	if !ok {
		return nil, errExpectation("TombstoneReq")
	}
	at, err := n.delete(ctx, "Tombstone", string(o.GetStreamIdentifier().GetStreamName()), x)
	if err != nil {
		return nil, err
	}
	return &api.TombstoneResp{PositionOption: &api.TombstoneResp_Position_{Position: &api.TombstoneResp_Position{CommitPosition: at, PreparePosition: at}}}, nil
}

func (n *Node) delete(ctx context.Context, call, stream string, x expectation) (uint64, error) {
	if err := n.enter(ctx, call, rightDelete, stream); err != nil {
		return 0, err
	}
	if stream == "" {
		return 0, errHandler
	}
	c := n.cluster
	c.mu.Lock()
	w, err := n.writer(ctx)
	if err != nil {
		c.mu.Unlock()
		return 0, err
	}
	d, e := w.store.delete(deletion{stream, x, call == "Tombstone"}, c.options.Now())
	if e != nil {
		c.wrote(w, c.lag)
	}
	c.mu.Unlock()
	if d.outcome == outcomeDeleted {
		return 0, errStreamDeleted(ctx, stream)
	}
	if d.outcome == outcomeConflict {
		return 0, refuse(ctx, codes.FailedPrecondition,
			fmt.Sprintf("Delete failed due to WrongExpectedVersion. Stream: %s, Expected version: %d, Actual version: %d", stream, x.number(), d.current),
			"exception", "wrong-expected-version", "stream-name", stream,
			"expected-version", strconv.FormatInt(x.number(), 10), "actual-version", strconv.FormatInt(d.current, 10))
	}
	return e.position, w.acknowledged(ctx, d)
}
