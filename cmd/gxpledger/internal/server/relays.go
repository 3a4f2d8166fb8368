package server

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
)

// RelayStatuses returns the status of relays, see [gxpledger.Admin.Relays].
type RelayStatuses func(ctx context.Context) ([]gxpledger.RelayStatus, error)

// Relays are the metrics of a process that relays. What is parked and the lag are read from the store of cursors at each collection, so
// that they are true whichever process relays. Safe for concurrent use.
type Relays struct {
	statuses RelayStatuses
	registry *prometheus.Registry
	steps    *prometheus.CounterVec
	failed   prometheus.Counter
	mu       sync.Mutex // one collection at a time
}

// NewRelays returns the metrics of a process that relays. The names begin with gxp_relay_ and are stable.
func NewRelays(statuses RelayStatuses) (*Relays, error) {
	m := &Relays{
		statuses: statuses, registry: prometheus.NewRegistry(),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gxp_relay_events_total", Help: "What this process did with events, by relay and step: sent (duplicates included), failed (an attempt), parked, held, skipped or passed (not for the target).",
		}, []string{"relay", "step"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gxp_relay_status_failures_total", Help: "Collections for which the log or the cursors could not be read.",
		}),
	}
	for _, c := range []prometheus.Collector{m, m.steps, m.failed, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Observe counts a step of a relay.
func (m *Relays) Observe(p relay.Progress) {
	switch p.Step {
	case relay.StepSent, relay.StepFailed, relay.StepParked, relay.StepHeld, relay.StepSkipped, relay.StepPassed:
		m.steps.WithLabelValues(p.Relay, string(p.Step)).Inc()
	case relay.StepStandsBy, relay.StepStarted, relay.StepResumed, relay.StepReading, relay.StepSaved:
	}
}

// relayFigure is a gauge of one relay.
type relayFigure struct {
	desc  *prometheus.Desc
	value func(*gxpledger.RelayStatus) (float64, bool) // false where it is not known
}

func relayFigures() []relayFigure {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("gxp_relay_"+name, help, []string{"relay"}, nil)
	}
	return []relayFigure{
		{desc("position", "Position of the last event that the relay handled."), func(s *gxpledger.RelayStatus) (float64, bool) {
			return float64(s.Position), s.Lag != nil
		}},
		{desc("lag_events", "Positions between the relay and the head of the log; absent when its cursor is lost."), func(s *gxpledger.RelayStatus) (float64, bool) {
			if s.Lag == nil {
				return 0, false
			}
			return float64(*s.Lag), true
		}},
		{desc("parked_repositories", "Repositories whose events are parked; absent when its cursor is lost."), func(s *gxpledger.RelayStatus) (float64, bool) {
			return float64(len(s.Parked)), s.Lag != nil
		}},
		{desc("parked_events", "Events that are parked; absent when its cursor is lost."), func(s *gxpledger.RelayStatus) (float64, bool) {
			return float64(s.Waiting), s.Lag != nil
		}},
		{desc("saved_timestamp_seconds", "When the position was last saved; absent when the cursor is lost."), func(s *gxpledger.RelayStatus) (float64, bool) {
			return seconds(s.SavedAt), s.Lag != nil
		}},
	}
}

func relayState() *prometheus.Desc {
	return prometheus.NewDesc("gxp_relay_state", "1 for the state that the relay is in, 0 for the others.", []string{"relay", "state"}, nil)
}

// Describe implements [prometheus.Collector].
func (*Relays) Describe(descs chan<- *prometheus.Desc) {
	descs <- relayState()
	for _, f := range relayFigures() {
		descs <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (m *Relays) Collect(metrics chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:forbidigo // a collector is given none
	defer cancel()
	all, err := m.statuses(ctx)
	if err != nil {
		m.failed.Inc()
		return
	}
	for i := range all {
		s := &all[i]
		for _, state := range []gxpledger.RelayState{
			gxpledger.RelayLost, gxpledger.RelayEnded, gxpledger.RelayParked, gxpledger.RelayFailing, gxpledger.RelayStopped, gxpledger.RelayRunning,
		} {
			value := 0.0
			if state == s.State {
				value = 1
			}
			metrics <- prometheus.MustNewConstMetric(relayState(), prometheus.GaugeValue, value, s.Name, string(state))
		}
		for _, f := range relayFigures() {
			if value, known := f.value(s); known {
				metrics <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, value, s.Name)
			}
		}
	}
}

// Serve serves /metrics and /livez at a listener until ctx ends, and closes the listener.
func (m *Relays) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return serveHTTP(ctx, listener, mux)
}
