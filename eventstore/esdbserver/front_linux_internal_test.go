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

// The connections behind the front do not wait for ever for a client that has gone, and let none wait.
func TestConnectionsHaveTheirOptions(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(listener, nil, func(int) {})
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
	if got, want := optionOf(t, accepted, 0x12), int(pingTimeout/time.Millisecond); got != want {
		t.Errorf("the user timeout is %d ms, want %d", got, want)
	}
	if _, err := accepted.Read(make([]byte, len(prefaceStart))); err != nil {
		t.Fatal(err)
	}
	// A connection that answered delays what it acknowledges, until it is told not to.
	for range 8 {
		if _, err := accepted.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, len("answer"))); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write([]byte("ask")); err != nil {
			t.Fatal(err)
		}
		if _, err := accepted.Read(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		if optionOf(t, accepted, syscall.TCP_QUICKACK) == 0 {
			t.Error("what was read is not acknowledged at once")
		}
	}
}

// optionOf returns an option of TCP of an accepted connection.
func optionOf(t *testing.T, accepted net.Conn, option int) (value int) {
	t.Helper()
	behind, ok := accepted.(*greeted)
	if !ok {
		t.Fatalf("the connection is a %T", accepted)
	}
	acknowledging, ok := behind.Conn.(*acknowledged)
	if !ok {
		t.Fatalf("the connection behind is a %T", behind.Conn)
	}
	var err error
	controlled := acknowledging.raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option) })
	if controlled != nil || err != nil {
		t.Fatal(controlled, err)
	}
	return value
}

// An answer in words reaches a client that is still sending: the connection is not reset before the client has read it.
func TestAnAnswerInWordsIsNotCutOff(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(listener, nil, func(int) {})
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
