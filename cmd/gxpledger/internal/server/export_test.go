package server

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gxpledger/gxpledger/domain"
)

// Count takes an event, as if it had been read from a log.
func (s *Scans) Count(event domain.Event, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(event, at)
}

// Ready says that the log was read.
func (s *Scans) Ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// Collectors returns those that every process has, of a process that knows nothing yet.
func Collectors(t *testing.T) []prometheus.Collector {
	t.Helper()
	m, err := NewMetrics(nil, Build{Version: "v1", Commit: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	return []prometheus.Collector{m, m.folded, m.failed, m.retried, m.verifications, m.info}
}
