package esdbtest_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// three starts a cluster with a client for each node.
func three(t *testing.T, o esdbtest.ClusterOptions) (*esdbtest.Cluster, []*client) {
	t.Helper()
	c := esdbtest.StartCluster(t, o)
	clients := make([]*client, c.Size())
	for i := range clients {
		clients[i] = dial(t, c.Node(i))
	}
	return c, clients
}

func wantCode(t *testing.T, err error, want codes.Code, text string) {
	t.Helper()
	if status.Code(errors.Unwrap(err)) != want || !strings.Contains(err.Error(), text) {
		t.Errorf("error is %v, want %s %q", err, want, text)
	}
}

func (c *client) held(stream string) string {
	c.t.Helper()
	said, err := c.read(ofStream(stream, "start", false, 100), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Join(said, ", ")
}

// A position that the cluster did not give fails the test that sent it, and is answered as a server does. Positions are no numbers that
// could be guessed: gaps are of several sizes.
func TestAMadeUpPositionFailsTheTest(t *testing.T) {
	t.Parallel()
	watched := &catcher{TB: t}
	cluster := esdbtest.StartCluster(watched, esdbtest.ClusterOptions{})
	c := dial(t, cluster.Node(0))
	first := c.must(c.append("s", "any", "a")).GetSuccess().GetPosition().GetCommitPosition()
	second := c.must(c.append("s", "any", "a longer label")).GetSuccess().GetPosition().GetCommitPosition()
	third := c.must(c.append("s", "any", "b")).GetSuccess().GetPosition().GetCommitPosition()
	if third-second == second-first {
		t.Errorf("positions have equal gaps: %d, %d, %d", first, second, third)
	}
	for _, given := range []uint64{0, first, second} {
		for _, back := range []bool{false, true} {
			if _, err := c.read(ofAll(back, 1, given, given), nil); err != nil {
				t.Errorf("at %d: %v", given, err)
			}
		}
	}
	if n := watched.errors.Load(); n != 0 {
		t.Fatalf("positions that were given: %d errors", n)
	}
	for i, position := range []uint64{first - 1, first + 1, second - 1, third + 1000} {
		for way, o := range []*api.ReadReq_Options{
			ofAll(false, 1, position, position), ofAll(true, 1, position, position), following(ofAll(false, 1, position, position)),
		} {
			_, err := c.read(o, caughtUp)
			if want := int64(3*i + way + 1); watched.errors.Load() != want {
				t.Errorf("position %d: %d errors, want %d; answered %v", position, watched.errors.Load(), want, err)
			}
		}
	}
	cluster.AllowMadeUpPositions()
	_, err := c.read(ofAll(false, 1, first+1, first+1), nil)
	wantCode(t, err, codes.Unknown, "Unexpected ReadAllResult: InvalidPosition")
	if n := watched.errors.Load(); n != 12 {
		t.Errorf("%d errors, want those of before only", n)
	}
}

// A write that no majority got is not acknowledged, whatever the lag is, and is lost at an election.
func TestAWriteWithoutAMajorityIsLost(t *testing.T) {
	t.Parallel()
	cluster, c := three(t, esdbtest.ClusterOptions{})
	cluster.Lag(esdbtest.Lag{AckFirst: true})
	cluster.Node(1).Freeze()
	cluster.Node(2).Freeze()
	_, err := c[0].append("s", "any", "lost")
	wantCode(t, err, codes.Aborted, "Operation timed out")
	if n := len(cluster.Committed()); n != 1 {
		t.Errorf("%d events have a majority, want the server's own", n)
	}
	cluster.Node(0).Freeze()
	cluster.Node(1).Resume()
	cluster.Node(2).Resume()
	cluster.Elect(1)
	cluster.Node(0).Resume()
	if got := c[0].held("s"); got != "stream_not_found" {
		t.Errorf("the old leader has %s", got)
	}
	c[1].must(c[1].append("s", "no_stream", "kept"))
	if err := cluster.Judge(); err != nil {
		t.Error(err)
	}
}

// Appends are checked against what is not readable yet.
func TestAWriteIsReadableAfterALag(t *testing.T) {
	t.Parallel()
	cluster, c := three(t, esdbtest.ClusterOptions{})
	cluster.Lag(esdbtest.Lag{Leader: time.Second, Followers: time.Second, AckFirst: true})
	c[0].must(c[0].append("s", "no_stream", "0", "1"))
	if got := c[0].held("s"); got != "stream_not_found" {
		t.Errorf("before the lag the stream has %s", got)
	}
	answer, err := c[0].append("s", "no_stream", "2")
	if w := answer.GetWrongExpectedVersion(); err != nil || w.GetCurrentRevision() != 1 {
		t.Errorf("answered %v, %v, want a conflict with revision 1", answer, err)
	}
	cluster.Advance(time.Second)
	if got := c[0].held("s"); got != "event 0, event 1" {
		t.Errorf("after the lag the stream has %s", got)
	}
	if got := c[1].held("s"); got != "stream_not_found" {
		t.Errorf("a follower has %s at once", got)
	}
	cluster.Advance(time.Second)
	if got := c[1].held("s"); got != "event 0, event 1" {
		t.Errorf("a follower has %s after its lag", got)
	}
	// Without AckFirst the answer comes when the event is readable.
	cluster.Lag(esdbtest.Lag{Leader: time.Second})
	done := make(chan error, 1)
	go func() {
		_, err := c[0].append("t", "no_stream", "3")
		done <- err
	}()
	for cluster.Requests().Calls["Append"] < 3 {
		select {
		case err := <-done:
			t.Fatalf("answered before the lag: %v", err)
		default:
		}
	}
	for {
		cluster.Advance(time.Second) // it may not be written yet
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// $all may end inside a batch while it is indexed. Streams show none of it.
func TestAllEndsInsideABatch(t *testing.T) {
	t.Parallel()
	cluster, c := three(t, esdbtest.ClusterOptions{})
	c[0].must(c[0].append("s", "no_stream", "0"))
	cluster.HoldIndexInside("s", 2)
	cluster.Lag(esdbtest.Lag{AckFirst: true})
	c[0].must(c[0].append("s", "0", "1", "2", "3"))
	said, err := c[0].read(ofAll(true, 1), nil)
	if err != nil || strings.Join(said, ", ") != "event 2" {
		t.Errorf("$all ends with %v, %v, want event 2", said, err)
	}
	if got := c[0].held("s"); got != "event 0" {
		t.Errorf("the stream shows %s", got)
	}
	ctx, cancel := c[0].context()
	defer cancel()
	call := c[0].open(ctx, following(ofAll(false, 1, c[0].at["0"], c[0].at["0"])))
	for i, want := range []string{"confirmation", "event 1", "event 2", "caught_up", "event 3"} {
		if i == 4 {
			cluster.ReleaseIndex()
		}
		m, err := call.Recv()
		if err != nil || c[0].say(m) != want {
			t.Fatalf("message %d is %v, %v, want %s", i, m, err, want)
		}
	}
	if got := c[0].held("s"); got != "event 0, event 1, event 2, event 3" {
		t.Errorf("the stream shows %s", got)
	}
}

// Followers serve what requires no leader, forward writes, and name the leader otherwise (facts: follower/*).
func TestFollowers(t *testing.T) {
	t.Parallel()
	cluster, c := three(t, esdbtest.ClusterOptions{})
	c[1].must(c[1].append("s", "no_stream", "0", "1"))
	if got := c[2].held("s"); got != "event 0, event 1" {
		t.Errorf("a follower has %s", got)
	}
	c[1].leader = true
	notLeader := func(err error) {
		t.Helper()
		wantCode(t, err, codes.NotFound, "Leader info available")
		if r, ok := errors.AsType[refusal](err); ok {
			address := net.JoinHostPort(r.trailers["leader-endpoint-host"][0], r.trailers["leader-endpoint-port"][0])
			if r.trailers["exception"][0] != "not-leader" || address != cluster.Node(0).Address() {
				t.Errorf("trailers are %v", r.trailers)
			}
		}
	}
	_, err := c[1].append("s", "any", "2")
	notLeader(err)
	_, err = c[1].read(ofStream("s", "start", false, 1), nil)
	notLeader(err)
	_, err = c[1].read(ofAll(false, 1), nil)
	notLeader(err)
	for _, o := range []*api.ReadReq_Options{ofAll(false, 1), filtered(ofAll(false, 1), 32, 1, "s")} {
		said, err := c[1].read(following(o), nil)
		notLeader(err)
		if strings.Join(said, ", ") != "confirmation" {
			t.Errorf("the subscription said %v before", said)
		}
	}
	said, err := c[1].read(fromEnd(), caughtUp)
	if !errors.Is(err, errOpen) {
		t.Errorf("a subscription from the end says %v, %v", said, err)
	}
}

// Without a leader plain reads work, and nothing else does. Another leader is followed.
func TestElections(t *testing.T) {
	t.Parallel()
	cluster, c := three(t, esdbtest.ClusterOptions{})
	c[0].must(c[0].append("s", "no_stream", "0"))
	cluster.ElectAfter(5*time.Second, 2)
	_, err := c[0].append("s", "any", "1")
	wantCode(t, err, codes.Unavailable, "Server Is Not Ready")
	if got := c[1].held("s"); got != "event 0" {
		t.Errorf("a plain read gives %s", got)
	}
	c[1].leader = true
	_, err = c[1].read(ofStream("s", "start", false, 1), nil)
	wantCode(t, err, codes.Unavailable, "Server Is Not Ready")
	if states := c[0].gossip(t); !slices.Equal(states, []string{"Unknown", "Unknown", "Unknown"}) {
		t.Errorf("gossip says %v", states)
	}
	cluster.Advance(5 * time.Second)
	c[0].leader = true
	_, err = c[0].append("s", "any", "1")
	wantCode(t, err, codes.NotFound, "Leader info available")
	if states := c[0].gossip(t); !slices.Equal(states, []string{"Follower", "Follower", "Leader"}) {
		t.Errorf("gossip says %v", states)
	}
	c[2].leader = true
	c[2].must(c[2].append("s", "0", "1"))
	if got := c[2].held("s"); got != "event 0, event 1" {
		t.Errorf("the new leader has %s", got)
	}
}

func (c *client) gossip(t *testing.T) (states []string) {
	t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	info, err := gossip.NewGossipClient(c.conn).Read(ctx, &shared.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range info.GetMembers() {
		text := m.GetState().String()
		if !m.GetIsAlive() {
			text += " dead"
		}
		states = append(states, text)
	}
	return states
}

// A leader that was frozen shows an old end when it is back, and believes that it leads.
func TestAResumedOldLeader(t *testing.T) {
	t.Parallel()
	cluster, c := three(t, esdbtest.ClusterOptions{Stale: 3 * time.Second})
	c[0].must(c[0].append("s", "no_stream", "0"))
	cluster.Node(0).Freeze()
	cluster.Elect(1)
	c[1].must(c[1].append("s", "0", "1"))
	cluster.Node(0).Resume()
	c[0].leader, c[1].leader = true, true
	if got := c[0].held("s"); got != "event 0" {
		t.Errorf("the old leader shows %s", got)
	}
	_, err := c[0].append("s", "0", "other")
	wantCode(t, err, codes.Aborted, "Operation timed out")
	if states := c[0].gossip(t); states[0] != "Leader" {
		t.Errorf("it says of itself that it is %s", states[0])
	}
	cluster.Advance(3 * time.Second)
	_, err = c[0].read(ofStream("s", "start", false, 1), nil)
	wantCode(t, err, codes.NotFound, "Leader info available")
	c[0].leader = false
	if got := c[0].held("s"); got != "event 0, event 1" {
		t.Errorf("when it knows better it has %s", got)
	}
	if err := cluster.Judge(); err != nil {
		t.Error(err)
	}
}

// A frozen node takes connections and says nothing; a killed one takes none; both come back with their logs.
func TestFrozenAndKilledNodes(t *testing.T) {
	t.Parallel()
	cluster, c := three(t, esdbtest.ClusterOptions{})
	c[0].must(c[0].append("s", "no_stream", "0"))
	cluster.Node(0).Freeze()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", cluster.Node(0).Address())
	if err != nil {
		t.Fatalf("a frozen node takes no connection: %v", err)
	}
	_ = conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	call := c[0].open(ctx, ofStream("s", "start", false, 1))
	defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	if _, err := call.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("a frozen node answers %v", err)
	}
	_, err = c[1].append("s", "any", "1")
	wantCode(t, err, codes.Aborted, "Forwarding timeout")
	cluster.Node(0).Resume()
	if got := c[0].held("s"); got != "event 0" {
		t.Errorf("a resumed node has %s", got)
	}
	cluster.Node(0).Kill()
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", cluster.Node(0).Address()); err == nil {
		_ = conn.Close()
		t.Error("a killed node takes a connection")
	}
	cluster.Elect(1)
	c[1].must(c[1].append("s", "0", "1"))
	cluster.Node(0).Restart()
	if got := dial(t, cluster.Node(0)).held("s"); got != "event 0, event 1" {
		t.Errorf("a restarted node has %s", got)
	}
}

// Only a node that has all that a majority had can be elected.
func TestANodeThatLacksSomethingIsNotElected(t *testing.T) {
	t.Parallel()
	watched := &catcher{TB: t}
	cluster := esdbtest.StartCluster(watched, esdbtest.ClusterOptions{})
	c := dial(t, cluster.Node(0))
	cluster.Node(2).Freeze()
	c.must(c.append("s", "no_stream", "0"))
	cluster.Node(0).Kill()
	cluster.NoLeader()
	cluster.Node(2).Resume()
	if able := cluster.Electable(); !slices.Equal(able, []int{1}) {
		t.Errorf("nodes %v can be elected, want 1", able)
	}
	if cluster.Elect(2); watched.errors.Load() != 1 || cluster.Leader() != nil {
		t.Error("a node was elected that lacks an event")
	}
	cluster.Elect(1)
	if got := dial(t, cluster.Node(2)).held("s"); got != "event 0" {
		t.Errorf("after the election it has %s", got)
	}
}

// A node can be killed while it is frozen and somebody connects to it.
func TestAFrozenNodeIsKilledWhileSomebodyConnects(t *testing.T) {
	t.Parallel()
	c := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Nodes: 1})
	c.Node(0).Freeze()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", c.Node(0).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n")); err != nil {
		t.Fatal(err)
	}
	killed := make(chan struct{})
	go func() { c.Node(0).Kill(); close(killed) }()
	const patience = 30 * time.Second // reached only by a node that waits for who connects
	select {
	case <-killed:
	case <-time.After(patience):
		t.Error("the node waits for who connects")
		c.Node(0).Resume()
		_ = conn.Close()
		<-killed
	}
}
