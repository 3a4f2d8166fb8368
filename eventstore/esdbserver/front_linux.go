package esdbserver

import (
	"net"
	"syscall"
	"time"
)

// boundUnacknowledged makes the system close a connection on which something that was sent stays unacknowledged for long. gRPC does it
// for the connections that it knows as TCP, which those behind the front are not.
func boundUnacknowledged(conn net.Conn, limit time.Duration) {
	const tcpUserTimeout = 0x12 // TCP_USER_TIMEOUT of linux/tcp.h, which package syscall lacks
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // without it, keep-alive pings find out later
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(limit.Milliseconds()))
	})
}

// acknowledging returns conn, of which what was read is acknowledged at once. Clients that leave Nagle's algorithm on, as those on Node
// do, hold back the second part of a request until the first is acknowledged, which the system delays by up to 40 ms.
func acknowledging(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	return &acknowledged{Conn: conn, raw: raw}
}

// acknowledged is a connection that acknowledges what it read.
type acknowledged struct {
	net.Conn
	raw syscall.RawConn
}

// Read implements [net.Conn].
func (a *acknowledged) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	_ = a.raw.Control(acknowledge) // without it, the client is slower
	return n, err
}

// acknowledge acknowledges what was received on fd. The system forgets that it was asked to as soon as something is sent.
func acknowledge(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}
