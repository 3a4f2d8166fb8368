package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
)

// RebuildRequest says which projections to rebuild, and why.
type RebuildRequest struct {
	// Projections are those to rebuild: [Artifacts], [Audit], [History]. Nil for all.
	Projections []string
	// Outdated rebuilds only tables that another version of their projection built.
	Outdated bool
	// AdoptLog also replaces tables that were built from another log, or from more of this one than there is now: what they
	// show may be all that is left of lost events.
	AdoptLog bool
	// Fresh starts over instead of resuming an interrupted rebuild.
	Fresh bool
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
	// Progress is told of each page that was written, from several goroutines. It must not block. Nil for nobody.
	Progress func(RebuildProgress)
	// Waiting is told that another process rebuilds the projection, and until when its lease is waited for in case it has
	// died. It must not block. Nil for nobody.
	Waiting func(*projections.LeaseHeldError)
}

// RebuildProgress is how far a rebuild is. The JSON names are stable.
type RebuildProgress struct {
	Projection  string  `json:"projection"`
	Build       int     `json:"build"`
	Position    uint64  `json:"position"`
	Head        uint64  `json:"head"` // of the log when the rebuild began
	Events      uint64  `json:"events"`
	Rate        float64 `json:"events_per_second"`
	SecondsLeft float64 `json:"seconds_left"` // 0 when it is not known
}

// RebuildResult is the outcome of [Admin.Rebuild]. The JSON names are stable.
type RebuildResult struct {
	Rebuilt []Rebuilt `json:"rebuilt"`
	// Current are the projections that were not rebuilt, because their tables are of this version: see
	// [RebuildRequest.Outdated].
	Current []string `json:"current,omitempty"`
	// NotProjected says why the audit trail does not show the rebuild yet; nil when it does, and while the audit trail is paused.
	NotProjected error `json:"-"`
	// Ended is the rebuild that did not succeed, as the log has it. It is nil where there is none, and where it is unknown
	// whether the log has it.
	Ended *domain.AdminActed `json:"-"`
}

// Rebuilt is the rebuild of one projection.
type Rebuilt struct {
	Projection  string        `json:"projection"`
	Build       int           `json:"build"`
	Replaced    int           `json:"replaced_build,omitempty"`
	ResumedFrom uint64        `json:"resumed_from,omitempty"` // the position at which it resumed an interrupted rebuild
	Events      uint64        `json:"events"`
	DurationMS  int64         `json:"duration_ms"`
	Rate        float64       `json:"events_per_second"`
	Position    uint64        `json:"position"`
	Compared    bool          `json:"compared"`            // the replaced tables, with the new ones
	Differing   []string      `json:"differing,omitempty"` // replaced tables that were not what the log says
	Unreadable  string        `json:"unreadable,omitempty"`
	Tables      []TableDigest `json:"tables"`
}

// Rebuild builds the tables of projections again from the log, beside the ones that readers see, compares the two, and then
// switches readers to the new ones in one instant. Reading and scanning go on meanwhile. An interrupted rebuild leaves the old
// tables, and the next one resumes it. The replaced build stays until [Admin.Prune].
//
// It waits until the new build has reached the head of the log, and at most once for the lease of another process. Errors:
// those of [Admin.Pause], a *[projections.LeaseHeldError] while another process rebuilds the same projection,
// [projections.ErrCancelled], and a *[projections.MismatchError] where AdoptLog is needed.
func (a Admin) Rebuild(ctx context.Context, r RebuildRequest) (result RebuildResult, err error) {
	result.Rebuilt = []Rebuilt{}
	request := ActionRequest{Projections: r.Projections, Actor: r.Actor, Reason: r.Reason}
	names, err := a.check("rebuild", &request)
	if err != nil {
		return result, err
	}
	var last *adminSession
	result.NotProjected, err = a.session(ctx, func(s *adminSession) error {
		last = s
		for _, name := range names {
			if r.Outdated {
				current, err := s.isCurrent(ctx, name)
				if err != nil {
					return err
				}
				if current {
					result.Current = append(result.Current, name)
					continue
				}
			}
			report, err := s.rebuild(ctx, name, r, request)
			if err != nil {
				return err
			}
			result.Rebuilt = append(result.Rebuilt, newRebuilt(name, report))
		}
		return nil
	})
	if err != nil && last != nil {
		result.Ended = last.endedUnsuccessfully()
	}
	return result, err
}

// endedUnsuccessfully returns the last action that the session began, where it moved that to the log and it did not succeed.
func (s *adminSession) endedUnsuccessfully() *domain.AdminActed {
	if len(s.began) == 0 {
		return nil
	}
	act, recorded := s.recorded[s.began[len(s.began)-1]]
	if !recorded || act.Outcome == run.OutcomeSucceeded {
		return nil
	}
	return &act
}

// isCurrent reports whether the tables that readers see are of this binary's version.
func (s *adminSession) isCurrent(ctx context.Context, name string) (bool, error) {
	p, err := s.runner.Projection(name)
	if err != nil {
		return false, err
	}
	active, err := s.runner.Active(ctx, name)
	return active != nil && active.Checkpoint.Version == p.Version, err
}

// rebuild rebuilds one projection.
func (s *adminSession) rebuild(ctx context.Context, name string, r RebuildRequest, request ActionRequest) (run.Report, error) {
	act, err := s.ledger.Admin().newAction(actionRebuild, name, request)
	if err != nil {
		return run.Report{}, err
	}
	for argument, set := range map[string]bool{"adopt_log": r.AdoptLog, "fresh": r.Fresh, "from_version": r.Outdated} {
		if set {
			if act.Arguments == nil {
				act.Arguments = map[string]string{}
			}
			act.Arguments[argument] = "true"
		}
	}
	head, err := s.log.Head(ctx)
	if err != nil {
		return run.Report{}, err
	}
	pace := &pacemeter{now: s.ledger.config.Now, head: head, tell: r.Progress, builds: map[projections.Ref]pageStart{}}
	runner, err := s.ledger.newRunner(s.log, s.tables, nil, pace.observe)
	if err != nil {
		return run.Report{}, err
	}
	s.began = append(s.began, act.ID)
	return s.waitForLease(ctx, r.Waiting, &act, func() (run.Report, error) {
		return runner.Rebuild(ctx, name, run.RebuildOptions{AdoptLog: r.AdoptLog, Fresh: r.Fresh, Action: &act})
	})
}

// waitForLease does work, and does it again when a lease kept it from it that then runs out: the process that held it has
// died. One that lives renews its lease, and then the action has failed.
func (s *adminSession) waitForLease(
	ctx context.Context, waiting func(*projections.LeaseHeldError), act *domain.AdminActed, work func() (run.Report, error),
) (run.Report, error) {
	report, err := work()
	held, ok := errors.AsType[*projections.LeaseHeldError](err)
	if !ok {
		return report, err
	}
	if waiting != nil {
		waiting(held)
	}
	timer := time.NewTimer(held.Left + time.Millisecond) // the database keeps times to the microsecond
	defer timer.Stop()
	select {
	case <-timer.C:
		report, err = work()
	case <-ctx.Done():
	}
	if !errors.Is(err, projections.ErrLeaseHeld) {
		return report, err
	}
	failure := *act
	failure.Outcome, failure.Detail = run.OutcomeFailed, held.Error()
	kept := projections.OutboxEntry{Action: failure, Ref: projections.Ref{Projection: held.Projection}}
	return report, errors.Join(err, projections.SaveOutboxEntry(context.WithoutCancel(ctx), s.tables, kept))
}

func newRebuilt(name string, r run.Report) Rebuilt {
	out := Rebuilt{
		Projection: name, Build: r.Number, ResumedFrom: uint64(r.From), Events: r.Events, DurationMS: r.Duration.Milliseconds(),
		Position: uint64(r.Checkpoint.Position), Compared: r.Compared, Differing: r.Differs, Unreadable: r.Unreadable,
	}
	if r.Before != nil {
		out.Replaced = r.Before.Number
	}
	if seconds := r.Duration.Seconds(); seconds > 0 {
		out.Rate = float64(r.Events) / seconds
	}
	for _, d := range r.Digests {
		out.Tables = append(out.Tables, TableDigest(d))
	}
	return out
}

// pacemeter tells how far builds are and how fast they get on. It is safe for concurrent use.
type pacemeter struct {
	now    func() time.Time
	head   eventstore.Position
	tell   func(RebuildProgress)
	mu     sync.Mutex // guards builds
	builds map[projections.Ref]pageStart
}

// pageStart is the first page that was seen of a build.
type pageStart struct {
	at       time.Time
	position eventstore.Position
	events   uint64
}

func (m *pacemeter) observe(p run.Progress) {
	if m.tell == nil {
		return
	}
	now := m.now()
	m.mu.Lock()
	from, known := m.builds[p.Ref]
	if !known {
		m.builds[p.Ref] = pageStart{now, p.Position, p.Events}
	}
	m.mu.Unlock()
	if !known {
		return
	}
	told := RebuildProgress{Projection: p.Projection, Build: p.Number, Position: uint64(p.Position), Head: uint64(m.head), Events: p.Events}
	if span := now.Sub(from.at).Seconds(); span > 0 {
		told.Rate = float64(p.Events-from.events) / span
		if pace := float64(eventstore.Distance(from.position, p.Position)) / span; pace > 0 && p.Position < m.head {
			told.SecondsLeft = float64(eventstore.Distance(p.Position, m.head)) / pace
		}
	}
	m.tell(told)
}

// ProjectionRunner keeps tables at the head of the log. Close it.
type ProjectionRunner struct {
	session *adminSession
	files   config.HomeFiles
	retries *retryNotes
}

// Runner returns what keeps the tables at the head of the log. progress is told of each page that was written, from several
// goroutines, and must not block; nil for nobody. It waits until the log and the tables are open. Errors: [ErrNoLog],
// [ErrLogLost], [ErrClosed], and those of the packages projections and eventstore.
func (a Admin) Runner(ctx context.Context, progress func(run.Progress)) (*ProjectionRunner, error) {
	retries := &retryNotes{ledger: a.ledger, notes: map[string]Retrying{}}
	s, err := a.openSession(ctx, config.ToAppend)
	if err != nil {
		return nil, err
	}
	s.runner, err = a.ledger.newRunner(s.log, s.tables, nil, func(p run.Progress) {
		retries.moved(p.Projection)
		if progress != nil {
			progress(p)
		}
	}, retries.failed)
	if err != nil {
		return nil, errors.Join(err, s.tables.Close())
	}
	files, err := a.ledger.homeFiles(a.ledger.settings)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot follow the log: %w", err), s.tables.Close())
	}
	return &ProjectionRunner{s, files, retries}, nil
}

// Run first records the actions that are in no log yet. Then it follows the log with every projection until ctx ends, and
// returns nil. It waits while another process writes a build, while a projection is paused, and while the log or the database
// does not answer. A projection that stops at an event does not stop the others. Actions of administrators whose process died
// are recorded meanwhile.
//
// Errors: a *[projections.MismatchError] where the log is not the one that the tables were built from, one that wraps
// [ErrHomeReplaced] where files of the home were deleted or replaced, and, when no projection is left, the errors that stopped them.
func (r *ProjectionRunner) Run(ctx context.Context) error {
	defer r.retries.end()
	return whileThere(ctx, r.files, r.run)
}

func (r *ProjectionRunner) run(ctx context.Context) error {
	if err := r.session.flushOutbox(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var flushing sync.WaitGroup
	flushing.Go(func() {
		const every = 10 * time.Second
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := r.session.flushOutbox(ctx); err != nil && ctx.Err() == nil {
				r.session.ledger.observe(err)
			}
		}
	})
	err := r.session.runner.Run(ctx)
	cancel()
	flushing.Wait()
	return err
}

// Status returns the status of every projection. Like [Admin.Status] it waits for nobody who writes. Errors: those of
// [Admin.Status].
func (r *ProjectionRunner) Status(ctx context.Context) ([]ProjectionStatus, error) {
	return r.session.statuses(ctx)
}

// Close closes the tables. It waits at most ten seconds, also when ctx has ended, until actions that the log does not have yet
// are recorded. Errors: an [*UnrecordedError] for those that could not be.
func (r *ProjectionRunner) Close(ctx context.Context) error {
	err := r.session.flushAtEnd(ctx)
	if err != nil {
		err = &UnrecordedError{Err: err}
	}
	return errors.Join(err, r.session.tables.Close())
}

func (s *adminSession) statuses(ctx context.Context) ([]ProjectionStatus, error) {
	all, err := inspect.Statuses(ctx, s.runner.Pipeline, inspect.StatusOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot read the status of projections: %w", err)
	}
	retries, err := s.ledger.retriesNow()
	if err != nil {
		return nil, err
	}
	out := make([]ProjectionStatus, len(all))
	for i, status := range all {
		out[i] = newStatus(status)
		if r, known := retries[status.Name]; known {
			out[i].Retrying = &r
		}
	}
	return out, nil
}
