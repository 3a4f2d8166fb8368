package esdbserver_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

// cutListener can cut off all that it accepted, as the end of a killed process does.
type cutListener struct {
	net.Listener
	mu       sync.Mutex // guards accepted
	accepted []net.Conn
}

func (l *cutListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.accepted = append(l.accepted, conn)
	}
	return conn, err
}

func (l *cutListener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.accepted {
		_ = conn.Close()
	}
}

// subscriber reads the stream "s", of which it wants each event once and in order, and goes on where it was when its call ends.
type subscriber struct {
	all     bool                          // of $all with a filter, not of the stream
	next    uint64                        // revision
	at      *api.ReadReq_Options_Position // of the last event or checkpoint; nil at the beginning
	resumed int
}

func (s *subscriber) request() *api.ReadReq {
	if !s.all {
		return ofStream("s", func(o *api.ReadReq_Options) {
			live(o)
			if s.next > 0 {
				o.GetStream().RevisionOption = &api.ReadReq_Options_StreamOptions_Revision{Revision: s.next - 1}
			}
		})
	}
	return readRequest(func(o *api.ReadReq_Options) {
		live(o)
		filter := byStream([]string{"s"}, "")
		filter.Window = &api.ReadReq_Options_FilterOptions_Max{Max: 3}
		o.FilterOption = &api.ReadReq_Options_Filter{Filter: filter}
		if s.at != nil {
			o.GetAll().AllOption = &api.ReadReq_Options_AllOptions_Position{Position: s.at}
		}
	})
}

// take receives what one call brings, until it ends or there are end events.
func (s *subscriber) take(ctx context.Context, client api.StreamsClient, end uint64, received func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := client.Read(ctx, s.request(), grpc.WaitForReady(true))
	for s.next < end && err == nil {
		var m *api.ReadResp
		if m, err = call.Recv(); err != nil {
			break
		}
		if c := m.GetCheckpoint(); c != nil {
			s.at = &api.ReadReq_Options_Position{CommitPosition: c.CommitPosition, PreparePosition: c.PreparePosition}
		}
		if e := m.GetEvent().GetEvent(); e != nil {
			if e.StreamRevision != s.next {
				return fmt.Errorf("received revision %d, want %d", e.StreamRevision, s.next)
			}
			s.next++
			s.at = &api.ReadReq_Options_Position{CommitPosition: e.CommitPosition, PreparePosition: e.PreparePosition}
			received()
		}
	}
	return nil
}

// dialAnew is a client that looks for its server at where it is now, at once and again and again.
func dialAnew(t *testing.T, where func() string) api.StreamsClient {
	t.Helper()
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", where())
	}
	often := backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1, MaxDelay: time.Millisecond}
	return api.NewStreamsClient(dialRaw(t, "passthrough:///server", grpc.WithContextDialer(dial),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: often, MinConnectTimeout: patience})))
}

// 200 subscribers, half of them to $all with a filter, see each event once and in order while their server is killed again and again, each
// time while they receive.
func TestSubscribersLoseNothingWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	const subscribers, kills, size = 200, 2, 4
	log, waiting := newLog(t), within(t)
	var address atomic.Pointer[string]
	start := func() (kill func()) {
		listener := &cutListener{Listener: listen(t)}
		stop := serve(t, log, options(), listener)
		now := listener.Addr().String()
		address.Store(&now)
		return func() { listener.cut(); stop() }
	}
	kill := start()
	t.Cleanup(func() { kill() })
	client := dialAnew(t, func() string { return *address.Load() })
	all := make([]subscriber, subscribers)
	ended, received := make(chan error, subscribers), make(chan struct{}, subscribers*(kills+1)*size)
	for i := range all {
		s := &all[i]
		s.all = i%2 == 0
		go func() {
			var err error
			for ; err == nil && s.next < (kills+1)*size && waiting.Err() == nil; s.resumed++ {
				err = s.take(waiting, client, (kills+1)*size, func() { received <- struct{}{} })
			}
			ended <- err
		}()
	}
	taken := 0
	others, expected := eventstore.NoStream(), eventstore.NoStream()
	for round := range kills + 1 {
		for _, b := range []eventstore.Batch{
			eventstoretest.NewBatch("other", others, "o", round, 5), eventstoretest.NewBatch("s", expected, "s", round, size),
		} {
			if _, err := log.Append(waiting, b); err != nil {
				t.Fatal(err)
			}
		}
		others, expected = eventstore.AtRevision(eventstore.Revision(round*5+4)), eventstore.AtRevision(eventstore.Revision(round*size+size-1))
		if round == kills {
			break
		}
		for ; taken < (round*size+size/2)*subscribers; taken++ {
			select {
			case <-received:
			case err := <-ended:
				t.Fatal(err)
			case <-waiting.Done():
				t.Fatal("the subscribers do not go on")
			}
		}
		kill()
		kill = start()
	}
	for range subscribers {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	resumed := 0
	for i, s := range all {
		if s.next != (kills+1)*size {
			t.Errorf("subscriber %d received %d events", i, s.next)
		}
		resumed += s.resumed - 1
	}
	if resumed < kills*subscribers/2 {
		t.Errorf("only %d calls were cut by %d kills", resumed, kills)
	}
}
