// Package server serves over HTTP the metrics of a process that follows the log, and its health; and knows the users of a server.
package server

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
)

// Statuses returns the status of projections, see [gxpledger.Admin.Status].
type Statuses func(ctx context.Context) ([]gxpledger.ProjectionStatus, error)

// Build is which binary runs.
type Build struct{ Version, Commit string }

// Metrics are the figures of one process. They are read from the tables and the log at each collection, so that they are
// true whichever process does the work. Safe for concurrent use.
type Metrics struct {
	statuses      Statuses
	registry      *prometheus.Registry
	folded        *prometheus.CounterVec
	failed        prometheus.Counter
	retried       *prometheus.CounterVec
	verifications *prometheus.CounterVec
	info          prometheus.Gauge
	mu            sync.Mutex // guards events and verified
	events        map[projections.Ref]uint64
	verified      *gxpledger.LastVerification // nil until there is one
}

// patience bounds how long a collection waits for the log and the tables.
const patience = 5 * time.Second

// NewMetrics returns the metrics of a process that follows what statuses tells of. The names begin with gxp_ and are
// stable. The metrics of more are served, too.
func NewMetrics(statuses Statuses, build Build, more ...prometheus.Collector) (*Metrics, error) {
	m := &Metrics{
		statuses: statuses, registry: prometheus.NewRegistry(), events: map[projections.Ref]uint64{},
		folded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gxp_projection_events_total", Help: "Events that this process folded or passed over, by projection.",
		}, []string{"projection"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gxp_status_failures_total", Help: "Collections for which the log or the tables could not be read.",
		}),
		retried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gxp_retries_total", Help: "What this process failed to do and tried again, by projection, the empty one being the log, and reason.",
		}, []string{"projection", "reason"}),
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gxp_verifications_total", Help: "Verifications in the background by this process, by outcome: intact, faults, unknown (a check could not be made) or failed.",
		}, []string{"outcome"}),
	}
	m.info = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gxp_build_info", Help: "The binary; always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit},
	})
	m.info.Set(1)
	for _, c := range append([]prometheus.Collector{
		m, m.folded, m.failed, m.retried, m.verifications, m.info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, more...) {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Observe counts what a Runner wrote; give it to its Config.
func (m *Metrics) Observe(p run.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.events[p.Ref]
	if p.Events < before { // the build was leased anew
		before = 0
	}
	m.events[p.Ref] = p.Events
	m.folded.WithLabelValues(p.Projection).Add(float64(p.Events - before))
}

// Retried counts what is tried again, for a projection or, with "", the log. The reason is one of a few codes.
func (m *Metrics) Retried(projection, reason string) {
	m.retried.WithLabelValues(projection, reason).Inc()
}

// VerificationEnded counts a verification of this process and sets its outcome.
func (m *Metrics) VerificationEnded(last gxpledger.LastVerification) {
	outcome := "intact"
	switch {
	case last.Faults > 0:
		outcome = "faults"
	case last.Unknown > 0 || !last.Intact:
		outcome = "unknown"
	}
	m.verifications.WithLabelValues(outcome).Inc()
	m.Verified(last)
}

// VerificationFailed counts a verification of this process that did not end.
func (m *Metrics) VerificationFailed() { m.verifications.WithLabelValues("failed").Inc() }

// Verified sets the outcome of the last verification in the background; without one, there are no metrics of it.
func (m *Metrics) Verified(last gxpledger.LastVerification) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verified = &last
}

// verification are the metrics of the last verification.
func verification() []verificationFigure {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("gxp_verification_"+name, help, nil, nil)
	}
	return []verificationFigure{
		{desc("faults", "Faults that the last verification in the background found."), func(v gxpledger.LastVerification) float64 { return float64(v.Faults) }},
		{desc("unknown", "Checks that the last verification in the background could not make."), func(v gxpledger.LastVerification) float64 { return float64(v.Unknown) }},
		{desc("position", "Position up to which the last verification in the background read the log."), func(v gxpledger.LastVerification) float64 { return float64(v.Position) }},
		{desc("last_timestamp_seconds", "When the last verification in the background ended."), func(v gxpledger.LastVerification) float64 {
			return seconds(v.FinishedAt)
		}},
	}
}

type verificationFigure struct {
	desc  *prometheus.Desc
	value func(gxpledger.LastVerification) float64
}

// figure is a gauge of one projection.
type figure struct {
	desc  *prometheus.Desc
	value func(gxpledger.ProjectionStatus) float64
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"projection"}, labels...), nil)
}

func head() *prometheus.Desc {
	return prometheus.NewDesc("gxp_log_head_position", "Position of the last event of the log.", nil, nil)
}

func state() *prometheus.Desc {
	return gauge("gxp_projection_state", "1 for the state that the projection is in, 0 for the others.", "state")
}

func position() *prometheus.Desc {
	return gauge("gxp_projection_position", "Position up to which the tables that readers see show the log.", "version", "build")
}

func figures() []figure {
	return []figure{
		{
			gauge("gxp_projection_lag_events", "Positions between the tables that readers see and the head of the log; absent when there are none, or they are of another log."),
			func(s gxpledger.ProjectionStatus) float64 { return orAbsent(s, float64(s.Lag)) },
		},
		{
			gauge("gxp_projection_lag_seconds", "How long the oldest event that the tables lack has been in the log; 0 when there is none, and absent as the positions are."),
			func(s gxpledger.ProjectionStatus) float64 { return orAbsent(s, s.LagSeconds) },
		},
		{
			gauge("gxp_projection_last_success_timestamp_seconds", "When the tables that readers see last moved; 0 when there are none."),
			func(s gxpledger.ProjectionStatus) float64 {
				if s.Build == 0 {
					return 0
				}
				return seconds(s.UpdatedAt)
			},
		},
		{
			gauge("gxp_projection_rebuild_progress_ratio", "How much of the log the build holds that is to replace the tables; 1 when there is none."),
			func(s gxpledger.ProjectionStatus) float64 {
				if s.Next == nil || s.Head == 0 {
					return 1
				}
				return float64(eventstore.Distance(0, eventstore.Position(s.Next.Position))) / float64(eventstore.Distance(0, eventstore.Position(s.Head)))
			},
		},
	}
}

// orAbsent is value, or no number where nobody knows how far the tables are behind (I15).
func orAbsent(s gxpledger.ProjectionStatus, value float64) float64 {
	if s.State == inspect.StateMismatched || s.State == inspect.StateAbsent {
		return math.NaN()
	}
	return value
}

func states() []inspect.State {
	return []inspect.State{
		inspect.StateAbsent, inspect.StateCatchingUp, inspect.StateLive, inspect.StateStalled,
		inspect.StateFaulted, inspect.StateMismatched, inspect.StatePaused,
	}
}

// Describe implements [prometheus.Collector].
func (*Metrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- head()
	descs <- state()
	descs <- position()
	for _, f := range figures() {
		descs <- f.desc
	}
	for _, f := range verification() {
		descs <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.mu.Lock()
	verified := m.verified
	m.mu.Unlock()
	if verified != nil {
		for _, f := range verification() {
			metrics <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, f.value(*verified))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:forbidigo // a collector is given none
	defer cancel()
	all, err := m.statuses(ctx)
	if err != nil {
		m.failed.Inc()
		return
	}
	send := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for i, s := range all {
		if i == 0 {
			send(head(), float64(s.Head))
		}
		for _, each := range states() {
			value := 0.0
			if each == s.State {
				value = 1
			}
			send(state(), value, s.Name, string(each))
		}
		if s.Build > 0 {
			send(position(), float64(s.Position), s.Name, strconv.Itoa(s.BuildVersion), strconv.Itoa(s.Build))
		}
		for _, f := range figures() {
			if value := f.value(s); !math.IsNaN(value) {
				send(f.desc, value, s.Name)
			}
		}
	}
}
