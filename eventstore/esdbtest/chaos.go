package esdbtest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Chaos calls step rounds times. Before each it kills, freezes, restores or elects nodes, changes the lag, or drops subscriptions, as seed says: a majority
// lives always, and an election ends within some requests where ClusterOptions.Tick moves the clock, at once elsewhere. It ends with
// all nodes up and no lag, and compares what was acknowledged with what the cluster has.
func Chaos(tb testing.TB, c *Cluster, seed uint64, rounds int, step func(round int)) {
	tb.Helper()
	x := &chaos{cluster: c, random: rand.New(rand.NewPCG(seed, seed))}
	for round := range rounds {
		what := x.act()
		step(round)
		if tb.Failed() {
			tb.Logf("seed %d, round %d: %s", seed, round, what)
			break
		}
	}
	x.heal()
	if err := c.Judge(); err != nil {
		tb.Errorf("seed %d: %v", seed, err)
	}
}

type chaos struct {
	cluster *Cluster
	random  *rand.Rand
}

// act does one thing and returns what.
func (x *chaos) act() string {
	c, i := x.cluster, x.random.IntN(x.cluster.Size())
	n := c.Node(i)
	switch x.random.IntN(8) {
	case 0:
		if x.spare(n) {
			n.Kill()
			return x.succeed(fmt.Sprintf("kill node %d", i))
		}
	case 1:
		if x.spare(n) {
			n.Freeze()
			return x.succeed(fmt.Sprintf("freeze node %d", i))
		}
	case 2, 3:
		x.restore(n)
		return fmt.Sprintf("restore node %d", i)
	case 4:
		if x.random.IntN(2) == 0 {
			c.Replicate() // what is not acknowledged survives
		}
		c.NoLeader()
		return x.succeed("hold an election")
	case 5:
		lag := Lag{Leader: c.options.Tick * time.Duration(x.random.IntN(4)), Followers: c.options.Tick * time.Duration(x.random.IntN(4))}
		lag.AckFirst, lag.Index = x.random.IntN(2) == 0, c.options.Tick*time.Duration(x.random.IntN(3))
		c.Lag(lag)
		return fmt.Sprintf("lag %+v", lag)
	case 6:
		c.FallBehind()
		return "let subscriptions fall behind"
	case 7:
		n := 1 + x.random.IntN(3)
		c.DropSubscriptions(n, errNoLeader)
		return fmt.Sprintf("drop %d subscriptions", n)
	}
	return "nothing"
}

// spare reports whether a majority is up without a node, which has not stopped yet.
func (x *chaos) spare(n *Node) bool {
	c := x.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	up, able := 0, 0
	for _, other := range c.nodes {
		if other != n && other.up() {
			up++
			if other.electable() {
				able++
			}
		}
	}
	return n.up() && 2*up > len(c.nodes) && able > 0
}

// succeed elects a leader if there is none that is up.
func (x *chaos) succeed(what string) string {
	c := x.cluster
	c.mu.Lock()
	leader := c.leading()
	fine := leader != nil && leader.up()
	c.mu.Unlock()
	if fine {
		return what
	}
	c.NoLeader()
	elect := func() {
		if able := c.Electable(); c.Leader() == nil && len(able) > 0 {
			c.Elect(able[x.random.IntN(len(able))])
		}
	}
	if c.options.Tick == 0 {
		elect()
	} else {
		c.After(c.options.Tick*time.Duration(1+x.random.IntN(5)), elect)
	}
	return what + ", elect another"
}

func (x *chaos) restore(n *Node) {
	c := x.cluster
	c.mu.Lock()
	down, frozen := n.down, n.frozen
	c.mu.Unlock()
	switch {
	case down:
		n.Restart()
	case frozen:
		n.Resume()
	}
}

func (x *chaos) heal() {
	c := x.cluster
	for _, n := range c.nodes {
		x.restore(n)
	}
	for _, n := range c.nodes {
		n.Notice()
	}
	if able := c.Electable(); c.Leader() == nil && len(able) > 0 {
		c.Elect(able[0])
	}
	c.Lag(Lag{})
	c.ReleaseIndex()
	c.DropSubscriptions(0, nil)
	c.Replicate()
}

// Disturb lets the clock disturb the cluster, one thing each time that it has moved on by every, and so many rounds: a follower is frozen and
// comes back, and the leader is frozen, replaced a tick later, and comes back as ClusterOptions.Stale says. There is always a majority. The
// rounds have an end since clients who wait move the clock, too.
func (c *Cluster) Disturb(every time.Duration, rounds int) {
	var frozen *Node
	steps := []func(){
		func() {
			if leader := c.Leader(); leader != nil {
				frozen = c.nodes[(leader.index+1)%len(c.nodes)]
				frozen.Freeze()
			}
		},
		func() {
			if frozen = c.Leader(); frozen != nil {
				frozen.Freeze()
				c.After(c.options.Tick, c.replace)
			}
		},
	}
	var step func(i int)
	step = func(i int) {
		if frozen == nil {
			steps[i%len(steps)]()
			i++
		} else {
			frozen.Resume()
			frozen = nil
		}
		if frozen != nil || i < rounds*len(steps) {
			c.After(every, func() { step(i) })
		}
	}
	c.After(every, func() { step(0) })
}

// replace elects a node that can be elected, if the leader is not up.
func (c *Cluster) replace() {
	leader := c.Leader()
	for _, i := range c.Electable() {
		if leader == nil || c.nodes[i] != leader {
			c.Elect(i)
			return
		}
	}
	c.After(c.options.Tick, c.replace)
}
