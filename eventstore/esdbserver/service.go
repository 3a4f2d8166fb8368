package esdbserver

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// service answers the calls of one Serve.
type service struct {
	*Server
	stopping <-chan struct{} // closed when Serve ends
}

// call is one call of a client. Calls of every shape are handled as streams: on the wire they are.
type call struct {
	grpc.ServerStream
	user string // "" if nobody had to say who they are
}

// receive reads the one message of a call that has one.
func (c call) receive(message proto.Message) error {
	err := c.RecvMsg(message)
	if errors.Is(err, io.EOF) {
		return malformed("the call has no request")
	}
	return err
}

// handler answers a call. Its error is mapped by status.
type handler func(ctx context.Context, c call) error

// Names of services, as they are on the wire.
const (
	serviceStreams  = "event_store.client.streams.Streams"
	serviceFeatures = "event_store.client.server_features.ServerFeatures"
	serviceGossip   = "event_store.client.gossip.Gossip"
)

// services describes what is served. Descriptions are written by hand, since generated ones would carry the proto
// package of package wire in their names.
func (v *service) services() []grpc.ServiceDesc {
	method := func(name string, h handler) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, Handler: v.known(h), ServerStreams: true, ClientStreams: true}
	}
	open := func(name string, h handler) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, Handler: v.anybody(h), ServerStreams: true, ClientStreams: true}
	}
	return []grpc.ServiceDesc{
		{ServiceName: serviceStreams, Streams: []grpc.StreamDesc{
			method("Read", v.read), method("Append", v.append), method("BatchAppend", v.batchAppend),
			method("Delete", v.refuseDelete), method("Tombstone", v.refuseDelete),
		}},
		{ServiceName: serviceFeatures, Streams: []grpc.StreamDesc{open("GetSupportedMethods", v.supportedMethods)}},
		{ServiceName: serviceGossip, Streams: []grpc.StreamDesc{open("Read", v.gossip)}},
	}
}

// unknown answers calls of services that are not served.
func (v *service) unknown(_ any, stream grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "%s is not served here: this is a gxpledger log, which serves Streams (Read, "+
		"Append, BatchAppend), ServerFeatures and Gossip, and neither persistent subscriptions nor projections", name)
}

// known lets in whom Options.Authenticate knows.
func (v *service) known(h handler) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		user, err := v.authenticate(stream.Context())
		if err != nil {
			return answer(stream, err)
		}
		return v.handle(call{ServerStream: stream, user: user}, h)
	}
}

// anybody lets in everybody.
func (v *service) anybody(h handler) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error { return v.handle(call{ServerStream: stream}, h) }
}

// handle runs h within the limit of calls.
func (v *service) handle(c call, h handler) error {
	defer v.streams.Add(-1)
	if v.streams.Add(1) > int64(v.options.Streams) {
		return answer(c, refuse(codes.Unavailable, "too many calls are under way: try again later"))
	}
	err := h(c.Context(), c)
	if err == nil {
		return nil
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		r = v.translate(c.Context(), err)
	}
	return answer(c, r)
}

// answer sends the trailers of a refusal, and returns its status.
func answer(stream grpc.ServerStream, err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		stream.SetTrailer(r.trailer)
		return r.status.Err()
	}
	return err
}
