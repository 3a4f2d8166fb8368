//go:build linux

package esdbserver

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// The connections behind the front do not wait for ever for a client that has gone.
func TestConnectionsHaveAUserTimeout(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(listener, nil)
	t.Cleanup(func() { _ = f.Close() })
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if _, err := client.Write([]byte(prefaceStart)); err != nil {
		t.Fatal(err)
	}
	accepted, err := f.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	behind, ok := accepted.(*greeted)
	if !ok {
		t.Fatalf("the connection is a %T", accepted)
	}
	tcp, ok := behind.Conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("the connection behind is a %T", behind.Conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	controlled := raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, 0x12) })
	if want := int(pingTimeout / time.Millisecond); controlled != nil || err != nil || got != want {
		t.Errorf("the user timeout is %d ms, %v, %v, want %d", got, controlled, err, want)
	}
}

// An answer in words reaches a client that is still sending: the connection is not reset before the client has read it.
func TestAnAnswerInWordsIsNotCutOff(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(listener, nil)
	t.Cleanup(func() { _ = f.Close() })
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	body := make([]byte, 64<<10)
	if _, err := client.Write(append([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n"), body...)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := client.Read(answer); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(body[:1]); err != nil { // a reset would have come by now
		t.Fatal(err)
	}
	rest, err := io.ReadAll(client)
	if err != nil || !bytes.Contains(rest, []byte("no persistent subscriptions")) {
		t.Errorf("answered %q, %v", rest, err)
	}
}
