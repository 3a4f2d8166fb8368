package domain_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

const (
	reqPath   = ".gxp/requirements/REQ-001.md"
	storyPath = ".gxp/user_stories/US-001.md"
	specPath  = ".gxp/specs/SPEC-001.md"
	riskPath  = ".gxp/risk_assessment.log"
)

func v(id string) []domain.File {
	return Tree(Requirement("REQ-001", "one"), UserStory("US-001", "REQ-001"), Spec("SPEC-001", id))
}

func TestFirstScanRegistersTheRepositoryAndRecordsEveryArtifact(t *testing.T) {
	t.Parallel()
	done := Given().
		When(Scan(domain.DefaultPolicy(), v("US-001")...)).
		Then(t, Registered(), New(reqPath, 1), New(specPath, 2), New(storyPath, 3)).
		Completed(t)
	if done.Number != 1 || done.Links != (domain.LinkCounts{Sound: 2}) {
		t.Errorf("scan number %d, links %+v; want 1 and two sound links", done.Number, done.Links)
	}
	want := []domain.Count{
		{Kind: domain.KindRequirement, Found: 1, New: 1},
		{Kind: domain.KindUserStory, Found: 1, New: 1},
		{Kind: domain.KindSpec, Found: 1, New: 1},
	}
	if !reflect.DeepEqual(done.Counts, want) {
		t.Errorf("counts %+v\nwant %+v", done.Counts, want)
	}
}

func TestLinksOfAParsedArtifactPointToNumbers(t *testing.T) {
	t.Parallel()
	events := Given().When(Scan(Flag(), v("US-001")...)).Events()
	for _, e := range events {
		if p, ok := e.(domain.ArtifactParsed); ok && p.GxPID == "SPEC-001" {
			want := []domain.Link{{Edge: domain.EdgeParentID, Target: "US-001", To: &domain.Ref{Number: 3, Kind: domain.KindUserStory}}}
			if !reflect.DeepEqual(p.Links, want) {
				t.Errorf("links %+v, want %+v", p.Links, want)
			}
			return
		}
	}
	t.Error("SPEC-001 was not recorded")
}

func TestScanningTheSameTreeAgainRecordsTheScanAlone(t *testing.T) {
	t.Parallel()
	for name, again := range map[string][]domain.File{
		"read again":     v("US-001"),
		"not read again": {Unchanged(v("US-001")[0]), Unchanged(v("US-001")[1]), Unchanged(v("US-001")[2])},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := GivenScanned(t, v("US-001")).When(Scan(domain.DefaultPolicy(), again...)).Then(t).Completed(t)
			if done.Number != 2 || done.Counts[0].Unchanged != 1 {
				t.Errorf("scan %d with counts %+v; want 2 with everything unchanged", done.Number, done.Counts)
			}
		})
	}
}

func TestChangeRemovalAndReturn(t *testing.T) {
	t.Parallel()
	story := GivenScanned(t, Tree(Requirement("REQ-001", "one"), Requirement("REQ-002", "two")))

	changed := story.When(Scan(Flag(), Requirement("REQ-001", "more"), Requirement("REQ-002", "two"))).
		Then(t, Changed(reqPath, 2))
	parsed, ok := changed.Events()[0].(domain.ArtifactParsed)
	if !ok || parsed.Previous != Hash("REQ-001one") || parsed.Number != 1 {
		t.Errorf("event %+v; want the hash of the version before and number 1", changed.Events()[0])
	}

	gone := changed.Next().When(Scan(Flag(), Requirement("REQ-002", "two"))).Then(t, Removed(reqPath))
	removed, ok := gone.Events()[0].(domain.ArtifactRemoved)
	if !ok || removed.Version != 2 || removed.Previous != Hash("REQ-001more") {
		t.Errorf("event %+v; want version 2 and its hash", gone.Events()[0])
	}

	gone.Next().When(Scan(Flag(), Requirement("REQ-001", "one"), Requirement("REQ-002", "two"))).
		Then(t, New(reqPath, 3)) // a number is never given twice
}

func TestMoves(t *testing.T) {
	t.Parallel()
	t.Run("by gxp_id", func(t *testing.T) {
		t.Parallel()
		moved := Requirement("REQ-001", "edited on the way")
		moved.Path, moved.Artifacts[0].Path = ".gxp/requirements/renamed.md", ".gxp/requirements/renamed.md"
		GivenScanned(t, Tree(Requirement("REQ-001", "one"))).
			When(Scan(domain.DefaultPolicy(), moved)).
			Then(t, MovedAway(reqPath, moved.Path), Moved(reqPath, moved.Path, 2))
	})
	t.Run("without an id, by the same bytes", func(t *testing.T) {
		t.Parallel()
		a := File(domain.KindADR, ".gxp/adr/a.md", "", "text")
		b := File(domain.KindADR, ".gxp/adr/b.md", "", "text")
		c := File(domain.KindADR, ".gxp/adr/c.md", "", "other text")
		GivenScanned(t, Tree(a)).When(Scan(Flag(), b, c)).
			Then(t, MovedAway(a.Path, b.Path), Moved(a.Path, b.Path, 2), New(c.Path, 3))
	})
	t.Run("one removal is one move", func(t *testing.T) {
		t.Parallel()
		a := File(domain.KindADR, ".gxp/adr/a.md", "", "text")
		b := File(domain.KindADR, ".gxp/adr/b.md", "", "text")
		c := File(domain.KindADR, ".gxp/adr/c.md", "", "text")
		GivenScanned(t, Tree(a)).When(Scan(Flag(), c, b)).
			Then(t, MovedAway(a.Path, b.Path), Moved(a.Path, b.Path, 2), New(c.Path, 3))
	})
}

func TestRiskEntriesAreArtifactsOfTheirOwn(t *testing.T) {
	t.Parallel()
	GivenScanned(t, Tree(RiskLog("RISK-001", "low", "RISK-002", "high"))).
		When(Scan(Flag(), RiskLog("RISK-001", "low", "RISK-002", "medium", "RISK-003", "low"))).
		Then(t, Changed(riskPath, 2), Changed(riskPath+"#2", 2), New(riskPath+"#3", 4)).
		Next().When(Scan(Flag(), RiskLog("RISK-001", "low"))).
		Then(t, Removed(riskPath+"#2"), Removed(riskPath+"#3"), Changed(riskPath, 3))
}

func TestBrokenLinks(t *testing.T) {
	t.Parallel()
	tree := Tree(Requirement("REQ-001", ""), UserStory("US-001", "REQ-999"), Spec("SPEC-001", "REQ-001"), Spec("SPEC-002", "us-001"))
	t.Run("strict refuses the whole scan and names every one", func(t *testing.T) {
		t.Parallel()
		refused := Given().When(Scan(domain.DefaultPolicy(), tree...)).ThenRefused(t,
			Because(domain.ViolationWrongKind, specPath),
			Because(domain.ViolationMissingParent, ".gxp/specs/SPEC-002.md"), // ids are case-sensitive
			Because(domain.ViolationMissingParent, storyPath))
		if text := refused.Err().Error(); !strings.Contains(text, "3 reasons") {
			t.Errorf("error %q does not say how many violations there are", text)
		}
	})
	t.Run("flag commits it and keeps the reasons", func(t *testing.T) {
		t.Parallel()
		done := Given().When(Scan(Flag(), tree...)).Completed(t)
		if done.Links != (domain.LinkCounts{Missing: 2, WrongKind: 1}) {
			t.Errorf("links %+v; want two missing and one of the wrong kind", done.Links)
		}
	})
	t.Run("an unset policy is the strict one", func(t *testing.T) {
		t.Parallel()
		Given().When(Scan(domain.Policy{}, UserStory("US-001", "REQ-999"))).
			ThenRefused(t, Because(domain.ViolationMissingParent, storyPath))
	})
	t.Run("a link breaks when its target goes, and heals when it returns", func(t *testing.T) {
		t.Parallel()
		story := GivenScanned(t, v("US-001"))
		story.When(Scan(domain.DefaultPolicy(), UserStory("US-001", "REQ-001"), Spec("SPEC-001", "US-001"))).
			ThenRefused(t, Because(domain.ViolationMissingParent, storyPath))

		broke := story.When(Scan(Flag(), Unchanged(UserStory("US-001", "REQ-001")), Unchanged(Spec("SPEC-001", "US-001")))).
			Then(t, Removed(reqPath), Relinked(storyPath))
		relinked := broke.Relinked()
		if len(relinked) != 1 || relinked[0].Links[relinked[0].Changed[0]].Broken != domain.BrokenMissing || relinked[0].Number != 3 {
			t.Fatalf("relinked %+v; want the story's link, missing", relinked)
		}
		healed := broke.Next().When(Scan(domain.DefaultPolicy(), v("US-001")...)).Then(t, New(reqPath, 4), Relinked(storyPath))
		relinked = healed.Relinked()
		if len(relinked) != 1 || relinked[0].Links[0].To == nil || relinked[0].Links[0].To.Number != 4 {
			t.Fatalf("relinked %+v; want the story's link to number 4", relinked)
		}
	})
}

func TestEdgesLeadOnlyToTheirKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		child domain.Kind
		edge  domain.Edge
		want  []domain.Kind
	}{
		{domain.KindUserStory, domain.EdgeParentID, []domain.Kind{domain.KindRequirement}},
		{domain.KindSpec, domain.EdgeParentID, []domain.Kind{domain.KindUserStory}},
		{domain.KindRequirement, domain.EdgeParentID, []domain.Kind{domain.KindRequirement}},
		{domain.KindADR, domain.EdgeParentID, nil},
		{domain.KindUserStory, domain.EdgeSatisfies, []domain.Kind{domain.KindRequirement}},
		{domain.KindSpec, domain.EdgeImplements, []domain.Kind{domain.KindUserStory, domain.KindSpec}},
		{domain.KindSpec, domain.EdgeDerivesFrom, []domain.Kind{domain.KindRequirement, domain.KindUserStory, domain.KindSpec}},
		{domain.KindEvidencePackage, domain.EdgeSpecID, []domain.Kind{domain.KindSpec}},
		{domain.KindEvidenceJWS, domain.EdgeTracedUserStory, []domain.Kind{domain.KindUserStory}},
		{domain.KindRisk, domain.EdgeRiskRequirement, []domain.Kind{domain.KindRequirement}},
		{domain.KindRisk, domain.EdgeRiskSpec, []domain.Kind{domain.KindSpec}},
		{domain.KindRisk, domain.Edge("of no vocabulary"), nil},
	} {
		if got := domain.Targets(c.child, c.edge); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Targets(%s, %s) = %v, want %v", c.child, c.edge, got, c.want)
		}
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	first := File(domain.KindRequirement, ".gxp/requirements/a.md", "REQ-001", "a")
	second := File(domain.KindRequirement, ".gxp/requirements/b.md", "REQ-001", "b")
	otherKind := File(domain.KindSpec, ".gxp/specs/a.md", "REQ-001", "c")
	child := UserStory("US-001", "REQ-001")
	t.Run("reject refuses the scan", func(t *testing.T) {
		t.Parallel()
		Given().When(Scan(domain.DefaultPolicy(), second, first, otherKind)).
			ThenRefused(t, Because(domain.ViolationDuplicate, second.Path))
	})
	t.Run("update lets the last path win", func(t *testing.T) {
		t.Parallel()
		policy := domain.Policy{Links: domain.LinksStrict, Duplicates: domain.DuplicatesUpdate}
		d := Given().When(Scan(policy, second, child, first)).
			Then(t, Registered(), New(first.Path, 1), New(second.Path, 2), New(storyPath, 3))
		done := d.Completed(t)
		if len(done.Findings) != 1 || done.Findings[0].Code != domain.FindingDuplicate || done.Findings[0].Path != first.Path {
			t.Errorf("findings %+v; want the first path as a duplicate", done.Findings)
		}
		story, ok := d.Events()[3].(domain.ArtifactParsed)
		if !ok || story.Links[0].To == nil || story.Links[0].To.Number != 2 {
			t.Errorf("story %+v; want a link to number 2, the winner", d.Events()[3])
		}
	})
	t.Run("each path of an id counts", func(t *testing.T) {
		t.Parallel()
		third := File(domain.KindRequirement, ".gxp/requirements/c.md", "REQ-001", "c")
		Given().When(Scan(domain.DefaultPolicy(), first, second, third)).
			ThenRefused(t, Because(domain.ViolationDuplicate, second.Path), Because(domain.ViolationDuplicate, third.Path))
		d := Given().When(Scan(Flag(), first, second, third))
		want := []string{first.Path, second.Path}
		var found []string
		for _, f := range d.Completed(t).Findings {
			found = append(found, f.Path)
		}
		if tree := d.Next().State().Summarize(); !slices.Equal(found, want) || !slices.Equal(tree.Duplicates, want) {
			t.Errorf("found %q, and %q in the tree, want %q", found, tree.Duplicates, want)
		}
	})
	t.Run("every reason is given at once", func(t *testing.T) {
		t.Parallel()
		Given().When(Scan(domain.DefaultPolicy(), first, second, UserStory("US-001", "REQ-404"))).
			ThenRefused(t, Because(domain.ViolationDuplicate, second.Path), Because(domain.ViolationMissingParent, storyPath))
	})
}

func TestRejectedFiles(t *testing.T) {
	t.Parallel()
	bad := Malformed(domain.KindRequirement, reqPath, "---\n[")
	t.Run("do not fail a scan", func(t *testing.T) {
		t.Parallel()
		done := Given().When(Scan(domain.DefaultPolicy(), bad, Requirement("REQ-002", ""))).
			Then(t, Registered(), New(".gxp/requirements/REQ-002.md", 1), Rejected(reqPath)).Completed(t)
		if want := []domain.Count{{Kind: domain.KindRequirement, Found: 1, New: 1, Rejected: 1}}; !reflect.DeepEqual(done.Counts, want) {
			t.Errorf("counts %+v, want %+v", done.Counts, want)
		}
	})
	t.Run("replace the artifact that was there, and it returns under a new number", func(t *testing.T) {
		t.Parallel()
		GivenScanned(t, Tree(Requirement("REQ-001", "one"))).
			When(Scan(Flag(), bad)).Then(t, Removed(reqPath), Rejected(reqPath)).
			Next().When(Scan(Flag(), Unchanged(bad))).Then(t).
			Next().When(Scan(Flag(), Requirement("REQ-001", "one"))).Then(t, Cleared(reqPath), New(reqPath, 2))
	})
	t.Run("stay counted while they stand, and are cleared when they go", func(t *testing.T) {
		t.Parallel()
		standing := GivenScanned(t, Tree(bad)).When(Scan(Flag(), Unchanged(bad)))
		if c := standing.Completed(t).Counts; len(c) != 1 || c[0].Rejected != 1 {
			t.Errorf("counts %+v; want one rejected", c)
		}
		standing.Next().When(Scan(Flag())).Then(t, Cleared(reqPath))
	})
	t.Run("leave links into them broken", func(t *testing.T) {
		t.Parallel()
		Given().When(Scan(domain.DefaultPolicy(), bad, UserStory("US-001", "REQ-001"))).
			ThenRefused(t, Because(domain.ViolationMissingParent, storyPath))
	})
}

func TestReadingUnderAnotherStamp(t *testing.T) {
	t.Parallel()
	evidence := File(domain.KindEvidenceJWS, ".gxp/evidence/EV-1.jws", "EV-1", "signed")
	d := GivenScanned(t, Tree(evidence)).When(Scan(Flag(), ReadBy("rosie/1+keys:ab", evidence))).
		Then(t, Reread(evidence.Path, 2))
	if c := d.Completed(t).Counts[0]; c.Reread != 1 || c.Found != 1 || c.Changed != 0 {
		t.Errorf("counts %+v; want one reread", c)
	}
	d.Next().When(Scan(Flag(), Unchanged(ReadBy("rosie/1+keys:ab", evidence)))).Then(t)
}

func TestAPathWhoseKindChangesIsAnotherArtifact(t *testing.T) {
	t.Parallel()
	path := ".gxp/evidence/EV-1.jws"
	GivenScanned(t, Tree(File(domain.KindEvidenceJWS, path, "EV-1", "a"))).
		When(Scan(Flag(), File(domain.KindEvidencePackage, path, "PKG-1", "b"))).
		Then(t, Removed(path), New(path, 2))
}

func TestStaleReadingIsToBeReadAgain(t *testing.T) {
	t.Parallel()
	old := Unchanged(Requirement("REQ-001", "one"))
	for name, story := range map[string]Story{
		"the state holds other bytes":   GivenScanned(t, Tree(Requirement("REQ-001", "two"))),
		"the state holds no such path":  GivenScanned(t, Tree(Requirement("REQ-002", "one"))),
		"the state was read by another": GivenScanned(t, Tree(ReadBy("rosie/0", Requirement("REQ-001", "one")))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := story.When(Scan(Flag(), old)).Err(); !errors.Is(err, domain.ErrStale) {
				t.Errorf("got %v, want ErrStale", err)
			}
		})
	}
}

func TestFaultsOfTheReaderFailTheScan(t *testing.T) {
	t.Parallel()
	scan := Scan(Flag(), Requirement("REQ-001", ""))
	scan.Faults = []domain.Violation{{Code: domain.ViolationNoContext, Path: ".gxp/system_context.md", Text: "it is not there"}}
	Given().When(scan).ThenRefused(t, Because(domain.ViolationNoContext, ".gxp/system_context.md"))
}

// Whoever fixes one fault should not find the next only then.
func TestARefusalListsFaultsOfEveryKind(t *testing.T) {
	t.Parallel()
	first := File(domain.KindRequirement, ".gxp/requirements/a.md", "REQ-001", "a")
	second := File(domain.KindRequirement, ".gxp/requirements/b.md", "REQ-001", "b")
	scan := Scan(domain.DefaultPolicy(), first, second, UserStory("US-001", "REQ-404"))
	scan.Faults = []domain.Violation{{Code: domain.ViolationNoContext, Path: ".gxp/system_context.md", Text: "it is not there"}}
	Given(domain.RepositoryRegistered{}, domain.RepositoryRetired{}).When(scan).ThenRefused(t,
		Because(domain.ViolationRetired, ""), Because(domain.ViolationNoContext, ".gxp/system_context.md"),
		Because(domain.ViolationDuplicate, second.Path), Because(domain.ViolationMissingParent, ".gxp/user_stories/US-001.md"))
}

func TestARetiredRepositoryIsScannedNoMore(t *testing.T) {
	t.Parallel()
	Given(domain.RepositoryRegistered{}, domain.RepositoryRetired{}).
		When(Scan(Flag())).ThenRefused(t, Because(domain.ViolationRetired, ""))
}

func TestAReaderThatBreaksItsContractIsAnError(t *testing.T) {
	t.Parallel()
	req := Requirement("REQ-001", "")
	noZero := RiskLog("RISK-001", "low")
	noZero.Artifacts = noZero.Artifacts[1:]
	foreign := Requirement("REQ-002", "")
	foreign.Artifacts[0].Path = "elsewhere"
	for name, tree := range map[string][]domain.File{
		"a path twice":                {req, req},
		"no artifact of ordinal 0":    {noZero},
		"nothing at all":              {{Path: "x"}},
		"an artifact of another path": {foreign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Given().When(Scan(Flag(), tree...)).Err()
			var refused *domain.RefusedError
			if err == nil || errors.As(err, &refused) || errors.Is(err, domain.ErrStale) {
				t.Errorf("got %v, want an error of its own", err)
			}
		})
	}
}

func TestFailNumbersTheScanAndListsEveryViolation(t *testing.T) {
	t.Parallel()
	story := GivenScanned(t, v("US-001"))
	all := []domain.Violation{{Code: "a", Text: "x"}, {Code: "b", Text: "y"}}
	failed := domain.Fail(story.State(), Scan(Flag()).Head, all, len(all))
	if failed.Number != 2 || failed.Code != "a" || !reflect.DeepEqual(failed.Violations, all) || failed.Total != 2 {
		t.Errorf("failed %+v; want number 2, code a and both violations", failed)
	}
	after := domain.Evolve(story.State().Clone(), failed)
	if after.Scans != 2 || after.TreeDigest() != story.State().TreeDigest() {
		t.Error("a failed scan must count and change nothing of the tree")
	}
}

func TestFailListsSoManyViolationsAndCountsThemAll(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, domain.MaxViolations - 1, domain.MaxViolations, domain.MaxViolations + 1, 260 * 990} {
		failed := domain.Fail(domain.State{}, Scan(Flag()).Head, make([]domain.Violation, n), n)
		if failed.Total != n || len(failed.Violations) != min(n, domain.MaxViolations) {
			t.Errorf("%d violations: %d listed, %d counted", n, len(failed.Violations), failed.Total)
		}
		if again := domain.Fail(domain.State{}, failed.Head, failed.Violations, failed.Total); again.Total != n {
			t.Errorf("%d violations: %d counted after the spool", n, again.Total)
		}
	}
}

func TestDecideLeavesItsArgumentsAlone(t *testing.T) {
	t.Parallel()
	story := GivenScanned(t, v("US-001"))
	before := story.State().Clone()
	scan := Scan(Flag(), Spec("SPEC-001", "US-404"), Unchanged(UserStory("US-001", "REQ-001")))
	links := append([]domain.Link(nil), scan.Files[0].Artifacts[0].Links...)
	d := story.When(scan).Then(t, Removed(reqPath), Changed(specPath, 2), Relinked(storyPath))
	if !reflect.DeepEqual(before, story.State()) {
		t.Error("Decide changed the state")
	}
	if !reflect.DeepEqual(links, scan.Files[0].Artifacts[0].Links) {
		t.Error("Decide changed the scan")
	}
	folded := d.Next().State()
	folded.Units[specPath].Artifacts[0].Links[0].Target = "scribbled"
	if p, ok := d.Events()[1].(domain.ArtifactParsed); !ok || p.Links[0].Target != "US-404" {
		t.Error("the state shares memory with the event that it was folded from")
	}
}
