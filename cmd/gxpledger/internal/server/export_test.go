package server

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Count takes an event, as if it had been read from a log.
func (s *Scans) Count(event domain.Event, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(event, at)
}

// FollowOnce reads the log up to its end.
func (s *Scans) FollowOnce(ctx context.Context, log eventstore.Log) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return s.follow(ctx, untilEnd{log, cancel})
}

// untilEnd is a log that is followed no further than it reaches.
type untilEnd struct {
	eventstore.Log
	end func()
}

func (l untilEnd) Subscribe(context.Context, eventstore.Position, eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	l.end()
	return func(func(eventstore.Record, error) bool) {}
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
