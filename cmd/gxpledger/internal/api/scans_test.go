package api_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
)

// worker is a scan function that waits until it is let go.
type worker struct {
	mu      sync.Mutex
	running map[string]int
	most    int
	started chan string
	let     chan struct{}
	t       *testing.T
}

func newWorker(t *testing.T) *worker {
	t.Helper()
	return &worker{t: t, running: map[string]int{}, started: make(chan string, 1000), let: make(chan struct{})}
}

func (w *worker) scan(ctx context.Context, asked api.ScanRequest, progress func(string, int, int)) (*api.ScanOutcome, error) {
	w.mu.Lock()
	w.running[asked.Repository]++
	all := 0
	for _, n := range w.running {
		all += n
	}
	w.most = max(w.most, all)
	if w.running[asked.Repository] > 1 {
		w.t.Errorf("two scans of %s run at once", asked.Repository)
	}
	w.mu.Unlock()
	progress("reading", 1, 2)
	w.started <- asked.Repository
	defer func() {
		w.mu.Lock()
		w.running[asked.Repository]--
		w.mu.Unlock()
	}()
	select {
	case <-w.let:
		return &api.ScanOutcome{Number: 1, Position: 7}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestScansOfARepositoryAreOneAtATime(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := api.NewScans(ctx, time.Now, w.scan)
	first, err := s.Start(api.ScanRequest{Repository: "a"})
	if err != nil {
		t.Fatal(err)
	}
	<-w.started
	_, err = s.Start(api.ScanRequest{Repository: "a"})
	if running, ok := errors.AsType[*api.RunningError](err); !ok || running.Job.ID != first.ID || running.Job.State != api.ScanRunning || running.Job.Step != "reading" {
		t.Fatalf("%v", err)
	}
	for range 3 { // several pushes while one scan runs are one more scan
		if _, err := s.Start(api.ScanRequest{Repository: "a", Again: true}); !errors.As(err, new(*api.RunningError)) {
			t.Fatal(err)
		}
	}
	for _, other := range []string{"b", "c", "d", "e", "f"} {
		if _, err := s.Start(api.ScanRequest{Repository: other}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		<-w.started
	}
	w.let <- struct{}{} // somebody ends, and the next begins
	<-w.started
	for range 6 {
		w.let <- struct{}{}
		select {
		case <-w.started:
		default:
		}
	}
	for job, ok := s.Job(first.ID); ok && job.EndedAt.IsZero(); {
		job, ok = s.Job(first.ID)
	}
	cancel()
	s.Stop()
	if w.most > 4 {
		t.Errorf("%d scans ran at once", w.most)
	}
	if _, err := s.Start(api.ScanRequest{Repository: "z"}); !errors.Is(err, api.ErrStopping) {
		t.Errorf("after the end: %v", err)
	}
}

// TestTheEndOfTheServerEndsScans: each is over when Stop returns, whatever it was doing.
func TestTheEndOfTheServerEndsScans(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := api.NewScans(ctx, time.Now, w.scan)
	var ids []string
	for _, repository := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		job, err := s.Start(api.ScanRequest{Repository: repository})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.ID)
	}
	<-w.started
	cancel()
	s.Stop()
	for _, id := range ids {
		if job, ok := s.Job(id); !ok || job.State != api.ScanFailed || job.EndedAt.IsZero() || job.Error == "" {
			t.Errorf("%+v", job)
		}
	}
}

func TestAScanThatPanicsFailsAlone(t *testing.T) {
	t.Parallel()
	s := api.NewScans(t.Context(), time.Now, func(context.Context, api.ScanRequest, func(string, int, int)) (*api.ScanOutcome, error) {
		panic("out of range")
	})
	job, err := s.Start(api.ScanRequest{Repository: "a"})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if job, _ = s.Job(job.ID); job.State != api.ScanFailed || job.Error != "the program failed: out of range" {
		t.Errorf("%+v", job)
	}
}
