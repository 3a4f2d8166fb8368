package esdbtest

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/emptypb"
)

// batchCall is a call of BatchAppend: appends follow each other in it, and are answered when they may be (facts: batch/*). A batch that
// is not final is kept, without the server's limit of 2 s.
type batchCall struct {
	node    *Node
	call    api.Streams_BatchAppendServer
	open    map[string]*openBatch // by correlation id
	waiting sync.WaitGroup

	answered <-chan struct{} // closed when what was written last is answered
	sending  sync.Mutex
}

type openBatch struct {
	options  *api.BatchAppendReq_Options
	proposal proposal
	size     int
	refused  bool // it was answered, and the rest of it is passed over
}

// BatchAppend implements the call. Who half-closes it loses the answers that did not come yet, and it does not end by itself
// (facts: batch/half_close/*).
func (n *Node) BatchAppend(call api.Streams_BatchAppendServer) error {
	if err := n.enter(call.Context(), "BatchAppend", rightNone, ""); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(call.Context())
	b := &batchCall{node: n, call: call, open: map[string]*openBatch{}}
	defer b.waiting.Wait()
	defer cancel()
	for {
		m, err := call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			cancel()
			<-call.Context().Done()
			return status.FromContextError(call.Context().Err()).Err()
		case err != nil:
			return err
		case proto.Size(m) > maxMessage:
			return errMessage
		}
		if err := b.take(ctx, m); err != nil {
			return err
		}
	}
}

// take adds a message to its batch, and writes one that is complete.
func (b *batchCall) take(ctx context.Context, m *api.BatchAppendReq) error {
	key := m.GetCorrelationId().String()
	batch := b.open[key]
	if batch == nil {
		batch = &openBatch{}
		b.open[key] = batch
	}
	if o := m.GetOptions(); o != nil && batch.options == nil {
		batch.options, batch.proposal.stream = o, string(o.GetStreamIdentifier().GetStreamName())
	}
	if batch.options == nil { // batch/empty_message, batch/no_options
		return errHandler
	}
	for _, proposed := range m.GetProposedMessages() {
		if batch.refused {
			break
		}
		if err := b.add(ctx, m, batch, proposed); err != nil {
			return err
		}
	}
	if !m.GetIsFinal() {
		return nil
	}
	delete(b.open, key)
	if batch.refused {
		return nil
	}
	return b.write(ctx, m, batch)
}

func (b *batchCall) add(ctx context.Context, m *api.BatchAppendReq, batch *openBatch, proposed *api.BatchAppendReq_ProposedMessage) error {
	c := b.node.cluster
	e, err := c.proposed(ctx, proposed)
	if err != nil {
		batch.refused = true
		return b.refuse(m, batch, codes.InvalidArgument, "BadRequest", &shared.BadRequest{Message: status.Convert(err).Message()})
	}
	batch.proposal.events = append(batch.proposal.events, e)
	if batch.size += len(e.data); c.tooLarge(batch.size) {
		batch.refused = true
		return b.refuse(m, batch, codes.InvalidArgument, "MaximumAppendSizeExceeded",
			&shared.MaximumAppendSizeExceeded{MaxAppendSize: uint32(c.options.MaxAppendSize)})
	}
	return nil
}

// write writes a batch, and answers it when that is acknowledged. What a follower may not do, and what a test scripted, ends the call.
func (b *batchCall) write(ctx context.Context, m *api.BatchAppendReq, batch *openBatch) error {
	o := batch.options
	if b.node.cluster.authorise(ctx, rightWrite, batch.proposal.stream) != nil {
		return b.refuse(m, batch, codes.PermissionDenied, "AccessDenied", &shared.AccessDenied{})
	}
	var ok bool
	batch.proposal.expected, ok = expectedOf(position{o}, o.GetNoStream() != nil, o.GetAny() != nil, o.GetStreamExists() != nil,
		o.GetExpectedStreamPosition() != nil)
	switch {
	case !ok: // batch/new/unset
		return b.refuse(m, batch, codes.InvalidArgument, "BadRequest", &shared.BadRequest{Message: `Status(StatusCode="InvalidArgument", ` +
			`Detail="'None' is not a valid EventStore.Client.Streams.BatchAppendReq+Types+Options+ExpectedStreamPositionOneofCase")`})
	case batch.proposal.stream == "":
		return b.refuse(m, batch, codes.InvalidArgument, "BadRequest", &shared.BadRequest{Message: "eventStreamId"})
	}
	fault := b.node.cluster.nextFault()
	if fault.Err != nil && !fault.Write {
		return fault.Err
	}
	w, d, err := b.node.write(ctx, batch.proposal)
	switch {
	case errors.Is(err, errNoLeader): // no_leader/batch: an error whose code says that all is well
		return b.refuse(m, batch, codes.OK, "Server Is Not Ready", &emptypb.Empty{})
	case status.Code(err) == codes.Aborted:
		return b.refuse(m, batch, codes.DeadlineExceeded, "Timeout", &shared.Timeout{})
	case err != nil:
		return err
	case fault.Err != nil:
		return fault.Err
	case d.outcome == outcomeDeleted:
		return b.refuse(m, batch, codes.NotFound, "StreamDeleted", &shared.StreamDeleted{StreamIdentifier: o.GetStreamIdentifier()})
	case d.outcome == outcomeConflict:
		return b.refuse(m, batch, codes.AlreadyExists, "WrongExpectedVersion", conflictDetail(d, o))
	}
	before, done := b.answered, make(chan struct{})
	b.answered = done
	b.waiting.Go(func() { // the next may be written meanwhile
		defer close(done)
		err := w.acknowledged(ctx, d)
		if before != nil { // pipelined_same_stream
			<-before
		}
		switch {
		case errors.Is(err, errTimeout):
			_ = b.refuse(m, batch, codes.DeadlineExceeded, "Timeout", &shared.Timeout{}) // the call tells of its own end
		case err == nil:
			b.node.cluster.acknowledge(batch.proposal.stream, d)
			_ = b.send(batchSuccess(m, batch, d))
		}
	})
	return nil
}

func (b *batchCall) send(m *api.BatchAppendResp) error {
	b.sending.Lock()
	defer b.sending.Unlock()
	return b.call.Send(m)
}

func (b *batchCall) refuse(m *api.BatchAppendReq, batch *openBatch, code codes.Code, text string, detail protoadapt.MessageV1) error {
	told, err := status.New(codes.Unknown, text).WithDetails(detail)
	if err != nil {
		return err
	}
	answer := told.Proto()
	answer.Code = int32(code) // which may be that of no error
	return b.send(&api.BatchAppendResp{
		CorrelationId: m.GetCorrelationId(), StreamIdentifier: batch.options.GetStreamIdentifier(),
		Result: &api.BatchAppendResp_Error{Error: answer},
	})
}

// position gives the expected revision of a batch the name that it has in appends.
type position struct{ *api.BatchAppendReq_Options }

func (p position) GetRevision() uint64 { return p.GetStreamPosition() }

func batchSuccess(m *api.BatchAppendReq, batch *openBatch, d decision) *api.BatchAppendResp {
	from := success(d).GetSuccess()
	s := &api.BatchAppendResp_Success{
		CurrentRevisionOption: &api.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}},
		PositionOption:        &api.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}},
	}
	if from.GetNoStream() == nil {
		s.CurrentRevisionOption = &api.BatchAppendResp_Success_CurrentRevision{CurrentRevision: from.GetCurrentRevision()}
	}
	if at := from.GetPosition(); at != nil {
		s.PositionOption = &api.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{
			CommitPosition: at.GetCommitPosition(), PreparePosition: at.GetPreparePosition(),
		}}
	}
	return &api.BatchAppendResp{
		CorrelationId: m.GetCorrelationId(), StreamIdentifier: batch.options.GetStreamIdentifier(),
		Result: &api.BatchAppendResp_Success_{Success: s},
	}
}

func conflictDetail(d decision, o *api.BatchAppendReq_Options) *shared.WrongExpectedVersion {
	w := &shared.WrongExpectedVersion{
		CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}},
	}
	if d.current >= 0 {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(d.current)}
	}
	switch {
	case o.GetNoStream() != nil:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	case o.GetAny() != nil:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case o.GetStreamExists() != nil:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	default:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: o.GetStreamPosition()}
	}
	return w
}
