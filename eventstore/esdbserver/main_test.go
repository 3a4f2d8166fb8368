package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for. It is reached only by a server that hangs.
const patience = 2 * time.Minute

func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// options are those of most tests: clients may write everywhere but where the engine does.
func options() esdbserver.Options {
	return esdbserver.Options{Now: time.Now, Writable: []string{""}, StopTimeout: time.Second}
}

// engineOptions let clients write as engines do.
func engineOptions() esdbserver.Options {
	o := options()
	o.Writable, o.AllowEngineStreams = nil, true
	return o
}

// listen listens on a free port of this machine.
func listen(tb testing.TB) net.Listener {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return listener
}

// served serves log until the test ends, and returns its address.
func served(tb testing.TB, log eventstore.Log, o esdbserver.Options) string {
	tb.Helper()
	listener := listen(tb)
	tb.Cleanup(serve(tb, log, o, listener))
	return listener.Addr().String()
}

// serve serves log on listener until the returned function is called.
func serve(tb testing.TB, log eventstore.Log, o esdbserver.Options, listener net.Listener) (stop func()) {
	tb.Helper()
	server, err := esdbserver.New(log, o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	}
}

// newLog returns an empty log in memory.
func newLog(t *testing.T) *memory.Log {
	t.Helper()
	log := memory.New(time.Now)
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// overLogs returns clients of two servers, by the kind of their log: the reference and the default.
func overLogs(t *testing.T, o esdbserver.Options) map[string]*esdb.Client {
	t.Helper()
	log, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]*esdb.Client{"memory": dial(t, served(t, newLog(t), o)), "sqlite": dial(t, served(t, log, o))}
}

// dial returns the official Go client, connected to address in clear text.
func dial(t *testing.T, address string) *esdb.Client {
	t.Helper()
	return dialURL(t, fmt.Sprintf("esdb://%s?tls=false", address))
}

func dialURL(t *testing.T, url string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(url)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	deadline := patience // the client's own is 10 s, which a loaded machine may need for a large event
	config.DefaultDeadline = &deadline
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// dialRaw returns a connection without a client's ideas of what may be sent.
func dialRaw(tb testing.TB, address string, more ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	conn, err := grpc.NewClient(address, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// dialStreams is dialRaw with the messages of the official Go client, which are not those of the server.
func dialStreams(tb testing.TB, address string) api.StreamsClient {
	tb.Helper()
	return api.NewStreamsClient(dialRaw(tb, address))
}

// dialInMemory serves log over connections in memory until the test ends or stop is called, and returns one: for tests in a bubble of
// package synctest, whose time does not pass while they wait for a socket.
func dialInMemory(t *testing.T, log eventstore.Log, o esdbserver.Options) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	o.ClearText = true
	stop = sync.OnceFunc(serve(t, log, o, listener))
	t.Cleanup(stop)
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	return dialRaw(t, "passthrough:///memory", grpc.WithContextDialer(dial)), stop
}

// made returns n events of a client.
func made(name string, n int) []esdb.EventData {
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{
			EventID: uuid.New(), EventType: name, ContentType: esdb.ContentTypeJson,
			Data: fmt.Appendf(nil, `{"n": %d}`, i), Metadata: fmt.Appendf(nil, `{"user":"u%d"}`, i),
		}
	}
	return events
}

// mustAppend appends events at whatever revision the stream is.
func mustAppend(t *testing.T, client *esdb.Client, stream string, events ...esdb.EventData) *esdb.WriteResult {
	t.Helper()
	written, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{}, events...)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

// drain reads a stream of the client to its end.
func drain(t *testing.T, stream *esdb.ReadStream, err error) []*esdb.RecordedEvent {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var events []*esdb.RecordedEvent
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e.OriginalEvent())
	}
}

// places names events as "stream@revision".
func places(events []*esdb.RecordedEvent) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = fmt.Sprintf("%s@%d", e.StreamID, e.EventNumber)
	}
	return list
}

// hasCode fails unless err is the client's error of that code.
func hasCode(t *testing.T, err error, code esdb.ErrorCode) {
	t.Helper()
	fault, ok := esdb.FromError(err)
	if ok {
		t.Fatalf("no error, want %v", code)
	}
	if fault.Code() != code {
		t.Fatalf("%v, want code %v", fault, code)
	}
}
