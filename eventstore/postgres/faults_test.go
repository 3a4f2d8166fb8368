package postgres_test

import (
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
	"github.com/rs/zerolog"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// The server is killed thirty times while sixteen writers append: the postmaster and single backends in turn.
func TestAppendsSurviveTheDeathOfTheServer(t *testing.T) {
	t.Parallel()
	const writers, kills = 16, 30
	server := pgtest.NewCluster(t)
	where := server.Database(t)
	up(t, where)
	log := open(t, where)
	said := &promised{kept: make(chan struct{})}
	ctx, stop := context.WithCancel(within(t))
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() { writeUntil(ctx, t, log, fmt.Sprint(w), said) })
	}
	heard := follow(ctx, t, log)
	for kill := range kills {
		said.await(ctx, t, 1+rand.IntN(2*writers))
		if kill%2 == 0 {
			server.Kill()
			server.Restart(t)
		} else if err := server.KillBackend(ctx, "gxpledger"); err != nil {
			t.Errorf("kill %d: %v", kill, err)
		}
	}
	said.await(ctx, t, writers)
	stop()
	running.Wait()
	if n := said.check(t, log); n < kills {
		t.Errorf("%d batches were acknowledged, want one for each kill at least", n)
	}
	checkHeard(t, <-heard)
}

// writeUntil appends batches to a stream of its own until ctx ends, and notes each.
func writeUntil(ctx context.Context, t *testing.T, log eventstore.Appender, writer string, said *promised) {
	t.Helper()
	stream, expected := eventstore.StreamID("stream-"+writer), eventstore.NoStream()
	for i := 0; ctx.Err() == nil; i++ {
		batch := eventstoretest.NewBatch(stream, expected, writer, i, 1+i%9)
		appended, err := persist(ctx, t, log, batch, 5*time.Second)
		said.note(batch, appended, err)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("writer %s, batch %d: %v", writer, i, err)
			}
			return
		}
		expected = eventstore.AtRevision(appended.LastRevision)
	}
}

// follow subscribes until ctx ends and then gives the positions that it got.
func follow(ctx context.Context, t *testing.T, log eventstore.Subscriber) <-chan []eventstore.Position {
	t.Helper()
	heard := make(chan []eventstore.Position, 1)
	go func() {
		var positions []eventstore.Position
		for r, err := range log.Subscribe(ctx, 0, eventstore.Filter{}) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the subscription ended: %v", err)
				}
				break
			}
			positions = append(positions, r.Position)
		}
		heard <- positions
	}()
	return heard
}

func checkHeard(t *testing.T, positions []eventstore.Position) {
	t.Helper()
	for i, p := range positions {
		if p != eventstore.Position(i+1) {
			t.Fatalf("the subscription got position %d as number %d", p, i+1)
		}
	}
	if len(positions) == 0 {
		t.Error("the subscription got nothing")
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
	log := open(t, where, func(o *postgres.Options) { o.AppendTimeout = 500 * time.Millisecond })
	last := mustAppend(t, log, start("s", 20))
	batch := after("s", last, 20)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"cut","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)); err != nil {
		t.Fatal(err)
	}
	for _, deadline := range []time.Duration{100 * time.Millisecond, patience} { // the caller's, and the log's own
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		_, err := log.Append(ctx, batch)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, eventstore.ErrTransient) {
			t.Errorf("error is %v, want one of the deadline or ErrTransient", err)
		}
		if took := time.Since(begun); took > min(deadline, time.Second)+time.Second {
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

func addToxic(t *testing.T, proxy *toxiproxy.Proxy, direction string, bytes int) {
	t.Helper()
	toxic := fmt.Sprintf(`{"name":"cut","type":"limit_data","stream":%q,"attributes":{"bytes":%d}}`, direction, bytes)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Fatal(err)
	}
}
