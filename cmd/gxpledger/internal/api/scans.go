package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Limits on scans.
const (
	scansAtOnce  = 4    // of different repositories
	scansWaiting = 100  // and running
	scansKept    = 1000 // that ended, of which the outcome is answered
)

// ScanJob is a scan that was asked for, as clients see it. The JSON names are stable.
type ScanJob struct {
	ID         string    `json:"id"`
	Repository string    `json:"repository"` // as it was asked for
	State      ScanState `json:"state"`
	AskedBy    string    `json:"asked_by"`
	AskedAt    time.Time `json:"asked_at"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
	// Step, Done and Total are how far it is: see [gxpledger.ScanProgress].
	Step  string `json:"step,omitempty"`
	Done  int    `json:"done,omitempty"`
	Total int    `json:"total,omitempty"`
	// Outcome is what was recorded; nil until it ended, and where nothing was.
	Outcome *ScanOutcome `json:"outcome,omitempty"`
	// Error says in a sentence why it did not complete. It may hold what the repository says, hostile until neutralised.
	Error string `json:"error,omitempty"`
}

// ScanState is how far a [ScanJob] is.
type ScanState string

// The states.
const (
	ScanQueued    ScanState = "queued"
	ScanRunning   ScanState = "running"
	ScanCompleted ScanState = "completed"
	ScanFailed    ScanState = "failed" // as Error says; the failure is recorded where Outcome is there
)

// ScanOutcome is what the log holds of a scan.
type ScanOutcome struct {
	Scan     string `json:"scan"`
	Number   int    `json:"number,omitempty"`
	Position uint64 `json:"position"`
}

// ErrStopping says that the server ends and begins no more scans.
var ErrStopping = errors.New("the server is ending")

// RunningError says that a scan of the repository is queued or running already.
type RunningError struct{ Job ScanJob }

// Error names the scan.
func (e *RunningError) Error() string {
	return "scan " + e.Job.ID + " of " + e.Job.Repository + " has not ended"
}

// Scans carries out scans in the background: of different repositories side by side, of one repository one at a time. It is safe for
// concurrent use.
type Scans struct {
	now func() time.Time
	// scan records a scan of a repository and returns what was recorded. progress must not be called after it returned.
	scan func(ctx context.Context, asked ScanRequest, progress func(step string, done, total int)) (*ScanOutcome, error)

	turns   chan struct{}
	ctx     context.Context //nolint:containedctx // of the server: scans outlive the requests that ask for them
	running sync.WaitGroup

	mu      sync.Mutex // guards all below
	stopped bool
	jobs    map[string]*ScanJob
	order   []string // ids, the oldest first
	active  map[string]string
	again   map[string]ScanRequest // by repository: to be started when the running scan ended
}

// ScanRequest is who asks for a scan of what.
type ScanRequest struct {
	Repository string // by which it is known; never an address that a client chose
	Reason     string
	// Actor is who asks. Authenticated reports that the server knows it.
	Actor         string
	Authenticated bool
	// Again asks for another scan where one runs, which may have read the repository before: it starts when that ended.
	Again bool
	// TraceParent and TraceState are the W3C trace context of the request.
	TraceParent, TraceState string
}

// NewScans returns what carries out scans by a function, until ctx ends: that ends the scans that run, each as a whole or not at all.
func NewScans(
	ctx context.Context, now func() time.Time, scan func(ctx context.Context, asked ScanRequest, progress func(step string, done, total int)) (*ScanOutcome, error),
) *Scans {
	return &Scans{
		ctx: ctx, now: now, scan: scan, turns: make(chan struct{}, scansAtOnce), jobs: map[string]*ScanJob{}, active: map[string]string{},
		again: map[string]ScanRequest{},
	}
}

// Start begins a scan in the background. Errors: a *[RunningError] while one of the repository has not ended, [ErrStopping], and a *[ProblemError] when too
// many wait.
func (s *Scans) Start(asked ScanRequest) (ScanJob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start(asked)
}

// start is Start. It needs mu.
func (s *Scans) start(asked ScanRequest) (ScanJob, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return ScanJob{}, fmt.Errorf("cannot start a scan: %w", err)
	}
	switch known, busy := s.active[asked.Repository]; {
	case s.stopped || s.ctx.Err() != nil:
		return ScanJob{}, ErrStopping
	case busy:
		if asked.Again && s.jobs[known].State == ScanRunning {
			s.again[asked.Repository] = asked
		}
		return ScanJob{}, &RunningError{*s.jobs[known]}
	case len(s.active) >= scansWaiting:
		full := NewProblem(http.StatusServiceUnavailable, CodeBusy, fmt.Sprintf("%d scans are waiting: ask again later", scansWaiting))
		full.RetryAfter = turnWait
		return ScanJob{}, full
	}
	job := &ScanJob{ID: id.String(), Repository: asked.Repository, State: ScanQueued, AskedBy: asked.Actor, AskedAt: s.now().UTC()}
	s.jobs[job.ID], s.active[asked.Repository] = job, job.ID
	s.order = append(s.order, job.ID)
	s.forget()
	s.running.Go(func() { s.run(job, asked) })
	return *job, nil
}

// forget removes the oldest scans that ended. It needs mu.
func (s *Scans) forget() {
	s.order = slices.DeleteFunc(s.order, func(id string) bool {
		if len(s.jobs) <= scansKept+len(s.active) || s.jobs[id].EndedAt.IsZero() {
			return false
		}
		delete(s.jobs, id)
		return true
	})
}

// run carries out one scan.
func (s *Scans) run(job *ScanJob, asked ScanRequest) {
	var outcome *ScanOutcome
	err := ErrStopping
	select {
	case s.turns <- struct{}{}:
		s.change(func() { job.State = ScanRunning })
		outcome, err = s.attempt(job, asked)
		<-s.turns
	case <-s.ctx.Done():
	}
	s.change(func() {
		job.State, job.Outcome, job.EndedAt = ScanCompleted, outcome, s.now().UTC()
		if err != nil {
			job.State, job.Error = ScanFailed, err.Error()
		}
		delete(s.active, asked.Repository)
		if next, ok := s.again[asked.Repository]; ok {
			delete(s.again, asked.Repository)
			_, _ = s.start(next) // which fails when the server ends
		}
	})
}

// attempt calls the scan function, of which a fault of the program is an error: other scans and clients go with the process.
func (s *Scans) attempt(job *ScanJob, asked ScanRequest) (outcome *ScanOutcome, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the program failed: %v", fault)
		}
	}()
	return s.scan(s.ctx, asked, func(step string, done, total int) {
		s.change(func() { job.Step, job.Done, job.Total = step, done, total })
	})
}

func (s *Scans) change(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
}

// Job returns a scan that was asked for. ok is false for one that is not known, or not any more.
func (s *Scans) Job(id string) (job ScanJob, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.jobs[id]
	if found == nil {
		return ScanJob{}, false
	}
	return *found, true
}

// Stop begins no further scans and waits for those that run.
func (s *Scans) Stop() {
	s.change(func() { s.stopped = true })
	s.running.Wait()
}

// answerJob answers with a scan that was asked for.
func answerJob(w http.ResponseWriter, r *http.Request, status int, job ScanJob) error {
	document, err := json.Marshal(job)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/scan-jobs/"+job.ID)
	WriteDocument(w, r, status, document)
	return nil
}
