package kurrent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/gxpledger/gxpledger/eventstore"
)

// search asks all nodes who leads.
type search struct {
	done   chan struct{}
	leader string // set before done is closed
	err    error  // likewise
}

// find asks the nodes who leads, or waits for those who ask.
func (c *cluster) find(ctx context.Context) (string, error) {
	s := c.join() //nolint:contextcheck // others wait for the same search
	select {
	case <-s.done:
		return s.leader, s.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (c *cluster) join() *search {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.search != nil {
		return c.search
	}
	s := &search{done: make(chan struct{})}
	if c.life.Err() != nil {
		s.err = eventstore.ErrClosed
		close(s.done)
		return s
	}
	c.search = s
	c.running.Go(func() {
		ctx, cancel := context.WithTimeout(c.life, c.settings.gossipTimeout)
		defer cancel()
		leader, members, err := c.vote(ctx)
		c.mu.Lock()
		if s.leader, s.err = leader, err; err == nil {
			if c.leader != "" && c.leader != leader {
				c.terms++
			}
			c.leader, c.members = leader, addresses(members)
			maps.DeleteFunc(c.known, func(id uuid.UUID, _ string) bool {
				return !slices.ContainsFunc(members, func(m member) bool { return m.id == id })
			})
		}
		c.search = nil
		c.mu.Unlock()
		close(s.done)
	})
	return s
}

// answer is what a node tells of its cluster.
type answer struct {
	node    string // the address at which it was asked
	self    string // which node it is: two addresses may be of one
	members []member
	err     error
}

type member struct {
	id      uuid.UUID // of the process, the zero one if it tells none
	address string
	leads   bool
	votes   bool // it is none of those that only copy
}

func (a answer) leader() string {
	for _, m := range a.members {
		if m.leads {
			return m.address
		}
	}
	return ""
}

// vote asks all nodes side by side, those too that only another names, and returns the leader that most of them name. The first
// answer is not left to wait for nodes that never give one; and it may be that of a leader which was replaced and does not know it yet.
func (c *cluster) vote(ctx context.Context) (leader string, members []member, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	names, err := c.resolve(ctx)
	if err != nil {
		return "", nil, err
	}
	answers := make(chan answer, len(names)+maxMembers)
	for address, name := range names {
		c.gossip(ctx, address, name, answers)
	}
	t := tally{patience: c.patience.votes, asked: len(names), votes: map[string]int{}, seen: map[string]bool{}}
	for n := 0; n < t.asked; n++ {
		select {
		case a := <-answers:
			for _, m := range a.members {
				if _, ok := names[m.address]; !ok && len(names) < cap(answers) {
					names[m.address] = m.address
					t.asked++
					c.gossip(ctx, m.address, m.address, answers)
				}
			}
			if t.take(a) {
				return t.leader, t.members, nil
			}
			continue
		case <-t.late:
		}
		break
	}
	if t.leader == "" {
		return "", nil, noLeader(t.faults)
	}
	return t.leader, t.members, nil
}

// gossip asks a node, whose answer comes by the channel.
func (c *cluster) gossip(ctx context.Context, address, name string, answers chan<- answer) {
	c.running.Go(func() {
		a, err := c.askMembers(ctx, address, name)
		a.err = err
		answers <- a
	})
}

// tally counts what the nodes say of who leads. A node that is asked at two addresses has one vote.
type tally struct {
	patience time.Duration // for further answers
	asked    int           // addresses
	again    int           // answers of nodes that had answered
	seen     map[string]bool
	votes    map[string]int
	leader   string // that most name so far, "" for none
	members  []member
	faults   []error          // of those that name none
	late     <-chan time.Time // when no further answer is waited for, nil for when all have come
}

// take counts an answer, and reports whether most of the nodes name one leader.
func (t *tally) take(a answer) (decided bool) {
	named := a.leader()
	switch {
	case a.err != nil:
		t.faults = append(t.faults, a.err)
		return false
	case t.seen[a.self]:
		t.again++
		return t.decided()
	case named == "":
		t.faults = append(t.faults, passing(a.node, "knows no leader"))
		t.seen[a.self] = true
		if 2*len(t.faults) < t.nodes() {
			return false
		}
	default:
		t.seen[a.self] = true
		if t.votes[named]++; t.leader == "" || t.votes[named] > t.votes[t.leader] {
			t.leader, t.members = named, a.members
		}
	}
	if t.late == nil { // the others may be frozen
		t.late = time.After(t.patience)
	}
	return t.decided()
}

// nodes is how many there are, as far as is known.
func (t *tally) nodes() int { return t.asked - t.again }

func (t *tally) decided() bool { return t.leader != "" && t.votes[t.leader] > t.nodes()/2 }

func addresses(members []member) []string {
	var all []string
	for _, m := range members {
		if !slices.Contains(all, m.address) {
			all = append(all, m.address)
		}
	}
	return all
}

// noLeader is the error of a search in which nobody named a leader: one that no further search can mend, if there is any.
func noLeader(faults []error) error {
	var texts []string
	for _, err := range faults {
		var p *passingError
		if !errors.As(err, &p) {
			return err
		}
		texts = append(texts, p.text)
	}
	slices.Sort(texts)
	return &passingError{text: "no leader: " + strings.Join(slices.Compact(texts), "; ")}
}

// askMembers asks a node for the members of its cluster.
func (c *cluster) askMembers(ctx context.Context, address, name string) (answer, error) {
	a := answer{node: address}
	n, err := c.at(address, name)
	if err != nil {
		return a, err
	}
	var trailer metadata.MD
	var reached peer.Peer
	told, err := gossip.NewGossipClient(n.conn).Read(c.header(ctx), &shared.Empty{}, grpc.Trailer(&trailer), grpc.Peer(&reached))
	if err != nil {
		return a, n.translate(ctx, err, trailer)
	}
	a.self = address
	if reached.Addr != nil {
		a.self = reached.Addr.String()
	}
	socket := a.self
	for _, m := range told.GetMembers()[:min(len(told.GetMembers()), maxMembers)] {
		at, err := endpoint(m.GetHttpEndPoint().GetAddress(), strconv.FormatUint(uint64(m.GetHttpEndPoint().GetPort()), 10))
		only := len(told.GetMembers()) == 1
		switch {
		case only:
			at = address // the only node need not know how it is reached
		case err != nil:
			continue
		}
		id, err := parseID(m.GetInstanceId())
		if err != nil {
			id = uuid.Nil
		}
		if id != uuid.Nil && (only || at == address || at == socket) {
			a.self = id.String()
		}
		state := m.GetState()
		a.members = append(a.members, member{
			id: id, address: c.addressOf(id, at), leads: state == gossip.MemberInfo_Leader && m.GetIsAlive(),
			votes: state != gossip.MemberInfo_ReadOnlyReplica && state != gossip.MemberInfo_PreReadOnlyReplica &&
				state != gossip.MemberInfo_ReadOnlyLeaderless,
		})
	}
	return a, nil
}

// addressOf returns the address at which a process of the server is spoken to: the first by which it was known, so that one
// that has two names is not taken for two.
func (c *cluster) addressOf(id uuid.UUID, address string) string {
	if id == uuid.Nil {
		return address
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.known[id]; ok {
		return at
	}
	c.known[id] = address
	return address
}

// voters returns the addresses of the nodes that must agree on what is written, the one that is asked last if it knows of no others, and how
// many nodes these are: several that advertise one address are reached as one.
func (c *cluster) voters(ctx context.Context) (addresses []string, nodes int, err error) {
	n, err := c.pick(ctx)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.gossipTimeout)
	defer cancel()
	a, err := c.askMembers(ctx, n.address, "")
	seen := map[string]bool{}
	for _, m := range a.members {
		name := m.address
		if m.id != uuid.Nil {
			name = m.id.String()
		}
		if !m.votes || seen[name] {
			continue
		}
		seen[name] = true
		if !slices.Contains(addresses, m.address) {
			addresses = append(addresses, m.address)
		}
	}
	if errors.Is(err, errNoSuchCall) || err == nil && len(seen) == 0 {
		return []string{n.address}, 1, nil // it has no cluster
	}
	return addresses, len(seen), err
}
