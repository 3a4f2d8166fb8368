package trace_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
)

func TestGapsNameEveryBrokenLinkAndEverythingUncovered(t *testing.T) {
	t.Parallel()
	found := given(t, domaintest.Tree(
		domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-2", "b"),
		domaintest.UserStory("US-1", "REQ-1"), domaintest.UserStory("US-2", "REQ-1"), domaintest.UserStory("US-3", "REQ-9"),
		domaintest.Spec("SPEC-1", "US-1"), domaintest.Spec("SPEC-2", "US-1"), domaintest.Spec("SPEC-3", "US-2"),
		domaintest.Spec("SPEC-4", "US-2"), domaintest.Spec("SPEC-5", "REQ-1"),
		domaintest.Evidence("EV-1", "SPEC-1", "valid"), domaintest.Evidence("EV-2", "SPEC-2", "unverifiable"), domaintest.Evidence("EV-9", "SPEC-9", "valid"),
		domaintest.Package("PKG-2", "SPEC-2", "valid", "valid", "invalid", "valid"), domaintest.Package("PKG-4", "SPEC-4", "valid", "valid", "valid", "valid"),
	)).graph().Gaps()
	want(t, lines(found.Gaps, func(g *trace.Gap) string {
		line := fmt.Sprintf("%s %s %s %s %s", g.Gap, g.State, g.Name(), g.Edge, g.Target)
		for _, e := range g.Evidence {
			line += fmt.Sprintf(" %s is %s", e.Name, e.Overall)
		}
		return strings.Join(strings.Fields(line), " ")
	}),
		"broken_link orphaned EV-9 spec_id SPEC-9",
		"broken_link wrong_kind SPEC-5 parent_id REQ-1",
		"broken_link orphaned US-3 parent_id REQ-9",
		"no_story missing REQ-2",
		"no_spec missing US-3",
		"no_valid_evidence unverified SPEC-2 EV-2 is unverifiable PKG-2 is invalid",
		"no_valid_evidence missing SPEC-3",
		"no_valid_evidence missing SPEC-5",
	)
	if got := fmt.Sprint(found.Coverage); got != "{{10 13} {1 2} {2 3} {2 5}}" {
		t.Errorf("coverage %s", got)
	}
}

func TestWhatIsCoveredHasNoGap(t *testing.T) {
	t.Parallel()
	found := given(t, domaintest.Tree(
		domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"), domaintest.Spec("SPEC-1", "US-1"),
		domaintest.Evidence("EV-1", "SPEC-1", "invalid"), domaintest.Package("PKG-1", "SPEC-1", "valid", "valid", "valid", "valid"),
	)).graph().Gaps()
	if len(found.Gaps) != 0 {
		t.Errorf("got %v; want none: one valid piece of evidence is enough", found.Gaps)
	}
}

// I15: a failure counts whatever it is signed with, and whatever other evidence of the spec says.
func TestAFailureCountsWhateverItIsSignedWith(t *testing.T) {
	t.Parallel()
	found := given(t, domaintest.Tree(
		domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"),
		domaintest.Spec("SPEC-1", "US-1"), domaintest.Tested(domaintest.Evidence("EV-1", "SPEC-1", "valid"), 9, 2), domaintest.Evidence("EV-2", "SPEC-1", "unverifiable"),
		domaintest.Spec("SPEC-2", "US-1"), domaintest.Tested(domaintest.Evidence("EV-3", "SPEC-2", "invalid"), 9, 2),
		domaintest.Spec("SPEC-3", "US-1"), domaintest.Tested(domaintest.Evidence("EV-4", "SPEC-3", "valid"), 9, 2), domaintest.Tested(domaintest.Evidence("EV-5", "SPEC-3", "valid"), 11, 0),
	)).graph().Gaps()
	want(t, lines(found.Gaps, func(g *trace.Gap) string {
		line := fmt.Sprintf("%s %s %s:", g.Gap, g.State, g.Name())
		for _, e := range g.Evidence {
			line += fmt.Sprintf(" %s %s, %d failed;", e.Name, e.Overall, *e.Failed)
		}
		return line
	}),
		"no_valid_evidence failed SPEC-1: EV-1 valid, 2 failed; EV-2 unverifiable, 0 failed;",
		"no_valid_evidence failed SPEC-2: EV-3 invalid, 2 failed;",
		"no_valid_evidence failed SPEC-3: EV-4 valid, 2 failed;",
	)
	if found.Coverage.Specs != (trace.Covered{Covered: 0, Total: 3}) {
		t.Errorf("coverage of specs %v, want 0 of 3: some evidence of each failed", found.Coverage.Specs)
	}
}
