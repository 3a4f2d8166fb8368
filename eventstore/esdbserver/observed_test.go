package esdbserver_test

import (
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// seen is what a server told of its clients.
type seen struct {
	mu           sync.Mutex
	open, opened int
	calls        map[string]int // by method and code
	changed      chan struct{}  // holds a value after a change
}

func (s *seen) note(change func()) {
	s.mu.Lock()
	change()
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// wait waits until what was seen is as ok wants it.
func (s *seen) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := within(t)
	for {
		s.mu.Lock()
		done := ok()
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			t.Fatalf("not seen: %s; %d open of %d, calls %v", what, s.open, s.opened, s.calls)
		}
	}
}

func TestConnectionsAndCallsAreTold(t *testing.T) {
	t.Parallel()
	s := &seen{calls: map[string]int{}, changed: make(chan struct{}, 1)}
	o := options()
	o.Connected = func(change int) { s.note(func() { s.open += change; s.opened += max(change, 0) }) }
	o.Called = func(c esdbserver.Call) {
		s.note(func() {
			s.calls[c.Method+" "+c.Code]++
			if c.Duration < 0 || c.Duration > time.Hour {
				t.Errorf("%s took %s", c.Method, c.Duration)
			}
		})
	}
	address := served(t, newLog(t), o)
	config, err := esdb.ParseConnectionString("esdb://" + address + "?tls=false")
	if err != nil {
		t.Fatal(err)
	}
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	event := esdb.EventData{EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
	if _, err := client.AppendToStream(within(t), "orders-1", esdb.AppendToStreamOptions{}, event); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteStream(within(t), "orders-1", esdb.DeleteStreamOptions{}); err == nil {
		t.Fatal("a stream was deleted")
	}
	raw, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Invoke(within(t), "/a.client/Chose", &emptypb.Empty{}, &emptypb.Empty{}); err == nil {
		t.Fatal("a method that is not served answers")
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "a deletion that was refused and a call of an unknown method", func() bool {
		return s.open > 0 && s.calls["GetSupportedMethods OK"] > 0 && s.calls["Delete PermissionDenied"] == 1 && s.calls["unknown Unimplemented"] == 1
	})
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "the end of all connections", func() bool { return s.open == 0 && s.opened > 0 })
}
