package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// Clients are the metrics of the clients of a server. No label is one that a client chooses. Safe for concurrent use.
type Clients struct {
	open     prometheus.Gauge
	opened   prometheus.Counter
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	failed   prometheus.Counter
	expires  prometheus.Gauge
	tls      bool
}

// NewClients returns the metrics of the clients of a server, and of its certificate, which expires at a time; zero for none.
func NewClients(expires time.Time) *Clients {
	c := &Clients{
		open:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "gxp_serve_connections", Help: "Connections of clients that are open."}),
		opened: prometheus.NewCounter(prometheus.CounterOpts{Name: "gxp_serve_connections_total", Help: "Connections of clients that were opened."}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gxp_serve_calls_total", Help: "Calls of clients that ended, by method and code of gRPC.",
		}, []string{"method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gxp_serve_call_duration_seconds", Help: "How long calls took, by method; a subscription takes until it ends.",
			Buckets: []float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600, 3600},
		}, []string{"method"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gxp_serve_refusals_total", Help: "Logins and appends of clients that were refused, by what.",
		}, []string{"what"}),
		failed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "gxp_serve_log_failures_total", Help: "Failures of the log in calls of clients."}),
		expires: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gxp_serve_certificate_expiry_timestamp_seconds", Help: "When the certificate of the server expires; absent without TLS."}),
		tls:     !expires.IsZero(),
	}
	c.expires.Set(seconds(expires))
	for _, what := range []string{"append", "login"} { // so that they are 0, and not unknown
		c.refused.WithLabelValues(what)
	}
	return c
}

// Connected counts connections, see [esdbserver.Options].
func (c *Clients) Connected(change int) {
	c.open.Add(float64(change))
	if change > 0 {
		c.opened.Add(float64(change))
	}
}

// Called counts a call.
func (c *Clients) Called(call esdbserver.Call) {
	c.calls.WithLabelValues(call.Method, call.Code).Inc()
	c.duration.WithLabelValues(call.Method).Observe(call.Duration.Seconds())
}

// Refused counts a refusal.
func (c *Clients) Refused(r esdbserver.Refusal) { c.refused.WithLabelValues(r.What).Inc() }

// Failed counts a failure of the log.
func (c *Clients) Failed() { c.failed.Inc() }

func (c *Clients) collectors() []prometheus.Collector {
	all := []prometheus.Collector{c.open, c.opened, c.calls, c.duration, c.refused, c.failed}
	if c.tls {
		all = append(all, c.expires)
	}
	return all
}

// Describe implements [prometheus.Collector].
func (c *Clients) Describe(descs chan<- *prometheus.Desc) {
	for _, each := range c.collectors() {
		each.Describe(descs)
	}
}

// Collect implements [prometheus.Collector].
func (c *Clients) Collect(metrics chan<- prometheus.Metric) {
	for _, each := range c.collectors() {
		each.Collect(metrics)
	}
}
