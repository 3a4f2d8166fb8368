package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/server"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// gathered returns the metrics of collectors, a line each: name, labels and value.
func gathered(t *testing.T, collectors ...prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
			fmt.Fprintf(&lines, "%s{%s} %v\n", family.GetName(), strings.Join(labels, ","), value)
		}
	}
	return lines.String()
}

func start() time.Time { return time.Unix(1_000_000, 0).UTC() }

func head(id, name string, took time.Duration) domain.Head {
	return domain.Head{
		Repository: domain.Repository{ID: domain.RepositoryID(id), Name: name}, StartedAt: start(), DecidedAt: start().Add(took),
	}
}

func TestScansAreCountedByRepositoryAndOutcome(t *testing.T) {
	t.Parallel()
	s := server.NewScans()
	s.Count(domain.ScanCompleted{Head: head("1", "first", time.Second)}, start())
	s.Count(domain.ScanFailed{Head: head("1", "renamed", 2*time.Second), Code: domain.ViolationMissingParent}, start().Add(time.Hour))
	s.Count(domain.ScanFailed{Head: head("2", "bad \xff name", -time.Second), Code: domain.ViolationUnreadable}, start())
	s.Count(domain.ScanAttemptFailed{Name: "nobody knows it"}, start())
	s.Count(domain.RepositoryRegistered{Repository: domain.Repository{ID: "3", Name: "registered"}}, start())
	s.Count(domain.ScanCompleted{Head: head("4", "retired", time.Second)}, start())
	s.Count(domain.RepositoryRetired{Repository: domain.Repository{ID: "4", Name: "retired"}}, start())
	if got := gathered(t, s); strings.Contains(got, "gxp_scans_total") || strings.Contains(got, "gxp_repositories") {
		t.Errorf("what is not known yet is told:\n%s", got)
	}
	s.Ready()
	got := gathered(t, s)
	for _, want := range []string{
		`gxp_scans_total{outcome="completed",repository="renamed",repository_id="1"} 1`, `gxp_scans_total{outcome="refused",repository="renamed",repository_id="1"} 1`,
		`gxp_scans_total{outcome="failed",repository="renamed",repository_id="1"} 0`, `gxp_scans_total{outcome="failed",repository="bad ? name",repository_id="2"} 1`,
		`gxp_repository_last_completed_scan_timestamp_seconds{repository="renamed",repository_id="1"} 1e+06`,
		`gxp_repository_last_scan_timestamp_seconds{repository="renamed",repository_id="1"} 1.0036e+06`,
		`gxp_repository_last_scan_failed{repository="renamed",repository_id="1"} 1`, `gxp_repositories{} 3`, `gxp_scan_attempts_failed_total{} 1`,
		`gxp_scan_duration_seconds{outcome="refused"} 2`, `gxp_scan_duration_seconds{outcome="failed"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("metrics lack %s:\n%s", want, got)
		}
	}
	for _, never := range []string{
		`last_completed_scan_timestamp_seconds{repository="bad`, `last_scan_failed{repository="registered"`, `repository="retired"`,
	} {
		if strings.Contains(got, never) {
			t.Errorf("metrics hold %s:\n%s", never, got)
		}
	}
}

// The metrics of scans begin anew where the log is not the one that they were read from (I14).
func TestScansOfARestoredLogAreCountedAnew(t *testing.T) {
	t.Parallel()
	s := server.NewScans()
	follow := func(repositories ...string) string {
		log := memory.New(start)
		defer func() { _ = log.Close() }()
		for _, name := range repositories {
			typ, data, err := eventstore.Encode(domain.RepositoryRegistered{Repository: domain.Repository{ID: domain.RepositoryID(name), Name: name}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := log.Append(t.Context(), eventstore.Batch{
				Stream: eventstore.RepositoryStream(domain.RepositoryID(name)), Expected: eventstore.NoStream(), Meta: eventstore.Meta{Actor: "a", Attempt: 1},
				Events: []eventstore.NewEvent{{ID: uuid.New(), Type: typ, Data: data}},
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.FollowOnce(t.Context(), log); err != nil {
			t.Fatal(err)
		}
		return gathered(t, s)
	}
	if got := follow("1", "2", "3"); !strings.Contains(got, "gxp_repositories{} 3\n") {
		t.Errorf("of three repositories, the metrics are\n%s", got)
	}
	for _, names := range [][]string{{"4"}, {"5", "6", "7"}} { // one that ends earlier, and one with another event at the place
		got := follow(names...)
		for _, name := range names {
			if !strings.Contains(got, fmt.Sprintf("repository=%q", name)) || !strings.Contains(got, fmt.Sprintf("gxp_repositories{} %d\n", len(names))) {
				t.Errorf("of %q, the metrics are\n%s", names, got)
			}
		}
	}
}

func TestMetricsOfRepositoriesAreBounded(t *testing.T) {
	t.Parallel()
	s := server.NewScans()
	for i := range server.MaxRepositories + 2 {
		s.Count(domain.ScanCompleted{Head: head(fmt.Sprint(i), "same name", time.Second)}, start().Add(-time.Duration(i)*time.Second))
	}
	last := fmt.Sprint(server.MaxRepositories + 1)
	s.Count(domain.ScanFailed{Head: head(last, "same name", 0), Code: domain.ViolationSecret}, start())
	s.Ready()
	got := gathered(t, s)
	if n := strings.Count(got, "\ngxp_repository_last_scan_failed{"); n != server.MaxRepositories+1 {
		t.Errorf("%d repositories have metrics, want %d and one for all others", n, server.MaxRepositories)
	}
	for _, want := range []string{
		`gxp_repository_last_scan_failed{repository="(others)",repository_id=""} 1`, `gxp_scans_total{outcome="completed",repository="(others)",repository_id=""} 2`,
		`gxp_repository_last_completed_scan_timestamp_seconds{repository="(others)",repository_id=""} 998999`, `gxp_repositories{} 1002`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	s.Count(domain.ScanFailed{Head: head("never", "x", 0), Code: domain.ViolationSecret}, start())
	if strings.Contains(gathered(t, s), `last_completed_scan_timestamp_seconds{repository="(others)"`) {
		t.Error("one of the others has no completed scan, and it is not told")
	}
}

func TestTheSpoolIsCounted(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "spool")
	if got := gathered(t, server.NewSpool(folder)); !strings.Contains(got, "gxp_spool_failures{} 0\n") || strings.Contains(got, "oldest") {
		t.Errorf("an empty spool is %s", got)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]time.Time{"b.json": start().Add(time.Hour), "a.json": start(), "spool-1.tmp": start().Add(-time.Hour)} {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte("1234"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	got := gathered(t, server.NewSpool(folder))
	for _, want := range []string{"gxp_spool_failures{} 2\n", "gxp_spool_bytes{} 12\n", "gxp_spool_oldest_timestamp_seconds{} 1e+06\n", "gxp_spool_unreadable{} 0\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the spool lacks %s: %s", want, got)
		}
	}
	if got := gathered(t, server.NewSpool(filepath.Join(folder, "a.json"))); got != "gxp_spool_unreadable{} 1\n" {
		t.Errorf("an unreadable spool is %s", got)
	}
}

func TestClientsAreCounted(t *testing.T) {
	t.Parallel()
	c := server.NewClients(start())
	c.Connected(1)
	c.Connected(1)
	c.Connected(-1)
	c.Called(esdbserver.Call{Method: "Read", Code: "OK", Duration: time.Second})
	c.Refused(esdbserver.Refusal{What: "login", User: "chosen by a client"})
	c.Failed()
	got := gathered(t, c)
	for _, want := range []string{
		"gxp_serve_connections{} 1\n", "gxp_serve_connections_total{} 2\n", `gxp_serve_calls_total{code="OK",method="Read"} 1`, `gxp_serve_call_duration_seconds{method="Read"} 1`,
		`gxp_serve_refusals_total{what="login"} 1`, `gxp_serve_refusals_total{what="append"} 0`, "gxp_serve_log_failures_total{} 1\n", "gxp_serve_certificate_expiry_timestamp_seconds{} 1e+06\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics lack %s: %s", want, got)
		}
	}
	if strings.Contains(got, "chosen") {
		t.Error("a client chooses labels")
	}
}
