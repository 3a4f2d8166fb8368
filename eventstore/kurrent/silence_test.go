package kurrent_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// beImpatient makes log wait little from now on: before, a loaded machine may take its time.
func beImpatient(log *kurrent.Log) { log.SetWaits(500*time.Millisecond, time.Second) }

// stall keeps back the messages of reads that are chosen, until the function that it returns is called.
func stall(t *testing.T, c *esdbtest.Cluster, chosen func(*api.ReadResp) bool) (release func()) {
	t.Helper()
	stalled := make(chan struct{})
	release = sync.OnceFunc(func() { close(stalled) })
	t.Cleanup(release)
	c.Rewrite(func(m *api.ReadResp) []*api.ReadResp {
		if chosen(m) {
			<-stalled
		}
		return []*api.ReadResp{m}
	})
	return release
}

// An append that was acknowledged is no failure when nothing can be read behind it.
func TestAnAcknowledgedAppendIsKnownWithoutReads(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log := open(t, f.URL(), options())
	mustAppend(t, log, batch("s", 0, 3))
	beImpatient(log)
	before := len(f.Committed())
	stall(t, f.Cluster, func(*api.ReadResp) bool { return len(f.Committed()) > before })
	at := mustAppend(t, log, batch("s", 1, 3))
	if all := f.Committed(); uint64(at.Last) != all[len(all)-1].Position || at.LastRevision != 5 || at.First != 0 {
		t.Errorf("it is at %+v", at)
	}
}

// A leader that stops answering while the rest of a batch is waited for leaves open whether the batch was cut.
func TestALeaderThatFallsSilentInsideABatchLeavesItOpen(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log := open(t, f.URL(), options())
	mustAppend(t, log, batch("s", 0, 4))
	beImpatient(log)
	f.HoldIndexInside("s", 1)
	release := stall(t, f.Cluster, func(m *api.ReadResp) bool {
		return string(m.GetStreamNotFound().GetStreamIdentifier().GetStreamName()) == "s"
	})
	for what, read := range map[string]func() error{
		"head":      func() error { _, err := log.Head(within(t)); return err },
		"forwards":  func() error { return lastOf(log.Read(within(t), 0, eventstore.Filter{})) },
		"backwards": func() error { return lastOf(log.ReadBackwards(within(t), 0, eventstore.Filter{})) },
	} {
		if err := read(); !errors.Is(err, eventstore.ErrTransient) || errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: error is %v, want ErrTransient", what, err)
		}
	}
	release()
	log.SetWaits(forever, forever)
	o := options()
	o.Wait = 3 * time.Second
	if err := lastOf(open(t, f.URL(), o).Read(within(t), 0, eventstore.Filter{})); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("a leader that answers: error is %v, want ErrCorrupt after half of the time to wait", err)
	}
	f.ReleaseIndex()
	if n := len(readAll(t, log)); n != 4 {
		t.Errorf("read %d records", n)
	}
}

func lastOf(read records) (last error) {
	for _, err := range read {
		last = err
	}
	return last
}

// A server that is silent costs the time to wait once, and little more for each further call.
func TestASilentServerCostsTheTimeToWaitOnce(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log := open(t, f.URL(), options())
	const answer, wait = time.Second, 500 * time.Millisecond
	log.SetWaits(answer, wait)
	log.SetShortAnswers(20 * time.Millisecond)
	f.Node(0).Freeze()
	for ctx, n := within(t), time.Duration(0); n < 2*patience/(wait+answer); n++ {
		if _, err := log.Append(ctx, batch("s", 0, 1)); !errors.Is(err, eventstore.ErrTransient) {
			t.Fatalf("error is %v, want ErrTransient", err)
		}
	}
	f.Node(0).Resume()
}

// A position that the server never gave is not found where the server says so, nor where it gives no answer for it and answers else.
// Neither is tried for as long as an election is.
func TestAPositionOfAnotherLogIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log, hasty := open(t, f.URL(), options()), open(t, f.URL(), unhurried())
	hasty.SetShortAnswers(200 * time.Millisecond)
	at := mustAppend(t, log, batch("s", 0, 3))
	f.AllowMadeUpPositions()
	for _, made := range []eventstore.Position{1, at.First + 1, at.Last - 1} {
		if _, err := log.At(within(t), made); !errors.Is(err, eventstore.ErrNotFound) {
			t.Errorf("position %d: error is %v, want ErrNotFound", made, err)
		}
	}
	f.HangAtMadeUpPositions()
	if _, err := hasty.At(within(t), at.Last-1); !errors.Is(err, eventstore.ErrNotFound) || errors.Is(err, eventstore.ErrTransient) {
		t.Errorf("without an answer: error is %v, want ErrNotFound", err)
	}
	if r, err := log.At(within(t), at.Last); err != nil || r.Position != at.Last {
		t.Errorf("the last event: %+v, %v", r, err)
	}
}

// A server that is frozen answers nothing at all: what it has at a position is unknown, and is found once it answers.
func TestAFrozenServerDoesNotSayThatThereIsNoPosition(t *testing.T) {
	t.Parallel()
	const short = 1500 * time.Millisecond
	f := esdbtest.StartFake(t)
	log, patient := open(t, f.URL(), options()), open(t, f.URL(), options())
	log.SetShortAnswers(short)
	patient.SetShortAnswers(short)
	at := mustAppend(t, log, batch("s", 0, 3))
	beImpatient(log)
	f.Node(0).Freeze()
	if _, err := log.At(within(t), at.Last); !errors.Is(err, eventstore.ErrTransient) || errors.Is(err, eventstore.ErrNotFound) {
		t.Errorf("error is %v, want ErrTransient", err)
	}
	time.AfterFunc(3*short/2, f.Node(0).Resume) // after the first answer did not come
	if r, err := patient.At(within(t), at.Last); err != nil || r.Position != at.Last {
		t.Errorf("then: %+v, %v", r, err)
	}
}

// The names of a cluster are asked for its nodes. What the nodes told is enough when no name server answers.
func TestNodesAreDiscovered(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	_, port, err := net.SplitHostPort(c.Node(1).Address())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	down, asked := false, []string{}
	o := options().Resolving(func(_ context.Context, host string) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, host); down || host != "cluster.example" {
			return nil, errors.New("no such host")
		}
		return []string{"127.0.0.1"}, nil
	})
	url := "esdb+discover://gone.example:1,cluster.example:" + port + "?tls=false"
	log := open(t, url, o)
	log.SetPatience(50 * time.Millisecond)
	mustAppend(t, log, batch("s", 0, 1))
	mu.Lock()
	down = true
	mu.Unlock()
	c.ElectAfter(300*time.Millisecond, 2)
	mustAppend(t, log, batch("s", 1, 1))
	o.Wait = time.Second
	if _, err := kurrent.Open(within(t), url, o); !errors.Is(err, eventstore.ErrTransient) || !strings.Contains(err.Error(), "cannot be resolved") {
		t.Errorf("without a name server: error is %v, want ErrTransient", err)
	}
	if !slices.Contains(asked, "gone.example") || !slices.Contains(asked, "cluster.example") {
		t.Errorf("asked for %q", asked)
	}
}
