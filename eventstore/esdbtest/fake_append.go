package esdbtest

import (
	"context"
	"errors"
	"fmt"
	"io"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Append does what an EventStoreDB does: at the expected revision it writes, whatever the ids; before it, it is a
// repetition if the same ids stand there.
func (f *Fake) Append(call api.Streams_AppendServer) error {
	f.see(call.Context())
	fault := f.fault()
	if fault.Early {
		return fault.Err
	}
	var options *api.AppendReq_Options
	var messages []*api.AppendReq_ProposedMessage
	for {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if o := m.GetOptions(); o != nil {
			options = o
			continue
		}
		messages = append(messages, m.GetProposedMessage())
	}
	if fault.Err != nil && !fault.Write {
		return fault.Err
	}
	answer, err := f.append(call, options, messages)
	switch {
	case err != nil:
		return err
	case fault.Err != nil:
		return fault.Err
	}
	return call.SendAndClose(answer)
}

// fault returns what the next append meets.
func (f *Fake) fault() (next Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.faults) > 0 {
		next, f.faults = f.faults[0], f.faults[1:]
	}
	return next
}

func (f *Fake) append(call grpc.ServerStream, options *api.AppendReq_Options, messages []*api.AppendReq_ProposedMessage) (*api.AppendResp, error) {
	stream := string(options.GetStreamIdentifier().GetStreamName())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tombstoned[stream] {
		return nil, deleted(call.SetTrailer, stream)
	}
	held := f.streams[stream]
	next := end(held)
	want := next
	switch {
	case options.GetNoStream() != nil:
		want = 0
	case options.GetAny() == nil && options.GetStreamExists() == nil:
		want = options.GetRevision() + 1
	}
	switch {
	case next == want:
		for i, m := range messages {
			f.add(m, stream, next+uint64(i))
		}
	case !repeats(held, want, messages):
		return &api.AppendResp{Result: &api.AppendResp_WrongExpectedVersion_{
			WrongExpectedVersion: &api.AppendResp_WrongExpectedVersion{},
		}}, nil
	}
	return &api.AppendResp{Result: &api.AppendResp_Success_{Success: &api.AppendResp_Success{
		CurrentRevisionOption: &api.AppendResp_Success_CurrentRevision{CurrentRevision: want + uint64(len(messages)) - 1},
	}}}, nil
}

// end returns the revision that the next event gets.
func end(held []*event) uint64 {
	if len(held) == 0 {
		return 0
	}
	return held[len(held)-1].GetStreamRevision() + 1
}

// repeats reports whether the ids of messages are those that are held from a revision on.
func repeats(held []*event, from uint64, messages []*api.AppendReq_ProposedMessage) bool {
	for _, e := range held {
		if e.GetStreamRevision() < from || len(messages) == 0 {
			continue
		}
		if !proto.Equal(e.GetId(), messages[0].GetId()) {
			return false
		}
		messages = messages[1:]
	}
	return len(messages) == 0
}

func deleted(trailer func(metadata.MD), stream string) error {
	trailer(metadata.Pairs("exception", "stream-deleted", "stream-name", stream))
	return status.Error(codes.FailedPrecondition, "Event stream is deleted.")
}

// Delete deletes a stream so that it may be written again.
func (f *Fake) Delete(_ context.Context, request *api.DeleteReq) (*api.DeleteResp, error) {
	stream := string(request.GetOptions().GetStreamIdentifier().GetStreamName())
	f.Settings(stream, fmt.Sprintf(`{"$tb":%d}`, uint64(tombstone)))
	return &api.DeleteResp{PositionOption: &api.DeleteResp_Position_{Position: &api.DeleteResp_Position{
		CommitPosition: f.last(), PreparePosition: f.last(),
	}}}, nil
}

// Tombstone deletes a stream for ever.
func (f *Fake) Tombstone(_ context.Context, request *api.TombstoneReq) (*api.TombstoneResp, error) {
	f.Bury(string(request.GetOptions().GetStreamIdentifier().GetStreamName()))
	return &api.TombstoneResp{PositionOption: &api.TombstoneResp_Position_{Position: &api.TombstoneResp_Position{
		CommitPosition: f.last(), PreparePosition: f.last(),
	}}}, nil
}

// last is the position of the last event.
func (f *Fake) last() uint64 {
	all := f.Of("")
	return all[len(all)-1].GetCommitPosition()
}
