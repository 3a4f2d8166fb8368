package esdbserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// yields counts the records that a log yields.
type yields struct {
	*memory.Log
	n atomic.Int64
}

func (y *yields) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range y.Log.Read(ctx, after, f) {
			y.n.Add(1)
			if !yield(r, err) {
				return
			}
		}
	}
}

// slowServer serves n events of a size.
type slowServer struct {
	*Server
	log     *yields
	address string
}

func serveLarge(tb testing.TB, o Options, n, size int) slowServer {
	tb.Helper()
	log := &yields{Log: memory.New(time.Now)}
	data := append(append([]byte(`"`), bytes.Repeat([]byte("x"), size)...), '"')
	for i := range n {
		expected := eventstore.NoStream()
		if i > 0 {
			expected = eventstore.AtRevision(eventstore.Revision(i - 1))
		}
		_, err := log.Append(tb.Context(), eventstore.Batch{
			Stream: "s", Expected: expected, Meta: eventstore.Meta{Actor: "a", Attempt: 1},
			Events: []eventstore.NewEvent{{ID: uuid.New(), Type: "e", Data: data}},
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	o.Now, o.StopTimeout = time.Now, time.Second
	server, err := New(log, o)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		_ = log.Close()
	})
	return slowServer{server, log, listener.Addr().String()}
}

// read begins to read count events of $all on a connection of its own; 0 is a subscription.
func (s slowServer) read(tb testing.TB, count uint64) api.Streams_ReadClient {
	tb.Helper()
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	o := &api.ReadReq_Options{
		StreamOption: &api.ReadReq_Options_All{All: &api.ReadReq_Options_AllOptions{AllOption: &api.ReadReq_Options_AllOptions_Start{}}},
		CountOption:  &api.ReadReq_Options_Count{Count: count},
	}
	if count == 0 {
		o.CountOption = &api.ReadReq_Options_Subscription{}
	}
	call, err := api.NewStreamsClient(conn).Read(tb.Context(), &api.ReadReq{Options: o})
	if err != nil {
		tb.Fatal(err)
	}
	return call
}

// events receives events until the call ends, or n came.
func events(call api.Streams_ReadClient, n int) (got int, err error) {
	for got < n {
		response, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if response.GetEvent() != nil {
			got++
		}
	}
	return got, nil
}

// stall begins reads that nobody receives, until n did or the memory is short, and returns them.
func (s slowServer) stall(tb testing.TB, n int) (stalled []api.Streams_ReadClient) {
	tb.Helper()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for i := range n {
		before := s.log.n.Load()
		stalled = append(stalled, s.read(tb, []uint64{1, 100, 0}[i%3]))
		for s.log.n.Load() == before && !s.reads.isShort() && tb.Context().Err() == nil {
			<-pause.C
		}
	}
	return stalled
}

// What reads hold of large events is bounded, whether pages or subscriptions, and all of them come to their end.
func TestReadsShareABudgetOfMemory(t *testing.T) {
	t.Parallel()
	const clients, n = 12, 4
	s := serveLarge(t, Options{MaxEventSize: 1 << 20, MaxReadBytes: 8 << 20, SlowReader: time.Hour}, n, 1<<20-100)
	stalled := s.stall(t, clients)
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for t.Context().Err() == nil { // until each holds no more than an event, or waits
		s.reads.mu.Lock()
		free, waiting := s.reads.free, len(s.reads.waiting)
		s.reads.mu.Unlock()
		if n := int(s.log.n.Load()); n+waiting == clients && free >= int64(8<<20-n*(1<<20+4<<10)) {
			break
		}
		<-pause.C
	}
	// Each client holds one event, and a lap wants room for three: the budget has it for six at most.
	if got := s.log.n.Load(); got > 6 || !s.reads.isShort() {
		t.Errorf("%d events are held by reads that nobody receives, and memory is short: %v", got, s.reads.isShort())
	}
	var receiving sync.WaitGroup
	for i, call := range stalled {
		receiving.Go(func() {
			want, most := n, 100 // up to the end of the call
			switch i % 3 {
			case 0:
				want = 1
			case 2: // a subscription, which has no end
				most = n
			}
			if got, err := events(call, most); got != want || err != nil {
				t.Errorf("client %d received %d events, %v, want %d", i, got, err, want)
			}
		})
	}
	receiving.Wait()
	for t.Context().Err() == nil { // all is given back
		s.reads.mu.Lock()
		free := s.reads.free
		s.reads.mu.Unlock()
		if free == 8<<20 {
			break
		}
		<-pause.C
	}
}

// Clients that receive nothing keep nobody from reading: they are disconnected where memory is short.
func TestASlowReaderIsDisconnectedWhereMemoryIsShort(t *testing.T) {
	t.Parallel()
	s := serveLarge(t, Options{MaxEventSize: 1 << 20, MaxReadBytes: 4 << 20, SlowReader: 500 * time.Millisecond}, 4, 1<<20-100)
	stalled := s.stall(t, 9)
	if got, err := events(s.read(t, 1), 1); got != 1 || err != nil {
		t.Errorf("one that receives: %d events, %v", got, err)
	}
	cut := 0
	for _, call := range stalled {
		if _, err := events(call, 1); err != nil {
			cut++
		}
	}
	if cut == 0 {
		t.Error("no client was disconnected")
	}
}

// BenchmarkStalledReads measures what 40 clients that never receive an event of 15.9 MiB hold, of the whole process.
func BenchmarkStalledReads(b *testing.B) {
	for name, limit := range map[string]int64{"256MiB": 256 << 20, "unlimited": 1 << 40} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				s := serveLarge(b, Options{MaxReadBytes: limit, SlowReader: time.Hour}, 1, 15<<20)
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				s.stall(b, 40)
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-held")
				b.ReportMetric(float64(after.HeapSys)/(1<<20), "MiB-heap")
			}
		})
	}
}

// Records that are read backwards from the middle of a stream all come, in falling order, and no more of them are held to turn them
// round than fit.
func TestLargeRecordsAreReadBackwardsInSmallPages(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 1 << 20, 3 << 20, 5 << 20} {
		s := serveLarge(t, Options{}, 9, size)
		v := &service{Server: s.Server}
		next := eventstore.Revision(7)
		for r, err := range v.backFrom(t.Context(), "s", 7) {
			if err != nil || r.Revision != next {
				t.Fatalf("records of %d bytes: revision %d, %v, want %d", size, r.Revision, err, next)
			}
			next--
		}
		if next+1 != 0 {
			t.Errorf("records of %d bytes end behind revision %d", size, next)
		}
		page, err := v.pageUpTo(t.Context(), "s", 0, 8)
		if err != nil || len(page) == 0 || page[len(page)-1].Revision != 7 || len(page) > max(backBytes/size, 1) {
			t.Errorf("a page of records of %d bytes has %d records, %v", size, len(page), err)
		}
	}
}
