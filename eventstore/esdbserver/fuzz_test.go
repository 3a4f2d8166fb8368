package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return *b, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive %T", v)
	}
	*b = data
	return nil
}

const (
	methodRead        = "/event_store.client.streams.Streams/Read"
	methodAppend      = "/event_store.client.streams.Streams/Append"
	methodBatchAppend = "/event_store.client.streams.Streams/BatchAppend"
	methodDelete      = "/event_store.client.streams.Streams/Delete"
)

// FuzzRequests sends any bytes as two messages of any call. The server answers with a status that is no failure of its
// own, and the log holds nothing that breaks its contract.
func FuzzRequests(f *testing.F) {
	methods := []string{
		methodRead, methodAppend, methodBatchAppend, methodDelete, "/event_store.client.gossip.Gossip/Read",
		"/event_store.client.server_features.ServerFeatures/GetSupportedMethods", "/event_store.client.users.Users/Create",
	}
	seed := func(method string, messages ...proto.Message) {
		f.Helper()
		encoded := make([][]byte, 2)
		for i, m := range messages {
			var err error
			if encoded[i], err = proto.Marshal(m); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(uint8(slices.Index(methods, method)), encoded[0], encoded[1])
	}
	seed(methodAppend, beginAny("s"), proposal(propose(1, 20)))
	seed(methodAppend, beginAny("repository-1"), proposal(propose(1, 20)))
	for _, name := range []string{"a b", "größe", "a\u202eb", "é"[:1], "a\x00b", "a\u0085b", strings.Repeat("😀", 256), strings.Repeat("n", 1025)} {
		seed(methodAppend, beginAny(name), proposal(propose(1, 20)))
	}
	seed(methodBatchAppend, batch("s", nil, propose(1, 20)), batch("s", &api.BatchAppendReq_Options{
		ExpectedStreamPosition: &api.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}},
	}, propose(2, 20)))
	seed(methodRead, readRequest(func(o *api.ReadReq_Options) { o.CountOption = &api.ReadReq_Options_Subscription{} }))
	seed(methodRead, filtered(byStream(nil, "a|b")))
	seed(methodRead, readRequest(func(o *api.ReadReq_Options) {
		o.ReadDirection = api.ReadReq_Options_Backwards
		o.StreamOption = &api.ReadReq_Options_Stream{Stream: &api.ReadReq_Options_StreamOptions{
			StreamIdentifier: identifier("s"), RevisionOption: &api.ReadReq_Options_StreamOptions_Revision{Revision: 1 << 63},
		}}
	}))
	seed(methodDelete, &api.DeleteReq{Options: &api.DeleteReq_Options{StreamIdentifier: identifier("s")}})
	seed("/event_store.client.gossip.Gossip/Read", &shared.Empty{})
	f.Add(uint8(1), []byte{0xff, 0x01}, []byte{})
	f.Fuzz(func(t *testing.T, which uint8, first, second []byte) {
		method := methods[int(which)%len(methods)]
		log := newLog(t)
		o := engineOptions()
		var failure error
		o.Failed = func(err error) { failure = err }
		o.StopTimeout = 10 * time.Second
		listener := listen(t)
		stop := serve(t, log, o, listener)
		conn := dialRaw(t, listener.Addr().String(), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
		err := callRaw(t.Context(), conn, method, first, second)
		stop()
		if code := status.Code(err); code == codes.Unknown || code == codes.DataLoss {
			t.Errorf("%s answers %v", method, err)
		}
		if failure != nil {
			t.Errorf("the log failed: %v", failure)
		}
		checkLog(t, log)
	})
}

// callRaw makes a call, and gives up after a moment: a subscription has no end.
func callRaw(ctx context.Context, conn *grpc.ClientConn, method string, messages ...[]byte) error {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	call, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return errorless(err)
	}
	for _, m := range messages {
		if err := call.SendMsg(&m); err != nil {
			break
		}
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	for {
		var answer []byte
		if err := call.RecvMsg(&answer); err != nil {
			return errorless(err)
		}
	}
}

// errorless passes over what is no status of the server.
func errorless(err error) error {
	if _, ok := status.FromError(err); !ok {
		return nil
	}
	return err
}

// checkLog fails if log holds a batch that a log must refuse.
func checkLog(t *testing.T, log *memory.Log) {
	t.Helper()
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		b := eventstore.Batch{
			Stream: r.Stream, Expected: eventstore.NoStream(), Meta: r.Meta,
			Events: []eventstore.NewEvent{{ID: r.ID, Type: r.Type, Data: r.Data}},
		}
		if err := b.Validate(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the log holds %+v: %v", r, err)
		}
	}
}
