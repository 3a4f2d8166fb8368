package kurrent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// newRecorder records on log, and waits for nothing.
func newRecorder(t *testing.T, log recorder.Log) *recorder.Recorder {
	t.Helper()
	config := recorder.DefaultConfig(time.Now, t.TempDir())
	config.Tries, config.FirstWait, config.LongestWait = 3, time.Microsecond, 10*time.Microsecond
	r, err := recorder.New(log, config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func request() recorder.Request {
	return recorder.Request{
		Scan:       uuid.Must(uuid.NewV7()),
		Repository: domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000001", Name: "demo"},
		Actor:      "tester", Policy: domain.DefaultPolicy(), StartedAt: time.Now(),
	}
}

func reading(context.Context, domain.State) (recorder.Reading, error) {
	return recorder.Reading{Reader: domaintest.Stamp, Files: []domain.File{domaintest.Requirement("REQ-001", "")}}, nil
}

// types are those of the events of the log, in a line.
func types(t *testing.T, log eventstore.Reader) string {
	t.Helper()
	var all []string
	for _, r := range readAll(t, log) {
		all = append(all, r.Type[:strings.LastIndex(r.Type, ".v")])
	}
	return strings.Join(all, " ")
}

// electing is a log on nodes that elect another leader whenever something is appended.
type electing struct {
	eventstore.Log

	nodes *esdbtest.Cluster
}

func (e electing) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	able := e.nodes.Electable()
	next := able[(e.nodes.Elections()+1)%len(able)]
	e.nodes.ElectAfter(300*time.Millisecond, next)
	return e.Log.Append(ctx, b)
}

// overEach runs test over the log of a quiet server, over that of nodes that freeze, lag and hold elections, and where each append meets
// an election.
func overEach(t *testing.T, test func(t *testing.T, log eventstore.Log)) {
	t.Helper()
	for name, start := range map[string]func(t *testing.T) eventstore.Log{
		"quiet":     func(t *testing.T) eventstore.Log { t.Helper(); return open(t, likeEventStoreDB(t), options()) },
		"disturbed": func(t *testing.T) eventstore.Log { t.Helper(); return openDisturbed(t, disturbed(t)) },
		"electing": func(t *testing.T) eventstore.Log {
			t.Helper()
			c := cluster(t)
			return electing{open(t, c.URL(), options()), c}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := start(t)
			t.Cleanup(func() { _ = log.Close() })
			test(t, log)
		})
	}
}

// A scan whose every answer was lost is in the log. Its failure must not be written behind it (I2), although an
// EventStoreDB would take it: it knows an id again only where it is expected.
func TestALostScanIsNotRecordedAsFailedToo(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, behind eventstore.Log) {
		t.Helper()
		log := &eventstoretest.Faulty{Log: behind}
		log.Next(eventstoretest.LoseAnswer(nil), eventstoretest.LoseAnswer(nil), eventstoretest.LoseAnswer(nil))
		out, err := newRecorder(t, log).Record(within(t), request(), reading)
		if err != nil || out.Completed == nil || out.Failed != nil {
			t.Errorf("outcome %+v, %v; want the completed scan that the log holds", out, err)
		}
		if got := types(t, log); got != "repository.registered artifact.parsed scan.completed" {
			t.Errorf("the log holds %s", got)
		}
	})
}

// The same, when the failure was spooled and is recorded by a later run, behind the scans that came meanwhile.
func TestASpooledFailureOfAScanThatLandedIsDropped(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, behind eventstore.Log) {
		t.Helper()
		log := &eventstoretest.Faulty{Log: behind}
		down := eventstoretest.FailBefore(eventstore.ErrTransient)
		log.Next(eventstoretest.LoseAnswer(nil), down, down, down, down, down, down)
		r := newRecorder(t, log)
		out, err := r.Record(within(t), request(), reading)
		if err == nil || out.Spooled == "" {
			t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
		}
		for range 40 { // more than a page
			if _, err := r.Record(within(t), request(), reading); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := r.Drain(within(t)); n != (recorder.Drained{Dropped: 1}) || err != nil {
			t.Errorf("drained %d, %v", n, err)
		}
		if got := types(t, log); strings.Contains(got, "failed") || strings.Count(got, "scan.completed") != 41 {
			t.Errorf("the log holds %s", got)
		}
	})
}

// An act that is recorded once more is found, wherever it stands.
func TestAnActIsRecordedOnce(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, log eventstore.Log) {
		t.Helper()
		r := newRecorder(t, log)
		act := domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: "rebuild", Actor: "admin", Outcome: "succeeded", At: time.Now()}
		first, err := r.RecordAction(within(t), act)
		if err != nil {
			t.Fatal(err)
		}
		other := act
		other.ID = uuid.Must(uuid.NewV7()).String()
		if _, err := r.RecordAction(within(t), other); err != nil {
			t.Fatal(err)
		}
		if again, err := r.RecordAction(within(t), act); err != nil || again != first {
			t.Errorf("again at %d, %v; want %d", again, err, first)
		}
		act.Outcome = "failed"
		if _, err := r.RecordAction(within(t), act); !errors.Is(err, eventstore.ErrIDReused) {
			t.Errorf("got %v for another act of the same id, want ErrIDReused", err)
		}
	})
}

// Two who scan one repository at the same time meet each other once, however late the nodes show what they have: what one of them met is
// shown before it tries again.
func TestRecordersOfOneRepositoryMeetOnce(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	o := options()
	o.Wait = kurrent.DefaultWait
	recorders := make([]*recorder.Recorder, 2)
	for i := range recorders {
		recorders[i] = newRecorder(t, open(t, c.URL(), o))
	}
	c.Lag(esdbtest.Lag{Leader: 800 * time.Millisecond, AckFirst: true}) // for some eight requests
	const rounds = 2
	for range rounds {
		var running sync.WaitGroup
		for _, r := range recorders {
			running.Go(func() {
				out, err := r.Record(within(t), request(), reading)
				if err != nil || out.Completed == nil || out.Attempts > 2 {
					t.Errorf("outcome %+v after %d attempts, %v; want a completed scan after 2 at most", out.Failed, out.Attempts, err)
				}
			})
		}
		running.Wait()
	}
	if got := types(t, open(t, c.URL(), options())); strings.Count(got, "scan.completed") != rounds*len(recorders) {
		t.Errorf("the log holds %s", got)
	}
}
