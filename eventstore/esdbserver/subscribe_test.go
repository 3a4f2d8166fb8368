package esdbserver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// told names what a subscription tells next.
func told(t *testing.T, s *esdb.Subscription) string {
	t.Helper()
	switch e := s.Recv(); {
	case e.EventAppeared != nil:
		return places([]*esdb.RecordedEvent{e.EventAppeared.Event})[0]
	case e.CheckPointReached != nil:
		if e.CheckPointReached.Commit != e.CheckPointReached.Prepare {
			t.Errorf("checkpoint at %+v", e.CheckPointReached)
		}
		return fmt.Sprintf("checkpoint %d", e.CheckPointReached.Commit)
	case e.CaughtUp != nil:
		return "caught up"
	case e.SubscriptionDropped != nil:
		return status.Code(e.SubscriptionDropped.Error).String()
	default:
		return "nothing known"
	}
}

// tells fails unless a subscription tells want, in order.
func tells(t *testing.T, s *esdb.Subscription, want ...string) {
	t.Helper()
	for i, w := range want {
		if got := told(t, s); got != w {
			t.Fatalf("told %q, want %q, behind %v", got, w, want[:i])
		}
	}
}

func subscribe(t *testing.T, client *esdb.Client, stream string, from esdb.StreamPosition) *esdb.Subscription {
	t.Helper()
	s, err := client.SubscribeToStream(within(t), stream, esdb.SubscribeToStreamOptions{From: from})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func subscribeAll(t *testing.T, client *esdb.Client, o esdb.SubscribeToAllOptions) *esdb.Subscription {
	t.Helper()
	s, err := client.SubscribeToAll(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestASubscriptionToAStreamGoesFromOldToNew(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			add := func(stream string, n int) { t.Helper(); mustAppend(t, client, stream, made("e", n)...) }
			add("a", 3)
			add("ab", 9) // a name that begins like the one asked for
			start := subscribe(t, client, "a", esdb.Start{})
			middle := subscribe(t, client, "a", esdb.Revision(0))
			end := subscribe(t, client, "a", esdb.End{})
			missing := subscribe(t, client, "new", esdb.Start{})
			ahead := subscribe(t, client, "a", esdb.Revision(4))
			tells(t, start, "a@0", "a@1", "a@2", "caught up")
			tells(t, middle, "a@1", "a@2", "caught up")
			tells(t, end, "caught up")
			tells(t, missing, "caught up")
			tells(t, ahead, "caught up")
			add("ab", 1)
			add("a", 2)
			add("new", 1)
			add("a", 1)
			for _, s := range []*esdb.Subscription{start, middle, end} {
				tells(t, s, "a@3", "a@4", "a@5")
			}
			tells(t, missing, "new@0")
			tells(t, ahead, "a@5")
		})
	}
}

func TestASubscriptionToAllGoesFromOldToNew(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustAppend(t, client, "a", made("e", 2)...)
			start := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Start{}})
			middle := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Position{Commit: 1, Prepare: 1}})
			end := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.End{}})
			tells(t, start, "a@0", "a@1", "caught up")
			tells(t, middle, "a@1", "caught up")
			tells(t, end, "caught up")
			mustAppend(t, client, "b", made("e", 1)...)
			mustAppend(t, client, "a", made("e", 1)...)
			for _, s := range []*esdb.Subscription{start, middle, end} {
				tells(t, s, "b@0", "a@2")
			}
		})
	}
}

func TestAFilterChoosesOnTheServer(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), options()))
	for i, c := range []struct{ stream, name string }{
		{"order-1", "placed"}, {"invoice-1", "sent"}, {"order-2", "paid"}, {"customer-1", "placed"}, {"invoice-1", "paid.v2"},
	} {
		mustAppend(t, client, c.stream, made(c.name, 1)...)
		if i == 2 {
			mustAppend(t, client, "noise", made("noise", 70)...)
		}
	}
	for name, c := range map[string]struct {
		filter esdb.SubscriptionFilter
		want   []string
	}{
		"a stream prefix": {esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"order-"}}, []string{"order-1@0", "order-2@0"}},
		"two of them": {
			esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"inv", "customer-1"}},
			[]string{"invoice-1@0", "customer-1@0", "invoice-1@1"},
		},
		"a stream expression": {esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "-[2-9]$"}, []string{"order-2@0"}},
		"a type prefix": {
			esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"pa"}},
			[]string{"order-2@0", "invoice-1@1"},
		},
		"a type expression": {
			esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^(sent|placed)$"},
			[]string{"order-1@0", "invoice-1@0", "customer-1@0"},
		},
		"nothing": {esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "ORDER"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &c.filter})
			var got []string
			for {
				e := told(t, s)
				if e == "caught up" {
					break
				}
				if !strings.HasPrefix(e, "checkpoint") {
					got = append(got, e)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("told %v, want %v", got, c.want)
			}
		})
	}
}

// A checkpoint comes for every 32 times 2 events that were considered, and before the subscription is live, so that a
// rare event does not make its subscriber begin at the start again.
func TestCheckpointsTellHowFarAFilterGot(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := esdb.SubscribeToAllOptions{
				From: esdb.Start{}, MaxSearchWindow: 32, CheckpointInterval: 2,
				Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"rare"}},
			}
			tells(t, subscribeAll(t, client, o), "caught up")
			mustAppend(t, client, "noise", made("e", 100)...)
			mustAppend(t, client, "rare", made("e", 1)...)
			mustAppend(t, client, "noise", made("e", 50)...)
			s := subscribeAll(t, client, o)
			tells(t, s, "checkpoint 64", "rare@0", "checkpoint 128", "checkpoint 151", "caught up")
			mustAppend(t, client, "noise", made("e", 63)...)
			mustAppend(t, client, "rare", made("e", 1)...)
			tells(t, s, "rare@1", "checkpoint 215")
			o.From = esdb.Position{Commit: 151, Prepare: 151}
			tells(t, subscribeAll(t, client, o), "rare@1", "checkpoint 215", "caught up")
			o.MaxSearchWindow = 100
			tells(t, subscribeAll(t, client, o), "rare@1", "checkpoint 215", "caught up")
		})
	}
}

// A subscriber that goes away again and again, and comes back with the last position that it handled, sees every event
// once and in order, while others append.
func TestASubscriberResumesWithoutGapOrDuplicate(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const events = 200
			written := make(chan error, 1)
			go func() {
				var err error
				for range events / 2 {
					if _, failed := client.AppendToStream(within(t), "s", esdb.AppendToStreamOptions{}, made("e", 2)...); failed != nil {
						err = failed
					}
				}
				written <- err
			}()
			var last esdb.Position
			for next := uint64(0); next < events; {
				s, err := client.SubscribeToAll(within(t), esdb.SubscribeToAllOptions{From: last})
				if err != nil {
					t.Fatal(err)
				}
				for handled := 0; handled < 17 && next < events; {
					e := s.Recv()
					if e.SubscriptionDropped != nil {
						t.Fatal(e.SubscriptionDropped.Error)
					}
					if e.EventAppeared == nil {
						continue
					}
					if got := e.EventAppeared.Event.EventNumber; got != next {
						t.Fatalf("received revision %d, want %d", got, next)
					}
					last = e.EventAppeared.Event.Position
					next++
					handled++
				}
				_ = s.Close()
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
}

// A subscriber that does not receive is not dropped, however far it is behind, and costs the server no memory: the
// server reads from the log when the subscriber is ready.
func TestASlowSubscriberIsNotDropped(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), options()))
	s := subscribe(t, client, "s", esdb.Start{})
	tells(t, s, "caught up")
	const events = 3000
	for range events / 100 {
		page := made("e", 100)
		for i := range page {
			page[i].Data = []byte(`"` + strings.Repeat("x", 1000) + `"`)
		}
		mustAppend(t, client, "s", page...)
	}
	tells(t, s, revisions("s", 0, events, 1)...)
}

func TestStoppingEndsSubscriptions(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	o := options()
	o.StopTimeout = patience
	stop := serve(t, newLog(t), o, listener)
	client := dial(t, listener.Addr().String())
	streams, all := subscribe(t, client, "s", esdb.Start{}), subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	tells(t, streams, "caught up")
	tells(t, all, "caught up")
	call := batches(t, dialStreams(t, listener.Addr().String())) // kept open, as some clients do
	exchange(t, call, batch("other", nil, propose(1, 10)))
	if e := told(t, all); e != "other@0" {
		t.Errorf("told %s", e)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took >= o.StopTimeout {
		t.Errorf("stopping took %s, though nothing was under way", took)
	}
	if _, err := call.Recv(); answered(err, nil) != "Unavailable: the server is stopping" {
		t.Errorf("the call of BatchAppend ends with %v", err)
	}
	tells(t, streams, codes.Unavailable.String())
	tells(t, all, codes.Unavailable.String())
}

func TestClosingTheLogEndsSubscriptions(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	client := dial(t, served(t, log, options()))
	s := subscribe(t, client, "s", esdb.Start{})
	tells(t, s, "caught up")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	tells(t, s, codes.Unavailable.String())
}
