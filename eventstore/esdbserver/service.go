package esdbserver

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// service answers the calls of one Serve.
type service struct {
	*Server
	stopping <-chan struct{}   // closed when Serve ends
	methods  map[string]string // names of methods by their names on the wire
}

// call is one call of a client. Calls of every shape are handled as streams: on the wire they are.
type call struct {
	grpc.ServerStream
	user string // "" if nobody had to say who they are
	// denied is why the call may do nothing. It is answered once something was received: clients whose sending fails do not look at
	// the answer.
	denied error
}

// receive reads the one message of a call that has one, and returns why the call is denied, if it is.
func (c call) receive(message proto.Message) error {
	switch err := c.RecvMsg(message); {
	case errors.Is(err, io.EOF):
		return malformed("the call has no request")
	case err != nil:
		return err
	default:
		return c.denied
	}
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
	method := func(name string, h grpc.StreamHandler) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, Handler: h, ServerStreams: true, ClientStreams: true}
	}
	return []grpc.ServiceDesc{
		{ServiceName: serviceStreams, Streams: []grpc.StreamDesc{
			method("Read", v.known(v.read)), method("Append", v.known(v.append)), method("BatchAppend", v.known(v.batchAppend)),
			method("Delete", v.known(v.refuseDelete)), method("Tombstone", v.known(v.refuseDelete)),
		}},
		{ServiceName: serviceFeatures, Streams: []grpc.StreamDesc{method("GetSupportedMethods", v.anybody(v.supportedMethods))}},
		{ServiceName: serviceHealth, Streams: []grpc.StreamDesc{
			method("Check", v.anybody(v.checkHealth)), method("Watch", v.anybody(v.watchHealth)),
		}},
		{ServiceName: serviceGossip, Streams: []grpc.StreamDesc{method("Read", v.anybody(v.gossip))}},
	}
}

// unknown answers calls of services that are not served. It reads what is asked first: some clients take a refusal that comes while
// they send for a call that they cancelled.
func (v *service) unknown(_ any, stream grpc.ServerStream) error {
	return v.handle(call{ServerStream: stream}, func(_ context.Context, c call) error {
		_ = c.RecvMsg(&wire.Empty{}) // whatever it says
		name, _ := grpc.MethodFromServerStream(c)
		return refuse(codes.Unimplemented, name+" is not served here: this is a gxpledger log, which serves Streams (Read, "+
			"Append, BatchAppend), ServerFeatures and Gossip, and neither persistent subscriptions nor projections")
	})
}

// known lets in whom Options.Authenticate knows. Others are denied once their call was received. Passwords are checked within the
// limit of calls: checking them is slow on purpose.
func (v *service) known(h handler) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		return v.handle(call{ServerStream: stream}, func(ctx context.Context, c call) error {
			c.user, c.denied = v.authenticate(ctx)
			return h(ctx, c)
		})
	}
}

// anybody lets in everybody, but for those who say that they are somebody and are not.
func (v *service) anybody(h handler) grpc.StreamHandler {
	known := v.known(h)
	return func(server any, stream grpc.ServerStream) error {
		if hasCredentials(stream.Context()) {
			return known(server, stream)
		}
		return v.handle(call{ServerStream: stream}, h)
	}
}

// handle runs h within the limit of calls.
func (v *service) handle(c call, h handler) (err error) {
	began := v.options.Now()
	defer func() {
		v.options.Called(Call{Method: v.methodOf(c), Code: status.Code(err).String(), Duration: v.options.Now().Sub(began)})
	}()
	defer v.streams.Add(-1)
	if v.streams.Add(1) > int64(v.options.Streams) {
		return answer(c, refuse(codes.Unavailable, "too many calls are running: try again later"))
	}
	if err = h(c.Context(), c); err == nil {
		return nil
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		r = v.translate(c.Context(), err)
	}
	return answer(c, r)
}

// methodOf is the name of the method of a call, one of those that are served, or "unknown": clients choose it.
func (v *service) methodOf(c call) string {
	name, _ := grpc.MethodFromServerStream(c)
	return cmp.Or(v.methods[name], "unknown")
}

// answer sends the trailers of a refusal, and returns its status.
func answer(stream grpc.ServerStream, err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		stream.SetTrailer(r.trailer)
		return r.status.Err()
	}
	return err
}

// version is the version of the protocol that is told to clients: the last of the line that speaks it as this server
// does. Clients want plain numbers with dots.
const version = "24.10.0"

// supportedMethods tells what is served, in the lower case that clients compare with, and nothing else: clients use what
// is listed.
func (v *service) supportedMethods(_ context.Context, c call) error {
	if err := c.receive(&wire.Empty{}); err != nil {
		return err
	}
	method := func(service, name string) *wire.SupportedMethod {
		return &wire.SupportedMethod{ServiceName: service, MethodName: name}
	}
	const streams = "event_store.client.streams.streams"
	return c.SendMsg(&wire.SupportedMethods{
		EventStoreServerVersion: version,
		Methods: []*wire.SupportedMethod{
			method(streams, "read"), method(streams, "append"), method(streams, "batchappend"),
			method("event_store.client.gossip.gossip", "read"),
			method("event_store.client.server_features.serverfeatures", "getsupportedmethods"),
		},
	})
}

// gossip tells of the one node that there is.
func (v *service) gossip(ctx context.Context, c call) error {
	if err := c.receive(&wire.Empty{}); err != nil {
		return err
	}
	host, port, err := v.address(ctx)
	if err != nil {
		return err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // clients put a colon and the port behind it
	}
	return c.SendMsg(&wire.ClusterInfo{Members: []*wire.MemberInfo{{
		InstanceId:   structured(v.log.ID()),
		TimeStamp:    ticks(v.options.Now()),
		State:        wire.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &wire.EndPoint{Address: host, Port: port},
	}}})
}

// address is where clients reach this server: where this client did, unless the operator says otherwise.
func (v *service) address(ctx context.Context) (host string, port uint32, err error) {
	if v.options.Advertise != "" {
		return splitAddress(v.options.Advertise)
	}
	if p, ok := peer.FromContext(ctx); ok {
		if tcp, ok := p.LocalAddr.(*net.TCPAddr); ok {
			return splitAddress(tcp.String())
		}
	}
	return "", 0, refuse(codes.Unavailable, "this server does not know its address: its operator must set it")
}

// serviceHealth is the health checking protocol of gRPC, which load balancers and orchestrators speak. Nobody has to say who they are.
const serviceHealth = "grpc.health.v1.Health"

// health tells whether the log answers.
func (v *service) health(ctx context.Context) *grpc_health_v1.HealthCheckResponse {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := v.log.Head(ctx); err != nil {
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
}

func (v *service) checkHealth(ctx context.Context, c call) error {
	if err := c.receive(&grpc_health_v1.HealthCheckRequest{}); err != nil {
		return err
	}
	return c.SendMsg(v.health(ctx))
}

// watchHealth tells whether the log answers, whenever that changes, and of the end of the server.
func (v *service) watchHealth(ctx context.Context, c call) error {
	if err := c.receive(&grpc_health_v1.HealthCheckRequest{}); err != nil {
		return err
	}
	ticker := time.NewTicker(healthTimeout)
	defer ticker.Stop()
	told := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		if now := v.health(ctx); now.GetStatus() != told {
			told = now.GetStatus()
			if err := c.SendMsg(now); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-v.stopping:
			return c.SendMsg(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
