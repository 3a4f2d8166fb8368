package feed_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/feedtest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// TestARouterTriesAgainThenPutsAside proves the order of the middlewares: a panic is tried again as an error is, and what fails every time is put aside
// once, with its cause, while the next message is handled.
func TestARouterTriesAgainThenPutsAside(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	channel := gochannel.NewGoChannel(gochannel.Config{Persistent: true}, watermill.NopLogger{})
	registry := prometheus.NewRegistry()
	router, err := feed.NewRouter(feed.RouterConfig{
		DeadLetters: channel, DeadLetterTopic: "aside", Retries: 3, FirstWait: time.Microsecond, LongestWait: time.Millisecond, Metrics: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	calls := map[string]int{}
	var handled sync.WaitGroup
	handled.Add(2)
	router.AddConsumerHandler("handler", "events", channel, func(m *message.Message) error {
		mu.Lock()
		calls[m.UUID]++
		n := calls[m.UUID]
		mu.Unlock()
		if got := feed.TraceOf(m.Context()); got != (feed.Trace{Parent: parent, State: "a=1"}) {
			t.Errorf("the trace context is %+v", got)
		}
		switch m.UUID {
		case "panics":
			panic("out of order")
		case "fails":
			return errors.New("no such account")
		case "recovers":
			if n == 1 {
				return errors.New("busy")
			}
			handled.Done()
		case "last":
			handled.Done()
		}
		return nil
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	<-router.Running()
	aside, err := channel.Subscribe(ctx, "aside")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"panics", "fails", "recovers", "last"} {
		m := message.NewMessage(id, nil)
		m.Metadata = message.Metadata{"traceparent": parent, "tracestate": "a=1"}
		if err := channel.Publish("events", m); err != nil {
			t.Fatal(err)
		}
	}
	handled.Wait()
	causes := map[string]string{"panics": "out of order", "fails": "no such account"}
	for range 2 {
		m := <-aside
		cause := causes[m.UUID]
		if reason := m.Metadata.Get(middleware.ReasonForPoisonedKey); cause == "" || !strings.Contains(reason, cause) {
			t.Errorf("put aside is %s, because of %q; want %q", m.UUID, reason, cause)
		}
		delete(causes, m.UUID)
		m.Ack()
	}
	cancel()
	if err := errors.Join(<-ended, channel.Close()); err != nil {
		t.Error(err)
	}
	if want := map[string]int{"panics": 4, "fails": 4, "recovers": 2, "last": 1}; !maps.Equal(calls, want) {
		t.Errorf("the handler was called %v, want %v", calls, want)
	}
	families, err := registry.Gather()
	if err != nil || !slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "gxpledger_feed_handler_execution_time_seconds" }) {
		t.Errorf("the metrics are %v, %v", families, err)
	}
}

func TestARouterIsConfiguredWhole(t *testing.T) {
	t.Parallel()
	channel := gochannel.NewGoChannel(gochannel.Config{}, watermill.NopLogger{})
	defer func() { _ = channel.Close() }()
	for _, bad := range []feed.RouterConfig{{DeadLetters: channel}, {DeadLetterTopic: "x"}, {Retries: -1}, {FirstWait: -1}, {LongestWait: -1}} {
		if _, err := feed.NewRouter(bad); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// deadLetters are the messages that were put aside.
type deadLetters struct {
	mu  sync.Mutex
	ids []string
}

func (d *deadLetters) Publish(_ string, messages ...*message.Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range messages {
		d.ids = append(d.ids, m.UUID)
	}
	return nil
}

func (d *deadLetters) Close() error { return nil }

// TestAMessageInHandComesAgainAfterAStop: that a consumer is stopped says nothing about the message that it handles.
func TestAMessageInHandComesAgainAfterAStop(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(*message.Message) error{
		"while it is handled":                 func(m *message.Message) error { <-m.Context().Done(); return m.Context().Err() },
		"between two tries":                   func(*message.Message) error { return errors.New("busy") },
		"whose handler fails for the context": func(m *message.Message) error { <-m.Context().Done(); return errors.New("connection closed") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := memory.New(time.Now)
			t.Cleanup(func() { _ = log.Close() })
			recordOne(log)
			cursors := feedtest.NewCursors()
			s, err := feed.NewSubscriber(log, feed.Config{Cursors: cursors, Cursor: "mail", Start: feed.FromBeginning()})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SubscribeInitialize("events"); err != nil {
				t.Fatal(err)
			}
			aside := &deadLetters{}
			router, err := feed.NewRouter(feed.RouterConfig{DeadLetters: aside, DeadLetterTopic: "aside", Retries: 3, FirstWait: time.Hour, LongestWait: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			var begin sync.Once
			begun := make(chan struct{})
			router.AddConsumerHandler("mail", "events", s, func(m *message.Message) error {
				begin.Do(func() { close(begun) })
				return handle(m)
			})
			ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
			ended := make(chan error, 1)
			go func() { ended <- router.Run(ctx) }()
			<-begun
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			list, err := cursors.List(t.Context())
			if err != nil || len(list) != 1 || list[0].Position != 0 {
				t.Errorf("the cursor is at %+v, %v; want it before the message", list, err)
			}
			if len(aside.ids) > 0 {
				t.Errorf("%v was put aside", aside.ids)
			}
		})
	}
}
