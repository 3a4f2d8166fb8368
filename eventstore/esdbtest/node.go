package esdbtest

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Node is a node of a [Cluster].
type Node struct {
	api.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer

	cluster *Cluster
	index   int
	id      uuid.UUID
	address string // does not change once the cluster runs
	gate    *gate
	stop    func() // nil while it is killed; used by one goroutine at a time

	// The mutex of the cluster guards these.
	store        *store
	shown        int       // how many entries readers are shown
	arriving     []pending // of a follower: what it has and does not show yet
	down, frozen bool
	led          bool // it was the leader when it was frozen
	stale        bool // it believes that it is the leader, and is not
	epoch        int  // of its process: it starts anew when it has to cut its log
}

// maxMessage is the largest message that the server takes (facts: size/message_limit).
const maxMessage = 16_767_216

// serve lets clients connect.
func (n *Node) serve() {
	tb := n.cluster.tb
	tb.Helper()
	listener, err := listen(tb, n.address)
	if err != nil {
		tb.Fatal(err)
	}
	n.address = listener.Addr().String()
	// The windows are those that a server of .NET has.
	server := grpc.NewServer(grpc.InitialWindowSize(768<<10), grpc.InitialConnWindowSize(1<<20), grpc.MaxRecvMsgSize(2*maxMessage), grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime: time.Second, PermitWithoutStream: true,
	}))
	api.RegisterStreamsServer(server, n)
	serverfeatures.RegisterServerFeaturesServer(server, n)
	gossip.RegisterGossipServer(server, gossiper{node: n})
	done, cut := make(chan error, 1), make(chan struct{})
	go func() { done <- server.Serve(gatedListener{listener, n.gate, cut}) }()
	n.stop = func() {
		close(cut)
		server.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // before it served
			tb.Error(err)
		}
	}
	tb.Cleanup(n.Kill)
}

// Address returns host and port.
func (n *Node) Address() string { return n.address }

// URL returns the connection string with this node alone.
func (n *Node) URL() string { return "esdb://" + n.address + "?tls=false" }

// up needs mu, as do the functions below that say nothing else.
func (n *Node) up() bool { return !n.down && !n.frozen }

// leads reports whether the node believes that it is the leader.
func (n *Node) leads() bool { return n.stale || n.index == n.cluster.leader }

// electable reports whether the node has all that a majority has.
func (n *Node) electable() bool {
	truth := n.cluster.truth
	size := len(truth)
	return n.up() && !n.stale && len(n.store.all) >= size && (size == 0 || n.store.all[size-1] == truth[size-1])
}

// join makes the log of a follower that of the leader. One that had something else starts anew, which ends its calls.
func (n *Node) join() {
	leader := n.cluster.leading()
	if leader == nil || leader == n {
		return
	}
	if n.store.follow(leader.store, len(n.cluster.truth)) {
		n.epoch++
	}
	n.shown, n.arriving, n.stale, n.led = len(n.store.all), nil, false, false
}

// Kill cuts every connection and lets nobody connect. What is on disk stays.
func (n *Node) Kill() {
	if n.stop == nil {
		return
	}
	n.change(func() {
		n.down, n.stale, n.led = true, false, false
		n.store.ids = map[uuid.UUID]*entry{}
	})
	n.stop()
	n.stop = nil
}

// Restart lets clients connect again after Kill. A node that was the leader is it still, unless another was elected.
func (n *Node) Restart() {
	if n.stop != nil {
		return
	}
	n.gate.release()
	n.change(func() {
		n.down, n.frozen = false, false
		n.join()
	})
	n.serve()
}

// Freeze stops the node without a word: it accepts connections and answers nothing.
func (n *Node) Freeze() {
	n.gate.shut()
	n.change(func() { n.frozen, n.led = true, n.led || n.index == n.cluster.leader })
}

// Resume ends Freeze. A leader whom another has replaced goes on as one for a while (ClusterOptions.Stale), with the log as it was.
func (n *Node) Resume() {
	n.change(func() {
		n.frozen = false
		switch stale := n.cluster.options.Stale; {
		case !n.led || n.index == n.cluster.leader || stale == 0:
			n.join()
		default:
			n.stale = true
			n.cluster.timers = append(n.cluster.timers, timer{n.cluster.now + stale, n.Notice})
		}
		n.led = false
	})
	n.gate.release()
}

// Notice lets a leader that was resumed find out that there is another.
func (n *Node) Notice() {
	n.change(func() {
		if n.stale {
			n.stale = false
			n.join()
		}
	})
}

func (n *Node) change(what func()) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	what()
	n.cluster.replicate()
}

// view is what readers of the node are shown.
func (n *Node) view() view {
	shown := *n.store
	v := view{store: &shown, all: min(n.shown, len(n.store.all)), now: n.cluster.options.Now()}
	v.own = v.all
	if v.all > 0 && v.all < len(shown.all) && shown.all[v.all].first <= v.all-1 { // inside a batch
		v.own = shown.all[v.all].first
	}
	if h := n.cluster.hold; h != nil {
		for _, e := range n.store.streams.of(h.stream) {
			if e.revision == h.revision {
				v.all, v.own = min(v.all, e.index+1), min(v.own, e.first)
			}
		}
	}
	return v
}

// enter is what each call of the Streams service begins with: the clock moves, and who may not do it is told.
func (n *Node) enter(ctx context.Context, call string, r right, stream string) error {
	c := n.cluster
	c.tick()
	md, _ := metadata.FromIncomingContext(ctx)
	c.mu.Lock()
	c.requests.Calls[call]++
	c.requests.Leader[fmt.Sprint(md.Get("requires-leader"))]++
	c.mu.Unlock()
	if err := c.authorise(ctx, r, stream); err != nil {
		return err
	}
	select {
	case <-n.gate.flows():
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// demandLeader refuses what requires a leader that the node is not. It needs mu.
func (n *Node) demandLeader(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if value := md.Get("requires-leader"); len(value) == 0 || !strings.EqualFold(value[0], "true") || n.leads() {
		return nil
	}
	return n.notLeader(ctx)
}

// errNoLeader is what a node says during an election (facts: no_leader/*).
var errNoLeader = status.Error(codes.Unavailable, "Server Is Not Ready")

// notLeader names the leader (facts: follower/*).
func (n *Node) notLeader(ctx context.Context) error {
	leader := n.cluster.leading()
	if leader == nil {
		return errNoLeader
	}
	host, port, err := net.SplitHostPort(leader.address)
	if err != nil {
		return err
	}
	return refuse(ctx, codes.NotFound, "Leader info available", "exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", port)
}

// refuse returns an error and says in the trailers what it is.
func refuse(ctx context.Context, code codes.Code, text string, trailers ...string) error {
	if err := grpc.SetTrailer(ctx, metadata.Pairs(trailers...)); err != nil {
		return err
	}
	return status.Error(code, text)
}

// errStreamDeleted is the answer for a stream that is deleted for ever.
func errStreamDeleted(ctx context.Context, stream string) error {
	return refuse(ctx, codes.FailedPrecondition, fmt.Sprintf("Event stream '%s' is deleted.", stream), "exception", "stream-deleted", "stream-name", stream)
}

// wait waits until something happened in the cluster. epoch is that of the node's process in which the call came.
func (n *Node) wait(ctx context.Context, changed <-chan struct{}, epoch int) error {
	select {
	case <-changed:
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	if n.epoch != epoch {
		return status.Error(codes.Unavailable, "the server restarts")
	}
	return nil
}

// GetSupportedMethods tells the version, if the server has one.
func (n *Node) GetSupportedMethods(ctx context.Context, _ *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	if err := n.cluster.authorise(ctx, rightNone, ""); err != nil {
		return nil, err
	}
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.cluster.requests.Calls["GetSupportedMethods"]++
	version := n.cluster.script.version
	if version == "" {
		return nil, status.Error(codes.Unimplemented, "an old server")
	}
	methods := []*serverfeatures.SupportedMethod{{MethodName: "read", ServiceName: "event_store.client.gossip.gossip"}}
	for _, m := range []string{"append", "batchappend", "delete", "read", "tombstone"} {
		methods = append(methods, &serverfeatures.SupportedMethod{MethodName: m, ServiceName: "event_store.client.streams.streams"})
	}
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: version, Methods: methods}, nil
}

// gossiper is the Gossip service of a node, whose method has the name of another.
type gossiper struct {
	gossip.UnimplementedGossipServer

	node *Node
}

// Read tells what the node thinks of the others (facts: gossip, follower/gossip, no_leader/gossip).
func (g gossiper) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	n, c := g.node, g.node.cluster
	c.tick()
	if err := c.authorise(ctx, rightNone, ""); err != nil {
		return nil, err
	}
	c.count(func(q *Requests) { q.Calls["Gossip"]++ })
	c.gossips(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	info := &gossip.ClusterInfo{}
	for _, other := range c.nodes {
		host, port, err := net.SplitHostPort(cmp.Or(c.options.Advertised, other.address))
		if err != nil {
			return nil, err
		}
		var number uint32
		if _, err := fmt.Sscan(port, &number); err != nil {
			return nil, err
		}
		info.Members = append(info.Members, &gossip.MemberInfo{
			InstanceId: structured(other.id), TimeStamp: time.Now().UnixNano() / 100, State: n.stateOf(other),
			IsAlive:      other == n || !other.down && (!other.frozen || other.index == c.leader),
			HttpEndPoint: &gossip.EndPoint{Address: host, Port: number},
		})
	}
	return info, nil
}

// stateOf is what a node thinks of another. That a leader is frozen is not known before the next election.
func (n *Node) stateOf(other *Node) gossip.MemberInfo_VNodeState {
	switch c := n.cluster; {
	case other == n && n.leads(), !n.stale && other.index == c.leader && !other.down:
		return gossip.MemberInfo_Leader
	case other != n && !other.up():
		return gossip.MemberInfo_Manager
	case c.leader < 0 && !n.stale:
		return gossip.MemberInfo_Unknown
	default:
		return gossip.MemberInfo_Follower
	}
}

// structured and parse are the two forms of an id.
func structured(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

func parse(id *shared.UUID) (u uuid.UUID, err error) {
	if s := id.GetStructured(); s != nil {
		binary.BigEndian.PutUint64(u[:8], uint64(s.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(u[8:], uint64(s.GetLeastSignificantBits()))
		return u, nil
	}
	return uuid.Parse(id.GetString_())
}
