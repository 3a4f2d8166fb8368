package esdbserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/fair"
)

// Server serves one log. It is safe for concurrent use.
type Server struct {
	log     eventstore.Log
	options Options
	streams atomic.Int64 // calls running
	pending budget
	reads   *fair.Budget
	pages   *pages
	tail    tail
	given   positions
	again   streamTurns // of appends that name no revision and were too late
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
	s.pending.max, s.tail.log = s.options.MaxPendingBytes, log
	s.reads = newReads(s.options)
	s.pages = newPages(log, s.reads, s.options.MaxReadBytes/idlePages)
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
	server := s.register(&service{Server: s, stopping: stopping, methods: map[string]string{}}) //nolint:contextcheck // each call brings its own
	served := make(chan error, 1)
	go func() { served <- server.Serve(newFront(listener, s.options.TLS, s.options.Connected)) }()
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
		grpc.ForceServerCodecV2(newCountingCodec()),
		grpc.Creds(knownConns{}),
	}
	server := grpc.NewServer(options...)
	for _, description := range v.services() {
		server.RegisterService(&description, nil)
		for _, method := range description.Streams {
			v.methods["/"+description.ServiceName+"/"+method.StreamName] = method.StreamName
		}
	}
	return server
}

// Options are what an operator may choose. The zero value of each field but Now means its default.
type Options struct {
	// Now is the clock of the times in checkpoints and in gossip. Required.
	Now func() time.Time

	// TLS makes the server speak TLS with it. Without it the server speaks clear text, which Serve does on a loopback
	// address and on a Unix socket only, unless ClearText allows it everywhere.
	TLS *tls.Config
	// ClearText allows clear text on every address: for a network that the operator trusts as a whole.
	ClearText bool
	// Authenticate returns nil if the password is the user's, [ErrNotAuthenticated] if it is not, [ErrTooManyLogins] if it is not checked
	// since the client asks too often, and any other error if that cannot be found out now, or the context ended. With it every call needs basic credentials, save ServerFeatures and Gossip, which
	// clients ask without and which say nothing of what the log holds. Without it everybody is let in. It is called for
	// each call and must be safe for concurrent use. The Go client sends credentials over TLS only.
	Authenticate func(ctx context.Context, user, password string) error

	// Writable are the prefixes of the streams that clients may append to. None by default; "" is every stream. The
	// streams of the engine and of contents, and those that begin with "$", are not made writable by it.
	Writable []string
	// AllowEngineStreams lets clients write as an engine does: any stream, with the metadata of the log (see the
	// package's comment). Who may append then may forge whatever the engine records. It is for tests of adapters and
	// for moving a log, and belongs in no flag.
	AllowEngineStreams bool

	// MaxAppendSize is the largest sum, in bytes, of data, metadata and twice the type of the events of one append: 16 MiB.
	// An append may also have no more than one event for every 64 bytes of it.
	MaxAppendSize int
	// MaxEventSize is the same for one event: 16 MiB less 64 KiB, since clients receive messages of up to 17 MiB.
	MaxEventSize int
	// MaxPendingBytes bounds what all running appends hold together: 256 MiB. An append beyond it is refused as
	// UNAVAILABLE.
	MaxPendingBytes int64
	// MaxReadBytes bounds what all running reads and subscriptions hold together, of the log and of messages that clients did not
	// take yet: 256 MiB. Reads beyond it wait: hosts take turns, and users within them, and none has all of it.
	MaxReadBytes int64
	// SlowReader is how long a client may take nothing at all of what it is sent while others wait for the memory: 30 s. It is
	// disconnected then.
	SlowReader time.Duration
	// StreamsPerConnection is how many calls, subscriptions included, one connection may run at once: 256. A client
	// waits with what is beyond it.
	StreamsPerConnection int
	// Streams is how many calls may run at once in all: 4096. One beyond it is refused as UNAVAILABLE.
	Streams int

	// Advertise is the "host:port" that Gossip tells clients to connect to. By default the address that the client
	// reached the server at.
	Advertise string
	// KeepAlive is the shortest time between two keep-alive pings of a client: 1 s. A client that sends them twice as fast is
	// disconnected.
	KeepAlive time.Duration
	// StopTimeout is how long Serve waits, once its context ended, for calls that are running: 5 s. Subscriptions are
	// ended at once.
	StopTimeout time.Duration

	// Failed is told of each failure of the log, whose text is not sent to clients. It must be safe for concurrent use.
	Failed func(error)
	// Refused is told of each login and each append that is refused, conflicts excepted. It must be safe for concurrent use.
	Refused func(Refusal)
	// Connected is told of each connection that speaks the protocol: 1 when it begins, -1 when it ends. It must be safe for concurrent
	// use and must not block.
	Connected func(change int)
	// Called is told of each call that ended. It must be safe for concurrent use and must not block.
	Called func(Call)
}

// Call is a call of a client that ended.
type Call struct {
	Method string // "Read", "Append", "BatchAppend" and so on; "unknown" for what is not served
	Code   string // of gRPC, such as "OK" or "Canceled"
	// Duration is how long it took. A subscription takes until it ends.
	Duration time.Duration
}

// ErrNotAuthenticated is what Options.Authenticate returns, wrapped or not, for an unknown user or a wrong password.
var ErrNotAuthenticated = errors.New("unknown user or wrong password")

// ErrTooManyLogins is what Options.Authenticate returns, wrapped or not, to a client that has too many passwords checked at once.
var ErrTooManyLogins = errors.New("too many passwords of this client wait to be checked")

func (o Options) withDefaults() Options {
	o.MaxAppendSize = cmp.Or(o.MaxAppendSize, 16<<20)
	o.MaxEventSize = cmp.Or(o.MaxEventSize, 16<<20-64<<10)
	o.MaxPendingBytes = cmp.Or(o.MaxPendingBytes, 256<<20)
	o.MaxReadBytes = cmp.Or(o.MaxReadBytes, 256<<20)
	o.SlowReader = cmp.Or(o.SlowReader, 30*time.Second)
	o.StreamsPerConnection = cmp.Or(o.StreamsPerConnection, 256)
	o.Streams = cmp.Or(o.Streams, 4096)
	o.KeepAlive = cmp.Or(o.KeepAlive, time.Second)
	o.StopTimeout = cmp.Or(o.StopTimeout, 5*time.Second)
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Refused == nil {
		o.Refused = func(Refusal) {}
	}
	if o.Connected == nil {
		o.Connected = func(int) {}
	}
	if o.Called == nil {
		o.Called = func(Call) {}
	}
	return o
}

// validate reports every fault of o, with the names of the fields.
func (o Options) validate() error {
	var faults []error
	if o.Now == nil {
		faults = append(faults, errors.New("option Now is required"))
	}
	for name, value := range map[string]int64{
		"MaxAppendSize": int64(o.MaxAppendSize), "MaxEventSize": int64(o.MaxEventSize),
		"MaxPendingBytes": o.MaxPendingBytes, "MaxReadBytes": o.MaxReadBytes, "SlowReader": int64(o.SlowReader), "StreamsPerConnection": int64(o.StreamsPerConnection),
		"Streams": int64(o.Streams), "KeepAlive": int64(o.KeepAlive), "StopTimeout": int64(o.StopTimeout),
	} {
		if value < 0 {
			faults = append(faults, fmt.Errorf("option %s is negative", name))
		}
	}
	if o.MaxAppendSize > maxAppendSize {
		faults = append(faults, fmt.Errorf("option MaxAppendSize is above %d", maxAppendSize))
	}
	if o.Advertise != "" {
		if err := CheckAddress(o.Advertise); err != nil {
			faults = append(faults, fmt.Errorf("option Advertise: %w", err))
		}
	}
	return errors.Join(faults...)
}

// maxAppendSize is what an operator may raise MaxAppendSize to: the protocol tells it as 32 bits, and an append is held
// in memory.
const maxAppendSize = 1 << 30

// CheckAddress reports why address cannot be Options.Advertise.
func CheckAddress(address string) error {
	host, _, err := splitAddress(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); strings.ContainsAny(host, " \t/@,?#") || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("%q: want the host:port that clients connect to", address)
	}
	return nil
}

func splitAddress(address string) (host string, port uint32, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || host == "" || number == 0 {
		return "", 0, fmt.Errorf("%q: want host:port", address)
	}
	return host, uint32(number), nil
}
