package esdbserver_test

import (
	"context"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// told is what a subscription told: "stream@revision", "checkpoint P" or "caught up".
func nextEvent(t *testing.T, ctx context.Context, s *esdb.Subscription) *esdb.SubscriptionEvent {
	t.Helper()
	got := make(chan *esdb.SubscriptionEvent, 1)
	go func() { got <- s.Recv() }()
	select {
	case e := <-got:
		return e
	case <-ctx.Done():
		t.Fatal("the subscription told nothing")
		return nil
	}
}

func TestASubscriptionGoesFromOldToNew(t *testing.T) {
	t.Parallel()
	client, ctx := dial(t, served(t, newLog(t), options())), within(t)
	add := func(stream string, n int) {
		t.Helper()
		if _, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, made("e", n)...); err != nil {
			t.Fatal(err)
		}
	}
	add("a", 3)
	s, err := client.SubscribeToStream(ctx, "a", esdb.SubscribeToStreamOptions{From: esdb.Revision(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, want := range []uint64{1, 2} {
		if e := nextEvent(t, ctx, s); e.EventAppeared == nil || e.EventAppeared.Event.EventNumber != want {
			t.Fatalf("told %+v, want revision %d", e, want)
		}
	}
	if e := nextEvent(t, ctx, s); e.CaughtUp == nil {
		t.Fatalf("told %+v, want caught up", e)
	}
	add("b", 1)
	add("a", 1)
	if e := nextEvent(t, ctx, s); e.EventAppeared == nil || e.EventAppeared.Event.EventNumber != 3 {
		t.Fatalf("told %+v, want revision 3", e)
	}
}
