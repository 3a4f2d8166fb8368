package query_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

func (w *world) matrix() query.Matrix {
	w.t.Helper()
	m, err := w.reader().Matrix(w.t.Context(), query.MatrixFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// rowsOf renders rows as "state: requirement / story / spec / evidence".
func rowsOf(m query.Matrix) string {
	return lines(m.Rows, func(r query.MatrixRow) string {
		var cells []string
		for _, c := range []*query.Cell{r.Requirement, r.UserStory, r.Spec, r.Evidence} {
			if c == nil {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, c.Name())
		}
		return r.State + ": " + strings.Join(cells, " / ")
	})
}

// reasonsOf renders the artifacts that are not covered, each with its reasons.
func reasonsOf(m query.Matrix) string {
	var out []string
	for _, i := range m.Artifacts {
		var reasons []string
		for _, r := range i.Reasons {
			reasons = append(reasons, r.State+" ("+r.Text+")")
		}
		if len(reasons) > 0 {
			out = append(out, i.Name()+" "+strings.Join(reasons, ", "))
		}
	}
	return strings.Join(out, "\n")
}

// sound is a chain that holds.
func sound() []domain.File {
	return []domain.File{
		domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"), domaintest.Spec("SPEC-1", "US-1"),
		evidence("EV-1", "SPEC-1", "valid"),
	}
}

// leading adds links to a file.
func leading(f domain.File, links ...domain.Link) domain.File {
	return with(f, func(a *domain.Artifact) { a.Links = append(slices.Clone(a.Links), links...) })
}

// testing says how many tests passed and failed.
func tested(f domain.File, passed, failed int) domain.File {
	return with(f, func(a *domain.Artifact) { a.Evidence.Tests = &domain.TestTotals{Passed: passed, Failed: failed} })
}

func TestAMatrixShowsEveryChainAndEveryState(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(append(sound(),
		domaintest.Requirement("REQ-2", "b"),
		domaintest.UserStory("US-2", "REQ-1"), domaintest.UserStory("US-3", "REQ-9"), domaintest.UserStory("US-4", "REQ-1"),
		domaintest.Spec("SPEC-2", "US-2"), domaintest.Spec("SPEC-3", "US-2"), domaintest.Spec("SPEC-4", "REQ-1"),
		domaintest.Spec("SPEC-5", "US-2"),
		evidence("EV-2", "SPEC-2", "unverifiable"), packageOf("PKG-2", "SPEC-2", "valid", "valid", "invalid", "valid"),
		tested(evidence("EV-5", "SPEC-5", "valid"), 9, 2), evidence("EV-9", "SPEC-9", "valid"),
		domaintest.RiskLog("RISK-1", "not part of the chain"),
	)...)
	m := w.matrix()
	want(t, rowsOf(m),
		"transitive: REQ-1 / US-1 / SPEC-1 / EV-1",
		"unverified: REQ-1 / US-2 / SPEC-2 / EV-2",
		"unverified: REQ-1 / US-2 / SPEC-2 / PKG-2",
		"missing: REQ-1 / US-2 / SPEC-3 / -",
		"failed: REQ-1 / US-2 / SPEC-5 / EV-5",
		"missing: REQ-1 / US-4 / - / -",
		"missing: REQ-2 / - / - / -",
		"orphaned: - / US-3 / - / -",
		"wrong_kind: - / - / SPEC-4 / -",
		"orphaned: - / - / - / EV-9",
	)
	want(t, reasonsOf(m),
		"REQ-1 transitive (below it, SPEC-2 is unverified)",
		"REQ-2 missing (no user story leads to it)",
		"US-2 transitive (below it, SPEC-2 is unverified)",
		"US-3 orphaned (parent_id names REQ-9, which is not there), missing (no spec leads to it)",
		"US-4 missing (no spec leads to it)",
		"SPEC-2 unverified (no evidence of it is valid: EV-2 is unverifiable, PKG-2 is invalid)",
		"SPEC-3 missing (no evidence leads to it)",
		"SPEC-4 wrong_kind (parent_id names REQ-1, which is at another level), missing (no evidence leads to it)",
		"SPEC-5 failed (its tests failed: EV-5 says 2 failed)",
		"EV-2 unverified (it is unverifiable)",
		"EV-5 failed (it says that 2 tests failed)",
		"EV-9 orphaned (spec_id names SPEC-9, which is not there)",
		"PKG-2 unverified (it is invalid)",
	)
	if got := fmt.Sprint(m.Summary); got != "{10 16 "+
		"map[covered:3 duplicate:0 failed:2 missing:3 orphaned:2 suspect:0 transitive:2 unverified:3 wrong_kind:1] "+
		"map[covered:0 duplicate:0 failed:0 missing:1 orphaned:0 suspect:0 transitive:1 unverified:0 wrong_kind:0] "+
		"map[covered:1 duplicate:0 failed:0 missing:1 orphaned:1 suspect:0 transitive:1 unverified:0 wrong_kind:0] "+
		"map[covered:1 duplicate:0 failed:1 missing:1 orphaned:0 suspect:0 transitive:0 unverified:1 wrong_kind:1] "+
		"map[covered:1 duplicate:0 failed:1 missing:0 orphaned:1 suspect:0 transitive:0 unverified:2 wrong_kind:0]}" {
		t.Errorf("summary %s", got)
	}
}

func TestAChainThatHoldsIsCovered(t *testing.T) {
	t.Parallel()
	m := newWorld(t).scan(sound()...).matrix()
	want(t, rowsOf(m), "covered: REQ-1 / US-1 / SPEC-1 / EV-1")
	if m.Summary.States[query.StateCovered] != 4 || len(m.Artifacts[0].Reasons) != 0 {
		t.Errorf("summary %v, reasons %v", m.Summary.States, m.Artifacts[0].Reasons)
	}
}

func TestWhatIsAboveTaintsWhatIsBelowAndNotWhatIsBeside(t *testing.T) {
	t.Parallel()
	m := newWorld(t).scan(append(sound(),
		domaintest.UserStory("US-2", "REQ-1"), domaintest.Spec("SPEC-2", "US-2"), evidence("EV-2", "SPEC-2", "valid"),
		domaintest.UserStory("US-9", "REQ-9"), domaintest.Spec("SPEC-9", "US-9"), evidence("EV-9", "SPEC-9", "valid"),
		leading(domaintest.UserStory("US-3", "REQ-1"), domain.Link{Edge: domain.EdgeSatisfies, Target: "REQ-8"}),
		domaintest.Spec("SPEC-3", "US-3"), evidence("EV-3", "SPEC-3", "valid"),
	)...).matrix()
	want(t, reasonsOf(m),
		"REQ-1 transitive (below it, US-3 is orphaned)",
		"US-3 orphaned (satisfies names REQ-8, which is not there)",
		"US-9 orphaned (parent_id names REQ-9, which is not there)",
		"SPEC-3 transitive (above it, US-3 is orphaned)",
		"SPEC-9 transitive (above it, US-9 is orphaned)",
		"EV-3 transitive (above it, US-3 is orphaned)",
		"EV-9 transitive (above it, US-9 is orphaned)",
	)
}

func TestOnePieceOfEvidenceThatIsWellIsEnough(t *testing.T) {
	t.Parallel()
	m := newWorld(t).scan(append(sound(),
		evidence("EV-2", "SPEC-1", "invalid"), tested(evidence("EV-3", "SPEC-1", "valid"), 0, 1), evidence("EV-4", "SPEC-1", "unverifiable"),
	)...).matrix()
	want(t, rowsOf(m),
		"covered: REQ-1 / US-1 / SPEC-1 / EV-1",
		"unverified: REQ-1 / US-1 / SPEC-1 / EV-2",
		"failed: REQ-1 / US-1 / SPEC-1 / EV-3",
		"unverified: REQ-1 / US-1 / SPEC-1 / EV-4",
	)
}

func TestEveryLinkOfManyToManyIsInARow(t *testing.T) {
	t.Parallel()
	to := func(edge domain.Edge, targets ...string) []domain.Link {
		var out []domain.Link
		for _, target := range targets {
			out = append(out, domain.Link{Edge: edge, Target: target})
		}
		return out
	}
	story := func(id string, links ...domain.Link) domain.File {
		return domaintest.File(domain.KindUserStory, ".gxp/user_stories/"+id+".md", id, "x", links...)
	}
	spec := func(id string, links ...domain.Link) domain.File {
		return domaintest.File(domain.KindSpec, ".gxp/specs/"+id+".md", id, "x", links...)
	}
	m := newWorld(t).scan(
		domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-2", "b"), domaintest.Requirement("REQ-3", "c"),
		story("US-1", to(domain.EdgeSatisfies, "REQ-1", "REQ-2")...),
		spec("SPEC-1", append(to(domain.EdgeImplements, "US-1"), to(domain.EdgeSatisfies, "REQ-1", "REQ-3")...)...),      // past its story
		spec("SPEC-2", to(domain.EdgeImplements, "SPEC-1")...),                                                           // beside its parent
		spec("SPEC-3", to(domain.EdgeSatisfies, "REQ-3")...),                                                             // without a story
		spec("SPEC-4", to(domain.EdgeDerivesFrom, "SPEC-5")...), spec("SPEC-5", to(domain.EdgeDerivesFrom, "SPEC-4")...), // round in a circle
		leading(evidence("EV-1", "SPEC-404", "valid"), to(domain.EdgeTracedUserStory, "US-1")...), // past its spec
		leading(evidence("EV-2", "SPEC-2", "valid"), to(domain.EdgeTracedUserStory, "US-1")...),
	).matrix()
	want(t, rowsOf(m),
		"missing: REQ-1 / US-1 / SPEC-1 / -",
		"transitive: REQ-1 / US-1 / SPEC-2 / EV-2",
		"orphaned: REQ-1 / US-1 / - / EV-1",
		"missing: REQ-2 / US-1 / SPEC-1 / -",
		"transitive: REQ-2 / US-1 / SPEC-2 / EV-2",
		"orphaned: REQ-2 / US-1 / - / EV-1",
		"missing: REQ-3 / - / SPEC-1 / -",
		"missing: REQ-3 / - / SPEC-2 / EV-2",
		"missing: REQ-3 / - / SPEC-3 / -",
		"orphaned: - / - / SPEC-4 / -",
		"orphaned: - / - / SPEC-5 / -",
	)
}

func TestAnIDThatTwoClaimIsADuplicate(t *testing.T) {
	t.Parallel()
	m := newWorld(t).scan(append(sound(),
		domaintest.File(domain.KindUserStory, ".gxp/user_stories/other.md", "US-1", "x", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"}),
		domaintest.File(domain.KindUserStory, ".gxp/user_stories/a.md", "", "x", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"}),
		domaintest.File(domain.KindUserStory, ".gxp/user_stories/b.md", "", "y", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"}),
	)...).matrix()
	want(t, reasonsOf(m),
		"REQ-1 transitive (below it, US-1 is missing)",
		"US-1 missing (no spec leads to it), duplicate (its id is also that of .gxp/user_stories/other.md)",
		".gxp/user_stories/a.md missing (no spec leads to it)",
		".gxp/user_stories/b.md missing (no spec leads to it)",
		"US-1 duplicate (its id is also that of .gxp/user_stories/US-1.md)",
		"SPEC-1 transitive (above it, US-1 is duplicate)",
		"EV-1 transitive (above it, US-1 is duplicate)",
	)
}

func TestRepositoriesAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(sound()...)
	w.scanOf("another", domaintest.Flag(), domaintest.Requirement("REQ-1", "a"), domaintest.Spec("SPEC-1", "US-1"))
	want(t, rowsOf(w.matrix()), "missing: REQ-1 / - / - / -", "orphaned: - / - / SPEC-1 / -", "covered: REQ-1 / US-1 / SPEC-1 / EV-1")
	m, err := w.reader().Matrix(t.Context(), query.MatrixFilter{RepositoryID: w.repository("demo").ID})
	if err != nil || rowsOf(m) != "covered: REQ-1 / US-1 / SPEC-1 / EV-1" || m.Rows[0].Repository != "demo" {
		t.Errorf("of demo: %s, %v", rowsOf(m), err)
	}
}

func TestAMatrixThatWouldFillTheMemoryIsRefused(t *testing.T) {
	t.Parallel()
	files := []domain.File{}
	all := func(edge domain.Edge, prefix string) []domain.Link {
		var out []domain.Link
		for n := range 60 {
			out = append(out, domain.Link{Edge: edge, Target: fmt.Sprintf("%s-%d", prefix, n)})
		}
		return out
	}
	for n := range 60 {
		files = append(files,
			domaintest.Requirement(fmt.Sprintf("REQ-%d", n), "a"),
			domaintest.File(domain.KindUserStory, fmt.Sprintf("us/%d", n), fmt.Sprintf("US-%d", n), "x", all(domain.EdgeSatisfies, "REQ")...),
			domaintest.File(domain.KindSpec, fmt.Sprintf("spec/%d", n), fmt.Sprintf("SPEC-%d", n), "x", all(domain.EdgeImplements, "US")...))
	}
	if _, err := newWorld(t).scan(files...).reader().Matrix(t.Context(), query.MatrixFilter{}); !errors.Is(err, query.ErrTooManyRows) {
		t.Errorf("216,000 rows: %v, want ErrTooManyRows", err)
	}
}
