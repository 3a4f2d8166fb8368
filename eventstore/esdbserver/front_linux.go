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
