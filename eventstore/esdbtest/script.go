package esdbtest

import (
	"context"
	"maps"
	"slices"
	"sync"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// script is what a test wants the servers to do.
type script struct {
	version string                              // "" for a server that tells none
	faults  []Fault                             // what the next appends meet
	strange bool                                // the next read of a stream answers what no client expects
	early   bool                                // subscriptions say that they are caught up before each page
	behind  int                                 // how often subscriptions fell behind
	drop    error                               // what live subscriptions end with
	drops   int                                 // how many
	rewrite func(*api.ReadResp) []*api.ReadResp // of all that reads and subscriptions send
	gossip  chan struct{}                       // is closed when nodes tell of each other again, nil where they do
}

// Fault is what becomes of an append.
type Fault struct {
	Err   error // the answer
	Write bool  // the events are written all the same
	Early bool  // it is answered before the events are read, so that the client may not see why
}

func (c *Cluster) direct(what func(s *script)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what(&c.script)
	c.replicate()
}

// FailNext lets the next appends meet faults, in order.
func (c *Cluster) FailNext(faults ...Fault) {
	c.direct(func(s *script) { s.faults = append(s.faults, faults...) })
}

// nextFault returns what the next append meets.
func (c *Cluster) nextFault() (next Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := &c.script; len(s.faults) > 0 {
		next, s.faults = s.faults[0], s.faults[1:]
	}
	return next
}

// BeStrange makes the next read of a stream answer what no client expects.
func (c *Cluster) BeStrange() { c.direct(func(s *script) { s.strange = true }) }

func (c *Cluster) beStrange() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.script.strange
	c.script.strange = false
	return was
}

// SayVersion makes the servers tell a version of themselves, which may be any text.
func (c *Cluster) SayVersion(version string) { c.direct(func(s *script) { s.version = version }) }

// CatchUpEarly makes subscriptions to $all say before each page that they are caught up, with a checkpoint before the next event, as
// one that falls behind does again and again.
func (c *Cluster) CatchUpEarly() { c.direct(func(s *script) { s.early = true }) }

func (c *Cluster) caughtUpEarly() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.script.early
}

// FallBehind makes each live subscription say once more that it is caught up, as after a consumer was too slow (facts: sub/slow_consumer).
func (c *Cluster) FallBehind() { c.direct(func(s *script) { s.behind++ }) }

func (c *Cluster) fellBehind() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.script.behind
}

// DropSubscriptions ends the next n subscriptions to $all that are live, or become so, with err.
func (c *Cluster) DropSubscriptions(n int, err error) {
	c.direct(func(s *script) { s.drops, s.drop = n, err })
}

func (c *Cluster) dropped() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.script.drops == 0 {
		return nil
	}
	c.script.drops--
	return c.script.drop
}

// Rewrite lets a test change each message that reads and subscriptions send, leave it out, or send others with it: a server that answers wrongly.
// nil ends it.
func (c *Cluster) Rewrite(rewrite func(*api.ReadResp) []*api.ReadResp) {
	c.direct(func(s *script) { s.rewrite = rewrite })
}

func (c *Cluster) rewriter() func(*api.ReadResp) []*api.ReadResp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.script.rewrite
}

// SpoilCreated is for Rewrite: events have a time of recording that is none.
func SpoilCreated(m *api.ReadResp) []*api.ReadResp {
	if e := m.GetEvent().GetEvent(); e != nil {
		e.Metadata["created"] = "yesterday"
	}
	return []*api.ReadResp{m}
}

// SendTwice is for Rewrite: each event comes twice, more than were asked for.
func SendTwice(m *api.ReadResp) []*api.ReadResp {
	if m.GetEvent() == nil {
		return []*api.ReadResp{m}
	}
	return []*api.ReadResp{m, m}
}

// SendUnknown is for Rewrite: a message of a kind that no client knows comes before each.
func SendUnknown(m *api.ReadResp) []*api.ReadResp { return []*api.ReadResp{{}, m} }

// Advertise makes every node tell that it is reached at an address.
func (c *Cluster) Advertise(address string) {
	c.direct(func(*script) { c.options.Advertised = address })
}

// HoldGossip makes nodes that are asked for their members answer late, until release is called.
func (c *Cluster) HoldGossip() (release func()) {
	held := make(chan struct{})
	c.direct(func(s *script) { s.gossip = held })
	return sync.OnceFunc(func() {
		c.direct(func(s *script) { s.gossip = nil })
		close(held)
	})
}

// gossips waits until a node may tell of the others.
func (c *Cluster) gossips(ctx context.Context) {
	c.mu.Lock()
	held := c.script.gossip
	c.mu.Unlock()
	if held == nil {
		return
	}
	select {
	case <-held:
	case <-ctx.Done():
	}
}

// Requests is what clients asked for since the cluster started, or ResetRequests.
type Requests struct {
	Calls      map[string]int // by kind, such as "Append" or "read $all backwards filtered"
	Leader     map[string]int // calls by what they say of requires-leader
	Filters    []string       // of subscriptions to $all, in order
	Unfiltered int            // reads of $all, without a filter, for more than one event
	Events     int            // events sent
	Considered int            // events that filters looked at
}

// Requests returns the counters.
func (c *Cluster) Requests() Requests {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.requests
	q.Calls, q.Leader, q.Filters = maps.Clone(q.Calls), maps.Clone(q.Leader), slices.Clone(q.Filters)
	return q
}

// ResetRequests sets the counters to 0.
func (c *Cluster) ResetRequests() {
	c.count(func(q *Requests) { *q = Requests{Calls: map[string]int{}, Leader: map[string]int{}} })
}

func (c *Cluster) count(what func(q *Requests)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what(&c.requests)
}
