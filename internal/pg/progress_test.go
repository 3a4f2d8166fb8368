package pg_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/internal/pg"
)

// TestTransfersReportProgress: in clear text and over TLS, in both directions, and what is sent in small steps.
func TestTransfersReportProgress(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	plain := pgtest.Start(t)
	for name, address := range map[string]string{"clear": plain, "TLS": secured(t, plain)} {
		conn := connect(t, address)
		if _, secure := conn.PgConn().Conn().(*tls.Conn); secure != (name == "TLS") {
			t.Fatalf("%s: TLS is %v", name, secure)
		}
		var moved atomic.Int32
		count := func(stop func(), sql string, args ...any) {
			moved.Store(0)
			if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
				t.Fatal(err)
			}
			stop()
		}
		for _, c := range []struct {
			direction, sql string
			args           []any
			least          int32 // steps
		}{
			{"sent", "SELECT length($1::text)", []any{strings.Repeat("x", size)}, size / (64 << 10)},
			{"received", "SELECT repeat('x', 1048576)", nil, 2},
		} {
			if count(pg.OnProgress(conn, func() { moved.Add(1) }), c.sql, c.args...); moved.Load() < c.least {
				t.Errorf("%s: %d bytes %s were %d steps", name, size, c.direction, moved.Load())
			}
		}
		if count(func() {}, "SELECT 1"); moved.Load() != 0 {
			t.Errorf("%s: progress was reported after the end", name)
		}
	}
}

// secured returns the address of something that speaks TLS, and passes on what it is sent to the server of address.
func secured(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	server := u.Host
	serving.Go(func() {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = client.Close() }()
		if _, err := pgproto3.NewBackend(client, client).ReceiveStartupMessage(); err != nil { // asks for TLS
			return
		}
		if _, err := client.Write([]byte("S")); err != nil {
			return
		}
		inside := tls.Server(client, &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12})
		upstream, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", server)
		if err != nil {
			return
		}
		serving.Go(func() {
			_, _ = io.Copy(upstream, inside)
			_ = upstream.Close()
		})
		_, _ = io.Copy(inside, upstream)
	})
	u.Host, u.RawQuery = listener.Addr().String(), "sslmode=require&channel_binding=disable"
	return u.String()
}

// TestTheAddressLimitsConnections: an option goes first, the address next, and fewer than are needed are none too few.
func TestTheAddressLimitsConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parameter    string
		option, want int32
	}{
		{"", 0, 8},
		{"", 3, 3},
		{"?pool_max_conns=5", 0, 5},
		{"?pool_max_conns=50", 0, 50},
		{"?pool_max_conns=5", 3, 3},
		{"?pool_max_conns=1", 0, 2},
		{"?sslmode=disable&pool_max_conns=4", 0, 4}, // what pgxpool has without it
	} {
		if got, err := pg.MaxConns("postgres://u@h/d"+c.parameter, c.option, 2, 8); err != nil || got != c.want {
			t.Errorf("%q, option %d: %d, %v, want %d", c.parameter, c.option, got, err, c.want)
		}
	}
	for _, bad := range []string{"0", "-1", "x", "2147483648", ""} {
		if n, err := pg.MaxConns("postgres://u:secret@h/d?pool_max_conns="+bad, 0, 2, 8); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("pool_max_conns=%s: %d, %v", bad, n, err)
		}
	}
}
