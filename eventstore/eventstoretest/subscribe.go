//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// subscriber collects what a subscription yields, until it has total records or ends.
type subscriber struct {
	records []eventstore.Record
	err     error
	got     *count
	done    chan struct{}
}

func subscribe(ctx context.Context, log eventstore.Subscriber, after eventstore.Position, filter eventstore.Filter, total int) *subscriber {
	s := &subscriber{got: newCount(), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for r, err := range log.Subscribe(ctx, after, filter) {
			if err != nil {
				s.err = err
				return
			}
			s.records = append(s.records, r)
			s.got.add()
			if len(s.records) == total {
				return
			}
		}
	}()
	return s
}

// Subscriptions that begin before, among and after the events all get each of them once, in order, while writers write.
func testSubscribe(t *testing.T, log eventstore.Log) {
	const writers, batches, size = 3, 12, 70
	const total = writers * batches * size
	ctx := within(t)
	acknowledged := newCount()
	subscribers := []*subscriber{subscribe(ctx, log, 0, eventstore.Filter{}, total)}
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() { write(t, log, fmt.Sprint(i), load{batches, size}, acknowledged.add) })
	}
	for _, some := range []int64{1, writers * batches / 3, writers * batches / 2, writers * batches} {
		acknowledged.reach(ctx, t, some)
		subscribers = append(subscribers, subscribe(ctx, log, 0, eventstore.Filter{}, total))
	}
	running.Wait()
	for _, s := range subscribers {
		<-s.done
		if s.err != nil || len(s.records) != total {
			t.Fatalf("a subscription ended with %d of %d records: %v", len(s.records), total, s.err)
		}
		whole(t, log, s.records)
	}
}

func testSubscribeFiltered(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	first := mustAppend(t, log, start("a-1", 3))
	s := subscribe(ctx, log, first.First, eventstore.Filter{StreamPrefix: "a-", Types: []string{"test.type1.v1"}}, 3)
	s.got.reach(ctx, t, 1) // it has caught up
	mustAppend(t, log, start("b-1", 3))
	mustAppend(t, log, start("a-2", 2))
	mustAppend(t, log, start("b-2", 200))
	mustAppend(t, log, start("a-3", 2))
	<-s.done
	if s.err != nil {
		t.Fatal(s.err)
	}
	for i, want := range []eventstore.StreamID{"a-1", "a-2", "a-3"} {
		if r := s.records[i]; r.Stream != want || r.Type != "test.type1.v1" {
			t.Errorf("record %d is of type %s in stream %s, want stream %s", i, r.Type, r.Stream, want)
		}
	}
}

func testSubscribeCancelled(t *testing.T, log eventstore.Log) {
	mustAppend(t, log, start("s", 2))
	ctx, cancel := context.WithCancel(within(t))
	s := subscribe(ctx, log, 0, eventstore.Filter{}, -1)
	s.got.reach(within(t), t, 2) // it waits now, or is about to
	cancel()
	<-s.done
	if !errors.Is(s.err, context.Canceled) {
		t.Errorf("the subscription ended with %v, want a cancelled context", s.err)
	}
}

func testSubscribeClosed(t *testing.T, log eventstore.Log) {
	mustAppend(t, log, start("s", 2))
	ctx := within(t)
	var all []*subscriber
	for range 3 {
		s := subscribe(ctx, log, 0, eventstore.Filter{}, -1)
		s.got.reach(ctx, t, 2)
		all = append(all, s)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		<-s.done
		if !errors.Is(s.err, eventstore.ErrClosed) {
			t.Errorf("the subscription ended with %v, want ErrClosed", s.err)
		}
	}
}

// The body of the loop waits for other appends: a log that pushed or locked would hang or drop.
func testSubscribeSlow(t *testing.T, log eventstore.Log) {
	last := mustAppend(t, log, start("s", 1))
	var got []eventstore.Record
	for r, err := range log.Subscribe(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
		if len(got) == 30*11+1 {
			break
		}
		if len(got)%11 == 1 {
			last = mustAppend(t, log, after("s", last, 11))
		}
	}
	whole(t, log, got)
}
