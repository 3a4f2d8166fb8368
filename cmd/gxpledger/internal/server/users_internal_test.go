package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/peer"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// from is the context of a call of a peer.
func from(ctx context.Context, host string) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(host), Port: 1}})
}

// checks are password checks that a test lets through one by one.
type checks struct {
	*Users
	begun, end chan string // the password
}

func newChecks(t *testing.T) *checks {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users, err := ParseUsers([]byte("ada:" + string(hash)))
	if err != nil {
		t.Fatal(err)
	}
	c := &checks{Users: users, begun: make(chan string), end: make(chan string)}
	users.compare = func(_, password []byte) error {
		c.begun <- string(password)
		if <-c.end != "right" {
			return bcrypt.ErrMismatchedHashAndPassword
		}
		return nil
	}
	return c
}

// waits blocks until n checks wait for their turn.
func (c *checks) waits(t *testing.T, n int) {
	t.Helper()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for t.Context().Err() == nil {
		if c.hashing.Waiting() == n {
			return
		}
		<-pause.C
	}
}

// A host that guesses has one check between two of another host, and a user of it one between two of another user, however many of its
// calls wait.
func TestGuessesDoNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	var calls sync.WaitGroup
	for i := range 6 {
		calls.Go(func() { _ = c.Authenticate(from(t.Context(), "192.0.2.1"), "ada", "guess"+strconv.Itoa(i)) })
		if i == 0 {
			<-c.begun
		}
	}
	c.waits(t, 5)
	for i, user := range []string{"eve", "eve", "ada"} {
		calls.Go(func() { _ = c.Authenticate(from(t.Context(), "192.0.2."+strconv.Itoa(min(i, 1)+1)), user, user) })
		c.waits(t, 6+i)
	}
	c.end <- "wrong"
	var order []string
	for range 8 {
		password := <-c.begun
		order = append(order, strings.TrimRight(password, "0123456789"))
		c.end <- "wrong"
	}
	calls.Wait()
	if want := []string{"guess", "eve", "eve", "ada", "guess", "guess", "guess", "guess"}; !slices.Equal(order, want) {
		t.Errorf("checked in the order %v, want %v", order, want)
	}
}

// Nothing is computed for a client that has gone, and others get its turn.
func TestAPasswordIsNotCheckedForAClientThatHasGone(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	var calls sync.WaitGroup
	calls.Go(func() { _ = c.Authenticate(from(t.Context(), "192.0.2.1"), "ada", "wrong") })
	<-c.begun
	gone, cancel := context.WithCancel(from(t.Context(), "192.0.2.1"))
	calls.Go(func() {
		if err := c.Authenticate(gone, "ada", "gone"); !errors.Is(err, context.Canceled) {
			t.Errorf("a client that has gone: %v", err)
		}
	})
	c.waits(t, 1)
	cancel()
	c.waits(t, 0)
	calls.Go(func() { _ = c.Authenticate(from(t.Context(), "192.0.2.3"), "ada", "right") })
	c.waits(t, 1)
	c.end <- "wrong"
	if password := <-c.begun; password != "right" {
		t.Errorf("%q is checked", password)
	}
	c.end <- "right"
	calls.Wait()
	if err := c.Authenticate(gone, "ada", "gone"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that ended before: %v", err)
	}
}

// Calls that log in at once with one password cost one check, and more than may wait are refused, not queued.
func TestAPasswordIsCheckedOnce(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	var calls sync.WaitGroup
	for i := range maxWaiting + 1 {
		calls.Go(func() {
			if err := c.Authenticate(from(t.Context(), "192.0.2.1"), "ada", "right"); err != nil {
				t.Error(err)
			}
		})
		if i == 0 {
			<-c.begun
		}
	}
	c.waits(t, maxWaiting)
	if err := c.Authenticate(from(t.Context(), "192.0.2.1"), "ada", "right"); !errors.Is(err, esdbserver.ErrTooManyLogins) {
		t.Errorf("one more: %v", err)
	}
	c.end <- "right" // a second check would wait for ever
	calls.Wait()
}

// What is refused too often is counted for each peer, and the count is written.
func TestRefusalsOfAPeerAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	lines := map[string]int{}
	r := NewRefusals(func() time.Time { return now }, func(text string, fields map[string]any) {
		if user, ok := fields["user"].(string); ok && len(user) > 203 {
			t.Errorf("a user of %d bytes", len(user))
		}
		lines[text]++
	})
	for i := range 100 {
		r.Tell(esdbserver.Refusal{What: "login", Peer: "192.0.2.1:" + strconv.Itoa(i), User: strings.Repeat("u", 1000), Reason: "wrong"})
	}
	r.Tell(esdbserver.Refusal{What: "login", Peer: "192.0.2.2:1", Reason: "wrong"})
	r.Tell(esdbserver.Refusal{What: "append", Peer: "192.0.2.1:1", Stream: "s", Reason: "wrong"})
	if lines["login refused"] != 11 || lines["append refused"] != 1 || len(lines) != 2 {
		t.Errorf("written %v", lines)
	}
	now = now.Add(time.Minute)
	r.Tell(esdbserver.Refusal{What: "login", Peer: "192.0.2.1:1"})
	if lines["login: 90 more within a minute, which were not written"] != 1 || lines["login refused"] != 12 {
		t.Errorf("a minute later %v", lines)
	}
	for i := range 3 * refusalKinds {
		r.Tell(esdbserver.Refusal{What: "login", Peer: "peer" + strconv.Itoa(i)})
	}
	if n := len(r.seen); n > refusalKinds+1 {
		t.Errorf("%d peers are told apart", n)
	}
}

func TestACertificateThatExpiresIsWarnedOf(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		lasts, after time.Duration
		want         string
	}{
		{365 * day, 300 * day, ""},
		{365 * day, 340 * day, "expires at 2027-01-01"},
		{365 * day, 366 * day, "expired at 2027-01-01"},
		{365 * day, -day, "not valid before 2026-01-01"},
		{9 * day, 5 * day, ""}, // short-lived on purpose
		{9 * day, 7 * day, "expires at 2026-01-10"},
	} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: begin, NotAfter: begin.Add(c.lasts)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		got := CertificateWarning(tls.Certificate{Certificate: [][]byte{der}}, begin.Add(c.after))
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("of %v, after %v: %q, want %q", c.lasts, c.after, got, c.want)
		}
	}
}
