package esdbserver

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// maxOpenAppends is how many appends one call of BatchAppend may have begun and not finished.
const maxOpenAppends = 128

// batchAppend answers Streams.BatchAppend: any number of appends over one call, each in one or more messages that its
// correlation id holds together. They are written in the order in which they are finished, and each is answered.
func (v *service) batchAppend(ctx context.Context, c call) error {
	open := map[string]*batchOrder{}
	defer func() {
		for _, b := range open {
			b.share.giveBack()
		}
	}()
	arrived := arrivals(c)
	for {
		select {
		case a := <-arrived:
			if errors.Is(a.err, io.EOF) {
				return nil
			}
			if a.err != nil {
				return a.err
			}
			if err := v.collect(ctx, c, open, a.message); err != nil {
				return err
			}
		case <-v.stopping: // clients keep such a call open for as long as they live
			return errStopping
		}
	}
}

// arrival is what a call received.
type arrival struct {
	message *wire.BatchAppendReq
	err     error // the last thing that arrives
}

// arrivals receives the messages of a call, each when the one before it is done with. It ends with the call.
func arrivals(c call) <-chan arrival {
	arrived := make(chan arrival)
	go func() {
		for {
			a := arrival{message: &wire.BatchAppendReq{}}
			a.err = c.RecvMsg(a.message)
			select {
			case arrived <- a:
			case <-c.Context().Done():
				return
			}
			if a.err != nil {
				return
			}
		}
	}()
	return arrived
}

// collect adds a message to the append that it belongs to, and writes and answers that once it is complete.
func (v *service) collect(ctx context.Context, c call, open map[string]*batchOrder, message *wire.BatchAppendReq) error {
	id, err := parseID(message.GetCorrelationId())
	if err != nil {
		return err // nobody could tell which append an answer is for
	}
	b := open[id.String()]
	if b == nil {
		if len(open) == maxOpenAppends {
			return refuse(codes.ResourceExhausted, "too many appends were begun and not finished in this call")
		}
		b = &batchOrder{order: v.newOrder()}
		open[id.String()] = b
	}
	b.take(message)
	if !message.GetIsFinal() {
		return nil
	}
	delete(open, id.String())
	return c.SendMsg(v.finish(ctx, c.user, b))
}

// batchOrder is one append of a call of BatchAppend.
type batchOrder struct {
	*order
	options *wire.BatchAppendReq_Options // nil until they came
	id      *wire.UUID                   // correlation, in the form of the client
	refused error
}

// take adds a message. A refusal is kept until the append is finished.
func (b *batchOrder) take(message *wire.BatchAppendReq) {
	b.id = message.GetCorrelationId()
	if b.refused == nil {
		if b.refused = b.add(message); b.refused != nil {
			b.drop()
		}
	}
}

func (b *batchOrder) add(message *wire.BatchAppendReq) error {
	if o := message.GetOptions(); o != nil {
		if err := b.begin(o.GetStreamIdentifier(), batchExpectation(o)); err != nil {
			return err
		}
		b.options = o
	}
	if !b.begun {
		return malformed("the append has no options")
	}
	for _, p := range message.GetProposedMessages() {
		if err := b.order.add(p); err != nil {
			return err
		}
	}
	return nil
}

func batchExpectation(o *wire.BatchAppendReq_Options) expectation {
	switch e := o.GetExpectedStreamPosition().(type) {
	case *wire.BatchAppendReq_Options_StreamPosition:
		return atRevision(e.StreamPosition)
	case *wire.BatchAppendReq_Options_NoStream:
		return expectation{kind: expectNoStream}
	case *wire.BatchAppendReq_Options_Any:
		return expectation{kind: expectAny}
	case *wire.BatchAppendReq_Options_StreamExists:
		return expectation{kind: expectExists}
	default:
		return expectation{}
	}
}

// finish writes an append and returns its answer.
func (v *service) finish(ctx context.Context, user string, b *batchOrder) *wire.BatchAppendResp {
	defer b.share.giveBack()
	response := &wire.BatchAppendResp{CorrelationId: b.id, StreamIdentifier: streamIdentifier(b.stream)}
	b.expected.tellBatch(response)
	var done outcome
	err := b.refused
	if err == nil {
		ctx, cancel := v.withDeadline(ctx, b.options)
		done, err = v.write(ctx, user, b.order)
		cancel()
	}
	switch {
	case err != nil:
		response.Result = &wire.BatchAppendResp_Error{Error: v.batchError(ctx, err)}
	case done.conflict:
		response.Result = &wire.BatchAppendResp_Error{Error: batchConflict(done, b.expected)}
	default:
		response.Result = &wire.BatchAppendResp_Success{Success: done.success()}
	}
	return response
}

// withDeadline returns a context that ends when the client no longer waits for this append.
func (v *service) withDeadline(ctx context.Context, o *wire.BatchAppendReq_Options) (context.Context, context.CancelFunc) {
	switch d := o.GetDeadlineOption().(type) {
	case *wire.BatchAppendReq_Options_Deadline:
		return context.WithTimeout(ctx, d.Deadline.AsDuration())
	case *wire.BatchAppendReq_Options_Deadline_21_10_0:
		return context.WithTimeout(ctx, d.Deadline_21_10_0.AsTime().Sub(v.options.Now()))
	default:
		return context.WithTimeout(ctx, maxBatchTime)
	}
}

// maxBatchTime is how long an append may take whose client sets no limit.
const maxBatchTime = 10 * time.Second

// tellBatch repeats what was expected.
func (e expectation) tellBatch(r *wire.BatchAppendResp) {
	switch e.kind {
	case expectRevision:
		r.ExpectedStreamPosition = &wire.BatchAppendResp_StreamPosition{StreamPosition: e.revision}
	case expectNoStream:
		r.ExpectedStreamPosition = &wire.BatchAppendResp_NoStream{NoStream: &wire.Empty{}}
	case expectAny:
		r.ExpectedStreamPosition = &wire.BatchAppendResp_Any{Any: &wire.Empty{}}
	case expectExists:
		r.ExpectedStreamPosition = &wire.BatchAppendResp_StreamExists{StreamExists: &wire.Empty{}}
	case expectNothing:
	}
}

// batchConflict is the answer to an append that found its stream elsewhere.
func batchConflict(done outcome, e expectation) *wire.Status {
	detail := &wire.WrongExpectedVersion{}
	if done.end == 0 {
		detail.CurrentStreamRevisionOption = &wire.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &wire.Empty{}}
	} else {
		detail.CurrentStreamRevisionOption = &wire.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(done.end) - 1}
	}
	switch e.kind {
	case expectRevision:
		detail.ExpectedStreamPositionOption = &wire.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: e.revision}
	case expectNoStream:
		detail.ExpectedStreamPositionOption = &wire.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &wire.Empty{}}
	case expectExists:
		detail.ExpectedStreamPositionOption = &wire.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &wire.Empty{}}
	case expectAny, expectNothing:
		detail.ExpectedStreamPositionOption = &wire.WrongExpectedVersion_ExpectedAny{ExpectedAny: &wire.Empty{}}
	}
	return withDetail(codes.AlreadyExists, "WrongExpectedVersion", "WrongExpectedVersion", detail)
}

// batchError is the answer to an append that was refused or failed.
func (v *service) batchError(ctx context.Context, err error) *wire.Status {
	var r *refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		r = refuse(codes.DeadlineExceeded, "Operation timed out.")
	default:
		r = v.translate(ctx, err)
	}
	code, text := r.status.Code(), r.status.Message()
	name := ""
	if names := r.trailer.Get("exception"); len(names) > 0 {
		name = names[0]
	}
	switch {
	case name == "maximum-append-size-exceeded":
		return withDetail(code, text, "MaximumAppendSizeExceeded",
			&wire.MaximumAppendSizeExceeded{MaxAppendSize: uint32(v.logLimit())}) //nolint:gosec // validate bounds it
	case code == codes.InvalidArgument:
		return withDetail(code, text, "BadRequest", &wire.BadRequest{Message: text})
	case code == codes.PermissionDenied:
		return withDetail(code, text, "AccessDenied", &wire.Empty{})
	case code == codes.DeadlineExceeded, code == codes.Aborted:
		return withDetail(codes.DeadlineExceeded, text, "Timeout", &wire.Empty{})
	default:
		return withDetail(code, text, "Unknown", &wire.Empty{})
	}
}

// withDetail makes a status with one detail. Its name is that of the message in the protocol: it is on the wire here.
func withDetail(code codes.Code, text, name string, detail proto.Message) *wire.Status {
	value, err := proto.Marshal(detail)
	if err != nil { // it has no text of a client that could be malformed, save the text itself
		value = nil
	}
	return &wire.Status{
		Code: int32(code), Message: text, //nolint:gosec // codes are small
		Details: &anypb.Any{TypeUrl: "type.googleapis.com/event_store.client." + name, Value: value},
	}
}
