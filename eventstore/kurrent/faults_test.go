package kurrent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// A server that goes away while it works on a call is found again, however often that happens.
func TestALostServerIsFoundAgain(t *testing.T) {
	t.Parallel()
	behind := &eventstoretest.Faulty{Log: memory.New(time.Now)}
	p := newProxy(t, esdbtest.Start(t, behind).Address())
	log := open(t, fmt.Sprintf("esdb://%s?tls=false&maxDiscoverAttempts=1&discoveryInterval=1", p.listener.Addr()), options())
	const deadline = 150 * time.Millisecond
	for n := range 3 {
		b := batch("s", n, 2)
		fail := func(ctx context.Context) {
			if _, err := log.Append(ctx, b); err == nil {
				t.Error("a server that is down took an append")
			}
		}
		lost, cancel := context.WithCancel(within(t)) // of the append that loses the server, which must reach it, however late
		behind.Next(func(context.Context, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
			p.down.Store(true)
			p.cut()
			time.AfterFunc(deadline, cancel)
			return eventstore.Appended{}, eventstore.ErrTransient
		})
		fail(lost)
		for range 3 { // they find none
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			fail(ctx)
			cancel()
		}
		p.down.Store(false)
		if _, err := insist(within(t), log, b); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that was never there is told about, with the reason, in the time that was given.
func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newMemory(t)
	s.Kill()
	o := options()
	o.Wait = 300 * time.Millisecond
	_, err := kurrent.Open(within(t), s.URL()+"&maxDiscoverAttempts=2&discoveryInterval=1", o)
	if !errors.Is(err, eventstore.ErrTransient) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error is %v, want ErrTransient and that the connection was refused", err)
	}
}

// However many calls are under way while the server goes and comes, each returns at its deadline, what
// was acknowledged is there, and what was not is written once by calling again.
func TestCallsReturnWhileTheServerIsKilledAndRestarted(t *testing.T) {
	t.Parallel()
	const callers, rounds, size, deadline = 80, 3, 3, 1500 * time.Millisecond
	s := newMemory(t)
	log := open(t, s.URL(), unhurried())
	for round := range rounds {
		batches := make([]eventstore.Batch, callers/2)
		answers := make([]eventstore.Appended, callers/2)
		returned := make(chan struct{}, callers)
		var running sync.WaitGroup
		for i := range batches {
			batches[i] = batch(eventstore.StreamID(fmt.Sprintf("s-%d", i)), round, size)
			running.Go(func() {
				_ = timely(t, deadline, func(ctx context.Context) (err error) {
					answers[i], err = log.Append(ctx, batches[i])
					return err
				})
				returned <- struct{}{}
			})
			running.Go(func() {
				_ = timely(t, deadline, func(ctx context.Context) error { return look(ctx, log, batches[i].Stream, i) })
				returned <- struct{}{}
			})
		}
		for range 10 * round {
			<-returned // some calls are over, some under way, some wait
		}
		s.Kill()
		for range 5 {
			<-returned // nobody waits for the server only
		}
		s.Restart()
		running.Wait()
		for i, b := range batches {
			at, err := insist(within(t), log, b)
			if err != nil {
				t.Fatal(err)
			}
			if answers[i].Last != 0 && (!at.Repeated || at.Last != answers[i].Last) {
				t.Errorf("what was acknowledged at %+v is at %+v", answers[i], at)
			}
		}
	}
	if n := len(readAll(t, log)); n != rounds*callers/2*size {
		t.Errorf("the log holds %d events, want %d", n, rounds*callers/2*size)
	}
}

// timely makes a call with a deadline, and checks that it returns after it.
func timely(t *testing.T, deadline time.Duration, call func(ctx context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	overdue := time.AfterFunc(deadline+patience, func() { t.Errorf("a call with a deadline of %s goes on", deadline) })
	defer overdue.Stop()
	return call(ctx)
}

// look is a read of some kind.
func look(ctx context.Context, log *kurrent.Log, stream eventstore.StreamID, kind int) error {
	if kind%2 == 0 {
		_, err := log.Head(ctx)
		return err
	}
	for _, err := range log.ReadStream(ctx, stream, 0) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A subscription goes on across restarts of its server: each event once, in order.
func TestASubscriptionSurvivesItsServer(t *testing.T) {
	t.Parallel()
	const batches, size = 40, 5
	s := newMemory(t)
	var mu sync.Mutex
	dropped := 0
	o := options()
	o.Observe = func(error) {
		mu.Lock()
		defer mu.Unlock()
		dropped++
	}
	log, other := open(t, s.URL(), o), open(t, s.URL(), options())
	ctx := within(t)
	var got []eventstore.Record
	reached := make(chan int, batches*size)
	done := make(chan error, 1)
	go func() {
		for r, err := range log.Subscribe(ctx, 0, eventstore.Filter{StreamPrefix: "s"}) {
			if err != nil {
				done <- err
				return
			}
			got = append(got, r)
			reached <- len(got)
			if len(got) == batches*size {
				break
			}
		}
		done <- nil
	}()
	for n := range batches {
		if _, err := insist(ctx, other, batch("s", n, size)); err != nil {
			t.Fatal(err)
		}
		if _, err := insist(ctx, other, batch("t", n, 1)); err != nil { // which does not pass the filter
			t.Fatal(err)
		}
		if n%10 == 5 {
			for live := false; !live; {
				select {
				case got := <-reached:
					live = got > n*size-size
				case err := <-done:
					t.Fatalf("the subscription ended after batch %d: %v", n, err)
				}
			}
			s.Kill()
			s.Restart()
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if int(r.Revision) != i || r.Stream != "s" {
			t.Fatalf("record %d is revision %d of stream %s", i, r.Revision, r.Stream)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if dropped < 4 {
		t.Errorf("the subscription was dropped %d times, want 4", dropped)
	}
}

// proxy passes bytes on between clients and a server, until it is cut.
type proxy struct {
	listener net.Listener
	down     atomic.Bool // new connections are closed at once
	silent   atomic.Bool // nothing is passed on any more
	accepted atomic.Int64

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			if p.down.Load() {
				_ = from.Close()
				continue
			}
			behind, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, from, behind)
			p.mu.Unlock()
			running.Go(func() { _, _ = io.Copy(p.valve(from), behind); _ = from.Close() })
			running.Go(func() { _, _ = io.Copy(p.valve(behind), from); _ = behind.Close() })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		running.Wait()
	})
	return p
}

// valve swallows what is written to it while the proxy is silent.
func (p *proxy) valve(to io.Writer) io.Writer { return valve{p, to} }

type valve struct {
	*proxy

	to io.Writer
}

func (v valve) Write(b []byte) (int, error) {
	if v.silent.Load() {
		return len(b), nil
	}
	return v.to.Write(b)
}

// cut ends every connection. New ones may be made.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// An answer that is lost on its way is found again: the batch was written, and is there once.
func TestALostAnswerIsFoundAgain(t *testing.T) {
	t.Parallel()
	behind := &eventstoretest.Faulty{Log: memory.New(time.Now)}
	s := esdbtest.Start(t, behind)
	p := newProxy(t, s.Address())
	log := open(t, fmt.Sprintf("esdb://%s?tls=false", p.listener.Addr()), options())
	mustAppend(t, log, batch("s", 0, 3))
	cutBehind := func(_ context.Context, through func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		at, err := through()
		p.cut()
		return at, err
	}
	for n, fault := range []eventstoretest.Fault{cutBehind, eventstoretest.LoseAnswer(nil), cutBehind} {
		behind.Next(fault)
		at := mustAppend(t, log, batch("s", n+1, 3))
		if at.Repeated || int(at.LastRevision) != n*3+5 {
			t.Errorf("answered %+v", at)
		}
	}
	if n := len(readAll(t, log)); n != 12 {
		t.Errorf("the log holds %d events, want 12", n)
	}
}

// An append whose outcome nobody knows is sent again, and writes the batch once.
func TestALostAppendIsTriedAgain(t *testing.T) {
	t.Parallel()
	behind := &eventstoretest.Faulty{Log: memory.New(time.Now)}
	s := esdbtest.Start(t, behind)
	p := newProxy(t, s.Address())
	log := open(t, fmt.Sprintf("esdb://%s?tls=false", p.listener.Addr()), options())
	mustAppend(t, log, batch("s", 0, 3))
	behind.Next(eventstoretest.FailBefore(eventstore.ErrTransient), func(context.Context, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		p.cut()
		return eventstore.Appended{}, eventstore.ErrTransient
	})
	b := batch("s", 1, 3)
	if at := mustAppend(t, log, b); at.Repeated {
		t.Errorf("answered %+v, want written now", at)
	}
	if at := mustAppend(t, log, b); !at.Repeated {
		t.Errorf("answered %+v, want repeated", at)
	}
}

// What is above a limit is refused before anything is sent, and says which limit that is and how to raise it.
func TestWhatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	behind := &eventstoretest.Faulty{Log: memory.New(time.Now)}
	log := open(t, esdbtest.Start(t, behind).URL(), kurrent.Options{Now: time.Now})
	sent := len(behind.Tried())
	large := batch("s", 0, 1)
	large.Events[0].Data = []byte(`"` + strings.Repeat("x", kurrent.DefaultMaxAppendBytes) + `"`)
	content := batch("s", 0, 1)
	content.Contents = []eventstore.Blob{blob(strings.Repeat("x", kurrent.DefaultMaxAppendBytes+1))}
	for name, b := range map[string]eventstore.Batch{"batch": large, "content": content} {
		_, err := log.Append(within(t), b)
		if !errors.Is(err, eventstore.ErrTooLarge) || !strings.Contains(err.Error(), "1048576") || !strings.Contains(err.Error(), "MAX_APPEND_SIZE") {
			t.Errorf("a large %s: error is %v, want ErrTooLarge with limit and setting", name, err)
		}
	}
	if n := len(behind.Tried()) - sent; n != 0 {
		t.Errorf("%d appends were sent", n)
	}
	meta := len(`{"actor":"writer","reason":"test","scan":"`) + 36 + len(`","index":0,"size":1,"attempt":1}`)
	for typ, units := range map[string]int{"test.type0.v1": 13, "Größe 😀": 8} { // of UTF-16
		sized := func(stream eventstore.StreamID, size int) eventstore.Batch {
			b := batch(stream, 0, 1)
			b.Events[0].Type, b.Events[0].Data = typ, []byte(`"`+strings.Repeat("x", size-meta-2*units-2)+`"`)
			return b
		}
		mustAppend(t, log, sized(eventstore.StreamID(typ), kurrent.DefaultMaxAppendBytes))
		if _, err := log.Append(within(t), sized("t", kurrent.DefaultMaxAppendBytes+1)); !errors.Is(err, eventstore.ErrTooLarge) {
			t.Errorf("a byte more: error is %v, want ErrTooLarge", err)
		}
	}
}

// Who wrote too much is told how much that is, how many events fit, and what to do. No setting is advised that no server takes.
func TestWhatFitsIsTold(t *testing.T) {
	t.Parallel()
	log := open(t, esdbtest.Start(t, memory.New(time.Now)).URL(), kurrent.Options{Now: time.Now})
	many := batch("s", 0, 20)
	for i := range many.Events {
		many.Events[i].Data = []byte(`"` + strings.Repeat("x", 100_000) + `"`)
	}
	_, err := log.Append(within(t), many)
	for _, words := range []string{"the batch of 20 events needs 20", "limit of 1048576 (maxAppendSize), in which some 10 of them fit", "18,000 artifacts", "16767216"} {
		if !errors.Is(err, eventstore.ErrTooLarge) || !strings.Contains(err.Error(), words) {
			t.Errorf("error is %v, want ErrTooLarge that says %q", err, words)
		}
	}
	const older, newer = 16_767_216, 256 << 20
	for _, own := range []bool{true, false} {
		for _, bytes := range []int64{older - 1, older, older + 1, newer, newer + 1, 1 << 40} {
			text := kurrent.TooLarge("the batch", own, 20_000, bytes, 1<<20).Error()
			says := func(words string) bool { return strings.Contains(text, words) }
			raise, version := says(fmt.Sprintf("%d or more", bytes)), says("25.1 or later")
			if !says("20000 events") || !says("18,000 artifacts") || raise != (bytes <= newer) || version != (bytes > older && bytes <= newer) ||
				says("one scan") != (bytes > older) || says("Options.MaxAppendBytes") != (own && bytes <= newer) {
				t.Errorf("%d bytes: %s", bytes, text)
			}
		}
	}
}
