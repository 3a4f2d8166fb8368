package esdbserver_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// BenchmarkServe puts five loads on a server of a SQLite log on disk, over a socket: appends of 1000 events, single appends one after
// the other, 32 writers at once, reads of streams, and a filtered subscription to $all. Appends go over one call of BatchAppend, as
// clients with one connection send them. Beside the events a second it reports, as limit/s, what bounds them from the same run: for
// appends, writes of the same bytes to a file of the same folder, each flushed to disk (32 in a flush for 32 writers); for reads, as
// many messages of the same size that a gRPC server has ready. `docs/performance.md` keeps figures.
func BenchmarkServe(b *testing.B) {
	const perAppend = 1000
	streams, subscribed := 50, 50_000
	if testing.Short() {
		streams, subscribed = 2, 2_000
	}
	b.Run("append=1000", func(b *testing.B) { benchAppends(b, perAppend) })
	b.Run("append=1", func(b *testing.B) { benchAppends(b, 1) })
	b.Run("writers=32", benchWriters)
	read := func(i int) *api.ReadReq { return readStream(fmt.Sprintf("orders-%d", i%streams)) }
	b.Run("read", func(b *testing.B) { benchReads(b, streams, perAppend, perAppend, read) })
	b.Run("subscribe", func(b *testing.B) {
		benchReads(b, streams, perAppend, subscribed, func(int) *api.ReadReq { return subscribeOrders() })
	})
}

// benchServer serves a new SQLite log in folder.
func benchServer(b *testing.B, folder string) api.StreamsClient {
	b.Helper()
	log, err := sqlite.Open(b.Context(), filepath.Join(folder, "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := log.Close(); err != nil {
			b.Error(err)
		}
	})
	return dialStreams(b, served(b, log, options()))
}

func benchAppends(b *testing.B, n int) {
	b.Helper()
	folder := b.TempDir()
	appender := newBatchAppender(b, benchServer(b, folder))
	limit := newFlushes(b, folder)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		request := orders(fmt.Sprintf("orders-%d", i), n)
		limit.write(b, request)
		b.StartTimer()
		appender.append(b, request)
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(n)*limit.perSecond(), "limit/s")
}

func benchWriters(b *testing.B) {
	const writers = 32
	folder := b.TempDir()
	appender := newBatchAppender(b, benchServer(b, folder))
	b.ResetTimer()
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range b.N {
				appender.append(b, orders(fmt.Sprintf("orders-%d-%d", w, i), 1))
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64(writers*b.N)/b.Elapsed().Seconds(), "events/s")
	limit := newFlushes(b, folder)
	for range b.N {
		limit.write(b, orders("orders-0-0", writers))
	}
	b.ReportMetric(writers*limit.perSecond(), "limit/s")
}

// benchReads reads want events with each request, of a log of streams with perStream events each.
func benchReads(b *testing.B, streams, perStream, want int, request func(i int) *api.ReadReq) {
	b.Helper()
	client := benchServer(b, b.TempDir())
	appender := newBatchAppender(b, client)
	for i := range streams {
		appender.append(b, orders(fmt.Sprintf("orders-%d", i), perStream))
	}
	sample := readEvents(b, client, readStream("orders-0"), 1)
	ready := readyServer(b, sample)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		readEvents(b, client, request(i), want)
	}
	b.ReportMetric(float64(want*b.N)/b.Elapsed().Seconds(), "events/s")
	began := time.Now()
	for i := range b.N {
		readEvents(b, ready, request(i), want)
	}
	b.ReportMetric(float64(want*b.N)/time.Since(began).Seconds(), "limit/s")
}

// orders is an append of n events to a stream, as a service sends it.
func orders(stream string, n int) *api.BatchAppendReq {
	request := &api.BatchAppendReq{
		CorrelationId: benchID(),
		Options: &api.BatchAppendReq_Options{
			StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
			ExpectedStreamPosition: &api.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		},
		IsFinal: true,
	}
	filler := strings.Repeat("x", 200)
	for i := range n {
		request.ProposedMessages = append(request.ProposedMessages, &api.BatchAppendReq_ProposedMessage{
			Id: benchID(), Metadata: map[string]string{"type": "OrderPlaced", "content-type": "application/json"},
			Data: fmt.Appendf(nil, `{"n":%d,"s":%q}`, i, filler),
		})
	}
	return request
}

func benchID() *shared.UUID {
	id := uuid.New()
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

// batchAppender appends over one call of BatchAppend. It is safe for concurrent use.
type batchAppender struct {
	call    api.Streams_BatchAppendClient
	mu      sync.Mutex // guards sending, and all below
	waiting map[int64]chan<- *api.BatchAppendResp
}

func newBatchAppender(b *testing.B, client api.StreamsClient) *batchAppender {
	b.Helper()
	call, err := client.BatchAppend(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	a := &batchAppender{call: call, waiting: map[int64]chan<- *api.BatchAppendResp{}}
	go a.receive()
	return a
}

func correlated(id *shared.UUID) int64 { return id.GetStructured().GetMostSignificantBits() }

func (a *batchAppender) receive() {
	for {
		response, err := a.call.Recv()
		a.mu.Lock()
		if err != nil {
			for _, answer := range a.waiting {
				close(answer)
			}
			a.mu.Unlock()
			return
		}
		a.waiting[correlated(response.GetCorrelationId())] <- response
		delete(a.waiting, correlated(response.GetCorrelationId()))
		a.mu.Unlock()
	}
}

// append appends, and fails the benchmark unless it was acknowledged.
func (a *batchAppender) append(b *testing.B, request *api.BatchAppendReq) {
	b.Helper()
	answer := make(chan *api.BatchAppendResp, 1)
	a.mu.Lock()
	a.waiting[correlated(request.GetCorrelationId())] = answer
	err := a.call.Send(request)
	a.mu.Unlock()
	if response := <-answer; err != nil || response.GetSuccess() == nil {
		b.Errorf("answered %v, %v, want a success", response, err)
	}
}

// flushes are writes to a file that are flushed one by one.
type flushes struct {
	file  *os.File
	count int
	took  time.Duration
}

func newFlushes(b *testing.B, folder string) *flushes {
	b.Helper()
	file, err := os.Create(filepath.Join(folder, "limit"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	return &flushes{file: file}
}

func (f *flushes) write(b *testing.B, request proto.Message) {
	b.Helper()
	data, err := proto.Marshal(request)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if _, err := f.file.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := f.file.Sync(); err != nil {
		b.Fatal(err)
	}
	f.count, f.took = f.count+1, f.took+time.Since(began)
}

func (f *flushes) perSecond() float64 { return float64(f.count) / f.took.Seconds() }

func readStream(stream string) *api.ReadReq {
	return &api.ReadReq{Options: &api.ReadReq_Options{
		StreamOption: &api.ReadReq_Options_Stream{Stream: &api.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
			RevisionOption:   &api.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &api.ReadReq_Options_Count{Count: 1000},
		FilterOption: &api.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &api.ReadReq_Options_UUIDOption{Content: &api.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}}
}

func subscribeOrders() *api.ReadReq {
	return &api.ReadReq{Options: &api.ReadReq_Options{
		StreamOption: &api.ReadReq_Options_All{All: &api.ReadReq_Options_AllOptions{
			AllOption: &api.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption: &api.ReadReq_Options_Subscription{Subscription: &api.ReadReq_Options_SubscriptionOptions{}},
		FilterOption: &api.ReadReq_Options_Filter{Filter: &api.ReadReq_Options_FilterOptions{
			Filter: &api.ReadReq_Options_FilterOptions_StreamIdentifier{
				StreamIdentifier: &api.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"orders-"}},
			},
			Window:                       &api.ReadReq_Options_FilterOptions_Max{Max: 1000},
			CheckpointIntervalMultiplier: 10,
		}},
		UuidOption: &api.ReadReq_Options_UUIDOption{Content: &api.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}}
}

// readEvents reads until it has want events, and returns the last.
func readEvents(b *testing.B, client api.StreamsClient, request *api.ReadReq, want int) (last *api.ReadResp) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	call, err := client.Read(ctx, request, grpc.MaxCallRecvMsgSize(1<<30))
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < want; {
		response, err := call.Recv()
		if err != nil {
			b.Fatalf("after %d events: %v", n, err)
		}
		if response.GetEvent() != nil {
			last, n = response, n+1
		}
	}
	return last
}

// readyServer answers every call with a message again and again, until its client goes.
func readyServer(b *testing.B, message proto.Message) api.StreamsClient {
	b.Helper()
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		for {
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		}
	}))
	listener := listen(b)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	b.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return dialStreams(b, listener.Addr().String())
}
