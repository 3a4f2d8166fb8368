package esdbtest_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// What a test scripts is what clients meet.
func TestTheScript(t *testing.T) {
	t.Parallel()
	cluster, clients := three(t, esdbtest.ClusterOptions{Nodes: 1, MaxAppendSize: 1000, MaxAppendEventSize: 600})
	c := clients[0]
	for _, fault := range []codes.Code{codes.Aborted, codes.DeadlineExceeded, codes.Unavailable} {
		name := fault.String()
		cluster.FailNext(esdbtest.Fault{Err: status.Error(fault, "lost"), Write: true}, esdbtest.Fault{Err: status.Error(fault, "not written")})
		_, err := c.append("written"+name, "no_stream", "w"+name)
		wantCode(t, err, fault, "lost")
		_, err = c.append("refused"+name, "no_stream", "r"+name)
		wantCode(t, err, fault, "not written")
		if got := c.held("written" + name); got != "event w"+name {
			t.Errorf("what was written is %s", got)
		}
		if got := c.held("refused" + name); got != "stream_not_found" {
			t.Errorf("what was refused is %s", got)
		}
	}
	_, err := c.propose(expecting("s", "any"), proposed("large", "T", make([]byte, 601)))
	wantCode(t, err, codes.InvalidArgument, "exceeds Maximum Append Event Size of 600")
	_, err = c.propose(expecting("s", "any"), proposed("large", "T", make([]byte, 501)), proposed("large, too", "T", make([]byte, 500)))
	wantCode(t, err, codes.InvalidArgument, "Maximum Append Size of 1000 Exceeded.")
	c.must(c.append("s", "no_stream", "0", "1"))
	cluster.DropSubscriptions(1, status.Error(codes.NotFound, "Leader info available"))
	if _, err := c.read(fromEnd(), nil); status.Code(errors.Unwrap(err)) != codes.NotFound {
		t.Errorf("a dropped subscription ends with %v", err)
	}
	for name, script := range map[string]struct {
		rewrite func(*api.ReadResp) []*api.ReadResp
		want    string
	}{
		"twice":   {esdbtest.SendTwice, "event 0, event 0"},
		"unknown": {esdbtest.SendUnknown, "<nil>, event 0"},
		"created": {esdbtest.SpoilCreated, "event 0"},
	} {
		cluster.Rewrite(script.rewrite)
		said, err := c.read(ofStream("s", "start", false, 1), nil)
		if err != nil || strings.Join(said, ", ") != script.want {
			t.Errorf("%s: %v, %v", name, said, err)
		}
	}
	cluster.Rewrite(nil)
	cluster.CatchUpEarly()
	labels := make([]string, 40)
	for i := range labels {
		labels[i] = fmt.Sprintf("m%d", i)
	}
	c.must(c.append("m", "no_stream", labels...))
	n := 0
	said, err := c.read(following(ofAll(false, 1)), func(said []string) bool {
		if caughtUp(said) {
			if n++; n == 2 {
				cluster.FallBehind()
			}
		}
		return n == 3
	})
	if !errors.Is(err, errOpen) || slices.Index(said, "caught_up") > len(said)-3 {
		t.Errorf("the subscription said %v, %v", said, err)
	}
}

// The counters tell what reads cost.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	cluster, clients := three(t, esdbtest.ClusterOptions{Nodes: 1})
	c := clients[0]
	c.must(c.append("mine", "no_stream", "0", "1"))
	for i := range 50 {
		cluster.Put("theirs", uint64(i), "placed", []byte("{}"), nil)
	}
	cluster.ResetRequests()
	for _, o := range []*api.ReadReq_Options{ofAll(false, 1), ofAll(false, 2), filtered(ofAll(true, 2), 32, 1, "mine")} {
		if _, err := c.read(o, nil); err != nil {
			t.Fatal(err)
		}
	}
	got := cluster.Requests()
	// Backwards with a filter it goes on to the beginning, for one match more than asked.
	if got.Unfiltered != 1 || got.Events != 5 || got.Considered != 53 || got.Calls["read $all"] != 2 || got.Calls["read $all backwards filtered"] != 1 {
		t.Errorf("counted %+v", got)
	}
}

// Who may not do it is told so.
func TestUsers(t *testing.T) {
	t.Parallel()
	_, clients := three(t, esdbtest.ClusterOptions{Nodes: 1, Users: map[string]esdbtest.User{
		"admin": {Password: "a", ReadAll: true, Write: true}, "reader": {Password: "r"},
	}})
	c := clients[0]
	as := func(credentials string, o *api.ReadReq_Options) error {
		ctx, cancel := c.context()
		defer cancel()
		if credentials != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+credentials)
		}
		call := c.open(ctx, o)
		_, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	for _, ask := range []struct {
		credentials string
		o           *api.ReadReq_Options
		want        codes.Code
	}{
		{"YWRtaW46YQ==", ofAll(false, 1), codes.OK},
		{"cmVhZGVyOnI=", ofAll(false, 1), codes.PermissionDenied},
		{"cmVhZGVyOnI=", ofStream("s", "start", false, 1), codes.OK},
		{"cmVhZGVyOng=", ofStream("s", "start", false, 1), codes.Unauthenticated},
		{"", ofStream("s", "start", false, 1), codes.PermissionDenied},
	} {
		if err := as(ask.credentials, ask.o); status.Code(err) != ask.want {
			t.Errorf("%q: %v, want %s", ask.credentials, err, ask.want)
		}
	}
	_, err := c.append("s", "any", "0")
	wantCode(t, err, codes.PermissionDenied, "Access Denied")
}

// A client that follows the leader and repeats what was not answered loses nothing and doubles nothing, whatever happens to the nodes.
func TestChaos(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		cluster := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Tick: time.Second, Stale: 3 * time.Second})
		next := 0
		esdbtest.Chaos(t, cluster, seed, 30, func(int) { next = appendToLeader(t, cluster, next) })
		if n := len(cluster.Of("s")); n < next || next == 0 {
			t.Errorf("seed %d: the stream has %d events, %d were acknowledged", seed, n, next)
		}
	}
}

// appendToLeader tries each node a few times, and returns the next revision.
func appendToLeader(t *testing.T, cluster *esdbtest.Cluster, next int) int {
	t.Helper()
	expected := "no_stream"
	if next > 0 {
		expected = fmt.Sprint(next - 1)
	}
	for try := range 9 {
		leader := cluster.Leader()
		if leader == nil {
			cluster.Advance(time.Second)
			continue
		}
		c := dial(t, leader)
		c.leader = true
		answer, err := c.append("s", expected, fmt.Sprintf("chaos-%d", next))
		if err == nil && answer.GetSuccess() != nil {
			return next + 1
		}
		if err == nil {
			t.Fatalf("try %d: revision %d is refused: %v", try, next, answer)
		}
	}
	return next
}
