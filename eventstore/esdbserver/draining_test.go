package esdbserver_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

// clientsThatDiffer are connections with the flow control of different clients.
func clientsThatDiffer() map[string][]grpc.DialOption {
	const window = 64 << 20
	return map[string][]grpc.DialOption{
		"as gRPC has it": nil,
		"large windows, no buffers, keep-alive pings": {
			grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window), grpc.WithWriteBufferSize(0), grpc.WithReadBufferSize(0),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}),
		},
	}
}

// A call whose messages the server does not receive, since it is busy with one before them, holds up no other call of its connection:
// its messages fill its own window, not the connection's.
func TestACallThatWaitsHoldsUpNoOtherOfItsConnection(t *testing.T) {
	t.Parallel()
	for name, dialing := range clientsThatDiffer() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &eventstoretest.Faulty{Log: newLog(t)}
			arrived, release := make(chan struct{}), make(chan struct{})
			log.Next(eventstoretest.Hold(arrived, release))
			client := api.NewStreamsClient(dialRaw(t, served(t, log, options()), dialing...))
			call := batches(t, client)
			sent := make(chan error, 1)
			go func() { // the first is being written, the second was received, and of the others as much is on its way as the window has
				for i := range 5 {
					o := &api.BatchAppendReq_Options{
						ExpectedStreamPosition: &api.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
						DeadlineOption:         &api.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(2 * patience)},
					}
					if err := call.Send(batch("held", o, propose(10+i, 256<<10))); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			<-arrived
			for i := range 3 {
				if _, got := sendAppend(t, client, beginAny("s"), proposal(propose(20+i, 512<<10))); got != "OK: " {
					t.Errorf("append %d on the same connection: %s", i, got)
				}
			}
			close(release)
			for i := range 5 {
				if response, err := call.Recv(); err != nil || response.GetSuccess() == nil {
					t.Fatalf("batch %d is answered %v, %v", i, response.GetError(), err)
				}
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// Appends and batches above what the server receives, above its limit, and within it, all end, side by side and one after the other over
// one connection: with an answer, also where the client has not sent all, and half-closes after it was answered or never.
func TestLargeAppendsOfOneConnectionEnd(t *testing.T) {
	t.Parallel()
	const parallel = 2
	beyond := propose(1, 18_000_000) // more than the server receives
	for name, dialing := range clientsThatDiffer() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.MaxAppendSize, o.MaxPendingBytes = 1<<20, 3<<20 // so that the budget is short as well
			client := api.NewStreamsClient(dialRaw(t, served(t, newLog(t), o), dialing...))
			ended := make(chan string, parallel)
			for i := range parallel {
				go func() { ended <- largeAppends(t, client, 100*i, beyond) }()
			}
			for range parallel {
				if fault := <-ended; fault != "" {
					t.Error(fault)
				}
			}
		})
	}
}

// largeAppends makes batches and an append of each event, and returns what is not as it should be.
func largeAppends(t *testing.T, client api.StreamsClient, id int, beyond *api.AppendReq_ProposedMessage) (fault string) {
	t.Helper()
	var open []api.Streams_BatchAppendClient
	for i, c := range []struct {
		e    *api.AppendReq_ProposedMessage
		want []codes.Code // the second where memory was short
	}{
		{beyond, []codes.Code{codes.ResourceExhausted}},
		{propose(id+2, 2<<20), []codes.Code{codes.InvalidArgument}},
		{propose(id+3, 900<<10), []codes.Code{codes.OK, codes.Unavailable}},
	} {
		stream, second := fmt.Sprintf("s%d-%d", id, i), c.want[len(c.want)-1]
		for range 2 {
			call, got := batchCode(t, client, stream, c.e)
			if got != c.want[0] && got != second {
				return fmt.Sprintf("a batch of %d bytes is answered %s, want %v", len(c.e.GetData()), got, c.want)
			}
			if call != nil {
				open = append(open, call)
			}
		}
		_, got := sendAppend(t, client, beginAny(stream), proposal(c.e)) // where a batch was written, the same again
		if !strings.HasPrefix(got, c.want[0].String()) && !strings.HasPrefix(got, second.String()) {
			return fmt.Sprintf("an append of %d bytes is answered %s, want %v", len(c.e.GetData()), got, c.want)
		}
	}
	for _, call := range open[1:] { // the first is given up when the test ends
		_ = call.CloseSend()
		if _, err := call.Recv(); !errors.Is(err, io.EOF) {
			return fmt.Sprintf("a call that the client ends is answered %v", err)
		}
	}
	return ""
}

// batchCode sends a batch over a call of its own, and returns its answer or that of the call, which goes on if it was answered.
func batchCode(t *testing.T, client api.StreamsClient, stream string, e *api.AppendReq_ProposedMessage) (api.Streams_BatchAppendClient, codes.Code) {
	t.Helper()
	call := batches(t, client)
	_ = call.Send(batch(stream, nil, e)) // its fault is what Recv returns
	response, err := call.Recv()
	if err != nil {
		return nil, status.Code(err)
	}
	return call, codes.Code(uint32(response.GetError().GetCode()))
}
