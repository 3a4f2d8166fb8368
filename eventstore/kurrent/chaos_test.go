package kurrent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/eventstore/verify"
	"github.com/gxpledger/gxpledger/eventstore/verify/verifytest"
)

// envChaos names the variable with the number of further seeds (task test:chaos), with which tests that meet chance, and those that repeat
// over a disturbed cluster what they do over a quiet one, are run in full.
const envChaos = "GXPLEDGER_CHAOS_SEEDS"

// Recording over a cluster that is disturbed all the time, to which another application writes, too: each scan that was acknowledged is
// there once, and nothing torn; subscribers are sent each event once and in order; verify finds no fault, and names the other application's
// streams.
func TestScansThroughElections(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 16}
	if text := os.Getenv(envChaos); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", envChaos, err)
		}
		seeds = append(seeds, 2, 3)
		for range n {
			seeds = append(seeds, rand.Uint64()) // the name of a test that fails tells it
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			scanThroughElections(t, seed)
		})
	}
}

func scanThroughElections(t *testing.T, seed uint64) {
	t.Helper()
	c := cluster(t)
	first, second := open(t, c.URL(), options()), open(t, c.URL(), options())
	s := &scanner{t: t, recorders: []*recorder.Recorder{newRecorder(t, first), newRecorder(t, second)}, recorded: map[string]int{}}
	c.CatchUpEarly()
	one := eventstore.RepositoryPrefix + string(repositoryOf(1))
	subscribers := []*subscriber{subscribe(t, c, ""), subscribe(t, c, one)}
	other := newApplication(t, c)
	esdbtest.Chaos(t, c, seed, 25, func(round int) {
		var running sync.WaitGroup
		running.Go(func() { other.write(round) })
		running.Go(func() { s.scan(round) })
		running.Wait()
	})
	s.scan(-1) // when all is quiet again: what subscribers are sent twice comes before it
	for _, x := range subscribers {
		x.judge()
	}
	found := map[string]int{}
	for _, r := range readAll(t, second) {
		if !strings.HasPrefix(r.Type, "scan.completed.") {
			continue
		}
		var head domain.Head
		if err := json.Unmarshal(r.Data, &head); err != nil {
			t.Fatal(err)
		}
		found[head.Scan]++
	}
	for scan := range s.recorded {
		if found[scan] != 1 {
			t.Errorf("scan %s was acknowledged, and is there %d times", scan, found[scan])
		}
	}
	if id := first.ID(); id != second.ID() || id == uuid.Nil {
		t.Errorf("logs %s and %s", id, second.ID())
	}
	for _, log := range []*kurrent.Log{first, open(t, c.URL(), options())} {
		verifyBeside(t, log, other.streams(c))
	}
}

// repositoryOf is the repository of the i-th recorder.
func repositoryOf(i int) domain.RepositoryID {
	return domain.RepositoryID(fmt.Sprintf("6f1b1f5e-0000-5000-8000-00000000000%d", i))
}

// changed reads some artifacts, each of which says something new, and their contents.
func changed(saying string) recorder.ReadFunc {
	return func(context.Context, domain.State) (recorder.Reading, error) {
		read := recorder.Reading{Reader: domaintest.Stamp}
		for i := range 3 {
			id := fmt.Sprintf("REQ-%d", i)
			file, contents := verifytest.Stored(domaintest.Requirement(id, saying), []byte(id+saying))
			read.Files, read.Contents = append(read.Files, file), append(read.Contents, contents...)
		}
		return read, nil
	}
}

// scanner records scans with several recorders.
type scanner struct {
	t         *testing.T
	recorders []*recorder.Recorder

	mu       sync.Mutex     // guards recorded
	recorded map[string]int // scans that were acknowledged
}

// scan records one scan with each recorder, at the same time.
func (s *scanner) scan(round int) {
	var running sync.WaitGroup
	for i, r := range s.recorders {
		running.Go(func() {
			q := request()
			q.Repository.ID = repositoryOf(i)
			out, err := r.Record(context.WithoutCancel(s.t.Context()), q, changed(q.Scan.String()))
			s.mu.Lock()
			defer s.mu.Unlock()
			if err == nil && out.Completed != nil {
				s.recorded[q.Scan.String()]++
				return
			}
			s.t.Errorf("round %d: a scan failed: %+v, %v", round, out, err)
		})
	}
	running.Wait()
}

// subscriber notes what a subscription of its own to the log yields, until the test ends.
type subscriber struct {
	t       *testing.T
	cluster *esdbtest.Cluster
	prefix  string

	mu   sync.Mutex // guards all below
	sent []esdbtest.Committed
	err  error
}

// subscribe follows the streams whose names begin with prefix, from the beginning.
func subscribe(t *testing.T, c *esdbtest.Cluster, prefix string) *subscriber {
	t.Helper()
	log := open(t, c.URL(), options())
	log.SetPatience(200 * time.Millisecond) // it moves from a frozen leader to the next within the rounds
	s := &subscriber{t: t, cluster: c, prefix: prefix}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for r, err := range log.Subscribe(ctx, 0, eventstore.Filter{StreamPrefix: prefix}) {
			s.mu.Lock()
			s.err = err
			if err == nil {
				s.sent = append(s.sent, esdbtest.Committed{Stream: string(r.Stream), Revision: uint64(r.Revision), Position: uint64(r.Position), ID: r.ID})
			}
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// follows reports whether the subscriber follows a stream of the server: those of batches alone are in the log.
func (s *subscriber) follows(stream string) bool {
	ours := stream == string(eventstore.EngineStream) || strings.HasPrefix(stream, eventstore.RepositoryPrefix)
	return ours && strings.HasPrefix(stream, s.prefix)
}

// judge waits until the last event was sent, and compares what was sent with what a majority has.
func (s *subscriber) judge() {
	s.t.Helper()
	held := slices.DeleteFunc(s.cluster.Committed(), func(e esdbtest.Committed) bool { return !s.follows(e.Stream) })
	if len(held) == 0 {
		s.t.Fatal("nothing was recorded")
	}
	ctx, tick := within(s.t), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		sent, err := slices.Clone(s.sent), s.err
		s.mu.Unlock()
		if err != nil {
			s.t.Errorf("the subscription to %q ended: %v", s.prefix, err)
		}
		if ctx.Err() != nil || err != nil || len(sent) > 0 && sent[len(sent)-1].Position >= held[len(held)-1].Position {
			if err := s.cluster.JudgeSubscriber(s.follows, sent); err != nil {
				s.t.Errorf("of the subscription to %q: %v", s.prefix, err)
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// application is another application, which writes to streams of its own.
type application struct {
	t       *testing.T
	cluster *esdbtest.Cluster
	nodes   map[*esdbtest.Node]api.StreamsClient
}

func newApplication(t *testing.T, c *esdbtest.Cluster) *application {
	t.Helper()
	a := &application{t: t, cluster: c, nodes: map[*esdbtest.Node]api.StreamsClient{}}
	for i := range c.Size() {
		conn, err := grpc.NewClient(c.Node(i).Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		a.nodes[c.Node(i)] = api.NewStreamsClient(conn)
	}
	return a
}

// write writes some events to a stream that is there and to a new one, as far as a leader takes them. What comes of it does not matter to
// it: the cluster judges.
func (a *application) write(round int) {
	for i, stream := range []string{"orders", fmt.Sprintf("orders-%d", round), "orders", "queue-a"} {
		leader := a.cluster.Leader()
		if leader == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(a.t.Context(), time.Second)
		if call, err := a.nodes[leader].Append(ctx); err == nil {
			_ = call.Send(&api.AppendReq{Content: &api.AppendReq_Options_{Options: &api.AppendReq_Options{
				StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
				ExpectedStreamRevision: &api.AppendReq_Options_Any{Any: &shared.Empty{}},
			}}})
			for range i + 1 {
				_ = call.Send(&api.AppendReq{Content: &api.AppendReq_ProposedMessage_{ProposedMessage: &api.AppendReq_ProposedMessage{
					Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
					Metadata: map[string]string{"type": "placed", "content-type": "application/json"}, Data: []byte("{}"),
				}}})
			}
			_, _ = call.CloseAndRecv()
		}
		cancel()
	}
}

// streams are those that it wrote to, in order.
func (a *application) streams(c *esdbtest.Cluster) (names []string) {
	for _, e := range c.Committed() {
		if strings.HasPrefix(e.Stream, "orders") || strings.HasPrefix(e.Stream, "queue") {
			names = append(names, e.Stream)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// verifyBeside verifies a log, beside which there are streams of others.
func verifyBeside(t *testing.T, log verify.Log, others []string) {
	t.Helper()
	var named []string
	_, err := verify.Run(within(t), log, verify.Watch{
		Fault: func(f eventstore.Fault) { t.Errorf("fault %+v", f) },
		Warning: func(f eventstore.Fault) {
			if f.Code != eventstore.WarningForeign {
				t.Errorf("warning %+v", f)
			}
			named = append(named, strings.Trim(strings.TrimPrefix(f.Where, "stream "), `"`))
		},
	})
	if err != nil {
		t.Error(err)
	}
	if slices.Sort(named); !slices.Equal(named, others) || len(others) < 3 {
		t.Errorf("verify names the foreign streams %q, want %q", named, others)
	}
}
