package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// The server is killed ten times while sixteen writers append: the postmaster and single backends in turn.
func TestAppendsSurviveTheDeathOfTheServer(t *testing.T) {
	t.Parallel()
	const writers, kills = 16, 10
	server := pgtest.NewCluster(t)
	where := server.Database(t)
	up(t, where)
	log := open(t, where)
	reported := &promised{kept: make(chan struct{})}
	ctx, stop := context.WithCancel(within(t))
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() { writeUntil(ctx, t, log, fmt.Sprint(w), reported) })
	}
	heard := follow(ctx, t, log)
	for kill := range kills {
		reported.await(ctx, t, 1+rand.IntN(2*writers))
		if kill%2 == 0 {
			server.Kill()
			server.Restart(t)
		} else if err := server.KillBackend(ctx, "gxpledger"); err != nil {
			t.Errorf("kill %d: %v", kill, err)
		}
	}
	reported.await(ctx, t, writers)
	heard.await(ctx, t, len(readAll(t, log)))
	stop()
	running.Wait()
	if n := reported.check(t, log); n < kills {
		t.Errorf("%d batches were acknowledged, want one for each kill at least", n)
	}
	heard.check(t)
}

// writeUntil appends batches to a stream of its own until ctx ends, and notes each.
func writeUntil(ctx context.Context, t *testing.T, log eventstore.Appender, writer string, reported *promised) {
	t.Helper()
	stream, expected := eventstore.StreamID("stream-"+writer), eventstore.NoStream()
	for i := 0; ctx.Err() == nil; i++ {
		batch := eventstoretest.NewBatch(stream, expected, writer, i, 1+i%9)
		appended, err := persist(ctx, t, log, batch, 5*time.Second)
		reported.note(batch, appended, err)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("writer %s, batch %d: %v", writer, i, err)
			}
			return
		}
		expected = eventstore.AtRevision(appended.LastRevision)
	}
}

// follower subscribes, and keeps the positions that it gets.
type follower struct {
	ended chan struct{}
	moved chan struct{} // takes one when there is more

	mu        sync.Mutex // guards positions
	positions []eventstore.Position
}

// follow subscribes until ctx ends.
func follow(ctx context.Context, t *testing.T, log eventstore.Subscriber) *follower {
	t.Helper()
	f := &follower{ended: make(chan struct{}), moved: make(chan struct{}, 1)}
	go func() {
		defer close(f.ended)
		for r, err := range log.Subscribe(ctx, 0, eventstore.Filter{}) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the subscription ended: %v", err)
				}
				return
			}
			f.mu.Lock()
			f.positions = append(f.positions, r.Position)
			f.mu.Unlock()
			select {
			case f.moved <- struct{}{}:
			default:
			}
		}
	}()
	return f
}

// await waits until the subscription has got as many events as the log held: it outlives whatever happened before.
func (f *follower) await(ctx context.Context, t *testing.T, held int) {
	t.Helper()
	for f.count() < held {
		select {
		case <-f.moved:
		case <-ctx.Done():
			t.Fatalf("the subscription got %d of %d events", f.count(), held)
		case <-f.ended:
			t.Fatalf("the subscription ended after %d of %d events", f.count(), held)
		}
	}
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.positions)
}

// check waits for the end of the subscription and fails unless it got each event once and in order.
func (f *follower) check(t *testing.T) {
	t.Helper()
	<-f.ended
	for i, p := range f.positions {
		if p != eventstore.Position(i+1) {
			t.Fatalf("the subscription got position %d as number %d", p, i+1)
		}
	}
}

// The connection is cut after every so many bytes, in both directions: before the transaction arrives, in the middle of
// it, and after COMMIT, when only the answer is lost.
func TestAppendsSurviveACutConnection(t *testing.T) {
	t.Parallel()
	for _, direction := range []string{"upstream", "downstream"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			server := made(t)
			proxy, where := throughProxy(t, server)
			log := open(t, where, func(o *postgres.Options) { o.AppendTimeout = 3 * time.Second })
			last := mustAppend(t, log, start("s", 20)) // connected, and every statement prepared
			for range 8 {
				last = mustAppend(t, log, after("s", last, 20))
			}
			const cuts = 30
			var lost, found int
			for cut := range cuts {
				batch := after("s", last, 20)
				addToxic(t, proxy, direction, cut*cutStep(direction))
				_, err := log.Append(within(t), batch)
				if err := proxy.Toxics.RemoveToxic(t.Context(), "cut"); err != nil {
					t.Fatal(err)
				}
				last, _ = persist(within(t), t, log, batch, 5*time.Second)
				switch {
				case err == nil && !last.Repeated:
					t.Fatalf("cut %d: an acknowledged batch was lost", cut)
				case errors.Is(err, eventstore.ErrNotWritten) && last.Repeated:
					t.Fatalf("cut %d: a batch of which nothing was written is there", cut)
				case err != nil && last.Repeated:
					found++
				case err != nil:
					lost++
				}
				if last.LastRevision != eventstore.Revision((10+cut)*20-1) {
					t.Fatalf("cut %d: the stream ends at %d", cut, last.LastRevision)
				}
			}
			t.Logf("of %d cuts, %d lost the batch and %d only the answer", cuts, lost, found)
			if direction == "upstream" && lost == 0 || direction == "downstream" && found == 0 {
				t.Errorf("%d cuts lost the batch and %d only the answer: the cuts miss the transaction", lost, found)
			}
			if n := len(readAll(t, open(t, server))); n != (9+cuts)*20 {
				t.Errorf("the log holds %d events", n)
			}
		})
	}
}

// A connection on which nothing comes or goes any more is the worst: nobody says that it is gone. Calls end in time, and
// the counter row is free again soon, for whoever can still reach the server.
func TestAppendsSurviveASilentConnection(t *testing.T) {
	t.Parallel()
	server := made(t)
	proxy, where := throughProxy(t, server)
	log := open(t, where, func(o *postgres.Options) { o.AppendTimeout = 2 * time.Second })
	last := mustAppend(t, log, start("s", 20))
	batch := after("s", last, 20)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"cut","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)); err != nil {
		t.Fatal(err)
	}
	for _, deadline := range []time.Duration{100 * time.Millisecond, patience} { // the caller's, and the log's own
		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		_, err := log.Append(ctx, batch)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, eventstore.ErrTransient) {
			t.Errorf("error is %v, want one of the deadline or ErrTransient", err)
		}
		if took := time.Since(started); took > min(deadline, 2*time.Second)+slack {
			t.Errorf("a call took %s", took)
		}
	}
	if last, err := persist(within(t), t, open(t, server), batch, 15*time.Second); err != nil || last.LastRevision != 39 {
		t.Errorf("another process is answered %+v, %v", last, err)
	}
	if err := proxy.Toxics.RemoveToxic(t.Context(), "cut"); err != nil {
		t.Fatal(err)
	}
	if last, err := persist(within(t), t, log, batch, 5*time.Second); err != nil || !last.Repeated {
		t.Errorf("the batch is answered %+v, %v, want it found", last, err)
	}
}

// What takes long over a slow link succeeds, whatever the limit, while data moves. The limit, and so the test, is long
// enough for a busy machine whose server stops for a while.
func TestAnAppendTakesAsLongAsDataMoves(t *testing.T) {
	t.Parallel()
	const limit, rate = 2 * time.Second, 1536 // KB/s
	server := made(t)
	proxy, where := throughProxy(t, server)
	log := open(t, where, func(o *postgres.Options) { o.AppendTimeout = limit })
	last := mustAppend(t, log, start("s", 1))
	addRawToxic(t, proxy, fmt.Sprintf(`{"name":"slow","type":"bandwidth","stream":"upstream","attributes":{"rate":%d}}`, rate))
	started := time.Now()
	batch := large("s", last)
	at := mustAppend(t, log, batch)
	if took := time.Since(started); took < 2*limit {
		t.Errorf("the append took %s: the link was not slow", took)
	}
	for _, r := range readAll(t, open(t, server))[1:] {
		if e := batch.Events[r.Position-2]; !bytes.Equal(r.Data, e.Data) {
			t.Errorf("position %d holds other data than was appended", r.Position)
		}
	}
	if at.Last != eventstore.Position(1+len(batch.Events)) {
		t.Errorf("the last event is at %d", at.Last)
	}
	for _, c := range batch.Contents {
		if data, err := log.Content(within(t), c.SHA256); err != nil || !bytes.Equal(data, c.Bytes) {
			t.Errorf("content of %d bytes: %d bytes, %v", len(c.Bytes), len(data), err)
		}
	}
}

// large returns a batch of many events and contents, some of which are larger than what is sent at once: 6 MB that cannot be
// compressed.
func large(stream eventstore.StreamID, last eventstore.Appended) eventstore.Batch {
	batch := after(stream, last, 400)
	noise := rand.NewChaCha8([32]byte{})
	for i := range batch.Events {
		size := 6_000
		if i == 200 {
			size = 1_500_000
		}
		data := make([]byte, size)
		_, _ = noise.Read(data) // never fails
		batch.Events[i].Data = fmt.Appendf(nil, `{"x":"%x"}`, data[:size/2])
		if i < 2 {
			batch.Contents = append(batch.Contents, blob(string(data)))
		}
	}
	data := make([]byte, 2_000_000)
	_, _ = noise.Read(data) // never fails
	batch.Contents = append(batch.Contents, blob(string(data)))
	return batch
}

// A link that stops in the middle, in whichever direction, ends the append within the limit, and so does a server that is
// not there.
func TestAnAppendEndsWhenDataStopsMoving(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	toxics.Register("stop", &stopToxic{})
	for direction, passed := range map[string]int{"upstream": 3 << 20, "downstream": 0} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			server := made(t)
			proxy, where := throughProxy(t, server)
			log := open(t, where, func(o *postgres.Options) { o.AppendTimeout = limit })
			last := mustAppend(t, log, start("s", 1))
			batch := large("s", last) // it looks for its contents first
			if passed > 0 {
				batch.Contents = nil
			}
			addRawToxic(t, proxy, fmt.Sprintf(`{"name":"stop","type":"stop","stream":%q,"attributes":{"bytes":%d}}`, direction, passed))
			mustEndTransient(t, log, batch, limit)
			if err := proxy.Toxics.RemoveToxic(t.Context(), "stop"); err != nil {
				t.Fatal(err)
			}
			if at, err := persist(within(t), t, open(t, server), batch, 15*time.Second); err != nil || at.LastRevision != 400 {
				t.Errorf("later the batch is answered %+v, %v", at, err)
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		proxy, where := throughProxy(t, made(t))
		log := open(t, where, func(o *postgres.Options) { o.AppendTimeout = limit })
		last := mustAppend(t, log, start("s", 1))
		proxy.Stop()
		mustEndTransient(t, log, after("s", last, 1), limit)
	})
}

// mustEndTransient appends batch, which is to fail without the caller's help soon after limit.
func mustEndTransient(t *testing.T, log eventstore.Appender, batch eventstore.Batch, limit time.Duration) {
	t.Helper()
	started := time.Now()
	_, err := log.Append(within(t), batch)
	if !errors.Is(err, eventstore.ErrTransient) {
		t.Errorf("error is %v, want ErrTransient", err)
	}
	if took := time.Since(started); took > limit+slack { // some of it is the transfer
		t.Errorf("the append took %s", took)
	}
}

// stopToxic passes on a number of bytes of each connection, and takes no more.
type stopToxic struct {
	Bytes int `json:"bytes"`
}

func (s *stopToxic) Pipe(stub *toxics.ToxicStub) {
	for left := s.Bytes; left > 0; {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
			left -= len(chunk.Data)
			stub.Output <- chunk
		}
	}
	<-stub.Interrupt
}

func addRawToxic(t *testing.T, proxy *toxiproxy.Proxy, toxic string) {
	t.Helper()
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Fatal(err)
	}
}

// cutStep spreads the cuts over what an append of twenty events says and what it is answered.
func cutStep(direction string) int {
	if direction == "upstream" {
		return 270
	}
	return 15
}

// throughProxy returns a proxy to the server of address, and the address that goes through it.
func throughProxy(t *testing.T, address string) (*toxiproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(api, "postgres", "127.0.0.1:0", u.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	if _, _, err := net.SplitHostPort(proxy.Listen); err != nil {
		t.Fatal(err)
	}
	u.Host = proxy.Listen
	return proxy, u.String()
}

func addToxic(t *testing.T, proxy *toxiproxy.Proxy, direction string, limit int) {
	t.Helper()
	addRawToxic(t, proxy, fmt.Sprintf(`{"name":"cut","type":"limit_data","stream":%q,"attributes":{"bytes":%d}}`, direction, limit))
}
