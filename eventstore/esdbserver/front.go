package esdbserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// front is a listener whose connections speak HTTP/2, over TLS where the server does. Others, such as those of browsers, probes and
// clients that ask for persistent subscriptions over HTTP/1.1, are answered in words and closed.
type front struct {
	net.Listener
	config *tls.Config // nil for clear text
	ready  chan net.Conn
	failed chan error // why no more connections come
	done   chan struct{}
	count  func(change int) // is told of each connection that speaks HTTP/2

	mu      sync.Mutex
	pending map[net.Conn]bool // accepted, and not known yet; nil once closed
	waiting sync.WaitGroup
}

func newFront(listener net.Listener, config *tls.Config, count func(change int)) *front {
	f := &front{
		Listener: listener, count: count, ready: make(chan net.Conn), failed: make(chan error, 1), done: make(chan struct{}), pending: map[net.Conn]bool{},
	}
	if config != nil {
		f.config = config.Clone()
		f.config.NextProtos = []string{"h2", "http/1.1"}
	}
	f.waiting.Go(f.accept)
	return f
}

func (f *front) accept() {
	pause := time.Duration(0)
	for {
		conn, err := f.Listener.Accept()
		if passing, ok := errors.AsType[interface {
			error
			Temporary() bool
		}](err); ok && passing.Temporary() { // too many files are open, for example
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
				continue
			case <-f.done:
			}
		}
		if err != nil {
			f.failed <- err
			return
		}
		pause = 0
		f.mu.Lock()
		if f.pending == nil {
			_ = conn.Close()
		} else {
			f.pending[conn] = true
			f.waiting.Go(func() { f.admit(conn) })
		}
		f.mu.Unlock()
	}
}

// admit hands a connection to Accept once it is seen to speak HTTP/2.
func (f *front) admit(conn net.Conn) {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.pending, conn)
	}()
	late := time.AfterFunc(handshakeTimeout, func() { _ = conn.Close() })
	spoken, isHTTP2 := f.greet(conn)
	if !isHTTP2 {
		linger(conn)
	}
	if !late.Stop() || !isHTTP2 {
		_ = conn.Close()
		return
	}
	boundUnacknowledged(conn, pingTimeout)
	f.count(1)
	spoken.ended = sync.OnceFunc(func() { f.count(-1) })
	select {
	case f.ready <- spoken:
	case <-f.done:
		_ = spoken.Close()
	}
}

// linger ends what is written to a connection and reads what its client still sends, within the time of the handshake: closing a
// connection with bytes that nobody read resets it, and its client may lose the answer.
func linger(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxLingered))
	}
}

// maxLingered is how much is read of a client that was answered.
const maxLingered = 1 << 20

// prefaceStart begins every connection of HTTP/2 (RFC 9113 section 3.4), and no request of HTTP/1.1.
const prefaceStart = "PRI "

// greet reads the first bytes of a connection, and answers what is not HTTP/2.
func (f *front) greet(conn net.Conn) (spoken *greeted, isHTTP2 bool) {
	conn = acknowledging(conn)
	if f.config != nil {
		conn = tls.Server(conn, f.config)
	}
	first := make([]byte, len(prefaceStart))
	if _, err := io.ReadFull(conn, first); err != nil {
		return nil, false
	}
	all := io.MultiReader(bytes.NewReader(first), conn)
	if string(first) == prefaceStart {
		return &greeted{Conn: conn, reader: all}, true
	}
	if strings.Trim(string(first), "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") == "" { // the method of a request, which is read before it is answered
		_, _ = http.ReadRequest(bufio.NewReader(io.LimitReader(all, maxHeaderBytes)))
	}
	answerInWords(conn)
	return nil, false
}

// answerInWords answers what is not gRPC. A client that begins TLS where there is none sees by it that this is no TLS.
func answerInWords(conn io.Writer) {
	const text = "This port serves a gxpledger log to EventStoreDB clients, over gRPC (HTTP/2). It has neither pages nor an HTTP API,\n" +
		"and no persistent subscriptions: subscribe to a stream or to $all, and keep the position yourself.\n"
	response := http.Response{
		StatusCode: http.StatusNotImplemented, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header:        http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text)),
	}
	_ = response.Write(conn) // nobody is there to be told
}

// Accept returns the next connection that speaks HTTP/2.
func (f *front) Accept() (net.Conn, error) {
	select {
	case conn := <-f.ready:
		return conn, nil
	case err := <-f.failed:
		f.failed <- err
		return nil, err
	}
}

// Close closes the listener and the connections that were not handed out yet.
func (f *front) Close() error {
	err := f.Listener.Close()
	f.mu.Lock()
	open := f.pending != nil
	for conn := range f.pending {
		_ = conn.Close()
	}
	f.pending = nil
	f.mu.Unlock()
	if open {
		close(f.done)
	}
	f.waiting.Wait()
	return err
}

// greeted is a connection of which the first bytes were read already.
type greeted struct {
	net.Conn
	reader io.Reader
	ended  func() // is called when it is closed
}

// Close implements [net.Conn].
func (g *greeted) Close() error {
	g.ended()
	return g.Conn.Close()
}

// Read implements [net.Conn].
func (g *greeted) Read(p []byte) (int, error) { return g.reader.Read(p) }

// knownConns are credentials that know the connection of a call, so that it can be closed. The front speaks TLS.
type knownConns struct{}

// knownConn is the connection of a call.
type knownConn struct{ net.Conn }

// AuthType implements [credentials.AuthInfo].
func (knownConn) AuthType() string { return "front" }

// disconnect closes the connection of a call.
func disconnect(ctx context.Context) {
	if p, ok := peer.FromContext(ctx); ok {
		if known, ok := p.AuthInfo.(knownConn); ok {
			_ = known.Close()
		}
	}
}

// ServerHandshake implements [credentials.TransportCredentials].
func (knownConns) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return conn, knownConn{conn}, nil
}

// ClientHandshake implements [credentials.TransportCredentials].
func (knownConns) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these credentials are for servers")
}

// Info implements [credentials.TransportCredentials].
func (knownConns) Info() credentials.ProtocolInfo { return credentials.ProtocolInfo{} }

// Clone implements [credentials.TransportCredentials].
func (k knownConns) Clone() credentials.TransportCredentials { return k }

// OverrideServerName implements [credentials.TransportCredentials].
func (knownConns) OverrideServerName(string) error { return nil }
