package esdbserver

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// maxOpenAppends is how many appends one call of BatchAppend may have started and not finished.
const maxOpenAppends = 128

// maxUnfinished is how long an append of a call of BatchAppend may take from its first message to its last. Part of the protocol.
const maxUnfinished = 2 * time.Second

// batchAppend answers Streams.BatchAppend: any number of appends over one call, each in one or more messages that its
// correlation id holds together. They are written and answered in the order in which they are finished, several at a time. What comes of
// an append that was answered before it was finished, since it was refused or took too long, is passed over.
func (v *service) batchAppend(ctx context.Context, c call) error {
	if c.denied != nil && hasCredentials(ctx) {
		return c.receive(&wire.BatchAppendReq{})
	}
	b := &batches{
		service: v, call: c, open: map[string]*batchOrder{}, late: make(chan *batchOrder),
		begun: make(chan *writing, maxBegun), unsent: make(chan error, 1),
	}
	go b.answerAll()
	defer b.drop()
	arrived := arrivals(c)
	for {
		select {
		case a := <-arrived:
			if errors.Is(a.err, io.EOF) {
				return nil
			}
			took := stopwatch()
			err := b.collect(ctx, a)
			b.busy += took()
			if err != nil {
				return err
			}
		case o := <-b.late:
			b.timeOut(ctx, o)
		case err := <-b.unsent:
			return err
		case <-v.stopping: // clients keep such a call open for as long as they live
			return errStopping
		}
	}
}

// batches are the appends of one call of BatchAppend.
type batches struct {
	*service
	call
	open map[string]*batchOrder // begun by the client and neither finished nor answered, by correlation id
	late chan *batchOrder       // not finished in time
	busy time.Duration          // how long the server did not receive, since it wrote

	writing []*writing    // finished by the client, in order; those at the front may be answered already
	size    int           // of those
	begun   chan *writing // the same, to be answered
	unsent  chan error    // why an answer was not sent
}

// writing is an append that the log was given, or that was refused.
type writing struct {
	*batchOrder
	finish func() *wire.BatchAppendResp
	done   chan struct{} // closed once it was answered
}

func (w *writing) isDone() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// maxBegun and maxBegunBytes bound the appends of a call that are written at once: logs put no more into one transaction.
const (
	maxBegun      = 128
	maxBegunBytes = 8 << 20
)

// answerAll answers what was begun, in order. Nobody else sends. It ends when begun is closed.
func (b *batches) answerAll() {
	failed := false
	for w := range b.begun {
		response := w.finish()
		w.drop()
		if !failed {
			if err := b.SendMsg(response); err != nil {
				failed = true
				b.unsent <- err
			}
		}
		close(w.done)
	}
	close(b.unsent)
}

// write gives an append its place behind those before it, or what it is refused for. It waits where they are many, and for those to the
// same stream, on whose end it may depend.
func (b *batches) write(ctx context.Context, o *batchOrder, err error) {
	for len(b.writing) > 0 && (b.writing[0].isDone() || !b.hasRoom(o)) {
		first := b.writing[0]
		<-first.done
		b.writing, b.size = b.writing[1:], b.size-first.size
	}
	w := &writing{batchOrder: o, finish: b.begin(ctx, o, err), done: make(chan struct{})}
	b.writing, b.size = append(b.writing, w), b.size+o.size
	b.begun <- w
}

func (b *batches) hasRoom(o *batchOrder) bool {
	return len(b.writing) < maxBegun && b.size+o.size <= maxBegunBytes &&
		!slices.ContainsFunc(b.writing, func(w *writing) bool { return w.stream == o.stream })
}

// drop answers the appends that were begun, and lets go of those that were not.
func (b *batches) drop() {
	close(b.begun)
	for range b.unsent { // until all were answered
	}
	for _, o := range b.open {
		b.close(o)
		o.drop()
	}
}

// close ends the receiving of an append, whatever its outcome.
func (b *batches) close(o *batchOrder) {
	o.timer.Stop()
	delete(b.open, o.key)
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
func (b *batches) collect(ctx context.Context, a arrival) error {
	if a.err != nil {
		return a.err
	}
	message := a.message
	id, err := parseID(message.GetCorrelationId())
	if err != nil {
		b.write(ctx, &batchOrder{order: b.newOrder(), id: message.GetCorrelationId()}, err)
		return nil
	}
	o := b.open[id.String()]
	switch {
	case o == nil && message.GetOptions() == nil:
		return nil // of an append that was answered already
	case o == nil && len(b.open) == maxOpenAppends:
		return refuse(codes.ResourceExhausted, "this call has too many unfinished appends")
	case o == nil:
		o = b.receive(ctx, id, message)
	}
	if b.denied != nil {
		message.ProposedMessages = nil // nothing of it will be written
	}
	err = o.take(message)
	if err == nil && !message.GetIsFinal() {
		return nil
	}
	b.close(o)
	b.write(ctx, o, err)
	return nil
}

// receive begins to receive an append, which must be finished in time.
func (b *batches) receive(ctx context.Context, id uuid.UUID, message *wire.BatchAppendReq) *batchOrder {
	o := &batchOrder{order: b.newOrder(), key: id.String(), id: message.GetCorrelationId(), options: message.GetOptions(), busy: b.busy}
	b.open[o.key] = o
	limit := min(maxUnfinished, b.timeFor(o.options))
	o.timer = time.AfterFunc(limit, func() {
		select {
		case b.late <- o:
		case <-ctx.Done():
		}
	})
	return o
}

// timeOut answers an append that was not finished in time. The time in which the server was busy with others is none of its own: what
// finishes the append may have arrived.
func (b *batches) timeOut(ctx context.Context, o *batchOrder) {
	if b.open[o.key] != o {
		return // it was answered meanwhile
	}
	if more := b.busy - o.busy; more > 0 {
		o.busy = b.busy
		o.timer.Reset(more)
		return
	}
	b.close(o)
	if id, err := parseID(o.id); err == nil {
		o.id = structured(id) // as the protocol has it here, whatever the form that the client used
	}
	b.write(ctx, o, refuse(codes.DeadlineExceeded, "Operation timed out: the append was not finished."))
}

// batchOrder is one append of a call of BatchAppend.
type batchOrder struct {
	*order
	key     string                       // correlation
	id      *wire.UUID                   // the same in the form of the client
	options *wire.BatchAppendReq_Options // of its first message
	timer   *time.Timer
	busy    time.Duration // of the call, when the time of this append began
}

// take adds a message.
func (b *batchOrder) take(message *wire.BatchAppendReq) error {
	if o := message.GetOptions(); o != nil {
		if err := b.begin(o.GetStreamIdentifier(), batchExpectation(o)); err != nil {
			return err
		}
	}
	for _, p := range message.GetProposedMessages() {
		if err := b.add(p); err != nil {
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

// begin begins to write an append, unless there is an error already. Finish returns its answer.
func (b *batches) begin(ctx context.Context, o *batchOrder, err error) (finish func() *wire.BatchAppendResp) {
	if err == nil {
		err = b.denied
	}
	var write func() (outcome, error)
	if err == nil {
		within, cancel := context.WithTimeout(ctx, b.timeFor(o.options)) // the client waits no longer
		written := b.beginWrite(within, b.user, o.order)
		write = func() (outcome, error) {
			defer cancel()
			return written()
		}
	}
	return func() *wire.BatchAppendResp {
		response := &wire.BatchAppendResp{CorrelationId: o.id}
		if o.options != nil {
			response.StreamIdentifier = streamIdentifier(o.stream)
		}
		o.expected.tellBatch(response)
		var done outcome
		if write != nil {
			done, err = write()
		}
		switch {
		case err != nil:
			b.tellRefusedAppend(ctx, b.call, o.order, err)
			response.Result = &wire.BatchAppendResp_Error{Error: b.batchError(ctx, err)}
		case done.conflict:
			response.Result = &wire.BatchAppendResp_Error{Error: batchConflict(done, o.expected)}
		default:
			response.Result = &wire.BatchAppendResp_Success{Success: done.success()}
		}
		return response
	}
}

// timeFor returns how long the client waits for an append.
func (v *service) timeFor(o *wire.BatchAppendReq_Options) time.Duration {
	switch d := o.GetDeadlineOption().(type) {
	case *wire.BatchAppendReq_Options_Deadline:
		return d.Deadline.AsDuration()
	case *wire.BatchAppendReq_Options_Deadline_21_10_0:
		return d.Deadline_21_10_0.AsTime().Sub(v.options.Now())
	default:
		return maxBatchTime
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
	case code == codes.PermissionDenied && text == noCredentials:
		return withDetail(code, text, "AccessDenied", &wire.Empty{})
	case code == codes.DeadlineExceeded, code == codes.Aborted:
		return withDetail(codes.DeadlineExceeded, text, "Timeout", &wire.Empty{})
	default: // of all details, this one alone has a text that clients show
		return withDetail(code, text, "BadRequest", &wire.BadRequest{Message: text})
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
