package feed_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/feedtest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

func TestMain(m *testing.M) {
	// Watermill's suite reads several subscriptions as one, and leaves what forwards their last messages waiting for a reader.
	const suite = "github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe"
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(suite+".func2"), goleak.IgnoreAnyFunction(suite+".func3"))
}

const patience = 30 * time.Second

func write(tb testing.TB, log eventstore.Appender, stream eventstore.StreamID, size int) []string {
	tb.Helper()
	batch := eventstoretest.NewBatch(stream, eventstore.NoStream(), "w", 0, size)
	if _, err := log.Append(tb.Context(), batch); err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, e := range batch.Events {
		ids = append(ids, e.ID.String())
	}
	return ids
}

func newLog(tb testing.TB) *memory.Log {
	tb.Helper()
	log := memory.New(time.Now)
	tb.Cleanup(func() { _ = log.Close() })
	return log
}

func subscriber(tb testing.TB, log feed.Log, config feed.Config) *feed.Subscriber {
	tb.Helper()
	s, err := feed.NewSubscriber(log, config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func subscribe(tb testing.TB, s *feed.Subscriber, topic string) <-chan *message.Message {
	tb.Helper()
	messages, err := s.Subscribe(tb.Context(), topic)
	if err != nil {
		tb.Fatal(err)
	}
	return messages
}

func receive(tb testing.TB, messages <-chan *message.Message) *message.Message {
	tb.Helper()
	select {
	case m, ok := <-messages:
		if !ok {
			tb.Fatal("the subscription ended")
		}
		return m
	case <-time.After(patience):
		tb.Fatal("no message came")
	}
	return nil
}

func ended(tb testing.TB, messages <-chan *message.Message) {
	tb.Helper()
	select {
	case m, ok := <-messages:
		if ok {
			tb.Fatalf("message %s came", m.UUID)
		}
	case <-time.After(patience):
		tb.Fatal("the subscription did not end")
	}
}

func take(tb testing.TB, messages <-chan *message.Message, n int) (ids []string) {
	tb.Helper()
	for range n {
		m := receive(tb, messages)
		ids = append(ids, m.UUID)
		m.Ack()
	}
	return ids
}

func same(tb testing.TB, got, want []string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("messages are %v, want %v", got, want)
	}
}

func TestAConsumerResumesBehindWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	log, cursors := newLog(t), feedtest.NewCursors()
	config := feed.Config{Cursors: cursors, Cursor: "c", Start: feed.FromBeginning()}
	ids := write(t, log, "repository-a", 4)
	first := subscriber(t, log, config)
	if err := first.SubscribeInitialize(feed.TopicEvents); err != nil {
		t.Fatal(err)
	}
	messages := subscribe(t, first, feed.TopicEvents)
	same(t, take(t, messages, 2), ids[:2])
	if m := receive(t, messages); m.UUID != ids[2] {
		t.Errorf("message %s, want %s", m.UUID, ids[2])
	}
	if err := first.Close(); err != nil { // with a message that nobody acknowledged
		t.Fatal(err)
	}
	ended(t, messages)
	second := subscriber(t, log, config)
	if err := second.SubscribeInitialize(feed.TopicEvents); err != nil { // moves nothing
		t.Fatal(err)
	}
	messages = subscribe(t, second, feed.TopicEvents)
	same(t, take(t, messages, 2), ids[2:])
	live := write(t, log, "repository-b", 2)
	same(t, take(t, messages, 2), live)
}

func TestTheNextMessageWaitsForTheCursor(t *testing.T) {
	t.Parallel()
	log, cursors := newLog(t), feedtest.NewCursors()
	write(t, log, "repository-a", 3)
	s := subscriber(t, log, feed.Config{Cursors: cursors, Cursor: "c", Start: feed.FromBeginning()})
	if err := s.SubscribeInitialize(feed.TopicEvents); err != nil {
		t.Fatal(err)
	}
	messages := subscribe(t, s, feed.TopicEvents)
	for n := range 3 {
		m := receive(t, messages)
		list, err := cursors.List(t.Context())
		if err != nil || len(list) != 1 || list[0].Position != eventstore.Position(n) || list[0].Holder == "" {
			t.Errorf("with message %d out, cursors are %+v, %v", n+1, list, err)
		}
		m.Ack()
	}
}

func TestARefusedMessageComesAgainWithItsID(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	ids := write(t, log, "repository-a", 2)
	messages := subscribe(t, subscriber(t, log, feed.Config{Start: feed.FromBeginning(), MinBackoff: 1, MaxBackoff: 2}), feed.TopicEvents)
	for range 5 {
		m := receive(t, messages)
		if m.UUID != ids[0] {
			t.Fatalf("message %s, want %s", m.UUID, ids[0])
		}
		m.Nack()
	}
	same(t, take(t, messages, 2), ids)
}

func TestTopicsChooseRecords(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	a, longer, foreign := write(t, log, "repository-a", 3), write(t, log, "repository-ab", 2), write(t, log, "other", 2)
	s := subscriber(t, log, feed.Config{Start: feed.FromBeginning(), Stream: func(_ context.Context, name string) (eventstore.StreamID, error) {
		return eventstore.StreamID("repository-" + name), nil
	}})
	more := write(t, log, eventstore.EngineStream, 1)
	same(t, take(t, subscribe(t, s, feed.TopicScans), 3), []string{a[2], longer[1], more[0]})
	same(t, take(t, subscribe(t, s, feed.TopicEvents), 8), slices.Concat(a, longer, foreign, more))
	messages := subscribe(t, s, "repository.a")
	same(t, take(t, messages, 3), a)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ended(t, messages)
	if _, err := s.Subscribe(t.Context(), feed.TopicEvents); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("subscribed to a closed subscriber: %v", err)
	}
}

func TestASubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	write(t, log, "repository-a", 2)
	for name, test := range map[string]struct {
		cursor *feed.Cursor
		topic  string
		want   error
	}{
		"without its cursor":          {nil, feed.TopicEvents, feed.ErrNoCursor},
		"to an unknown topic":         {nil, "event", eventstore.ErrInvalid},
		"with a cursor of a log":      {&feed.Cursor{LogID: uuid.New()}, feed.TopicEvents, feed.ErrOtherLog},
		"with another event":          {&feed.Cursor{LogID: log.ID(), Position: 1, EventID: uuid.New()}, feed.TopicEvents, feed.ErrOtherLog},
		"with a place above the head": {&feed.Cursor{LogID: log.ID(), Position: 9, EventID: uuid.New()}, feed.TopicEvents, feed.ErrOtherLog},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cursors := feedtest.NewCursors()
			s := subscriber(t, log, feed.Config{Cursors: cursors, Cursor: "c"})
			if test.cursor != nil {
				test.cursor.Name = s.CursorName(test.topic)
				if err := cursors.Create(t.Context(), *test.cursor); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Subscribe(t.Context(), test.topic); !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			if list, err := cursors.List(t.Context()); err != nil || len(list) == 1 && list[0].Holder != "" {
				t.Errorf("a lease is left: %+v, %v", list, err)
			}
		})
	}
}

func TestALostLeaseEndsTheSubscription(t *testing.T) {
	t.Parallel()
	log, cursors := newLog(t), feedtest.NewCursors()
	write(t, log, "repository-a", 2)
	why := make(chan error, 1)
	s := subscriber(t, log, feed.Config{
		Cursors: cursors, Cursor: "c", Start: feed.FromBeginning(), TTL: 100 * time.Millisecond, Ended: func(_ string, err error) { why <- err },
	})
	if err := s.SubscribeInitialize(feed.TopicEvents); err != nil {
		t.Fatal(err)
	}
	messages := subscribe(t, s, feed.TopicEvents)
	m := receive(t, messages)
	list, err := cursors.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Tokens of a new store begin at 1.
	if err := cursors.Release(t.Context(), feed.Lease{Cursor: list[0].Name, Token: 1}); err != nil {
		t.Fatal(err)
	}
	ended(t, messages)
	if err := <-why; !errors.Is(err, feed.ErrLeaseLost) {
		t.Errorf("it ended with %v", err)
	}
	<-m.Context().Done()
}

func TestASecondConsumerWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	log, cursors := newLog(t), feedtest.NewCursors()
	ids := write(t, log, "repository-a", 2)
	config := feed.Config{Cursors: cursors, Cursor: "c", Start: feed.FromBeginning(), TTL: 200 * time.Millisecond}
	first, second := subscriber(t, log, config), subscriber(t, log, config)
	if err := first.SubscribeInitialize(feed.TopicEvents); err != nil {
		t.Fatal(err)
	}
	one := subscribe(t, first, feed.TopicEvents)
	m := receive(t, one)
	two := subscribe(t, second, feed.TopicEvents)
	m.Ack()
	receive(t, one)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, take(t, two, 1), ids[1:])
}
