package trace_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// suspects renders the suspects of a matrix.
func suspects(m trace.Matrix) string {
	var out []string
	for _, a := range m.Artifacts {
		for _, r := range a.Reasons {
			if r.State == trace.StateSuspect {
				out = append(out, fmt.Sprintf("%s: %s by %s", a.Name(), r.Text, r.Edge))
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestAParentThatChangedLaterMakesItsChildrenSuspect(t *testing.T) {
	t.Parallel()
	rest := domaintest.Covered()[1:]
	p := given(t, domaintest.Covered(), append(rest, domaintest.Requirement("REQ-1", "b")))
	want(t, suspects(p.matrix(t)), "US-1: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
	want(t, rowsOf(p.matrix(t)), "suspect: REQ-1 / US-1 / SPEC-1 / EV-1")
	want(t, reasonsOf(p.matrix(t)),
		"REQ-1 transitive (below it, US-1 is suspect)",
		"US-1 suspect (REQ-1 is newer: it is of scan 2, this of scan 1)",
		"SPEC-1 transitive (above it, US-1 is suspect)",
		"EV-1 transitive (above it, US-1 is suspect)",
	)

	story := domaintest.Saying(`{"so_that":"it fits the new requirement"}`, domaintest.UserStory("US-1", "REQ-1"))
	p.scan(t, append(rest[1:], domaintest.Requirement("REQ-1", "b"), story)) // the story follows, and its spec has not yet
	want(t, suspects(p.matrix(t)), "SPEC-1: US-1 is newer: it is of scan 3, this of scan 1 by parent_id")
}

func TestTheFirstScanMakesNothingSuspect(t *testing.T) {
	t.Parallel()
	want(t, suspects(given(t, domaintest.Covered()).matrix(t))) // although its events have an order
	all := []domain.File{
		domaintest.Requirement("REQ-1", "b"), domaintest.Saying(`{"x":"1"}`, domaintest.UserStory("US-1", "REQ-1")),
		domaintest.Saying(`{"x":"1"}`, domaintest.Spec("SPEC-1", "US-1")), domaintest.Saying(`{"x":"1"}`, domaintest.Evidence("EV-1", "SPEC-1", "valid")),
	}
	want(t, suspects(given(t, domaintest.Covered(), all).matrix(t))) // nor does one that changes all of them
}

func TestEvidenceThatIsOlderThanItsSpecIsSuspect(t *testing.T) {
	t.Parallel()
	spec := domaintest.Saying(`{"verification_tier":"PQ"}`, domaintest.Spec("SPEC-1", "US-1"))
	first := append(domaintest.Covered(), domaintest.Leading(domaintest.Evidence("EV-2", "SPEC-404", "valid"), domain.Link{Edge: domain.EdgeTracedUserStory, Target: "US-1"}))
	second := append(first[:2:2], spec, first[3], first[4])
	p := given(t, first, second)
	want(t, suspects(p.matrix(t)), "EV-1: SPEC-1 is newer: it is of scan 2, this of scan 1 by spec_id")
	if state := p.matrix(t).Rows[0].Spec.State; state != trace.StateTransitive {
		t.Errorf("a spec whose only evidence is older is %s, want transitive", state)
	}
	if found := p.graph().Gaps(); len(found.Gaps) != 1 || len(found.Findings) != 1 {
		t.Errorf("gaps %v, findings %v; want the broken link and the suspect apart from it", found.Gaps, found.Findings)
	}
	p.scan(t, append(second, domaintest.Evidence("EV-3", "SPEC-1", "valid"))) // a new run beside the old record
	if m := p.matrix(t); suspects(m) == "" || m.Rows[0].Spec.State != trace.StateCovered {
		t.Errorf("a spec with newer evidence is %s; the old one still %q", m.Rows[0].Spec.State, suspects(m))
	}
}

func TestLinksWithinALevelCountToo(t *testing.T) {
	t.Parallel()
	sub := domaintest.File(domain.KindRequirement, "r/sub.md", "REQ-1-1", "x", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"})
	p := given(t, domaintest.Tree(domaintest.Requirement("REQ-1", "a"), sub), domaintest.Tree(domaintest.Requirement("REQ-1", "b"), sub))
	want(t, suspects(p.matrix(t)), "REQ-1-1: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
}

func TestAnUninterruptedStatementIsAsOldAsItsFirstPeriod(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		current int64
		ended   []trace.Period
		want    int64
	}{
		"never said before":           {4, nil, 4},
		"said until then":             {4, []trace.Period{{2, 4}}, 2},
		"said until then, twice":      {4, []trace.Period{{1, 3}, {3, 4}}, 1},
		"said by others meanwhile":    {4, []trace.Period{{1, 3}, {2, 6}}, 1},
		"said again after a break":    {4, []trace.Period{{1, 3}}, 4},
		"with a break before":         {6, []trace.Period{{1, 3}, {4, 6}}, 4},
		"by one that began and ended": {3, []trace.Period{{5, 6}}, 3},
	} {
		if got := trace.UnbrokenSince(c.current, c.ended); got != c.want {
			t.Errorf("%s: since %d, want %d", name, got, c.want)
		}
	}
}

func TestMovesOfUnchangedBytesLeadBackToTheScanThatChangedThem(t *testing.T) {
	t.Parallel()
	moves := map[int64]trace.UnchangedMove{
		7: {From: 5, Changed: 4, First: 4}, 5: {From: 3, Changed: 2, First: 1}, 3: {From: 1, Changed: 1, First: 1},
		8: {From: 9, Changed: 1, First: 1}, // numbers grow: this cannot be
	}
	for number, want := range map[int64]int64{7: 2, 5: 2, 3: 1, 1: 6, 8: 6} {
		if got := trace.ChangedBeforeMoves(number, 6, moves); got != want {
			t.Errorf("artifact %d changed in scan %d, want %d", number, got, want)
		}
	}
}
