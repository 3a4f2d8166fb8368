package esdbtest

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// ClusterOptions are what a cluster is made of. The zero value is three nodes of EventStoreDB 24.6.0 without delays.
type ClusterOptions struct {
	Nodes              int           // 3 if 0
	Version            string        // of the server, as ServerFeatures says it; 24.6.0 if empty
	Tick               time.Duration // how far each request moves the clock; a write that waits moves it, too
	Stale              time.Duration // how long a leader that was frozen goes on as one when it is back, though there is another
	MaxAppendSize      int           // sum of the data of an append; 1 MiB if 0
	MaxAppendEventSize int           // none if 0 (24.10.4 and later)
	Advertised         string        // host:port by which every node tells that it is reached; its own address if empty
	Users              map[string]User
	Now                func() time.Time // of the events; time.Now if nil
}

// Cluster is a simulated cluster of EventStoreDB: each node has a log of its own and listens at an address of its own. What happens
// between the nodes happens on a clock of the test's: nothing waits for the time of day. It is safe for concurrent use.
type Cluster struct {
	tb      testing.TB
	options ClusterOptions
	nodes   []*Node

	mu               sync.Mutex // guards all below, and the nodes
	now              time.Duration
	timers           []timer
	changed          chan struct{} // closed and made anew when something happened that a call may wait for
	leader           int           // -1 during an election
	elections        int
	truth            []*entry  // what a majority has
	pending          []pending // what the leader wrote and does not show yet, in order
	lag              Lag
	hold             *hold
	given            map[uint64]bool // positions of all that was ever written
	allowMadeUp      bool
	hangAtMadeUp     bool
	script           script
	requests         Requests
	acknowledgements []Acknowledged
}

// pending is a part of the leader's log that is not readable before due.
type pending struct {
	end   int // of what is written
	shown int // how much of it is readable from then on
	due   time.Duration
}

// Lag is how long what was written stays unseen. The zero value is no lag.
type Lag struct {
	Leader    time.Duration // until the leader shows an event. It checks appends against it at once
	Followers time.Duration // until the others show it, counted from when the leader does
	// AckFirst lets the leader acknowledge before it shows the event, and not after. What is acknowledged has a majority.
	AckFirst bool
	// Index is how much longer the second half of a batch takes: until then $all ends inside the batch, and its stream shows nothing of it
	// (notes to the facts, atomic/reader).
	Index time.Duration
	// Elected is how long a new leader goes on showing what it showed before, though it has all that the majority had.
	Elected time.Duration
}

type timer struct {
	at time.Duration
	do func()
}

// StartCluster starts a cluster, whose first node is the leader. It runs until tb ends.
func StartCluster(tb testing.TB, o ClusterOptions) *Cluster {
	tb.Helper()
	o.Nodes, o.MaxAppendSize, o.Version = cmp.Or(o.Nodes, 3), cmp.Or(o.MaxAppendSize, 1<<20), cmp.Or(o.Version, "24.6.0")
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Cluster{
		tb: tb, options: o, changed: make(chan struct{}), given: map[uint64]bool{},
		requests: Requests{Calls: map[string]int{}, Leader: map[string]int{}}, script: script{version: o.Version},
	}
	for i := range o.Nodes {
		c.nodes = append(c.nodes, &Node{cluster: c, index: i, id: uuid.New(), store: newStore(firstPosition, c.given), gate: newGate(), address: "127.0.0.1:0"})
	}
	for _, n := range c.nodes {
		n.serve()
	}
	c.Put("$$$scavenges", 0, metadataName, []byte(`{}`), nil) // facts: fresh/all
	return c
}

// URL returns the connection string, with every node in it.
func (c *Cluster) URL() string {
	addresses := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addresses[i] = n.address
	}
	return "esdb://" + strings.Join(addresses, ",") + "?tls=false"
}

// Node returns the i-th node, from 0.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// Size returns how many nodes there are.
func (c *Cluster) Size() int { return len(c.nodes) }

// Leader returns the leader, nil during an election.
func (c *Cluster) Leader() *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leading()
}

// leading needs mu.
func (c *Cluster) leading() *Node {
	if c.leader < 0 {
		return nil
	}
	return c.nodes[c.leader]
}

// Lag sets how long what is written from now on stays unseen.
func (c *Cluster) Lag(l Lag) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lag = l
}

// Advance moves the clock.
func (c *Cluster) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now + d
	for {
		c.replicate()
		next := c.nextEvent()
		if next > end {
			break
		}
		c.now = max(c.now, next)
		var due []func()
		c.timers = slices.DeleteFunc(c.timers, func(t timer) bool {
			if t.at <= c.now {
				due = append(due, t.do)
			}
			return t.at <= c.now
		})
		c.mu.Unlock()
		for _, do := range due {
			do()
		}
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}

// never is when nothing is due.
const never = time.Duration(math.MaxInt64)

// nextEvent returns when something is due next. It needs mu.
func (c *Cluster) nextEvent() time.Duration {
	next := never
	for _, t := range c.timers {
		next = min(next, t.at)
	}
	if l := c.leading(); l != nil && l.up() && c.quorum() && len(c.pending) > 0 {
		next = min(next, c.pending[0].due)
	}
	for _, n := range c.nodes {
		if n.up() && len(n.arriving) > 0 {
			next = min(next, n.arriving[0].due)
		}
	}
	return next
}

// After does something, which may call the cluster, when the clock has moved on by d.
func (c *Cluster) After(d time.Duration, do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timers = append(c.timers, timer{at: c.now + d, do: do})
}

// tick moves the clock for a request.
func (c *Cluster) tick() {
	if c.options.Tick > 0 {
		c.Advance(c.options.Tick)
	}
}

// pass moves the clock to what is due next, if requests move it and something is due: a call that waits does not wait for the test.
func (c *Cluster) pass() bool {
	c.mu.Lock()
	next, now := c.nextEvent(), c.now
	c.mu.Unlock()
	if c.options.Tick == 0 || next == never {
		return false
	}
	c.Advance(max(0, next-now))
	return true
}

// quorum reports whether a majority can be reached. It needs mu.
func (c *Cluster) quorum() bool {
	n := 0
	for _, node := range c.nodes {
		if node.up() {
			n++
		}
	}
	return 2*n > len(c.nodes)
}

// replicate makes readable what is due. It needs mu.
func (c *Cluster) replicate() {
	if leader := c.leading(); leader != nil && leader.up() && c.quorum() {
		for len(c.pending) > 0 && c.pending[0].due <= c.now {
			c.settle(c.pending[0].end)
			leader.shown = c.pending[0].shown
			for _, n := range c.nodes {
				if n != leader && n.up() {
					n.arriving = append(n.arriving, pending{leader.shown, leader.shown, c.now + c.lag.Followers})
				}
			}
			c.pending = c.pending[1:]
		}
	}
	for _, n := range c.nodes {
		for n.up() && len(n.arriving) > 0 && n.arriving[0].due <= c.now {
			n.shown = max(n.shown, min(n.arriving[0].shown, len(n.store.all)))
			n.arriving = n.arriving[1:]
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// settle gives a majority the leader's log up to an entry. It needs mu.
func (c *Cluster) settle(end int) {
	leader := c.nodes[c.leader]
	if end > len(c.truth) {
		c.truth = append(c.truth, leader.store.all[len(c.truth):end]...)
	}
	for _, n := range c.nodes {
		if n != leader && n.up() && !n.stale {
			n.store.follow(leader.store, len(c.truth))
		}
	}
}

// wrote tells the cluster that a node that leads, or believes that it does, wrote. It needs mu.
func (c *Cluster) wrote(n *Node, lag Lag) {
	if n.index == c.leader {
		end, due := len(n.store.all), c.now+lag.Leader
		if half := n.store.halfOfLast(); lag.Index > 0 && half < end {
			c.pending = append(c.pending, pending{end, half, due})
		}
		c.pending = append(c.pending, pending{end, end, due + lag.Index})
		if lag.AckFirst && n.up() && c.quorum() {
			c.settle(len(n.store.all))
		}
	}
	c.replicate()
}

// Replicate gives a majority what the leader wrote, and shows it, whatever the lag says: it survives an election, acknowledged or not.
func (c *Cluster) Replicate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	leader := c.leading()
	if leader == nil {
		return
	}
	c.settle(len(leader.store.all))
	c.pending = nil
	for _, n := range c.nodes {
		if n == leader || n.up() && !n.stale {
			n.shown, n.arriving = len(n.store.all), nil
		}
	}
	c.replicate()
}

// NoLeader begins an election, which Elect ends: writes and all that requires a leader are told that the server is not ready.
func (c *Cluster) NoLeader() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depose()
	c.replicate()
}

// depose needs mu.
func (c *Cluster) depose() {
	if old := c.leading(); old != nil {
		old.led = old.frozen
	}
	c.leader = -1
}

// Elect makes a node the leader, which must be up and have all that the majority had. What only the old leader had is lost.
func (c *Cluster) Elect(i int) {
	c.tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[i]
	if !n.electable() {
		c.tb.Errorf("node %d cannot be elected: it is down, frozen or lacks what a majority had", i)
		return
	}
	if c.leader != i {
		c.depose()
	}
	c.leader, c.pending = i, nil
	c.elections++
	n.stale, n.led = false, false
	n.store.next += epochSize
	c.settle(len(n.store.all))
	n.arriving = nil
	if c.lag.Elected > 0 {
		c.pending = []pending{{len(n.store.all), len(n.store.all), c.now + c.lag.Elected}}
	} else {
		n.shown = len(n.store.all)
	}
	for _, other := range c.nodes {
		if other != n && other.up() && !other.stale {
			other.join()
		}
	}
	c.replicate()
}

// Elections returns how many elections there were.
func (c *Cluster) Elections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elections
}

// ElectAfter begins an election that node i wins when the clock has moved on by d.
func (c *Cluster) ElectAfter(d time.Duration, i int) {
	c.NoLeader()
	c.After(d, func() { c.Elect(i) })
}

// Electable returns the nodes that Elect would take, the leader among them.
func (c *Cluster) Electable() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var able []int
	for i, n := range c.nodes {
		if n.electable() {
			able = append(able, i)
		}
	}
	return able
}

// hold is where the index of all nodes stops.
type hold struct {
	stream   string
	revision uint64
}

// HoldIndexInside stops the index at an event, there already or to come: $all ends with it, though its batch goes on, and streams show
// nothing of that batch, until ReleaseIndex (issue 16, section 3; notes to the facts, atomic/reader).
func (c *Cluster) HoldIndexInside(stream string, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold = &hold{stream, revision}
}

// ReleaseIndex ends HoldIndexInside.
func (c *Cluster) ReleaseIndex() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold = nil
	c.replicate()
}

// Put adds an event behind all others, at once and on every node that is up, whatever it does to the stream.
func (c *Cluster) Put(stream string, revision uint64, name string, data, meta []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.leading()
	if n == nil {
		c.tb.Error("nothing can be put while there is no leader")
		return
	}
	n.store.add([]*entry{{
		id: uuid.New(), stream: stream, revision: revision, name: name, json: true, created: c.options.Now(), data: data, meta: meta,
	}})
	c.wrote(n, Lag{})
}

// PutBatch adds events of a batch as package kurrent would, those whose index is in indexes.
func (c *Cluster) PutBatch(stream string, first uint64, size int, indexes ...int) {
	for _, i := range indexes {
		meta, err := json.Marshal(eventstore.Meta{Actor: "a", Index: i, Size: size, Attempt: 1})
		if err != nil {
			panic(err) // it is always JSON
		}
		c.Put(stream, first+uint64(i), "test.v1", []byte("{}"), meta)
	}
}

// Settings sets the metadata of a stream, such as {"$maxCount":1}, as an administrator does.
func (c *Cluster) Settings(stream, settings string) {
	name := "$$" + stream
	c.Put(name, uint64(len(c.Of(name))), metadataName, []byte(settings), nil)
}

// Forget makes the server as if it never had, or had scavenged, the first n revisions of a stream.
func (c *Cluster) Forget(stream string, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, node := range c.nodes {
		node.store.forget(stream, n)
	}
}

// Restore gives the i-th nodes a copy of the log without its last n events, as an administrator does who restores a backup. A majority
// that has it makes it the log.
func (c *Cluster) Restore(n int, nodes ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(c.truth) - n
	if 2*len(nodes) > len(c.nodes) {
		c.truth, c.pending = c.truth[:size:size], nil
	}
	for _, i := range nodes {
		node := c.nodes[i]
		node.store.truncate(min(len(node.store.all), size))
		node.shown, node.arriving = len(node.store.all), nil
		node.epoch++
	}
	c.replicate()
}

// Bury deletes a stream for ever, as an administrator does.
func (c *Cluster) Bury(stream string) { c.Put(stream, deletedFor, tombstoneName, nil, nil) }

// Of returns the events of a stream that a majority has, "" for all.
func (c *Cluster) Of(stream string) []*api.ReadResp_ReadEvent_RecordedEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*api.ReadResp_ReadEvent_RecordedEvent
	for _, e := range c.truth {
		if !e.hidden.Load() && (stream == "" || e.stream == stream) {
			found = append(found, e.event(structured(e.id)))
		}
	}
	return found
}
