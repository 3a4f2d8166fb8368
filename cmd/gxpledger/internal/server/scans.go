package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// MaxRepositories is how many repositories have metrics of their own: those that were known first. All others are one, with the name
// [OtherRepositories].
const MaxRepositories = 1000

// OtherRepositories is the name in metrics of the repositories beyond [MaxRepositories].
const OtherRepositories = "(others)"

// The outcomes of scans in metrics. A refused scan is a failed one that a rule or a policy refused.
const (
	outcomeCompleted = "completed"
	outcomeFailed    = "failed"
	outcomeRefused   = "refused"
)

// Scans are the metrics of the scans in a log. They are facts of the log, the same in each process that follows it, whoever scanned. They
// are unknown, and absent, until the log was read once. Safe for concurrent use.
type Scans struct {
	mu           sync.Mutex
	ready        bool
	position     eventstore.Position // of the last event that was taken
	last         eventstore.EventID  // its id
	repositories map[domain.RepositoryID]*repositoryScans
	order        int
	attempts     int // of what is no known repository
	duration     *prometheus.HistogramVec
	failures     prometheus.Counter
	descs        scanDescs
}

// repositoryScans is what the log has of one repository.
type repositoryScans struct {
	name      string
	order     int // among the repositories, by their first events
	retired   bool
	outcomes  map[string]int
	last      time.Time // the last scan, whatever its outcome
	completed time.Time // the last one that completed; zero for none
	failed    bool      // the last one failed
}

type scanDescs struct {
	total, attempts, completed, last, failed, known, position *prometheus.Desc
}

// NewScans returns the metrics of scans, which [Scans.Follow] fills.
func NewScans() *Scans {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	const repository, id = "repository", "repository_id"
	return &Scans{
		repositories: map[domain.RepositoryID]*repositoryScans{},
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gxp_scan_duration_seconds", Help: "From the start of a scan to its outcome, by outcome.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, []string{"outcome"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gxp_scans_read_failures_total", Help: "How often the log could not be read for the metrics of scans; it is tried again.",
		}),
		descs: scanDescs{
			total:     desc("gxp_scans_total", "Scans in the log, by outcome: completed, refused by a rule or a policy, or failed otherwise.", repository, id, "outcome"),
			attempts:  desc("gxp_scan_attempts_failed_total", "Scans that failed before anything was recorded under a name that is not known: of no repository."),
			completed: desc("gxp_repository_last_completed_scan_timestamp_seconds", "When the last completed scan of a repository was recorded; absent when none completed.", repository, id),
			last:      desc("gxp_repository_last_scan_timestamp_seconds", "When the last scan of a repository was recorded, whatever its outcome; absent when there is none.", repository, id),
			failed:    desc("gxp_repository_last_scan_failed", "1 when the last scan of a repository failed or was refused, else 0.", repository, id),
			known:     desc("gxp_repositories", "Repositories in the log that are not retired."),
			position:  desc("gxp_scans_position", "Position of the last event that the metrics of scans know."),
		},
	}
}

// scanTypes are the stored names, of all versions, of what is counted.
func scanTypes() []string {
	return slices.DeleteFunc(eventstore.KnownTypes(), func(name string) bool {
		return !strings.HasPrefix(name, "scan.") && !strings.HasPrefix(name, "repository.")
	})
}

// Follow reads the log, and then each new scan, until ctx ends. Where the log cannot be read it tries again after a pause.
func (s *Scans) Follow(ctx context.Context, log eventstore.Log, failed func(error)) {
	for ctx.Err() == nil {
		err := s.follow(ctx, log)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.failures.Inc()
			failed(err)
		}
		select {
		case <-time.After(patience):
		case <-ctx.Done():
		}
	}
}

func (s *Scans) follow(ctx context.Context, log eventstore.Log) error {
	if err := s.checkLast(ctx, log); err != nil {
		return err
	}
	filter := eventstore.Filter{Types: scanTypes()}
	for r, err := range log.Read(ctx, s.at(), filter) {
		if err == nil {
			err = s.take(r)
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	for r, err := range log.Subscribe(ctx, s.at(), filter) {
		if err == nil {
			err = s.take(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Scans) at() eventstore.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

func (s *Scans) take(r eventstore.Record) error {
	event, err := eventstore.Decode(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(event, r.RecordedAt)
	s.position, s.last = r.Position, r.ID
	return nil
}

// checkLast forgets everything where the log does not hold the event that was taken last: an older copy of it was restored, and other events may
// be at its positions (I14).
func (s *Scans) checkLast(ctx context.Context, log eventstore.Log) error {
	at := s.at()
	if at == 0 {
		return nil
	}
	r, err := log.At(ctx, at)
	if err != nil && !errors.Is(err, eventstore.ErrNotFound) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || r.ID != s.last {
		s.ready, s.position, s.attempts = false, 0, 0
		clear(s.repositories)
		s.duration.Reset()
	}
	return nil
}

// count adds an event.
func (s *Scans) count(event domain.Event, at time.Time) {
	switch e := event.(type) {
	case domain.RepositoryRegistered:
		s.repository(e.Repository)
	case domain.RepositoryChanged:
		s.repository(e.Repository)
	case domain.RepositoryRetired:
		s.repository(e.Repository).retired = true
	case domain.ScanCompleted:
		r := s.ended(e.Head, outcomeCompleted, at)
		r.completed, r.failed = at, false
	case domain.ScanFailed:
		outcome := outcomeRefused
		if domain.NotCarriedOut(e.Code) {
			outcome = outcomeFailed
		}
		s.ended(e.Head, outcome, at).failed = true
	case domain.ScanAttemptFailed:
		s.attempts++
	case domain.ArtifactParsed, domain.ArtifactRejected, domain.ArtifactRemoved, domain.ArtifactRelinked, domain.RejectionCleared,
		domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.AdminActed: // none of these is read
	}
}

// ended counts a scan. Clocks that were set back give no negative durations.
func (s *Scans) ended(head domain.Head, outcome string, at time.Time) *repositoryScans {
	r := s.repository(head.Repository)
	r.outcomes[outcome]++
	r.last = at
	s.duration.WithLabelValues(outcome).Observe(max(0, head.DecidedAt.Sub(head.StartedAt)).Seconds())
	return r
}

func (s *Scans) repository(of domain.Repository) *repositoryScans {
	r := s.repositories[of.ID]
	if r == nil {
		r = &repositoryScans{order: s.order, outcomes: map[string]int{}}
		s.order++
		s.repositories[of.ID] = r
	}
	r.name = strings.ToValidUTF8(of.Name, "?")
	return r
}

// Describe implements [prometheus.Collector].
func (s *Scans) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{s.descs.total, s.descs.attempts, s.descs.completed, s.descs.last, s.descs.failed, s.descs.known, s.descs.position} {
		descs <- desc
	}
	s.duration.Describe(descs)
	s.failures.Describe(descs)
}

// Collect implements [prometheus.Collector].
func (s *Scans) Collect(metrics chan<- prometheus.Metric) {
	s.failures.Collect(metrics)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return
	}
	s.duration.Collect(metrics)
	send := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	shown, known := s.shown()
	send(s.descs.known, float64(known))
	send(s.descs.position, float64(s.position))
	metrics <- prometheus.MustNewConstMetric(s.descs.attempts, prometheus.CounterValue, float64(s.attempts))
	for _, r := range shown {
		for _, outcome := range []string{outcomeCompleted, outcomeFailed, outcomeRefused} {
			metrics <- prometheus.MustNewConstMetric(s.descs.total, prometheus.CounterValue, float64(r.outcomes[outcome]), r.name, r.id, outcome)
		}
		if r.last.IsZero() {
			continue
		}
		failed := 0.0
		if r.failed {
			failed = 1
		}
		send(s.descs.failed, failed, r.name, r.id)
		send(s.descs.last, seconds(r.last), r.name, r.id)
		if !r.completed.IsZero() {
			send(s.descs.completed, seconds(r.completed), r.name, r.id)
		}
	}
}

// shownScans are the metrics of one repository, or of all beyond the limit.
type shownScans struct {
	repositoryScans
	id string
}

// shown returns what has metrics, and how many repositories there are that are not retired. Of those beyond the limit the worst is shown:
// the longest without a completed scan, and a failure when one of them failed.
func (s *Scans) shown() (all []shownScans, known int) {
	for id, r := range s.repositories {
		if !r.retired {
			all = append(all, shownScans{*r, string(id)})
		}
	}
	known = len(all)
	slices.SortFunc(all, func(a, b shownScans) int { return cmp.Compare(a.order, b.order) })
	if known <= MaxRepositories {
		return all, known
	}
	others := shownScans{repositoryScans{name: OtherRepositories, outcomes: map[string]int{}}, ""}
	unknown := false // one of them has no completed scan
	for _, r := range all[MaxRepositories:] {
		for outcome, n := range r.outcomes {
			others.outcomes[outcome] += n
		}
		others.failed = others.failed || r.failed
		if r.last.After(others.last) {
			others.last = r.last
		}
		unknown = unknown || r.completed.IsZero()
		if others.completed.IsZero() || r.completed.Before(others.completed) {
			others.completed = r.completed
		}
	}
	if unknown {
		others.completed = time.Time{}
	}
	return append(all[:MaxRepositories], others), known
}

func seconds(at time.Time) float64 {
	return float64(at.UnixMilli()) / float64(time.Second/time.Millisecond)
}
