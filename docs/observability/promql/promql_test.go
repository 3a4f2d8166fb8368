// Package promql_test parses what docs/observability asks Prometheus for with the parsers of Prometheus itself. It is a module of
// its own, so that gxpledger does not depend on Prometheus.
package promql_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	dashboard = "../dashboard.json"
	alerts    = "../alerts.yml"
)

func parse() parser.Parser { return parser.NewParser(parser.Options{}) }

// rules returns the faults that Prometheus finds in a file of rules: its expressions, templates, labels and durations.
func rules(t *testing.T, data []byte) (*rulefmt.RuleGroups, []error) {
	t.Helper()
	return rulefmt.Parse(data, false, model.UTF8Validation, parse(), nil)
}

func TestPrometheusReadsTheAlerts(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(alerts)
	if err != nil {
		t.Fatal(err)
	}
	groups, faults := rules(t, data)
	for _, fault := range faults {
		t.Error(fault)
	}
	n := 0
	if groups != nil {
		for _, g := range groups.Groups {
			n += len(g.Rules)
		}
	}
	if n == 0 {
		t.Error("no rule was read")
	}
}

func TestAFaultInTheAlertsIsFound(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"a bracket":       `{alert: A, expr: "max by (job (up) > 0"}`,
		"a range missing": `{alert: A, expr: "increase(up) > 0"}`,
		"a template":      `{alert: A, expr: up, annotations: {summary: "{{ $labels.job "}}`,
		"a duration":      `{alert: A, expr: up, for: 1 hour}`,
	} {
		if _, faults := rules(t, []byte("groups: [{name: g, rules: ["+rule+"]}]")); len(faults) == 0 {
			t.Errorf("%s: no fault was found", name)
		}
	}
}

func TestPrometheusReadsTheDashboard(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			n++
			if _, err := parse().ParseExpr(target.Expr); err != nil {
				t.Errorf("the panel %q asks for %s: %v", panel.Title, target.Expr, err)
			}
		}
	}
	if n == 0 {
		t.Error("no panel asks for anything")
	}
}
