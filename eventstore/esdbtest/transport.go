package esdbtest

import (
	"context"
	"net"
	"sync"
	"testing"
)

func listen(tb testing.TB, address string) (net.Listener, error) {
	tb.Helper()
	var config net.ListenConfig
	return config.Listen(context.WithoutCancel(tb.Context()), "tcp", address)
}

// gate stops the traffic of a node while it is closed: who connects is accepted, and gets no answer.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while traffic flows
}

func newGate() *gate {
	open := make(chan struct{})
	close(open)
	return &gate{open: open}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) flows() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// gatedListener accepts connections that go through a gate, until cut is closed: a server does not close those that it has not greeted.
type gatedListener struct {
	net.Listener

	gate *gate
	cut  chan struct{}
}

func (l gatedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{Conn: conn, from: l, closed: make(chan struct{})}, nil
}

type gatedConn struct {
	net.Conn

	from   gatedListener
	once   sync.Once
	closed chan struct{}
}

func (c *gatedConn) wait() error {
	select {
	case <-c.from.gate.flows():
		return nil
	case <-c.from.cut:
		return net.ErrClosed
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *gatedConn) Read(b []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if gone := c.wait(); gone != nil { // it may have been shut meanwhile
		return 0, gone
	}
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
