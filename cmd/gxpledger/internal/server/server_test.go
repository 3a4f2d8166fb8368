package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/server"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what a process is told of its projections.
type told struct {
	all []gxpledger.ProjectionStatus
	err error
}

func (s *told) statuses(context.Context) ([]gxpledger.ProjectionStatus, error) {
	return s.all, s.err
}

// serve serves metrics until the test ends, and returns how to ask for a path.
func serve(t *testing.T, m *server.Metrics) func(path string) (int, string) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, listener) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		client.CloseIdleConnections()
	})
	return func(path string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
}

func TestReadinessFollowsTheStateOfProjections(t *testing.T) {
	t.Parallel()
	for state, ready := range map[inspect.State]bool{
		inspect.StateLive: true, inspect.StateCatchingUp: true, inspect.StatePaused: true,
		inspect.StateStalled: false, inspect.StateFaulted: false, inspect.StateMismatched: false, inspect.StateAbsent: false,
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			s := &told{all: []gxpledger.ProjectionStatus{{Name: "audit", State: inspect.StateLive}, {Name: "history", State: state}}}
			m, err := server.NewMetrics(s.statuses, server.Build{})
			if err != nil {
				t.Fatal(err)
			}
			get := serve(t, m)
			want := http.StatusServiceUnavailable
			if ready {
				want = http.StatusOK
			}
			if code, body := get("/readyz"); code != want || !strings.Contains(body, `"state":"`+string(state)+`"`) {
				t.Errorf("/readyz answers %d %s, want %d", code, body, want)
			}
			if code, _ := get("/healthz/projections"); code != http.StatusOK {
				t.Errorf("/healthz/projections answers %d", code)
			}
		})
	}
}

func TestFiguresOfProjections(t *testing.T) {
	t.Parallel()
	s := &told{all: []gxpledger.ProjectionStatus{{
		Name: "audit", State: inspect.StateCatchingUp, Head: 40, Lag: 30, LagSeconds: 1.5, UpdatedAt: time.Unix(1000, 5e8),
		Build: 3, BuildVersion: 2, Position: 10, Next: &gxpledger.NextBuild{Build: 4, Position: 20},
	}}}
	m, err := server.NewMetrics(s.statuses, server.Build{Version: "v1", Commit: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	ref := projections.Ref{Projection: "audit", Number: 3}
	for _, events := range []uint64{5, 12, 4} { // leased again before the third
		m.Observe(run.Progress{Ref: ref, Events: events})
	}
	for _, projection := range []string{"", "audit", "audit"} {
		m.Retried(projection, "log_busy")
	}
	get := serve(t, m)
	_, body := get("/metrics")
	for _, want := range []string{
		`gxp_retries_total{projection="",reason="log_busy"} 1`, `gxp_retries_total{projection="audit",reason="log_busy"} 2`,
		"gxp_log_head_position 40\n", `gxp_projection_position{build="3",projection="audit",version="2"} 10`,
		`gxp_projection_lag_events{projection="audit"} 30`, `gxp_projection_lag_seconds{projection="audit"} 1.5`,
		`gxp_projection_last_success_timestamp_seconds{projection="audit"} 1000.5`,
		`gxp_projection_rebuild_progress_ratio{projection="audit"} 0.5`, `gxp_projection_state{projection="audit",state="catching-up"} 1`,
		`gxp_projection_events_total{projection="audit"} 16`, `gxp_build_info{commit="abc",version="v1"} 1`, "go_goroutines",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// How far tables are behind that are of another log, or not there, nobody knows (I15).
func TestAnUnknownLagIsNoZero(t *testing.T) {
	t.Parallel()
	for _, state := range []inspect.State{inspect.StateMismatched, inspect.StateAbsent} {
		s := &told{all: []gxpledger.ProjectionStatus{{Name: "audit", State: state, Head: 40, Lag: 40}}}
		m, err := server.NewMetrics(s.statuses, server.Build{})
		if err != nil {
			t.Fatal(err)
		}
		if _, body := serve(t, m)("/metrics"); strings.Contains(body, "gxp_projection_lag") || !strings.Contains(body, fmt.Sprintf("state=%q} 1", state)) {
			t.Errorf("of %s tables, the metrics are\n%s", state, body)
		}
	}
}

func TestAnUnreadableLogIsNotReady(t *testing.T) {
	t.Parallel()
	s := &told{err: errors.New("postgres://user:secret@db")}
	m, err := server.NewMetrics(s.statuses, server.Build{})
	if err != nil {
		t.Fatal(err)
	}
	get := serve(t, m)
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || strings.Contains(body, "secret") || !strings.Contains(body, "cannot be read") {
		t.Errorf("/readyz answers %d %s", code, body)
	}
	get("/metrics")
	if _, body := get("/metrics"); !strings.Contains(body, "gxp_status_failures_total 1") && !strings.Contains(body, "gxp_status_failures_total 2") {
		t.Errorf("metrics do not count the failure:\n%s", body)
	}
	if code, _ := get("/livez"); code != http.StatusNoContent {
		t.Errorf("/livez answers %d", code)
	}
}
