//go:build !linux

package esdbserver

import (
	"net"
	"time"
)

// boundUnacknowledged does nothing: keep-alive pings find a client that has gone.
func boundUnacknowledged(net.Conn, time.Duration) {}

// acknowledging returns conn.
func acknowledging(conn net.Conn) net.Conn { return conn }
