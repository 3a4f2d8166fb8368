package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// append answers Streams.Append: options first, then the events, one message each.
func (v *service) append(ctx context.Context, c call) error {
	order := v.newOrder()
	defer order.share.giveBack()
	if err := order.receive(c); err != nil {
		return err
	}
	outcome, err := v.write(ctx, c.user, order)
	if err != nil {
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
