package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v4"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/server"
)

const (
	manual    = "../../../../docs/observability.md"
	dashboard = "../../../../docs/observability/dashboard.json"
	alerts    = "../../../../docs/observability/alerts.yml"
)

// described is a metric, as its collector describes it.
type described struct{ name, help, labels string }

var descForm = regexp.MustCompile(`^Desc\{fqName: "(.*?)", help: ("(?:[^"\\]|\\.)*"),.*? constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}\}$`)

// describe returns every metric of ours that a process may serve.
func describe(t *testing.T) []described {
	t.Helper()
	var all []described
	seen := func(c prometheus.Collector) {
		descs := make(chan *prometheus.Desc, 100)
		c.Describe(descs)
		close(descs)
		for desc := range descs {
			parts := descForm.FindStringSubmatch(desc.String())
			if parts == nil {
				t.Fatalf("cannot read %s", desc)
			}
			if !strings.HasPrefix(parts[1], "gxp_") {
				continue
			}
			var labels []string
			for _, constant := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(parts[3], -1) {
				labels = append(labels, constant[1])
			}
			if parts[4] != "" {
				labels = append(labels, strings.Split(parts[4], ",")...)
			}
			var help string
			if err := json.Unmarshal([]byte(parts[2]), &help); err != nil {
				t.Fatal(err)
			}
			all = append(all, described{parts[1], help, strings.Join(labels, ", ")})
		}
	}
	for _, c := range append(server.Collectors(t), server.NewScans(), server.NewClients(time.Unix(1, 0)), server.NewSpool("")) {
		seen(c)
	}
	slices.SortFunc(all, func(a, b described) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b described) bool { return a.name == b.name })
}

func TestTheManualHasEveryMetric(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	table := "<!-- metrics: generated -->\n| metric | labels | |\n|---|---|---|\n"
	for _, m := range describe(t) {
		table += fmt.Sprintf("| `%s` | %s | %s |\n", m.name, m.labels, m.help)
	}
	table += "<!-- end -->"
	marked := regexp.MustCompile(`(?s)<!-- metrics: generated -->.*<!-- end -->`)
	want := marked.ReplaceAllLiteralString(string(text), table)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(manual, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) || !marked.Match(text) {
		t.Errorf("the table of %s is stale: UPDATE_GOLDEN=1 go test ./cmd/gxpledger/internal/server", manual)
	}
}

// expressions returns what an alert file or a dashboard asks Prometheus for, by where it is.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	data, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string `json:"title"`
		UID    string `json:"uid"`
		Panels []struct {
			ID      int    `json:"id"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(data, &board); err != nil || board.Title == "" || board.UID == "" {
		t.Fatalf("the dashboard cannot be read: %v", err)
	}
	ids := map[int]bool{}
	for _, panel := range board.Panels {
		if ids[panel.ID] || len(panel.Targets) == 0 {
			t.Errorf("the panel %q has the id of another, or asks for nothing", panel.Title)
		}
		ids[panel.ID] = true
		for i, target := range panel.Targets {
			all[fmt.Sprintf("panel %s, %d", panel.Title, i)] = target.Expr
		}
	}
	if data, err = os.ReadFile(alerts); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Load(data, &file, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.For != "" && !promTime.MatchString(rule.For) || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" ||
				!slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) {
				t.Errorf("the alert %s lacks a severity, a summary, a description or a time", rule.Alert)
			}
			if _, twice := all["alert "+rule.Alert]; twice {
				t.Errorf("there are two alerts %s", rule.Alert)
			}
			all["alert "+rule.Alert] = rule.Expr
		}
	}
	if len(all) < 25 {
		t.Errorf("%d expressions: the files were not read", len(all))
	}
	return all
}

var (
	promTime   = regexp.MustCompile(`^[1-9]\d*[smhdw]$`)
	metricName = regexp.MustCompile(`\b(?:gxp|go|process)_\w+`)
	selector   = regexp.MustCompile(`(gxp_\w+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
)

func TestDashboardAndAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]string{}
	for _, m := range describe(t) {
		known[m.name] = m.labels
		if strings.HasSuffix(m.name, "duration_seconds") {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				known[m.name+part] = m.labels + ", le"
			}
		}
	}
	for _, m := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines"} {
		known[m] = ""
	}
	for where, expr := range expressions(t) {
		names := metricName.FindAllString(expr, -1)
		if len(names) == 0 && !strings.Contains(expr, "up{") {
			t.Errorf("%s names no metric: %s", where, expr)
		}
		for _, name := range names {
			if _, ok := known[name]; !ok {
				t.Errorf("%s names %s, which there is not: %s", where, name, expr)
			}
		}
		for _, s := range selector.FindAllStringSubmatch(expr, -1) {
			for _, label := range labelName.FindAllStringSubmatch(s[2], -1) {
				if l := label[1]; !slices.Contains(append(strings.Split(known[s[1]], ", "), "job", "instance"), l) {
					t.Errorf("%s selects by %s, which %s does not have: %s", where, l, s[1], expr)
				}
			}
		}
		for _, pair := range []string{"()", "{}", "[]"} {
			if strings.Count(expr, pair[:1]) != strings.Count(expr, pair[1:]) {
				t.Errorf("%s does not close a bracket: %s", where, expr)
			}
		}
	}
}
