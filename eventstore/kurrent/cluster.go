package kurrent

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/gxpledger/gxpledger/eventstore"
)

const (
	// maxMessage is the largest message that is taken from a server.
	maxMessage = 17 << 20
	// connecting bounds how long a node may take to accept a connection: one that is frozen accepts and never answers.
	connecting = 3 * time.Second
	// maxMembers bounds what a server may tell of its nodes.
	maxMembers = 32
)

// patience is how long is waited for an answer.
type patience struct {
	call         time.Duration // before the other nodes are asked who leads now
	subscription time.Duration // likewise; a subscription may wait for days
	spent        time.Duration // in all, when the budget is spent
	// at bounds how long a server may look at one position. It answers at once where it gave the position; at any other number it takes the
	// bytes there for a record, which can last for many seconds.
	at time.Duration
	// host bounds how long the one host of a connection string may take to tell its members, before it counts as gone: one that is busy
	// tells them late.
	host  time.Duration
	probe time.Duration // to find out whether a node speaks TLS
	// votes is how long the first node that names a leader waits for others, which may name a newer one, and half of the nodes, which know
	// none, for the others.
	votes time.Duration
}

func patienceOf(s settings) patience {
	return patience{
		call: time.Second, subscription: 3 * time.Second, spent: time.Second, at: 3 * time.Second,
		host: s.gossipTimeout, probe: connecting, votes: 100 * time.Millisecond,
	}
}

// cluster is the nodes of a server, with a connection to each that is used. Calls go to the leader. It is safe for
// concurrent use.
type cluster struct {
	settings settings
	patience patience
	lookup   func(ctx context.Context, host string) (addresses []string, err error)
	slots    chan struct{}   // one token for each call that is with the server
	life     context.Context //nolint:containedctx // ends when the log is closed, and no call with which one it was opened
	end      context.CancelCauseFunc
	running  sync.WaitGroup // searches

	mu      sync.Mutex // guards all below
	nodes   map[string]*node
	members []string             // that the last search found, or the one host told
	known   map[uuid.UUID]string // at which address a process of the server is spoken to, whatever else it is called
	learns  bool                 // the one host was asked for its members, and answered or has not yet
	lost    string               // the node that was left last
	leader  string               // "" for unknown
	terms   int                  // how often the leader changed
	search  *search              // under way, nil for none
}

func newCluster(s settings, maxCalls int) *cluster {
	life, end := context.WithCancelCause(context.Background()) //nolint:forbidigo // a log lives until it is closed
	return &cluster{settings: s, patience: patienceOf(s), lookup: net.DefaultResolver.LookupHost, slots: make(chan struct{}, maxCalls), life: life, end: end, nodes: map[string]*node{}, known: map[uuid.UUID]string{}}
}

// close ends every call with ErrClosed, and every connection.
func (c *cluster) close() {
	c.mu.Lock()
	c.end(eventstore.ErrClosed)
	nodes := c.nodes
	c.nodes = map[string]*node{}
	c.mu.Unlock()
	for _, n := range nodes {
		_ = n.conn.Close() // it has no error to give
	}
	c.running.Wait()
}

// node is a connection.
type node struct {
	address string
	secure  bool // it is spoken to over TLS
	conn    *grpc.ClientConn
	shake   *handshake
	probe   *probe

	patience *patience // of the cluster
}

// at returns the node at an address, which a name of the connection string may stand for.
func (c *cluster) at(address, name string) (*node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return nil, eventstore.ErrClosed
	}
	if n, ok := c.nodes[address]; ok {
		return n, nil
	}
	if c.settings.user != "" && c.settings.tls == nil && !loopback(address) {
		return nil, fmt.Errorf("%w: the server names the node %s, which is not on this machine: %w", eventstore.ErrInvalid, address, errClearCredentials)
	}
	n, err := c.dial(address, name)
	if err != nil {
		return nil, fmt.Errorf("%w: node %s: %w", eventstore.ErrInvalid, address, err)
	}
	c.nodes[address] = n
	return n, nil
}

func (c *cluster) dial(address, name string) (*node, error) {
	transport := insecure.NewCredentials()
	if c.settings.tls != nil {
		transport = credentials.NewTLS(c.settings.tls.Clone())
	}
	shake := &handshake{TransportCredentials: transport, fault: &atomic.Pointer[error]{}}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(shake),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: connecting,
		}),
	}
	if name != "" && name != address {
		options = append(options, grpc.WithAuthority(name)) // what its certificate is for
	}
	if c.settings.keepAliveInterval >= 0 {
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: c.settings.keepAliveInterval, Timeout: max(c.settings.keepAliveTimeout, 0), PermitWithoutStream: true,
		}))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	return &node{address: address, secure: c.settings.tls != nil, conn: conn, shake: shake, probe: newProbe(), patience: &c.patience}, err
}

// handshake keeps why the last attempt to speak TLS failed: gRPC has no more than a text of it.
type handshake struct {
	credentials.TransportCredentials

	fault *atomic.Pointer[error] // holds nil after one that succeeded
}

// ClientHandshake implements [credentials.TransportCredentials].
func (h *handshake) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	h.fault.Store(nil)
	if err != nil {
		h.fault.Store(&err)
	}
	return conn, info, err
}

// Clone implements [credentials.TransportCredentials].
func (h *handshake) Clone() credentials.TransportCredentials {
	return &handshake{TransportCredentials: h.TransportCredentials.Clone(), fault: h.fault}
}

// header adds to ctx what every call says.
func (c *cluster) header(ctx context.Context) context.Context {
	if c.settings.user == "" {
		return ctx
	}
	text := base64.StdEncoding.EncodeToString([]byte(c.settings.user + ":" + c.settings.password))
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+text)
}

// pick returns the node that is asked: the leader, as far as is known.
func (c *cluster) pick(ctx context.Context) (*node, error) {
	c.mu.Lock()
	address := c.leader
	c.mu.Unlock()
	var err error
	switch {
	case address != "":
	case !c.settings.clustered():
		address = c.only(ctx)
	default:
		address, err = c.find(ctx)
	}
	if err != nil {
		return nil, err
	}
	n, err := c.at(address, "")
	if err != nil && !c.settings.clustered() && address != c.settings.hosts[0] {
		c.forget(address)
		return c.at(c.settings.hosts[0], "")
	}
	return n, err
}

// forget forgets that the node at an address leads, if it is taken to.
func (c *cluster) forget(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leader == address {
		c.leader = ""
	}
}

// only returns the one host of a connection string. Where that does not lead, or is gone, and told of other nodes before, they are asked
// who leads. What they name need not be reachable from here, so that the host has its turn after each of them.
func (c *cluster) only(ctx context.Context) string {
	host := c.settings.hosts[0]
	c.mu.Lock()
	others := c.lost == host && len(c.members) > 1
	if learns := !c.learns && c.life.Err() == nil; learns {
		c.learns = true
		c.running.Go(func() { c.learn(host) }) //nolint:contextcheck // nobody waits for it
	}
	c.mu.Unlock()
	if others {
		if leader, err := c.find(ctx); err == nil && (leader == host || c.reaches(ctx, leader)) {
			return leader
		}
	}
	return host
}

// reaches reports whether the node at an address answers here, and forgets that it leads if it does not: the address is one that a node
// advertises, and may be unusable for good, as for a certificate of another name.
func (c *cluster) reaches(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.settings.gossipTimeout)
	defer cancel()
	if _, err := c.askMembers(ctx, address, ""); err == nil {
		return true
	}
	c.forget(address)
	return false
}

// learn asks the one host for the members of its cluster, for the time when it does not answer any more.
func (c *cluster) learn(host string) {
	ctx, cancel := context.WithTimeout(c.life, c.settings.gossipTimeout)
	defer cancel()
	told, err := c.askMembers(ctx, host, "")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, eventstore.ErrTransient):
		c.learns = false
	case err == nil && c.members == nil:
		c.members = addresses(told.members)
	}
}

// several reports whether there are other nodes to ask who leads.
func (c *cluster) several() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings.clustered() || len(c.members) > 1
}

// leave forgets that the node at an address leads.
func (c *cluster) leave(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = address
	if c.leader == address {
		c.leader = ""
	}
	maps.DeleteFunc(c.known, func(_ uuid.UUID, at string) bool { return at == address })
	if !c.settings.clustered() && len(c.members) <= 1 { // it may have been alone when it was asked
		c.learns, c.members = false, nil
	}
	c.terms++
}

// term changes whenever another node may lead.
func (c *cluster) term() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.terms
}

// redirect makes the node at an address the leader, since another named it, and reports whether that was news.
func (c *cluster) redirect(from, to string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to == from {
		return false
	}
	known := c.leader == to
	c.leader = to
	c.terms++
	return !known
}

// resolve returns the addresses of the nodes that are known, each with its name in the connection string.
func (c *cluster) resolve(ctx context.Context) (map[string]string, error) {
	names := map[string]string{}
	var unresolved error
	for _, host := range c.settings.hosts {
		if !c.settings.discover {
			names[host] = host
			continue
		}
		name, port, _ := net.SplitHostPort(host) // it was joined
		found, err := c.lookup(ctx, name)
		if err != nil { // other names, and what the nodes told before, may do
			unresolved = &passingError{text: fmt.Sprintf("the name %s cannot be resolved: %v", name, err)}
			continue
		}
		for _, ip := range found[:min(len(found), maxMembers)] {
			names[net.JoinHostPort(ip, port)] = host
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		if _, ok := names[m]; !ok {
			names[m] = m
		}
	}
	for address, n := range maps.Clone(c.nodes) { // those that are gone from the cluster
		if _, ok := names[address]; !ok && address != c.leader {
			delete(c.nodes, address)
			c.running.Go(func() { _ = n.conn.Close() })
		}
	}
	if len(names) == 0 && unresolved == nil {
		unresolved = passing(c.settings.hosts[0], "has no address")
	}
	if len(names) == 0 {
		return nil, unresolved
	}
	return names, nil
}

// endpoint returns host:port of what a server says of a node.
func endpoint(host, port string) (string, error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("no node is at %s", host)
	}
	return parseHost(net.JoinHostPort(host, port))
}
