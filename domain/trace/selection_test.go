package trace_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// rated is a small product: two requirements of known risk, one without, and what leads to them or to nothing.
func rated() *trace.Graph {
	of := func(number int64, kind domain.Kind, id, risk, tier string) trace.Artifact {
		return trace.Artifact{
			RepositoryID: "r", Cell: trace.Cell{Kind: kind, Number: number, GxPID: id, Path: id}, Risk: risk, RiskNormal: strings.ToLower(risk),
			Tier: tier, TierNormal: strings.ToLower(tier),
		}
	}
	to := func(from, to int64, target string) trace.Link {
		return trace.Link{RepositoryID: "r", Number: from, Edge: "parent_id", Target: target, State: trace.LinkResolved, ToNumber: to}
	}
	return trace.New([]trace.Artifact{
		of(1, domain.KindRequirement, "REQ-1", "HIGH", ""), of(2, domain.KindRequirement, "REQ-2", "LOW", ""), of(3, domain.KindRequirement, "REQ-3", "", ""),
		of(4, domain.KindUserStory, "US-1", "", ""), of(5, domain.KindUserStory, "US-2", "", ""), of(6, domain.KindUserStory, "US-3", "", ""),
		of(7, domain.KindSpec, "SPEC-1", "", "OQ"), of(8, domain.KindSpec, "SPEC-2", "", "IQ"), of(9, domain.KindSpec, "SPEC-3", "", ""),
		of(10, domain.KindSpec, "SPEC-9", "", "OQ"),
	}, []trace.Link{
		to(4, 1, "REQ-1"), to(5, 2, "REQ-2"), to(6, 3, "REQ-3"), to(7, 4, "US-1"), to(8, 5, "US-2"), to(9, 6, "US-3"),
		{RepositoryID: "r", Number: 10, Edge: "parent_id", Target: "US-9", State: trace.LinkMissing, Kind: domain.KindSpec, GxPID: "SPEC-9", Path: "SPEC-9"},
		{RepositoryID: "r", Number: 11, Edge: "mitigates", Target: "REQ-1", State: trace.LinkWrongKind, Kind: domain.KindRisk, GxPID: "RISK-1", Path: "RISK-1"},
	})
}

func TestGapsAreSelectedByTheRequirementsThatTheyLeadTo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		selection trace.Selection
		want      string
		unknown   int64
	}{
		"all":                   {trace.Selection{}, "RISK-1 SPEC-9 SPEC-1 SPEC-2 SPEC-3 SPEC-9", 0},
		"risk, or not known":    {trace.Selection{Risk: "high"}, "RISK-1 SPEC-9 SPEC-1 SPEC-3 SPEC-9", 4},
		"requirement":           {trace.Selection{Requirement: "REQ-2"}, "SPEC-2", 0},
		"requirement named":     {trace.Selection{Requirement: "REQ-1"}, "RISK-1 SPEC-1", 0},
		"no such requirement":   {trace.Selection{Requirement: "US-1"}, "", 0},
		"tier, or not known":    {trace.Selection{Tier: "iq"}, "RISK-1 SPEC-2 SPEC-3", 2},
		"state":                 {trace.Selection{States: []trace.State{trace.StateOrphaned}}, "SPEC-9", 0},
		"all that is given":     {trace.Selection{Risk: "low", Tier: "iq", Requirement: "REQ-2", States: []trace.State{trace.StateMissing}}, "SPEC-2", 0},
		"nothing matches both":  {trace.Selection{Risk: "high", Requirement: "REQ-2"}, "", 0},
		"a risk that none has":  {trace.Selection{Risk: "medium", Requirement: "REQ-1"}, "RISK-1", 1},
		"a tier of requirement": {trace.Selection{Tier: "oq", Requirement: "REQ-1"}, "RISK-1 SPEC-1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := rated().SelectedGaps(c.selection)
			var names []string
			for _, g := range found.Gaps {
				names = append(names, g.Name())
			}
			if got := strings.Join(names, " "); got != c.want || found.Unknown != c.unknown {
				t.Errorf("gaps %q, %d of them unknown; want %q, %d", got, found.Unknown, c.want, c.unknown)
			}
		})
	}
}

func TestTheCoverageOfASelectionIsOfItsArtifacts(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(rated().SelectedGaps(trace.Selection{Requirement: "REQ-1"}).Coverage); got != "{{2 2} {1 1} {1 1} {0 1}}" {
		t.Errorf("coverage %s", got)
	}
	matched := rated().Select(trace.Selection{Risk: "high", States: []trace.State{trace.StateMissing}})
	got := fmt.Sprint(matched("r", 7), matched("r", 8), matched("r", 9), matched("r", 1), matched("r", 99))
	if want := fmt.Sprint(trace.MatchYes, trace.MatchNo, trace.MatchUnknown, trace.MatchNo, trace.MatchNo); got != want {
		t.Errorf("matches %s, want %s: SPEC-1 is of HIGH, SPEC-2 of LOW, SPEC-3 of no known risk, and REQ-1 is not missing", got, want)
	}
}

// I15: whichever risk is asked for, no gap of an artifact of unknown risk is left out, and those that are listed for each risk
// are all.
func TestPropertyEveryGapIsListedForSomeRisk(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		artifacts, links := drawProduct(t).artifacts()
		risks := []string{"", "high", "low"}
		for i := range artifacts {
			if artifacts[i].Kind == domain.KindRequirement {
				artifacts[i].RiskNormal = rapid.SampledFrom(risks).Draw(t, "risk")
			}
		}
		graph := trace.New(artifacts, links)
		key := func(g trace.Gap) string { return fmt.Sprint(g.Gap, g.Number, g.Edge, g.Target) }
		listed := map[string]bool{}
		for _, risk := range risks[1:] {
			for _, g := range graph.SelectedGaps(trace.Selection{Risk: risk}).Gaps {
				listed[key(g)] = true
			}
		}
		for _, g := range graph.Gaps().Gaps {
			if !listed[key(g)] {
				t.Fatalf("the gap %+v is of no risk", g)
			}
			if len(g.Risks) == 0 && !slices.ContainsFunc(graph.SelectedGaps(trace.Selection{Risk: "other"}).Gaps, func(o trace.Gap) bool { return key(o) == key(g) }) {
				t.Fatalf("the gap %+v is of unknown risk and not listed for a risk that nothing has", g)
			}
		}
	})
}
