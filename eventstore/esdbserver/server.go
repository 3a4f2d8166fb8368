package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Server serves one log. It is safe for concurrent use.
type Server struct {
	log     eventstore.Log
	options Options
	streams atomic.Int64 // calls running
	pending budget
	given   positions
}

// ErrClearText is refused by Serve: the address can be reached from other machines, and neither TLS was given nor clear text allowed.
var ErrClearText = errors.New("refuse to serve clear text on an address that is not loopback: give TLS, or allow it")

// New returns a server of log. It does not own log: close log after Serve returned.
func New(log eventstore.Log, options Options) (*Server, error) {
	if log == nil {
		return nil, errors.New("cannot serve log: no log is given")
	}
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("cannot serve log: %w", err)
	}
	s := &Server{log: log, options: options.withDefaults()}
	s.pending.max = s.options.MaxPendingBytes
	return s, nil
}

// Serve answers clients on listener until ctx ends, and then stops: it takes no new calls, ends subscriptions with
// UNAVAILABLE, and gives other calls Options.StopTimeout to finish. It returns nil after that, and an error when it could
// not begin or go on. It closes listener in any case. Several calls may serve several listeners.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if err := s.allow(listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	stopping := make(chan struct{})
	server := s.register(&service{Server: s, stopping: stopping}) //nolint:contextcheck // each call brings its own
	served := make(chan error, 1)
	go func() { served <- server.Serve(newFront(listener, s.options.TLS)) }()
	select {
	case err := <-served:
		close(stopping)
		server.Stop()
		return fmt.Errorf("cannot serve clients: %w", err)
	case <-ctx.Done():
	}
	close(stopping)
	s.stop(server)
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // that, if it had not started yet
		return fmt.Errorf("cannot serve clients: %w", err)
	}
	return nil
}

// stop waits for the calls of server, but not for ever.
func (s *Server) stop(server *grpc.Server) {
	late := time.AfterFunc(s.options.StopTimeout, server.Stop)
	defer late.Stop()
	server.GracefulStop()
}

// allow refuses clear text where others could listen.
func (s *Server) allow(address net.Addr) error {
	if s.options.TLS != nil || s.options.ClearText || address.Network() == "unix" {
		return nil
	}
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	return fmt.Errorf("cannot serve %s: %w", address, ErrClearText)
}

// What a connection may cost before it has sent anything useful.
const (
	handshakeTimeout = 10 * time.Second
	healthTimeout    = 5 * time.Second
	pingAfter        = time.Minute // of silence: a subscriber that vanished would never be noticed
	pingTimeout      = 20 * time.Second
	maxHeaderBytes   = 16 << 10
	minReceive       = 17 << 20 // of a message; what clients of the protocol count on
	messageOverhead  = 1 << 20
)

// register returns a gRPC server of v.
func (s *Server) register(v *service) *grpc.Server {
	options := []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: s.options.KeepAlive / 2, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.MaxRecvMsgSize(max(minReceive, s.options.MaxEventSize+messageOverhead)),
		grpc.MaxConcurrentStreams(uint32(s.options.StreamsPerConnection)), //nolint:gosec // validate bounds it
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.WaitForHandlers(true),
		grpc.UnknownServiceHandler(v.unknown),
	}
	server := grpc.NewServer(options...)
	for _, description := range v.services() {
		server.RegisterService(&description, nil)
	}
	return server
}
