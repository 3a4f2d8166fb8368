package pg

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// writeBytes bounds one write to the network. A large one would block until all of it has gone, and nobody could tell a
	// slow link from a dead one.
	writeBytes = 64 << 10
	// bufferBytes bounds what the operating system takes ahead of the network, which may be 4 MiB without: it counts as
	// written, and takes a slow link long. So many bytes can be running, enough for 2.5 MB/s and a round trip of 100 ms.
	bufferBytes = 256 << 10
)

// progressConn is a network connection that reports that bytes moved.
type progressConn struct {
	net.Conn

	moved atomic.Pointer[func()]
}

// watchProgress has the connections of c report progress. TLS comes on top of what dials.
func watchProgress(c *pgconn.Config) {
	dial := c.DialFunc
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if buffered, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
			_ = buffered.SetWriteBuffer(bufferBytes) // with another, progress is noticed later
		}
		return &progressConn{Conn: conn}, nil
	}
}

func (c *progressConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.report(n)
	return n, err
}

func (c *progressConn) Write(p []byte) (int, error) {
	written := 0
	for {
		n, err := c.Conn.Write(p[written:min(len(p), written+writeBytes)])
		c.report(n)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

func (c *progressConn) report(n int) {
	if moved := c.moved.Load(); moved != nil && n > 0 {
		(*moved)()
	}
}

// OnProgress calls moved whenever bytes were written to or read from the server over conn, until stop is called. What
// the operating system or something on the way has taken counts as written. moved may run once more after stop, and at
// the same time as itself. A connection has one such function; conn comes from a configuration of [Parse].
func OnProgress(conn *pgx.Conn, moved func()) (stop func()) {
	network := conn.PgConn().Conn()
	if secure, ok := network.(*tls.Conn); ok {
		network = secure.NetConn()
	}
	c, ok := network.(*progressConn)
	if !ok {
		return func() {}
	}
	c.moved.Store(&moved)
	return func() { c.moved.Store(nil) }
}
