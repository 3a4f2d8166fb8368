package kurrent_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// alias is another name of a node.
func alias(n *esdbtest.Node) string {
	_, port, _ := net.SplitHostPort(n.Address())
	return "localhost:" + port
}

// A leader that was replaced and does not know it has one vote of three, under however many names it is asked.
func TestANodeUnderTwoNamesVotesOnce(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Stale = forever })
	c.Node(0).Freeze()
	c.Elect(1)
	log := open(t, c.Node(1).URL(), options())
	names := []string{c.Node(0).Address(), alias(c.Node(0)), strings.Replace(alias(c.Node(0)), ":", ".:", 1), c.Node(1).Address()}
	stale := fmt.Sprintf("esdb://%s?tls=false&gossipTimeout=60", strings.Join(names, ","))
	asked := open(t, stale, options())
	c.Node(0).Resume()
	if leader, err := asked.FindLeader(within(t)); err != nil || leader != c.Node(1).Address() {
		t.Errorf("the leader is %s, %v, want %s: node 0 voted for itself", leader, err, c.Node(1).Address())
	}
	mustAppend(t, log, batch("s", 0, 1))
}

// The one node of a server keeps its address, whichever of its names answers first: it is not taken for two that lead in turn.
func TestAServerUnderTwoNamesIsOneNode(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Nodes = 1 })
	log := open(t, fmt.Sprintf("esdb://%s,%s?tls=false&gossipTimeout=60", alias(c.Node(0)), c.Node(0).Address()), options())
	first, err := log.FindLeader(within(t))
	for range 40 {
		again, err := log.FindLeader(within(t))
		if err != nil || again != first {
			t.Fatalf("the leader is %s, %v, and was %s", again, err, first)
		}
	}
	if err != nil {
		t.Error(err)
	}
	mustAppend(t, log, batch("s", 0, 1))
}

// One node at an address that all advertise is not the majority that ends earlier.
func TestNodesThatAdvertiseOneAddressAreNotOneMajority(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	c.Advertise(c.Node(0).Address())
	log := open(t, c.Node(0).URL(), options())
	at := mustAppend(t, log, batch("s", 0, 2))
	c.Restore(2, 0)
	log.SetWaits(forever, 300*time.Millisecond)
	if _, err := log.At(within(t), at.Last); !errors.Is(err, eventstore.ErrTransient) || errors.Is(err, eventstore.ErrNotFound) {
		t.Errorf("error is %v, want ErrTransient: two of three nodes were not asked", err)
	}
	c.Restore(2, 1, 2)
}

// The one host of a connection string that is busy tells its members late. It is not gone: what it was asked for is waited for, and asked once.
func TestAHostThatTellsItsMembersLateIsNotGone(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log := open(t, c.Node(0).URL(), unhurried())
	mustAppend(t, log, batch("s", 0, 2))
	ctx, tick := within(t), time.NewTicker(time.Millisecond)
	for ; len(log.Members()) < c.Size(); <-tick.C {
		if _, err := log.Head(ctx); err != nil {
			t.Fatal(err)
		}
	}
	log.SetPatience(20 * time.Millisecond)
	log.SetPatienceWithHost(forever)
	tell := c.HoldGossip()
	release := stall(t, c, func(m *api.ReadResp) bool { return m.GetEvent() != nil })
	c.ResetRequests()
	done := make(chan error, 1)
	go func() { _, err := log.Head(ctx); done <- err }()
	for longer := 0; longer < 200 && ctx.Err() == nil; <-tick.C {
		if c.Requests().Calls["Gossip"] > 0 {
			longer++
		}
	}
	if calls := c.Requests().Calls; calls["read $all backwards"] != 1 || calls["Gossip"] != 1 {
		t.Errorf("asked %v, want one read and one question who is there", calls)
	}
	tell()
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A host that answers neither a call nor gossip is told, with the time that it had.
func TestAHostThatTellsNothingIsToldWithTheTime(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	o := unhurried()
	told := make(chan string, 1)
	o.Waiting = func(_, _ time.Duration, why string) {
		if strings.Contains(why, "gossip") {
			select {
			case told <- why:
			default:
			}
		}
	}
	log := open(t, c.Node(0).URL()+"&keepAliveInterval=-1", o)
	mustAppend(t, log, batch("s", 0, 2))
	ctx, tick := within(t), time.NewTicker(time.Millisecond)
	for ; len(log.Members()) < c.Size(); <-tick.C {
		if _, err := log.Head(ctx); err != nil {
			t.Fatal(err)
		}
	}
	log.SetPatience(50 * time.Millisecond)
	c.Node(0).Freeze()
	done := make(chan error, 1)
	go func() { _, err := log.Head(ctx); done <- err }()
	select {
	case why := <-told:
		if !strings.Contains(why, c.Node(0).Address()+" gives no answer, nor one to gossip within 50ms") {
			t.Errorf("told %q", why)
		}
	case <-ctx.Done():
		t.Error("nobody was told")
	}
	c.Node(0).Resume()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
