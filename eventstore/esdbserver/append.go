package esdbserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// append answers Streams.Append: options first, then the events, one message each.
func (v *service) append(ctx context.Context, c call) error {
	order := v.newOrder()
	defer order.share.giveBack()
	err := order.receive(c)
	var outcome outcome
	if err == nil {
		outcome, err = v.write(ctx, c.user, order)
	}
	if err != nil {
		v.tellRefusedAppend(ctx, c, order, err)
		return err
	}
	return c.SendMsg(outcome.appendResponse(order.expected))
}

// order is what one append asks for. It is filled message by message.
type order struct {
	started   bool // the options came
	stream    string
	expected  expectation
	proposals []proposal
	size      int
	share     share
	limits    *Options
}

// proposal is one event of an order.
type proposal struct {
	id   uuid.UUID
	name string // type
	event
}

func (v *service) newOrder() *order {
	return &order{share: share{of: &v.pending}, limits: &v.options}
}

// maxDrained is how much of a refused append is read to its end, so that its client learns why: one whose sending fails
// never looks at the status. A client that goes on beyond it is cut off.
const maxDrained = 256 << 20

// receive reads an append to its end, also when it is refused before.
func (o *order) receive(c call) error {
	refused, limit := c.denied, maxDrained
	if refused != nil {
		limit = minReceive
	}
	for drained := 0; drained < limit; {
		var message wire.AppendReq
		err := c.RecvMsg(&message)
		switch {
		case errors.Is(err, io.EOF):
			if refused == nil && !o.started {
				refused = malformed("the append has no options")
			}
			return refused
		case err != nil:
			return err
		case refused != nil:
			drained += len(message.GetProposedMessage().GetData()) + len(message.GetProposedMessage().GetCustomMetadata())
		default:
			if refused = o.take(&message); refused != nil {
				o.drop()
			}
		}
		drained += perEvent
	}
	return refused
}

// perEvent is what an event costs beside its bytes.
const perEvent = 64

// drop lets go of what was received, since nothing will be written.
func (o *order) drop() {
	o.proposals = nil
	o.share.giveBack()
}

func (o *order) take(message *wire.AppendReq) error {
	switch content := message.GetContent().(type) {
	case *wire.AppendReq_Options_:
		return o.begin(content.Options.GetStreamIdentifier(), expectationOf(content.Options))
	case *wire.AppendReq_ProposedMessage:
		return o.add(content.ProposedMessage)
	default:
		return malformed("a message of the append has neither options nor an event")
	}
}

func (o *order) begin(stream *wire.StreamIdentifier, expected expectation) error {
	switch {
	case o.started:
		return malformed("the append has options twice")
	case len(stream.GetStreamName()) == 0:
		return malformed("no stream is named")
	case expected.kind == expectNothing:
		return malformed("the append expects no revision")
	}
	o.started, o.stream, o.expected = true, string(stream.GetStreamName()), expected
	return nil
}

func (o *order) add(message *wire.ProposedMessage) error {
	if !o.started {
		return malformed("an event comes before the options")
	}
	p, err := parseProposal(message)
	if err != nil {
		return err
	}
	size := len(p.data) + len(p.metadata) + 2*len(p.name)
	if size > o.limits.MaxEventSize {
		return eventTooLarge(o.limits.MaxEventSize, size, p.id.String())
	}
	if o.size += size; o.size > o.limits.MaxAppendSize || len(o.proposals) >= o.limits.MaxAppendSize/perEvent {
		return appendTooLarge(o.limits.MaxAppendSize)
	}
	if err := o.share.take(size + perEvent); err != nil {
		return err
	}
	o.proposals = append(o.proposals, p)
	return nil
}

func parseProposal(message *wire.ProposedMessage) (proposal, error) {
	id, err := parseID(message.GetId())
	if err != nil {
		return proposal{}, err
	}
	name, contentType := message.GetMetadata()[keyType], message.GetMetadata()[keyContentType]
	if name == "" || contentType == "" {
		return proposal{}, missingMetadata()
	}
	return proposal{id: id, name: name, event: event{
		json: contentType == contentTypeJSON, data: message.GetData(), metadata: message.GetCustomMetadata(),
	}}, nil
}

func parseID(id *wire.UUID) (uuid.UUID, error) {
	var parsed uuid.UUID
	switch value := id.GetValue().(type) {
	case *wire.UUID_Structured_:
		parsed = structuredID(value.Structured)
	case *wire.UUID_String_:
		var err error
		if parsed, err = uuid.Parse(value.String_); err != nil {
			return uuid.Nil, malformed(fmt.Sprintf("%q is not a UUID", value.String_))
		}
	}
	if parsed == uuid.Nil {
		return uuid.Nil, malformed("an id that is not the zero UUID is required")
	}
	return parsed, nil
}

// outcome is how an append ended that was not refused.
type outcome struct {
	// conflict says that nothing was written, since the stream is not where the append expects it.
	conflict bool
	end      streamEnd           // where the stream ends
	position eventstore.Position // of the last event written, 0 for none
}

// streamEnd is the number of events of a stream, which is one more than its last revision.
type streamEnd uint64

// expectation is where an append expects its stream.
type expectation struct {
	kind     expectationKind
	revision uint64 // of expectRevision
}

type expectationKind int

const (
	expectNothing expectationKind = iota // nothing was given
	expectRevision
	expectNoStream
	expectAny
	expectExists
)

func expectationOf(o *wire.AppendReq_Options) expectation {
	switch e := o.GetExpectedStreamRevision().(type) {
	case *wire.AppendReq_Options_Revision:
		return atRevision(e.Revision)
	case *wire.AppendReq_Options_NoStream:
		return expectation{kind: expectNoStream}
	case *wire.AppendReq_Options_Any:
		return expectation{kind: expectAny}
	case *wire.AppendReq_Options_StreamExists:
		return expectation{kind: expectExists}
	default:
		return expectation{}
	}
}

// atRevision expects the last event at a revision. Some clients write -1 for no stream.
func atRevision(revision uint64) expectation {
	if revision == math.MaxUint64 {
		return expectation{kind: expectNoStream}
	}
	return expectation{kind: expectRevision, revision: revision}
}

// loose reports whether e leaves open where the stream ends.
func (e expectation) loose() bool { return e.kind == expectAny || e.kind == expectExists }

// holds reports whether a stream that ends at end is as expected.
func (e expectation) holds(end streamEnd) bool {
	switch e.kind {
	case expectRevision:
		return end > 0 && uint64(end)-1 == e.revision
	case expectNoStream:
		return end == 0
	case expectAny:
		return true
	case expectExists:
		return end > 0
	case expectNothing:
	}
	return false
}

// at is what the log is told for a stream that ends at end.
func (e expectation) at(end streamEnd) eventstore.Expected {
	switch {
	case e.kind == expectRevision:
		return eventstore.AtRevision(eventstore.Revision(e.revision))
	case e.kind == expectNoStream, end == 0:
		return eventstore.NoStream()
	default:
		return eventstore.AtRevision(eventstore.Revision(end - 1))
	}
}

// endOf returns where a stream ends, 0 if there is none.
func (v *service) endOf(ctx context.Context, stream eventstore.StreamID) (streamEnd, error) {
	for r, err := range v.log.ReadStreamBackwards(ctx, stream) {
		if err != nil {
			return 0, err
		}
		return streamEnd(r.Revision) + 1, nil
	}
	return 0, nil
}

// appendResponse tells a client of an outcome. A conflict is no error in the protocol; it is told in the old form and in
// the new one, and clients read either.
func (o outcome) appendResponse(e expectation) *wire.AppendResp {
	if !o.conflict {
		return &wire.AppendResp{Result: &wire.AppendResp_Success{Success: o.success()}}
	}
	w := &wire.AppendResp_WrongExpectedVersion{}
	if o.end == 0 {
		w.CurrentRevisionOption = &wire.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &wire.Empty{}}
		w.CurrentRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &wire.Empty{}}
	} else {
		last := uint64(o.end) - 1
		w.CurrentRevisionOption = &wire.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: last}
		w.CurrentRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: last}
	}
	e.tell(w)
	return &wire.AppendResp{Result: &wire.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}

// tell fills in what was expected.
func (e expectation) tell(w *wire.AppendResp_WrongExpectedVersion) {
	switch e.kind {
	case expectRevision:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: e.revision}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: e.revision}
	case expectNoStream:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &wire.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64}
	case expectExists:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &wire.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &wire.Empty{}}
	case expectAny, expectNothing:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &wire.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &wire.Empty{}}
	}
}

// success tells where the last event of an append stands.
func (o outcome) success() *wire.AppendSuccess {
	s := &wire.AppendSuccess{
		CurrentRevisionOption: &wire.AppendSuccess_NoStream{NoStream: &wire.Empty{}},
		PositionOption:        &wire.AppendSuccess_NoPosition{NoPosition: &wire.Empty{}},
	}
	if o.end > 0 {
		s.CurrentRevisionOption = &wire.AppendSuccess_CurrentRevision{CurrentRevision: uint64(o.end) - 1}
	}
	if o.position > 0 {
		s.PositionOption = &wire.AppendSuccess_Position{Position: &wire.Position{
			CommitPosition: uint64(o.position), PreparePosition: uint64(o.position),
		}}
	}
	return s
}

// budget bounds the bytes that all appends hold together. It is safe for concurrent use.
type budget struct {
	max  int64
	used atomic.Int64
}

// share is what one append holds of a budget. It is not safe for concurrent use.
type share struct {
	of   *budget
	held int64
}

// take adds size to s, or refuses.
func (s *share) take(size int) error {
	if s.of.used.Add(int64(size)) > s.of.max {
		s.of.used.Add(-int64(size))
		return refuse(codes.Unavailable, "too much is being appended at this moment: try again later")
	}
	s.held += int64(size)
	return nil
}

// giveBack returns all that s holds.
func (s *share) giveBack() {
	s.of.used.Add(-s.held)
	s.held = 0
}

func eventTooLarge(limit, size int, id string) *refusal {
	return refuse(codes.InvalidArgument,
		"Event with id "+id+" of "+strconv.Itoa(size)+" bytes is above the limit of "+strconv.Itoa(limit)+".",
		"exception", "maximum-append-event-size-exceeded", "maximum-append-event-size", strconv.Itoa(limit),
		"event-id", id, "proposed-append-event-size", strconv.Itoa(size))
}

func missingMetadata() *refusal {
	return refuse(codes.InvalidArgument, "Required Metadata Property is missing: type and content-type are required.",
		"exception", "missing-required-metadata-property", "required-metadata-properties", "type,content-type")
}

func structuredID(s *wire.UUID_Structured) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(s.GetMostSignificantBits()))  //nolint:gosec // the bits matter, not the sign
	binary.BigEndian.PutUint64(id[8:], uint64(s.GetLeastSignificantBits())) //nolint:gosec // likewise
	return id
}
