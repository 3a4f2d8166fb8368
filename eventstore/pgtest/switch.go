package pgtest

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Switch is an address that leads to one server or another, as a name or a virtual address does.
type Switch struct {
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	target  string
	through map[net.Conn]bool
	met     map[string]int // connections by target
}

// NewSwitch returns an address that leads to c until it is told otherwise, and ends with tb.
func NewSwitch(tb testing.TB, c *Cluster) *Switch {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends at once
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	s := &Switch{listener: listener, target: c.Address(), through: map[net.Conn]bool{}, met: map[string]int{}}
	s.running.Go(s.accept)
	tb.Cleanup(func() {
		_ = listener.Close() // nobody connects any more
		s.Cut()
		s.running.Wait()
	})
	return s
}

// URL returns the address of a database, whose URL at a cluster is given, through s.
func (s *Switch) URL(tb testing.TB, database string) string {
	tb.Helper()
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	u.Host = s.listener.Addr().String()
	return u.String()
}

// To has new connections lead to c. Those that are there stay.
func (s *Switch) To(c *Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = c.Address()
}

// Met returns how many connections were made to c.
func (s *Switch) Met(c *Cluster) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met[c.Address()]
}

// Cut ends every connection.
func (s *Switch) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.through {
		_ = conn.Close() // whoever copies hears of it
	}
}

func (s *Switch) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() { s.pass(conn) })
	}
}

func (s *Switch) pass(client net.Conn) {
	defer client.Close() //nolint:errcheck // ended by one of both
	s.mu.Lock()
	target := s.target
	s.met[target]++
	s.mu.Unlock()
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // ended by one of both
	s.mu.Lock()
	s.through[client] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.through, client)
	}()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	_ = client.Close()
	both.Wait()
}
