package trace_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// rowsOf renders rows as "state: requirement / story / spec / evidence".
func rowsOf(m trace.Matrix) string {
	return lines(m.Rows, func(r *trace.MatrixRow) string {
		var cells []string
		for _, c := range []*trace.Cell{r.Requirement, r.UserStory, r.Spec, r.Evidence} {
			if c == nil {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, c.Name())
		}
		return string(r.State) + ": " + strings.Join(cells, " / ")
	})
}

// reasonsOf renders the artifacts that are not covered, each with its reasons.
func reasonsOf(m trace.Matrix) string {
	var out []string
	for _, i := range m.Artifacts {
		var reasons []string
		for _, r := range i.Reasons {
			reasons = append(reasons, string(r.State)+" ("+r.Text+")")
		}
		if len(reasons) > 0 {
			out = append(out, i.Name()+" "+strings.Join(reasons, ", "))
		}
	}
	return strings.Join(out, "\n")
}

func TestAMatrixShowsEveryRowAndEveryState(t *testing.T) {
	t.Parallel()
	m := given(t, append(domaintest.Covered(),
		domaintest.Requirement("REQ-2", "b"),
		domaintest.UserStory("US-2", "REQ-1"), domaintest.UserStory("US-3", "REQ-9"), domaintest.UserStory("US-4", "REQ-1"),
		domaintest.Spec("SPEC-2", "US-2"), domaintest.Spec("SPEC-3", "US-2"), domaintest.Spec("SPEC-4", "REQ-1"),
		domaintest.Spec("SPEC-5", "US-2"),
		domaintest.Evidence("EV-2", "SPEC-2", "unverifiable"), domaintest.Package("PKG-2", "SPEC-2", "valid", "valid", "invalid", "valid"),
		domaintest.Tested(domaintest.Evidence("EV-5", "SPEC-5", "valid"), 9, 2), domaintest.Evidence("EV-9", "SPEC-9", "valid"),
		domaintest.RiskLog("RISK-1", "on no level"),
	)).matrix(t)
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
		"SPEC-5 failed (its tests failed: EV-5 says that 2 tests failed)",
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
		"map[covered:1 duplicate:0 failed:1 missing:0 orphaned:1 suspect:0 transitive:0 unverified:2 wrong_kind:0] "+
		"[{ 2 map[covered:0 duplicate:0 failed:0 missing:1 orphaned:0 suspect:0 transitive:1 unverified:0 wrong_kind:0]}]}" {
		t.Errorf("summary %s", got)
	}
}

func TestARequirementWithStorySpecAndEvidenceIsCovered(t *testing.T) {
	t.Parallel()
	m := given(t, domaintest.Covered()).matrix(t)
	want(t, rowsOf(m), "covered: REQ-1 / US-1 / SPEC-1 / EV-1")
	if m.Summary.States[trace.StateCovered] != 4 || len(m.Artifacts[0].Reasons) != 0 {
		t.Errorf("summary %v, reasons %v", m.Summary.States, m.Artifacts[0].Reasons)
	}
}

func TestAStateAboveMakesWhatIsBelowTransitiveAndNotWhatIsBeside(t *testing.T) {
	t.Parallel()
	m := given(t, append(domaintest.Covered(),
		domaintest.UserStory("US-2", "REQ-1"), domaintest.Spec("SPEC-2", "US-2"), domaintest.Evidence("EV-2", "SPEC-2", "valid"),
		domaintest.UserStory("US-9", "REQ-9"), domaintest.Spec("SPEC-9", "US-9"), domaintest.Evidence("EV-9", "SPEC-9", "valid"),
		domaintest.Leading(domaintest.UserStory("US-3", "REQ-1"), domain.Link{Edge: domain.EdgeSatisfies, Target: "REQ-8"}),
		domaintest.Spec("SPEC-3", "US-3"), domaintest.Evidence("EV-3", "SPEC-3", "valid"),
	)).matrix(t)
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

func TestOneValidPieceOfEvidenceIsEnough(t *testing.T) {
	t.Parallel()
	m := given(t, append(domaintest.Covered(),
		domaintest.Evidence("EV-2", "SPEC-1", "invalid"), domaintest.Evidence("EV-4", "SPEC-1", "unverifiable"),
	)).matrix(t)
	want(t, rowsOf(m),
		"covered: REQ-1 / US-1 / SPEC-1 / EV-1",
		"unverified: REQ-1 / US-1 / SPEC-1 / EV-2",
		"unverified: REQ-1 / US-1 / SPEC-1 / EV-4",
	)
}

// I15: unknown results are unverified with a code of their own, and one failure is enough for a spec.
func TestEvidenceThatSaysNothingOrFailsDoesNotCover(t *testing.T) {
	t.Parallel()
	unknown := func(f domain.File, reason string) domain.File {
		return domaintest.With(f, func(a *domain.Artifact) {
			a.Evidence.Results = domain.Results{State: domain.ResultsUnknown, Reason: reason}
		})
	}
	m := given(t, append(domaintest.Covered(),
		domaintest.Tested(domaintest.Evidence("EV-2", "SPEC-1", "unsigned"), 0, 1),
		domaintest.Spec("SPEC-2", "US-1"), unknown(domaintest.Evidence("EV-3", "SPEC-2", "valid"), domain.ResultsMalformed),
		domaintest.Spec("SPEC-3", "US-1"), unknown(domaintest.Evidence("EV-4", "SPEC-3", "valid"), domain.ResultsOlderReader),
		domaintest.Spec("SPEC-4", "US-1"), domaintest.Tested(domaintest.Evidence("EV-5", "SPEC-4", "valid"), 0, 0),
		domaintest.Spec("SPEC-5", "US-1"), domaintest.Tested(domaintest.Evidence("EV-6", "SPEC-5", "unsigned"), 3, 0),
	)).matrix(t)
	var got []string
	for _, i := range m.Artifacts {
		for _, r := range i.Reasons {
			if i.Kind == domain.KindSpec {
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", i.Name(), r.State, r.Code))+": "+r.Text)
			}
		}
	}
	want(t, strings.Join(got, "\n"),
		"SPEC-1 failed: its tests failed: EV-2 says that 1 test failed",
		"SPEC-2 unverified results_unknown: no evidence of it is valid: EV-3 gives no test results that can be read",
		"SPEC-3 unverified older_reader: no evidence of it is valid: EV-4 was read by an older reader, scan again",
		"SPEC-4 unverified nothing_passed: no evidence of it is valid: EV-5 says that no test passed",
		"SPEC-5 unverified unsigned: no evidence of it is valid: EV-6 is not signed",
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
	m := given(t, domaintest.Tree(
		domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-2", "b"), domaintest.Requirement("REQ-3", "c"),
		story("US-1", to(domain.EdgeSatisfies, "REQ-1", "REQ-2")...),
		spec("SPEC-1", append(to(domain.EdgeImplements, "US-1"), to(domain.EdgeSatisfies, "REQ-1", "REQ-3")...)...),      // past its story
		spec("SPEC-2", to(domain.EdgeImplements, "SPEC-1")...),                                                           // beside its parent
		spec("SPEC-3", to(domain.EdgeSatisfies, "REQ-3")...),                                                             // without a story
		spec("SPEC-4", to(domain.EdgeDerivesFrom, "SPEC-5")...), spec("SPEC-5", to(domain.EdgeDerivesFrom, "SPEC-4")...), // round in a circle
		domaintest.Leading(domaintest.Evidence("EV-1", "SPEC-404", "valid"), to(domain.EdgeTracedUserStory, "US-1")...), // past its spec
		domaintest.Leading(domaintest.Evidence("EV-2", "SPEC-2", "valid"), to(domain.EdgeTracedUserStory, "US-1")...),
	)).matrix(t)
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
	m := given(t, append(domaintest.Covered(),
		domaintest.File(domain.KindUserStory, ".gxp/user_stories/other.md", "US-1", "x", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"}),
		domaintest.File(domain.KindUserStory, ".gxp/user_stories/a.md", "", "x", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"}),
		domaintest.File(domain.KindUserStory, ".gxp/user_stories/b.md", "", "y", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"}),
	)).matrix(t)
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
	artifacts, links := given(t, domaintest.Covered()).artifacts()
	another := givenNamed(t, "another", domaintest.Tree(domaintest.Requirement("REQ-1", "a"), domaintest.Spec("SPEC-1", "US-1")))
	moreArtifacts, moreLinks := another.artifacts()
	m, err := trace.New(append(artifacts, moreArtifacts...), append(links, moreLinks...)).Matrix()
	if err != nil {
		t.Fatal(err)
	}
	want(t, rowsOf(m), "missing: REQ-1 / - / - / -", "orphaned: - / - / SPEC-1 / -", "covered: REQ-1 / US-1 / SPEC-1 / EV-1")
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
	if _, err := given(t, files).graph().Matrix(); !errors.Is(err, trace.ErrTooManyRows) {
		t.Errorf("216,000 rows: %v, want ErrTooManyRows", err)
	}
}
