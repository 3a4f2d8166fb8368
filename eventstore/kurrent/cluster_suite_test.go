package kurrent_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// disturbed starts three nodes of which one after the other is frozen and comes back, the leader too, who does not know at first that
// it was replaced. They show late what they have, half a batch before the rest, and say too early that subscriptions have caught up.
func disturbed(t *testing.T) *esdbtest.Cluster {
	t.Helper()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Stale = 300 * time.Millisecond })
	c.Lag(esdbtest.Lag{Leader: 250 * time.Millisecond, Followers: 500 * time.Millisecond, AckFirst: true, Index: 150 * time.Millisecond})
	c.CatchUpEarly()
	c.Disturb(3*time.Second, 3)
	return c
}

// openDisturbed opens the log of a disturbed cluster.
func openDisturbed(t *testing.T, c *esdbtest.Cluster) *kurrent.Log {
	t.Helper()
	o := options()
	o.Wait = kurrent.DefaultWait
	log, err := kurrent.Open(within(t), c.URL(), o)
	if err != nil {
		t.Fatal(err)
	}
	log.SetPatience(200 * time.Millisecond)
	return log
}

// What an answer is that no election gives is told after a few tries, and one that passes hurts nobody.
func TestAnAnswerThatNoElectionGivesIsNotRepeatedForLong(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.Unknown, codes.Internal} {
		c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Nodes = 1 })
		log := open(t, c.URL(), unhurried())
		mustAppend(t, log, batch("s", 0, 1))
		fault := esdbtest.Fault{Err: status.Error(code, "Exception was thrown by handler.")}
		c.FailNext(slices.Repeat([]esdbtest.Fault{fault}, 100)...)
		if _, err := log.Append(within(t), batch("s", 1, 1)); !errors.Is(err, eventstore.ErrTransient) {
			t.Errorf("%s: error is %v, want ErrTransient", code, err)
		}
	}
}

// A subscription that waits for what a frozen leader does not tell any more finds the next one.
func TestASubscriptionLeavesAFrozenLeader(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log, other := open(t, c.URL()+"&keepAliveInterval=-1", unhurried()), open(t, c.URL(), unhurried())
	mustAppend(t, other, batch("s", 0, 1))
	for r, err := range log.Subscribe(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Revision == 1 {
			break
		}
		c.Node(0).Freeze()
		c.Elect(1)
		next := batch("s", 1, 1)
		go func() { _, _ = other.Append(t.Context(), next) }()
	}
	c.Node(0).Resume()
}

// A batch whose rest is not there is told, by a leader that answers, before the budget ends. It takes the seconds that an
// index may be late.
func TestABatchThatWasCutIsToldSoon(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log := open(t, c.URL(), unhurried())
	mustAppend(t, log, batch("s", 0, 2))
	c.PutBatch("s", 2, 3, 0, 1)
	ctx := within(t)
	for range 20 { // only the first of them waits
		var last error
		for _, err := range log.Read(ctx, 0, eventstore.Filter{}) {
			last = err
		}
		if !errors.Is(last, eventstore.ErrCorrupt) {
			t.Fatalf("reading ends with %v, want ErrCorrupt", last)
		}
	}
}

// A log is truncated where a majority of the nodes ends earlier and no node reaches the position. A node that is down says neither.
func TestTruncatedIsWhatAMajoritySaysAndNobodyDenies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		nodes []int // that end earlier
		down  []int
		want  error
	}{
		{"all", []int{0, 1, 2}, nil, eventstore.ErrNotFound},
		{"most, and one is down", []int{0, 2}, []int{1}, eventstore.ErrNotFound},
		{"all, and one is down", []int{0, 1, 2}, []int{2}, eventstore.ErrNotFound},
		{"most, and one denies it", []int{0, 2}, nil, eventstore.ErrTransient},
		{"the leader alone", []int{0}, nil, eventstore.ErrTransient},
		{"the leader, and one is down", []int{0}, []int{2}, eventstore.ErrTransient},
		{"the leader, and the others are down", []int{0}, []int{1, 2}, eventstore.ErrTransient},
		{"all, and the others are down", []int{0, 1, 2}, []int{1, 2}, eventstore.ErrTransient},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			o := options()
			o.Wait = 500 * time.Millisecond
			log := open(t, c.URL(), o)
			mustAppend(t, log, batch("s", 0, 3))
			at := mustAppend(t, log, batch("s", 1, 3))
			c.Restore(3, test.nodes...)
			for _, i := range test.down {
				c.Node(i).Kill()
			}
			if r, err := log.At(within(t), at.Last); !errors.Is(err, test.want) {
				t.Errorf("got %+v, %v, want %v", r, err, test.want)
			}
			if ends, err := log.EndsBefore(within(t), at.Last); ends != errors.Is(test.want, eventstore.ErrNotFound) || !ends && !errors.Is(err, test.want) {
				t.Errorf("ends before: %t, %v", ends, err)
			}
			if !errors.Is(test.want, eventstore.ErrTransient) {
				for _, err := range log.Subscribe(within(t), at.Last, eventstore.Filter{}) {
					if !errors.Is(err, eventstore.ErrInvalid) {
						t.Errorf("subscribing: %v, want ErrInvalid", err)
					}
				}
				return
			}
			if len(test.nodes) == 3 || len(test.down) == 2 {
				return // no node has all, or none can be elected
			}
			c.Elect(1) // which has all
			if r, err := open(t, c.URL(), options()).At(within(t), at.Last); err != nil || r.Revision != 5 {
				t.Errorf("with another leader: %+v, %v", r, err)
			}
		})
	}
}

// Two of three nodes end earlier than the log: a leader that was frozen, replaced and came back, and a follower that lags. The
// third has what was acknowledged, so that nothing is truncated.
func TestAStaleLeaderAndALaggingFollowerAreNoTruncation(t *testing.T) {
	t.Parallel()
	for what, ask := range map[string]func(late *kurrent.Log, at eventstore.Position) error{
		"At": func(late *kurrent.Log, at eventstore.Position) error {
			_, err := late.At(within(t), at)
			return err
		},
		"EndsBefore": func(late *kurrent.Log, at eventstore.Position) error {
			ends, err := late.EndsBefore(within(t), at)
			if ends {
				err = eventstore.ErrNotFound
			}
			return err
		},
	} {
		c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Stale = 3 * time.Second })
		log := open(t, c.URL(), options())
		mustAppend(t, log, batch("s", 0, 3))
		c.Node(0).Freeze()
		c.Elect(1)
		c.Lag(esdbtest.Lag{Followers: time.Hour})
		at := mustAppend(t, log, batch("s", 1, 3))
		c.Node(0).Resume()
		if err := ask(open(t, c.Node(0).URL(), options()), at.Last); err != nil { // of the old leader, until that finds out
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The suite over three nodes that are disturbed all the time: what an election, a frozen node or a lag can come between. The rest reads and writes
// more of the same, and is of task test:chaos.
func TestConformanceOfADisturbedCluster(t *testing.T) {
	t.Parallel()
	var elections atomic.Int64
	t.Cleanup(func() {
		if n := elections.Load(); n < 10 {
			t.Errorf("%d elections: this is a quiet cluster", n)
		}
	})
	start := func(t *testing.T) eventstore.Log {
		t.Helper()
		c := disturbed(t)
		t.Cleanup(func() { elections.Add(int64(c.Elections())) })
		return openDisturbed(t, c)
	}
	if os.Getenv(envChaos) != "" {
		eventstoretest.Run(t, features(), start, eventstoretest.AtTheSizesOfPages) // one node has the same pages
		return
	}
	eventstoretest.RunSome(t, start, append(eventstoretest.AtOnce(),
		"Append/RefusesAnotherRevision", "Append/RefusesReusedIDs", "Append/StreamedBatchIsAllOrNothing", "Append/SurvivesALostAnswer",
		"Read/At", "Read/EndsAtTheHeadOfTheCall", "Read/Filtered", "Read/OneStream", "Read/TheBodyMayAppendAndBreak",
		"Subscribe/Filtered", "Subscribe/WaitsForASlowLoop", "Contents/AreKeptOnce")...)
}

// A new leader that does not show yet what the old one showed hides no event of the log, though events of others are the newest of the
// server: neither from the reading that meets the election, whichever of its answers that comes after, nor from later ones, which find what
// it kept.
func TestForeignEventsAndALaggingLeaderHideNothing(t *testing.T) {
	t.Parallel()
	positions := func(found func(func(eventstore.Record, error) bool)) (text string) {
		for r, err := range found {
			if err != nil {
				return err.Error()
			}
			text += fmt.Sprintf("%s/%d ", r.Stream, r.Revision)
		}
		return text
	}
	asks := map[string]struct {
		ask  func(log *kurrent.Log, head eventstore.Position) string
		want string
	}{
		"Head": {func(log *kurrent.Log, head eventstore.Position) string {
			at, err := log.Head(within(t))
			return fmt.Sprint(at == head, err)
		}, "true <nil>"},
		"Read": {func(log *kurrent.Log, _ eventstore.Position) string {
			return positions(log.Read(within(t), 0, eventstore.Filter{}))
		}, "s/0 s/1 s/2 s/3 t/0 "},
		"Read with a prefix": {func(log *kurrent.Log, _ eventstore.Position) string {
			return positions(log.Read(within(t), 0, eventstore.Filter{StreamPrefix: "s"}))
		}, "s/0 s/1 s/2 s/3 "},
		"ReadBackwards": {func(log *kurrent.Log, _ eventstore.Position) string {
			return positions(log.ReadBackwards(within(t), 0, eventstore.Filter{}))
		}, "t/0 s/3 s/2 s/1 s/0 "},
	}
	for what, test := range asks {
		for _, home := range []string{"new", "kept"} {
			for answer := range 5 {
				t.Run(fmt.Sprint(what, ", ", home, ", ", answer), func(t *testing.T) {
					t.Parallel()
					c := cluster(t)
					o := unsaid()
					o.CacheDir = t.TempDir()
					log, late := open(t, c.URL(), unsaid()), open(t, c.URL(), o)
					mustAppend(t, log, batch("s", 0, 2))
					c.Put("orders-1", 0, "placed", []byte("{}"), nil)
					if home == "kept" {
						if _, err := late.Head(within(t)); err != nil {
							t.Fatal(err)
						}
					}
					c.Lag(esdbtest.Lag{Followers: time.Hour, Elected: 600 * time.Millisecond})
					mustAppend(t, log, batch("s", 1, 2))
					last := mustAppend(t, log, batch("t", 0, 1))
					c.Put("orders-1", 1, "placed", []byte("{}"), nil)
					var events atomic.Int64
					c.Rewrite(func(m *api.ReadResp) []*api.ReadResp {
						if m.GetEvent() != nil && events.Add(1) == int64(answer+1) {
							c.Elect(1)
						}
						return []*api.ReadResp{m}
					})
					if got := test.ask(late, last.Last); got != test.want {
						t.Errorf("got %q, want %q", got, test.want)
					}
					c.Rewrite(nil)
					c.Replicate()
					for _, log := range []*kurrent.Log{late, open(t, c.URL(), o)} {
						for what, test := range asks {
							if got := test.ask(log, last.Last); got != test.want {
								t.Errorf("later %s: got %q, want %q", what, got, test.want)
							}
						}
					}
				})
			}
		}
	}
}

// What a file keeps of the end of the log is not dropped since a leader that was replaced, or that lags, does not show it: its log would pass
// for the whole.
func TestWhatIsKeptIsNotDroppedForANodeThatEndsEarlier(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Stale = 3 * time.Second })
	log := open(t, c.URL(), unsaid())
	mustAppend(t, log, batch("s", 0, 2))
	c.Put("orders-1", 0, "placed", []byte("{}"), nil)
	c.Node(0).Freeze()
	c.Elect(1)
	last := mustAppend(t, log, batch("s", 1, 2))
	c.Put("orders-1", 1, "placed", []byte("{}"), nil)
	o := unsaid()
	o.CacheDir = t.TempDir()
	first := open(t, c.URL(), o)
	if head, err := first.Head(within(t)); err != nil || head != last.Last {
		t.Fatalf("head is %d, %v", head, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c.Node(0).Resume()
	late := open(t, c.Node(0).URL(), o) // asks the old leader until that finds out
	if head, err := late.Head(within(t)); err != nil || head != last.Last {
		t.Errorf("of the old leader: head is %d, %v, want %d", head, err, last.Last)
	}
	if n := len(readAll(t, late)); n != 4 {
		t.Errorf("read %d records, want 4", n)
	}
}
