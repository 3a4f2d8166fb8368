package esdbserver_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

func TestOnlyServedMethodsAreAnnounced(t *testing.T) {
	t.Parallel()
	address := served(t, newLog(t), options())
	methods, err := serverfeatures.NewServerFeaturesClient(dialRaw(t, address)).GetSupportedMethods(within(t), &shared.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range methods.Methods {
		got = append(got, m.ServiceName+"/"+m.MethodName)
	}
	const want = "event_store.client.streams.streams/read event_store.client.streams.streams/append " +
		"event_store.client.streams.streams/batchappend event_store.client.gossip.gossip/read " +
		"event_store.client.server_features.serverfeatures/getsupportedmethods"
	if strings.Join(got, " ") != want || methods.EventStoreServerVersion != "24.10.0" {
		t.Errorf("version %s has %v", methods.EventStoreServerVersion, got)
	}
	_, err = persistent.NewPersistentSubscriptionsClient(dialRaw(t, address)).Create(within(t), &persistent.CreateReq{})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "PersistentSubscriptions/Create is not served here") {
		t.Errorf("a persistent subscription: %v", err)
	}
}

func TestGossipTellsTheAddress(t *testing.T) {
	t.Parallel()
	address := served(t, newLog(t), options())
	info, err := gossip.NewGossipClient(dialRaw(t, address)).Read(within(t), &shared.Empty{})
	if err != nil || len(info.Members) != 1 {
		t.Fatalf("%+v, %v", info, err)
	}
	m := info.Members[0]
	if got := fmt.Sprintf("%s:%d", m.HttpEndPoint.Address, m.HttpEndPoint.Port); got != address || !m.IsAlive || m.State != gossip.MemberInfo_Leader {
		t.Errorf("the member at %s is %+v", address, m)
	}
	if m.GetInstanceId().GetStructured() == nil {
		t.Errorf("the id of the member is %+v, want two numbers", m.GetInstanceId())
	}
	discovering := dialURL(t, fmt.Sprintf("esdb+discover://%s?tls=false", address))
	mustAppend(t, discovering, "s", made("e", 1)...)
	o := options()
	o.Advertise = "[2001:db8::1]:2113"
	info, err = gossip.NewGossipClient(dialRaw(t, served(t, newLog(t), o))).Read(within(t), &shared.Empty{})
	if err != nil || info.Members[0].HttpEndPoint.Address != "[2001:db8::1]" || info.Members[0].HttpEndPoint.Port != 2113 {
		t.Errorf("advertised: %+v, %v", info, err)
	}
}

func TestClearTextStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		network, address string
		allow, served    bool
	}{
		{"tcp", "127.0.0.1:0", false, true},
		{"tcp", "0.0.0.0:0", false, false},
		{"tcp", ":0", false, false},
		{"tcp", "0.0.0.0:0", true, true},
		{"unix", filepath.Join(t.TempDir(), "socket"), false, true},
	} {
		o := options()
		o.ClearText = c.allow
		server, err := esdbserver.New(newLog(t), o)
		if err != nil {
			t.Fatal(err)
		}
		var config net.ListenConfig
		listener, err := config.Listen(t.Context(), c.network, c.address)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = server.Serve(ctx, listener)
		if c.served && err != nil || !c.served && !errors.Is(err, esdbserver.ErrClearText) {
			t.Errorf("%s, allowed %t: %v", c.address, c.allow, err)
		}
		if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the listener is left open: %v", c.address, err)
		}
	}
}

func TestServingEndsWithItsListener(t *testing.T) {
	t.Parallel()
	server, err := esdbserver.New(newLog(t), options())
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	done := make(chan error, 1)
	go func() { done <- server.Serve(t.Context(), listener) }()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := esdbserver.New(nil, options()); err == nil {
		t.Error("no log is served")
	}
	for want, change := range map[string]func(*esdbserver.Options){
		"option Now is required":           func(o *esdbserver.Options) { o.Now = nil },
		"option Streams is negative":       func(o *esdbserver.Options) { o.Streams = -1 },
		"option MaxAppendSize is above":    func(o *esdbserver.Options) { o.MaxAppendSize = 2 << 30 },
		"option Advertise":                 func(o *esdbserver.Options) { o.Advertise = "host" },
		`option Advertise: ":2113"`:        func(o *esdbserver.Options) { o.Advertise = ":2113" },
		`option Advertise: "host:99999"`:   func(o *esdbserver.Options) { o.Advertise = "host:99999" },
		"option MaxPendingBytes is negati": func(o *esdbserver.Options) { o.MaxPendingBytes = -1 },
	} {
		o := options()
		change(&o)
		if _, err := esdbserver.New(newLog(t), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

// certificate makes one for 127.0.0.1, signed by itself, and the path of a file with it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

func TestUsersAreAskedForOverTLS(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t)
	o := options()
	o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	var failures atomic.Int64
	o.Failed = func(error) { failures.Add(1) }
	o.Authenticate = func(_ context.Context, user, password string) error {
		switch {
		case user == "broken":
			return errors.New("no answer")
		case user == "ada" && password == "s3cret:with colon":
			return nil
		default:
			return fmt.Errorf("user %q: %w", user, esdbserver.ErrNotAuthenticated)
		}
	}
	log := newLog(t)
	address := served(t, log, o)
	client := func(credentials string) *esdb.Client {
		return dialURL(t, fmt.Sprintf("esdb://%s%s?tlsCaFile=%s", credentials, address, ca))
	}
	ada := client("ada:s3cret%3Awith%20colon@")
	mustAppend(t, ada, "s", made("e", 1)...)
	for r, err := range log.ReadStream(within(t), "s", 0) {
		if err != nil || r.Meta.Actor != "esdb:ada" {
			t.Errorf("recorded as %+v, %v", r.Meta, err)
		}
	}
	tells(t, subscribe(t, ada, "s", esdb.Start{}), "s@0", "caught up")
	for credentials, code := range map[string]esdb.ErrorCode{
		"": esdb.ErrorCodeAccessDenied, "ada:wrong@": esdb.ErrorCodeUnauthenticated, "eve:x@": esdb.ErrorCodeUnauthenticated,
		"broken:x@": esdb.ErrorUnavailable,
	} {
		_, err := client(credentials).AppendToStream(within(t), "s", esdb.AppendToStreamOptions{})
		hasCode(t, err, code)
		_, err = client(credentials).SubscribeToAll(within(t), esdb.SubscribeToAllOptions{})
		if err == nil {
			t.Errorf("credentials %q may subscribe", credentials)
		}
	}
	if n := failures.Load(); n != 2 {
		t.Errorf("the operator is told of %d failures, want 2", n)
	}
}

// Without credentials a call is denied, each append of BatchAppend alone; with wrong ones it is not authenticated, also where none are
// needed. The answer comes once something was received, and so do answers to what is not served.
func TestADeniedCallIsAnswered(t *testing.T) {
	t.Parallel()
	o := options()
	o.MaxPendingBytes = 4000
	o.Authenticate = func(_ context.Context, user, _ string) error {
		if user != "ada" {
			return esdbserver.ErrNotAuthenticated
		}
		return nil
	}
	conn := dialRaw(t, served(t, newLog(t), o))
	client := api.NewStreamsClient(conn)
	as := func(user string) context.Context {
		if user == "" {
			return within(t)
		}
		return metadata.AppendToOutgoingContext(within(t), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":x")))
	}
	unary := func(ctx context.Context, method string) string {
		var trailer metadata.MD
		return answered(conn.Invoke(ctx, method, &shared.Empty{}, &shared.Empty{}, grpc.Trailer(&trailer)), trailer)
	}
	open := []string{"/event_store.client.server_features.ServerFeatures/GetSupportedMethods", "/event_store.client.gossip.Gossip/Read"}
	const nobody, wrong = "PermissionDenied: Access Denied | exception=access-denied", "Unauthenticated: unknown user or wrong password"
	for user, want := range map[string]string{"": nobody, "eve": wrong} {
		call, err := client.Read(as(user), readRequest(func(*api.ReadReq_Options) {}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = call.Recv()
		if got := answered(err, call.Trailer()); got != want {
			t.Errorf("%q reads: %s, want %s", user, got, want)
		}
		appending, err := client.Append(as(user))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			m := proposal(propose(i+1, 10))
			if i == 0 {
				m = beginAny("s")
			}
			if err := appending.Send(m); err != nil {
				t.Errorf("%q: message %d is not taken: %v", user, i, err)
			}
		}
		_, err = appending.CloseAndRecv()
		if got := answered(err, appending.Trailer()); got != want {
			t.Errorf("%q appends: %s, want %s", user, got, want)
		}
	}
	for _, method := range open {
		if got := unary(as(""), method); got != "OK: " {
			t.Errorf("nobody calls %s: %s", method, got)
		}
		if got := unary(as("eve"), method); got != wrong {
			t.Errorf("eve calls %s: %s, want %s", method, got, wrong)
		}
	}
	call, err := client.BatchAppend(as(""))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // whatever they hold, which takes nothing from the appends of users
		want := "PermissionDenied: Access Denied | event_store.client.AccessDenied "
		if got := squeeze(failed(t, exchange(t, call, batch("s", nil, propose(1, 5000))))); got != want {
			t.Errorf("answered %s, want %s", got, want)
		}
	}
	if call, err = client.BatchAppend(as("eve")); err != nil {
		t.Fatal(err)
	}
	if err := call.Send(batch("s", nil, propose(1, 10))); err != nil {
		t.Fatal(err)
	}
	_, err = call.Recv()
	if got := answered(err, nil); got != wrong {
		t.Errorf("answered %s, want %s", got, wrong)
	}
	for _, method := range []string{"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read", "/x.Y/Z"} {
		got := unary(as("ada"), method)
		if name := strings.TrimPrefix(got, "Unimplemented: "); !strings.HasPrefix(name, method) {
			t.Errorf("%s is answered %s", method, got)
		}
	}
}

// exhausted is a listener that fails once, as where too many files are open.
type exhausted struct {
	net.Listener

	failed atomic.Bool
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.failed.CompareAndSwap(false, true) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return e.Listener.Accept()
}

// A passing failure of the listener ends nothing: the next connections are taken.
func TestAListenerGoesOnAfterAPassingFailure(t *testing.T) {
	t.Parallel()
	listener := &exhausted{Listener: listen(t)}
	t.Cleanup(serve(t, newLog(t), options(), listener))
	if written := mustAppend(t, dial(t, listener.Addr().String()), "s", made("e", 1)...); written.CommitPosition != 1 {
		t.Errorf("written at %+v", written)
	}
	if !listener.failed.Load() {
		t.Error("the listener did not fail")
	}
}

// TLS where there is none is told as that, at once.
func TestTLSWhereThereIsNoneIsTold(t *testing.T) {
	t.Parallel()
	dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "localhost"}}
	conn, err := dialer.DialContext(within(t), "tcp", served(t, newLog(t), options()))
	if err == nil {
		_ = conn.Close()
	}
	if wrong, ok := errors.AsType[tls.RecordHeaderError](err); !ok {
		t.Errorf("error is %v (%+v), want one that says that no TLS is spoken", err, wrong)
	}
}

// What does not speak HTTP/2 is answered in words: browsers, probes, and clients that ask for persistent subscriptions.
func TestAnotherProtocolIsAnsweredInWords(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(ca)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	secure := options()
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	for scheme, o := range map[string]esdbserver.Options{"http": options(), "https": secure} {
		address := served(t, newLog(t), o)
		silent, err := (&net.Dialer{}).DialContext(within(t), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = silent.Close() }) // after the server has ended, which it does not hold up
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}}
		t.Cleanup(transport.CloseIdleConnections)
		request, err := http.NewRequestWithContext(within(t), http.MethodGet, scheme+"://"+address+"/subscriptions", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "no persistent subscriptions") {
			t.Errorf("%s: answered %d %q, %v", scheme, response.StatusCode, body, err)
		}
	}
}

// Orchestrators ask the health service of gRPC.
func TestHealthIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		conn, stop := dialInMemory(t, log, options())
		client := grpc_health_v1.NewHealthClient(conn)
		watch, err := client.Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		tells := func(when string, want grpc_health_v1.HealthCheckResponse_ServingStatus, got *grpc_health_v1.HealthCheckResponse, err error) {
			t.Helper()
			if err != nil || got.GetStatus() != want {
				t.Errorf("%s: %v, %v, want %v", when, got, err, want)
			}
		}
		check := func() (*grpc_health_v1.HealthCheckResponse, error) {
			return client.Check(within(t), &grpc_health_v1.HealthCheckRequest{})
		}
		got, err := watch.Recv()
		tells("watched", grpc_health_v1.HealthCheckResponse_SERVING, got, err)
		got, err = check()
		tells("checked", grpc_health_v1.HealthCheckResponse_SERVING, got, err)
		_ = log.Close()
		got, err = check()
		tells("checked when the log is closed", grpc_health_v1.HealthCheckResponse_NOT_SERVING, got, err)
		got, err = watch.Recv()
		tells("watched when the log is closed", grpc_health_v1.HealthCheckResponse_NOT_SERVING, got, err)
		stop()
		got, err = watch.Recv()
		tells("watched at the end", grpc_health_v1.HealthCheckResponse_NOT_SERVING, got, err)
	})
}

// Credentials are taken in one form only.
func TestOddCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	o := options()
	o.Authenticate = func(context.Context, string, string) error { return nil }
	client := dialStreams(t, served(t, newLog(t), o))
	for header, want := range map[string]codes.Code{
		"Basic YTpi": codes.OK, "basic YTo=": codes.OK, "Basic YQ==": codes.Unauthenticated, "Basic": codes.PermissionDenied,
		"Bearer YTpi": codes.PermissionDenied, "Basic !": codes.Unauthenticated, "": codes.PermissionDenied,
	} {
		ctx := metadata.AppendToOutgoingContext(within(t), "authorization", header)
		call, err := client.Read(ctx, readRequest(func(*api.ReadReq_Options) {}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = call.Recv(); errors.Is(err, io.EOF) {
			err = nil
		}
		if status.Code(err) != want {
			t.Errorf("%q: %v, want %s", header, err, want)
		}
	}
}

func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	o := options()
	o.Streams = 2
	address := served(t, newLog(t), o)
	client := dial(t, address)
	tells(t, subscribe(t, client, "s", esdb.Start{}), "caught up")
	second := subscribe(t, client, "s", esdb.Start{})
	tells(t, second, "caught up")
	_, got := sendAppend(t, dialStreams(t, address), beginAny("s"), proposal(propose(1, 10)))
	if want := "Unavailable: too many calls are running: try again later"; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
	_ = second.Close()
	for got != "OK: " { // the server needs a moment to learn it
		if within(t).Err() != nil {
			t.Fatal(got)
		}
		_, got = sendAppend(t, dialStreams(t, address), beginAny("s"), proposal(propose(1, 10)))
	}
}

func TestCallsOfOneConnectionAreBounded(t *testing.T) {
	t.Parallel()
	o := options()
	o.StreamsPerConnection = 1
	address := served(t, newLog(t), o)
	conn := dialStreams(t, address)
	subscription := readRequest(func(o *api.ReadReq_Options) { o.CountOption = &api.ReadReq_Options_Subscription{} })
	first, err := conn.Read(within(t), subscription)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Recv(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if call, err := conn.Read(ctx, subscription); err == nil {
		_, err = call.Recv()
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a second call of the connection: %v", err)
		}
	}
	if _, got := sendAppend(t, dialStreams(t, address), beginAny("s"), proposal(propose(1, 10))); got != "OK: " {
		t.Errorf("a call of another connection: %s", got)
	}
}

// What running appends hold together is bounded, and given back.
func TestPendingBytesAreBounded(t *testing.T) {
	t.Parallel()
	o := options()
	o.MaxPendingBytes = 10_000
	log := &eventstoretest.Faulty{Log: newLog(t)}
	arrived, release := make(chan struct{}), make(chan struct{})
	log.Next(eventstoretest.Hold(arrived, release))
	client := dialStreams(t, served(t, log, o))
	held := make(chan string, 1)
	go func() {
		_, got := sendAppend(t, client, beginAny("s"), proposal(propose(1, 6000)))
		held <- got
	}()
	<-arrived
	_, got := sendAppend(t, client, beginAny("s"), proposal(propose(2, 6000)))
	if want := "Unavailable: too much is being appended at this moment: try again later"; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
	close(release)
	if got := <-held; got != "OK: " {
		t.Error(got)
	}
	for i := range 3 {
		if _, got := sendAppend(t, client, beginAny("s"), proposal(propose(3+i, 6000))); got != "OK: " {
			t.Errorf("append %d, after the others: %s", i, got)
		}
	}
}

// An append that hangs in the log does not hold up the end for longer than the operator allowed.
func TestStoppingDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	o := options()
	o.StopTimeout = 50 * time.Millisecond
	log := &eventstoretest.Faulty{Log: newLog(t)}
	arrived := make(chan struct{})
	log.Next(eventstoretest.Hold(arrived, nil))
	listener := listen(t)
	stop := serve(t, log, o, listener)
	client := dialStreams(t, listener.Addr().String())
	answer := make(chan string, 1)
	go func() {
		_, got := sendAppend(t, client, beginAny("s"), proposal(propose(1, 10)))
		answer <- got
	}()
	<-arrived
	stop()
	if got := <-answer; got == "OK: " {
		t.Error("the append is told as written")
	}
}

// pings sends keep-alive pings over a connection without calls, each a pause after the answer to the one before, and returns what the
// server says to them.
func pings(t *testing.T, address string, n int, pause time.Duration) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(within(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := within(t).Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, bufio.NewReader(conn))
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		<-time.After(pause)
		if err := framer.WritePing(false, [8]byte{byte(i)}); err != nil {
			return "closed"
		}
		if message := answerToPing(framer); message != "" {
			return message
		}
	}
	return ""
}

// answerToPing reads until the server answers a ping, or says why it does not.
func answerToPing(framer *http2.Framer) string {
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.PingFrame:
			if f.IsAck() {
				return ""
			}
		case *http2.GoAwayFrame:
			return string(f.DebugData())
		}
	}
}

// A client that is idle but for its keep-alive pings stays connected; one that floods the server with them does not.
func TestAnIdleClientStaysConnected(t *testing.T) {
	t.Parallel()
	o := options()
	o.KeepAlive = 20 * time.Millisecond
	if message := pings(t, served(t, newLog(t), o), 12, 40*time.Millisecond); message != "" {
		t.Errorf("a client that pings as often as it may is told %q", message)
	}
	o.KeepAlive = 0 // the default: 1 s
	if message := pings(t, served(t, newLog(t), o), 12, time.Millisecond); message != "too_many_pings" {
		t.Errorf("a client that pings too often is told %q", message)
	}
}
