package kurrent_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// A server of one node is reached at the address that was dialled, whatever it tells of itself: it may be behind a mapped port.
func TestTheOnlyNodeIsReachedWhereItWasDialled(t *testing.T) {
	t.Parallel()
	for name, scheme := range map[string]string{"one host": "esdb://", "discovered": "esdb+discover://"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Nodes, o.Advertised = 1, "127.0.0.1:1" })
			log := open(t, strings.Replace(c.URL(), "esdb://", scheme, 1), options())
			mustAppend(t, log, batch("s", 0, 3))
			at := mustAppend(t, log, batch("s", 1, 3))
			c.Restore(3, 0)
			if r, err := log.At(within(t), at.Last); !errors.Is(err, eventstore.ErrNotFound) {
				t.Errorf("got %+v, %v, want ErrNotFound", r, err)
			}
		})
	}
}

// Whoever names one host of several does without it when it is gone, as long as it told of the others before.
func TestAHostThatIsGoneIsLeftForTheNodesThatItNamed(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(c *esdbtest.Cluster){
		"frozen": func(c *esdbtest.Cluster) { c.Node(0).Freeze(); c.Elect(1) },
		"killed": func(c *esdbtest.Cluster) { c.Node(0).Kill(); c.Elect(1) },
		"during an election": func(c *esdbtest.Cluster) {
			c.Node(0).Freeze()
			c.ElectAfter(time.Second, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			o := options()
			o.Wait = time.Minute
			log := open(t, c.Node(0).URL(), o)
			log.SetPatience(200 * time.Millisecond)
			mustAppend(t, log, batch("s", 0, 3))
			ctx := within(t)
			for tick := time.NewTicker(10 * time.Millisecond); len(log.Members()) < c.Size(); <-tick.C {
				if _, err := log.Head(ctx); err != nil { // which asks again
					t.Fatalf("the host told of no others: %v", err)
				}
			}
			act(c)
			mustAppend(t, log, batch("s", 1, 3))
			if n := len(readAll(t, log)); n != 6 {
				t.Errorf("read %d records, want 6", n)
			}
			c.Node(0).Resume()
		})
	}
}

// Nodes that are not reached where they say they are do not keep the one host of a connection string from being used again.
func TestAHostIsUsedAgainWhereOthersAreNotReached(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Advertised = "127.0.0.1:1" })
	log := open(t, c.Node(0).URL(), options())
	mustAppend(t, log, batch("s", 0, 3))
	c.Node(0).Kill()
	c.Node(0).Restart()
	mustAppend(t, log, batch("s", 1, 3))
	if n := len(readAll(t, log)); n != 6 {
		t.Errorf("read %d records, want 6", n)
	}
}

// The same where the address that they advertise may not be used at all, as no password goes to another machine in clear text: a failure
// that no retry passes is no reason to leave the host for good.
func TestAHostIsUsedAgainWhereOthersMayNotBeUsed(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Advertised = "192.0.2.1:2113" })
	log := open(t, strings.Replace(c.Node(0).URL(), "esdb://", "esdb://user:secret@", 1), options())
	mustAppend(t, log, batch("s", 0, 3))
	ctx := within(t)
	for tick := time.NewTicker(10 * time.Millisecond); len(log.Members()) == 0; <-tick.C {
		if _, err := log.Head(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		c.Node(0).Kill()
		c.Node(0).Restart()
		mustAppend(t, log, batch("s", n+1, 3))
	}
}

// A search for the leader does not wait for a node that never answers, when half of the nodes said that they know none.
func TestAnElectionBesideAFrozenNodeIsNoticed(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log := open(t, c.URL(), options())
	log.SetPatience(200 * time.Millisecond)
	mustAppend(t, log, batch("s", 0, 3))
	c.Node(0).Freeze()
	c.ElectAfter(time.Second, 1)
	mustAppend(t, log, batch("s", 1, 3))
	c.Node(0).Resume()
}
