package esdbserver

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/internal/fair"
)

// yields counts the records that a log yields to those who read it.
type yields struct {
	*memory.Log
	n atomic.Int64
}

func (y *yields) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return y.counted(y.Log.Read(ctx, after, f))
}

func (y *yields) ReadStream(ctx context.Context, s eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return y.counted(y.Log.ReadStream(ctx, s, from))
}

func (y *yields) counted(found records) records {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range found {
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
	log  *yields
	dial func(ctx context.Context, host string) (net.Conn, error)
}

// add appends an event of a size to the stream "s", which has n.
func (y *yields) add(tb testing.TB, n, size int) {
	tb.Helper()
	expected := eventstore.NoStream()
	if n > 0 {
		expected = eventstore.AtRevision(eventstore.Revision(n - 1))
	}
	_, err := y.Append(tb.Context(), eventstore.Batch{
		Stream: "s", Expected: expected, Meta: eventstore.Meta{Actor: "a", Attempt: 1},
		Events: []eventstore.NewEvent{{ID: uuid.New(), Type: "e", Data: []byte(`"` + strings.Repeat("x", size-2) + `"`)}},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func serveLarge(tb testing.TB, o Options, n, size int) slowServer {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := serveLargeOn(tb, listener, o, n, size)
	s.dial = func(ctx context.Context, host string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}).DialContext(ctx, "tcp", listener.Addr().String())
	}
	return s
}

// serveLargeInMemory is serveLarge without sockets, for a bubble of package synctest.
func serveLargeInMemory(tb testing.TB, o Options, n, size int) slowServer {
	tb.Helper()
	listener := bufconn.Listen(64 << 10)
	o.ClearText = true
	s := serveLargeOn(tb, listener, o, n, size)
	s.dial = func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	return s
}

func serveLargeOn(tb testing.TB, listener net.Listener, o Options, n, size int) slowServer {
	tb.Helper()
	log := &yields{Log: memory.New(time.Now)}
	for i := range n {
		log.add(tb, i, size)
	}
	o.Now, o.StopTimeout = time.Now, time.Second
	server, err := New(log, o)
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
	return slowServer{Server: server, log: log}
}

// read begins to read count events of $all on a connection of its own; 0 is a subscription.
func (s slowServer) read(tb testing.TB, count uint64) api.Streams_ReadClient {
	tb.Helper()
	return begin(tb, s.connect(tb, "127.0.0.1"), all(count))
}

// connect returns a connection from an address of this machine.
func (s slowServer) connect(tb testing.TB, host string) api.StreamsClient {
	tb.Helper()
	conn, err := grpc.NewClient("passthrough:///", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)),
		grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(1<<20), // else it takes more than is received
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.dial(ctx, host) }))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return api.NewStreamsClient(conn)
}

// begin begins to read; without a count it subscribes.
func begin(tb testing.TB, client api.StreamsClient, o *api.ReadReq_Options) api.Streams_ReadClient {
	tb.Helper()
	if o.GetCount() == 0 {
		o.CountOption = &api.ReadReq_Options_Subscription{}
	}
	call, err := client.Read(tb.Context(), &api.ReadReq{Options: o})
	if err != nil {
		tb.Fatal(err)
	}
	return call
}

// all are the options of a read of $all.
func all(count uint64) *api.ReadReq_Options {
	return &api.ReadReq_Options{
		StreamOption: &api.ReadReq_Options_All{All: &api.ReadReq_Options_AllOptions{AllOption: &api.ReadReq_Options_AllOptions_Start{}}},
		CountOption:  &api.ReadReq_Options_Count{Count: count},
	}
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
		for s.log.n.Load() == before && !s.reads.IsShort() && tb.Context().Err() == nil {
			<-pause.C
		}
	}
	return stalled
}

// What a message counts for is near its size, whatever messages there were before.
func TestABufferIsAtMostTwiceItsMessage(t *testing.T) {
	t.Parallel()
	pool := newMessagePool()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(minCounted, 4*maxPooled).Draw(t, "size")
		buffer := pool.Get(size)
		if len(*buffer) != size || cap(*buffer) > 2*size || size > maxPooled && cap(*buffer) != size {
			t.Fatalf("for %d bytes there is a buffer of %d, of %d", size, len(*buffer), cap(*buffer))
		}
		pool.Put(buffer)
	})
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
		if n := int(s.log.n.Load()); n+s.reads.Waiting() == clients && s.reads.Free() >= int64(8<<20-n*(1<<20+4<<10)) {
			break
		}
		<-pause.C
	}
	// Each client holds one event, and a lap wants room for three, of which the last three are left to others: three fit at most.
	if got := s.log.n.Load(); got > 3 || !s.reads.IsShort() {
		t.Errorf("%d events are held by reads that nobody receives, and memory is short: %v", got, s.reads.IsShort())
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
		if s.reads.Free() == 8<<20 {
			break
		}
		<-pause.C
	}
}

// Clients that receive nothing keep nobody from reading: they are disconnected where memory is short.
func TestASlowReaderIsDisconnectedWhereMemoryIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serveLargeInMemory(t, Options{MaxEventSize: 1 << 20, MaxReadBytes: 4 << 20}, 4, 1<<20-100)
		stalled := s.stall(t, 5)
		began := time.Now()
		if got, err := events(s.read(t, 1), 1); got != 1 || err != nil {
			t.Errorf("one that receives: %d events, %v", got, err)
		}
		cut := 0
		for _, call := range stalled {
			if _, err := events(call, 1); err != nil {
				cut++
			}
		}
		if took := time.Since(began); cut == 0 || took < s.options.SlowReader {
			t.Errorf("%d clients were disconnected after %v", cut, took)
		}
	})
}

// crawl is a connection that reads some bytes a second.
type crawl struct {
	net.Conn
	slow atomic.Bool
}

func (c *crawl) Read(p []byte) (int, error) {
	if c.slow.Load() {
		<-time.After(time.Second)
		p = p[:min(len(p), 4<<10)]
	}
	return c.Conn.Read(p)
}

// A client that reads an event for very long while others wait for memory gets it, since it takes some of it all the time.
func TestAClientThatReadsSlowlyIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serveLargeInMemory(t, Options{MaxEventSize: 2 << 20, MaxReadBytes: 5 << 20}, 1, 2<<20-100)
		dial, c := s.dial, &crawl{}
		s.dial = func(ctx context.Context, host string) (net.Conn, error) {
			conn, err := dial(ctx, host)
			c.Conn = conn
			return c, err
		}
		client := s.connect(t, "")
		if got, err := events(begin(t, client, all(1)), 1); got != 1 || err != nil {
			t.Fatalf("received %d events, %v", got, err)
		}
		c.slow.Store(true)
		began, slow := time.Now(), begin(t, client, all(1))
		synctest.Wait()
		s.dial = dial
		other := s.read(t, 1)
		if got, err := events(slow, 1); got != 1 || err != nil || time.Since(began) < 10*s.options.SlowReader {
			t.Errorf("received %d events, %v, after %v", got, err, time.Since(began))
		}
		if got, err := events(other, 1); got != 1 || err != nil {
			t.Errorf("who waited received %d events, %v", got, err)
		}
	})
}

// A host whose reads are many, and are not received, leaves memory to the read of another one.
func TestManyReadsOfAHostLeaveRoomForAnother(t *testing.T) {
	t.Parallel()
	s := serveLarge(t, Options{MaxEventSize: 1 << 20, MaxReadBytes: 8 << 20, SlowReader: time.Hour}, 1, 1<<20-100)
	for range 20 {
		s.read(t, 1)
	}
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for !s.reads.IsShort() && t.Context().Err() == nil {
		<-pause.C
	}
	call := begin(t, s.connect(t, "127.0.0.2"), all(1))
	if got, err := events(call, 1); got != 1 || err != nil {
		t.Errorf("another host received %d events, %v", got, err)
	}
}

// What subscriptions follow is read of the log once for all of them, and held once.
func TestSubscriptionsShareWhatTheyRead(t *testing.T) {
	t.Parallel()
	const followers, n, size = 200, 5, 20_000
	s := serveLarge(t, Options{}, 1, size)
	stream := &api.ReadReq_Options_StreamOptions{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}, RevisionOption: &api.ReadReq_Options_StreamOptions_End{},
	}
	client := s.connect(t, "127.0.0.1")
	var calls []api.Streams_ReadClient
	for range followers / 2 {
		calls = append(calls, begin(t, client, all(0)),
			begin(t, client, &api.ReadReq_Options{StreamOption: &api.ReadReq_Options_Stream{Stream: stream}}))
	}
	for _, call := range calls {
		for caughtUp := false; !caughtUp; {
			response, err := call.Recv()
			if err != nil {
				t.Fatal(err)
			}
			caughtUp = response.GetCaughtUp() != nil
		}
	}
	before := s.log.n.Load()
	for i := range n {
		s.log.add(t, i+1, size)
		for _, call := range calls {
			if got, err := events(call, 1); got != 1 || err != nil {
				t.Fatalf("event %d: received %d, %v", i, got, err)
			}
		}
	}
	if got := s.log.n.Load() - before; got != n {
		t.Errorf("%d records are read of the log, want %d", got, n)
	}
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for s.options.MaxReadBytes-s.reads.Free() != n*(size+perEvent) && t.Context().Err() == nil { // once, and nothing of the clients'
		<-pause.C
	}
	if err := s.reads.Take(t.Context(), fair.Party{}, s.options.MaxReadBytes); err != nil { // what is kept goes when it is needed
		t.Error(err)
	}
	s.reads.GiveBack(fair.Party{}, s.options.MaxReadBytes)
}

// A subscription that fell behind reads pages that others do not have any more, and each record comes once.
func TestPagesAreReadAgainWhereTheyWereDropped(t *testing.T) {
	t.Parallel()
	const n, size = 12, 300_000 // two in a page
	log := &yields{Log: memory.New(time.Now)}
	defer func() { _ = log.Close() }()
	for i := range n {
		log.add(t, i, size)
	}
	server, err := New(log, Options{Now: time.Now, MaxReadBytes: 40 << 20, MaxEventSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	follow := func(from eventstore.Position) {
		t.Helper()
		p := &pace{service: &service{Server: server}, flow: newFlow()}
		next := from + 1
		for r, err := range p.recent(t.Context(), from, n) {
			if err != nil || r.Position != next {
				t.Fatalf("record %d, %v, want %d", r.Position, err, next)
			}
			next++
		}
		if next != n+1 || p.held != 0 {
			t.Errorf("the last record is %d, and %d bytes are held", next-1, p.held)
		}
	}
	for _, c := range []struct {
		from eventstore.Position
		read int64 // of the log
	}{{0, n}, {0, 0}, {3, 0}, {n - 1, 0}, {n, 0}} {
		before := log.n.Load()
		follow(c.from)
		if got := log.n.Load() - before; got != c.read {
			t.Errorf("from %d on, %d records are read of the log, want %d", c.from, got, c.read)
		}
	}
	if !server.pages.has(0) || !server.pages.has(n) {
		t.Error("a page that is kept is not known, or the next one is not expected")
	}
	server.pages.evict(3 * size) // the last page alone is left
	if server.pages.has(3) || !server.pages.has(n-1) || server.reads.Free() != 40<<20-2*(size+perEvent) {
		t.Errorf("%d bytes are free when the last page is kept", server.reads.Free())
	}
	before := log.n.Load()
	follow(1)                                     // in the middle of a page that was dropped
	if got := log.n.Load() - before; got != n-2 { // two by two, up to the one before the last
		t.Errorf("%d records are read again", got)
	}
}

// Many who want one page read it once, and who fails leaves it to the next.
func TestOneReadsForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &heldReads{Log: memory.New(time.Now), begun: make(chan struct{}), end: make(chan error)}
		(&yields{Log: log.Log}).add(t, 0, 100)
		server, err := New(log, Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error, 10)
		for range cap(failed) {
			go func() {
				p := &pace{service: &service{Server: server}, flow: newFlow()}
				g, err := p.borrow(t.Context(), 0)
				if g != nil && p.held >= server.options.lapSize() {
					t.Errorf("%d bytes are held beside a page", p.held)
				}
				failed <- err
			}()
		}
		<-log.begun
		synctest.Wait()
		if got := server.options.MaxReadBytes - server.reads.Free(); got != server.options.lapSize() {
			t.Errorf("%d bytes are held by the one who reads and those who wait for it", got)
		}
		log.end <- io.ErrUnexpectedEOF
		<-log.begun
		log.end <- nil // no more reads, or this would wait for ever
		errs := 0
		for range cap(failed) {
			if err := <-failed; err != nil {
				errs++
			}
		}
		if errs != 1 {
			t.Errorf("%d of them failed", errs)
		}
		_ = log.Close()
	})
}

// heldReads is a log whose reads wait for the test.
type heldReads struct {
	*memory.Log
	begun chan struct{}
	end   chan error
}

func (h *heldReads) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		h.begun <- struct{}{}
		if err := <-h.end; err != nil {
			yield(eventstore.Record{}, err)
			return
		}
		h.Log.Read(ctx, after, f)(yield)
	}
}

// A client that takes a part of a message now and then is not cut off, however long the message takes; one that takes nothing is.
func TestAClientIsSlowIfItTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reads := fair.NewBudget(1, 1, 0)
		if err := reads.Take(t.Context(), fair.Party{}, 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = reads.Take(ctx, fair.Party{}, 1) }() // memory is short
		synctest.Wait()
		defer cancel()
		p := &pace{
			service: &service{Server: &Server{reads: reads, options: Options{SlowReader: 30 * time.Second}}}, flow: newFlow(), cut: func() {},
		}
		wait := func() <-chan error {
			ended := make(chan error, 1)
			go func() { ended <- p.waitForClient(t.Context(), nil) }()
			return ended
		}
		buffer := make([]byte, 1<<20)
		message := p.flow.count(&buffer, newMessagePool())
		client := message.Reader()
		message.Free()
		ended := wait()
		for part := make([]byte, piece); client.Remaining() > len(part); {
			<-time.After(29 * time.Second)
			if len(ended) > 0 || p.flow.size() != len(buffer) {
				t.Fatalf("with %d bytes left: ended %d, %d bytes counted", client.Remaining(), len(ended), p.flow.size())
			}
			if _, err := client.Read(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil || p.flow.size() != 0 {
			t.Errorf("a slow client: %v, %d bytes counted", err, p.flow.size())
		}
		p.flow.count(&buffer, newMessagePool())
		began := time.Now()
		if err := <-wait(); !errors.Is(err, errSlow) || time.Since(began) != 30*time.Second {
			t.Errorf("a client that takes nothing: %v after %v", err, time.Since(began))
		}
	})
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
	for _, c := range []struct{ n, size int }{{9, 10}, {9, 1 << 20}, {4, 5 << 20}} {
		n, size := c.n, c.size
		s := serveLarge(t, Options{}, n, size)
		v := &service{Server: s.Server}
		from := eventstore.Revision(n - 2)
		next := from
		for r, err := range v.backFrom(t.Context(), "s", uint64(from)) {
			if err != nil || r.Revision != next {
				t.Fatalf("records of %d bytes: revision %d, %v, want %d", size, r.Revision, err, next)
			}
			next--
		}
		if next+1 != 0 {
			t.Errorf("records of %d bytes end behind revision %d", size, next)
		}
		page, err := v.pageUpTo(t.Context(), "s", 0, uint64(from)+1)
		if err != nil || len(page) == 0 || page[len(page)-1].Revision != from || len(page) > max(backBytes/size, 1) {
			t.Errorf("a page of records of %d bytes has %d records, %v", size, len(page), err)
		}
	}
}
