package esdbserver

import (
	"context"
	"net"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

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
		InstanceId:   uuidText(v.log.ID()),
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
