package domain_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// evidence is a piece of evidence for a spec with these totals and that verdict.
func evidence(id, spec string, verdict domain.Verdict, results domain.Results) domain.File {
	f := File(domain.KindEvidenceJWS, ".gxp/evidence/"+id+".jws", id, string(verdict)+string(results.State)+results.Reason,
		domain.Link{Edge: domain.EdgeSpecID, Target: spec})
	f.Artifacts[0].Evidence = &domain.Evidence{Signature: domain.Signature{Verdict: verdict}, Results: results}
	return f
}

// I15: a spec is covered by evidence that is valid, known, passed something and failed nothing, while no other failed.
func TestCoverageCountsNothingThatIsUnknown(t *testing.T) {
	t.Parallel()
	valid := domain.VerdictValid
	for name, test := range map[string]struct {
		evidence []domain.File
		covered  int
	}{
		"none":                     {nil, 0},
		"one that passed":          {Tree(evidence("EV-1", "SPEC-001", valid, Totals(1, 0, 0))), 1},
		"one that failed":          {Tree(evidence("EV-1", "SPEC-001", valid, Totals(1, 1, 0))), 0},
		"nothing passed":           {Tree(evidence("EV-1", "SPEC-001", valid, Totals(0, 0, 9))), 0},
		"unknown results":          {Tree(evidence("EV-1", "SPEC-001", valid, domain.Results{State: domain.ResultsUnknown, Reason: domain.ResultsAbsent})), 0},
		"no key":                   {Tree(evidence("EV-1", "SPEC-001", domain.VerdictUnverifiable, Totals(1, 0, 0))), 0},
		"unsigned":                 {Tree(evidence("EV-1", "SPEC-001", domain.VerdictUnsigned, Totals(1, 0, 0))), 0},
		"a verdict of later times": {Tree(evidence("EV-1", "SPEC-001", "later", Totals(1, 0, 0))), 0},
		"of another spec":          {Tree(evidence("EV-1", "SPEC-002", valid, Totals(1, 0, 0))), 0},
		"one good, one without a key": {Tree(evidence("EV-1", "SPEC-001", valid, Totals(1, 0, 0)),
			evidence("EV-2", "SPEC-001", domain.VerdictUnverifiable, Totals(1, 0, 0))), 1},
		"one good, one unsigned failure": {Tree(evidence("EV-1", "SPEC-001", valid, Totals(1, 0, 0)),
			evidence("EV-2", "SPEC-001", domain.VerdictUnsigned, domain.Results{State: domain.ResultsUnknown, Failing: true})), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := Given().When(Scan(Flag(), append(v("US-001"), test.evidence...)...)).Completed(t)
			want := domain.Coverage{
				Requirements: domain.Covered{Covered: 1, Total: 1}, UserStories: domain.Covered{Covered: 1, Total: 1},
				Specs: domain.Covered{Covered: test.covered, Total: 1},
			}
			if done.Coverage.After != want || done.Coverage.Before != (domain.Coverage{}) {
				t.Errorf("coverage %+v, want %+v after nothing", done.Coverage, want)
			}
			if done.Coverage.NewGapsTotal != 1-test.covered || len(done.Coverage.NewGaps) != 1-test.covered {
				t.Errorf("new gaps %+v, want %d", done.Coverage.NewGaps, 1-test.covered)
			}
		})
	}
}

func TestCoverageNamesWhatAScanUncovered(t *testing.T) {
	t.Parallel()
	good := evidence("EV-1", "SPEC-001", domain.VerdictValid, Totals(1, 0, 0))
	story := GivenScanned(t, append(v("US-001"), good))
	same := story.When(Scan(Flag(), append(v("US-001"), good)...)).Completed(t).Coverage
	if same.Before != same.After || same.NewGapsTotal != 0 {
		t.Errorf("the same tree again: %+v", same)
	}
	lost := story.When(Scan(Flag(), Tree(Requirement("REQ-001", "one"), UserStory("US-001", "REQ-404"), Spec("SPEC-001", "US-001"))...)).
		Completed(t).Coverage
	var gaps []string
	for _, g := range lost.NewGaps {
		gaps = append(gaps, g.GxPID)
	}
	if want := []string{"REQ-001", "SPEC-001"}; !reflect.DeepEqual(gaps, want) || lost.Before.Specs.Covered != 1 || lost.After.Specs.Covered != 0 {
		t.Errorf("new gaps %v, want %v; %+v", gaps, want, lost)
	}
}

func TestAScanListsWhatItIgnoredUpToALimitAndCountsItAll(t *testing.T) {
	t.Parallel()
	scan := Scan(Flag(), v("US-001")...)
	scan.Ignored = strings.Split(strings.Repeat(".gxp/x,", domain.MaxIgnored+6)+".gxp/x", ",")
	done := Given().When(scan).Completed(t)
	if done.Ignored.Count != domain.MaxIgnored+7 || len(done.Ignored.Paths) != domain.MaxIgnored {
		t.Errorf("%d listed, %d counted", len(done.Ignored.Paths), done.Ignored.Count)
	}
	if none := Given().When(Scan(Flag(), v("US-001")...)).Completed(t).Ignored; none == nil || none.Count != 0 {
		t.Errorf("a scan that ignored nothing says %+v, want a count of 0", none)
	}
}

func TestASecondParentIsCoveredToo(t *testing.T) {
	t.Parallel()
	files := Covered()
	files[1] = Leading(files[1], domain.Link{Edge: domain.EdgeParentID, Target: "REQ-2"})
	done := Given().When(Scan(Flag(), append(files, Requirement("REQ-2", "a"))...)).Completed(t)
	if done.Coverage.NewGapsTotal != 0 {
		t.Errorf("gaps %+v, want none: both requirements are covered", done.Coverage.NewGaps)
	}
}
