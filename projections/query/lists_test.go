package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

func TestScansTellOutcomeCountsAndEveryViolation(t *testing.T) {
	t.Parallel()
	w := newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-9")).
		scanOf("demo", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-9"), domaintest.UserStory("US-2", "REQ-8")).
		scanOf("other", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-9"))
	all, err := w.reader().Scans(t.Context(), query.ScanFilter{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, lines(all, func(s query.Scan) string {
		line := fmt.Sprintf("%s %d %s %s by %s at %s:", s.Repository, s.Number, s.Outcome, s.Code, s.Actor, s.RecordedAt.Format("15:04"))
		if s.Totals != nil {
			line += fmt.Sprintf(" %d found, %d new, %d broken", s.Totals.Found, s.Totals.Added, s.Totals.Broken())
		}
		for _, v := range s.Violations {
			line += fmt.Sprintf(" %s %s->%s", v.Code, v.GxPID, v.Target)
		}
		return line
	}),
		"demo 1 completed  by carol at 12:01: 2 found, 2 new, 1 broken",
		"demo 2 failed missing_parent by carol at 12:02: missing_parent US-1->REQ-9 missing_parent US-2->REQ-8",
		"other 1 failed missing_parent by carol at 12:03: missing_parent US-1->REQ-9",
	)
	failed, err := w.reader().Scans(t.Context(), query.ScanFilter{Outcome: "failed", RepositoryID: w.repository("other").ID})
	if err != nil || len(failed) != 1 || failed[0].Repository != "other" || len(failed[0].Violations) != 1 {
		t.Errorf("got %v, %v; want the one failed scan of other with its violation", failed, err)
	}
	if c := all[0].Claims; c.AuthorName != "Ada" || c.Message != "Commit 1" || c.AuthorZone != "+00:00" || c.Commit == "" {
		t.Errorf("claims %+v, want what git said", c)
	}
}

func TestARepositoryIsFoundByNameOrIDOrBeingTheOnlyOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t).project()
	if _, err := w.reader().Find(t.Context(), ""); !errors.Is(err, query.ErrEmpty) {
		t.Errorf("empty tables: %v, want ErrEmpty", err)
	}
	w.scan(domaintest.Requirement("REQ-1", "a"))
	only, err := w.reader().Find(t.Context(), "")
	if err != nil || only.Name != "demo" || only.LastScan != 1 {
		t.Errorf("the only one: %+v, %v", only, err)
	}
	w.scanOf("other", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-9"))
	if found, err := w.reader().Find(t.Context(), ""); err != nil || found.Name != "demo" {
		t.Errorf("with one whose scans all failed: %+v, %v, want the one that is known", found, err)
	}
	w.scanOf("third", domain.DefaultPolicy(), domaintest.Requirement("REQ-1", "a"))
	_, err = w.reader().Find(t.Context(), "")
	if !errors.Is(err, query.ErrAmbiguous) || !strings.Contains(err.Error(), `"demo", "third"`) {
		t.Errorf("two: %v, want an error that lists both", err)
	}
	if byID, err := w.reader().Find(t.Context(), only.ID); err != nil || byID.Name != "demo" {
		t.Errorf("by id: %+v, %v", byID, err)
	}
	var unknown *query.UnknownError
	if _, err = w.reader().Find(t.Context(), "demmo"); !errors.As(err, &unknown) || unknown.Near[0] != "demo" {
		t.Errorf("misspelt: %v, want demo as the nearest", err)
	}
}

func TestArtifactsAreFilteredByNormalisedValues(t *testing.T) {
	t.Parallel()
	term := func(raw, normal string) *domain.Term { return &domain.Term{Raw: raw, Normal: normal} }
	w := newWorld(t).scan(
		domaintest.With(domaintest.Saying(`{"note":"Größe im Blick"}`, domaintest.Requirement("REQ-1", "a")), func(a *domain.Artifact) {
			a.Risk, a.ValidationStatus = term("High", "high"), term("In Review", "in_review")
		}),
		domaintest.With(domaintest.Requirement("REQ-2", "b"), func(a *domain.Artifact) {
			a.Risk, a.Status = term("LOW", "low"), term("in-review", "in_review")
		}),
		domaintest.UserStory("US-1", "REQ-1"), domaintest.UserStory("US-2", "REQ-9"),
		domaintest.With(domaintest.Spec("SPEC-1", "US-1"), func(a *domain.Artifact) { a.Tier = term("OQ", "oq") }),
	)
	for _, c := range []struct {
		group  trace.ArtifactGroup
		filter query.ArtifactFilter
		want   string
	}{
		{trace.GroupRequirements, query.ArtifactFilter{}, "REQ-1 REQ-2"},
		{trace.GroupRequirements, query.ArtifactFilter{Risk: "HIGH"}, "REQ-1"},
		{trace.GroupRequirements, query.ArtifactFilter{Status: "In-Review"}, "REQ-1 REQ-2"},
		{trace.GroupRequirements, query.ArtifactFilter{Status: "IN REVIEW", Risk: "low"}, "REQ-2"},
		{trace.GroupRequirements, query.ArtifactFilter{Text: "GRÖSSE"}, ""},
		{trace.GroupRequirements, query.ArtifactFilter{Text: "GRÖßE im"}, "REQ-1"},
		{trace.GroupStories, query.ArtifactFilter{Parent: "REQ-9"}, "US-2"},
		{trace.GroupStories, query.ArtifactFilter{Parent: "req-9"}, ""},
		{trace.GroupSpecs, query.ArtifactFilter{Tier: "oq", Parent: "US-1"}, "SPEC-1"},
		{trace.GroupSpecs, query.ArtifactFilter{Tier: "pq"}, ""},
		{trace.GroupRequirements, query.ArtifactFilter{ID: "' OR 1=1 --"}, ""},
		{trace.GroupADRs, query.ArtifactFilter{}, ""},
	} {
		got, err := w.reader().Artifacts(t.Context(), c.group, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if names := strings.ReplaceAll(lines(got, func(a query.Artifact) string { return a.Name() }), "\n", " "); names != c.want {
			t.Errorf("%s %+v: got %q, want %q", c.group, c.filter, names, c.want)
		}
	}
}

func TestAnArtifactHasItsLinksInBothDirections(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(
		domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"), domaintest.Spec("SPEC-1", "US-1"),
		domaintest.Evidence("EV-1", "SPEC-1", domain.VerdictValid), domaintest.Package("PKG-1", "SPEC-1", "valid", "valid", "invalid", "not_run"),
	)
	specs, err := w.reader().Details(t.Context(), trace.GroupSpecs, query.ArtifactFilter{ID: "SPEC-1"})
	if err != nil || len(specs) != 1 {
		t.Fatalf("%v, %v", specs, err)
	}
	line := func(l trace.Link) string { return fmt.Sprintf("%s %s %s %s", l.GxPID, l.Edge, l.Target, l.ToPath) }
	want(t, lines(specs[0].Links, line), "SPEC-1 parent_id US-1 .gxp/user_stories/US-1.md")
	want(t, lines(specs[0].LinksIn, line),
		"EV-1 spec_id SPEC-1 .gxp/specs/SPEC-1.md", "PKG-1 spec_id SPEC-1 .gxp/specs/SPEC-1.md")
	packages, err := w.reader().Details(t.Context(), trace.GroupEvidence, query.ArtifactFilter{ID: "PKG-1"})
	if err != nil {
		t.Fatal(err)
	}
	p := packages[0]
	if p.Evidence.Overall != "invalid" || p.Evidence.CheckIntegrity != "invalid" || p.Evidence.CheckCompleteness != "not_run" {
		t.Errorf("evidence %+v, want what the checks came to", p.Evidence)
	}
	want(t, lines(p.Members, func(m query.Member) string { return m.Path }), "manifest.json", "manifest.jws")
	if p.FirstScan != 1 || p.Scan != 1 || p.Version != 1 {
		t.Errorf("first scan %d, scan %d, version %d; want all 1", p.FirstScan, p.Scan, p.Version)
	}
}

func TestAnUnknownArtifactGetsItsNeighboursAndWhereElseItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-22", "b"), domaintest.UserStory("US-1", "REQ-1")).
		scan(domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"))
	for id, part := range map[string]string{
		"REQ-11": `nearest: "REQ-1"`,
		"req-1":  `nearest: "REQ-1"`,
		"US-1":   "it is a user story: look among the user stories",
		"REQ-22": "it was there until 2026-03-01 12:02:00Z: its history still is",
	} {
		_, err := w.reader().Details(t.Context(), trace.GroupRequirements, query.ArtifactFilter{ID: id})
		if !errors.Is(err, query.ErrUnknown) || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v; want it to say %s", id, err, part)
		}
	}
}

func TestADuplicateIDShowsEveryArtifactThatClaimsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(
		domaintest.File(domain.KindRequirement, ".gxp/requirements/a.md", "REQ-1", "a"),
		domaintest.File(domain.KindRequirement, ".gxp/requirements/b.md", "REQ-1", "b"),
	)
	both, err := w.reader().Details(t.Context(), trace.GroupRequirements, query.ArtifactFilter{ID: "REQ-1"})
	if err != nil || len(both) != 2 {
		t.Fatalf("got %d, %v; want both", len(both), err)
	}
	findings, err := w.reader().Findings(t.Context(), query.FindingFilter{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, lines(findings, func(f query.Finding) string { return f.Code + " " + f.Path }), "duplicate .gxp/requirements/a.md")
}

func TestAnIDInTwoRepositoriesIsAmbiguous(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(domaintest.Requirement("REQ-1", "a")).scanOf("other", domaintest.Flag(), domaintest.Requirement("REQ-1", "b"))
	_, err := w.reader().Details(t.Context(), trace.GroupRequirements, query.ArtifactFilter{ID: "REQ-1"})
	if !errors.Is(err, query.ErrAmbiguous) || !strings.Contains(err.Error(), `"demo", "other"`) {
		t.Errorf("details: %v; want an error that lists both", err)
	}
	if _, err = w.reader().History(t.Context(), "", "REQ-1"); !errors.Is(err, query.ErrAmbiguous) {
		t.Errorf("history: %v; want ErrAmbiguous", err)
	}
	one, err := w.reader().Details(t.Context(), trace.GroupRequirements,
		query.ArtifactFilter{ID: "REQ-1", RepositoryID: w.repository("other").ID})
	if err != nil || len(one) != 1 || one[0].Repository != "other" {
		t.Errorf("of other: %v, %v", one, err)
	}
}

func TestRisksAreFoundByPlaceAndID(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(domaintest.RiskLog("RISK-1", "one", "RISK-2", "two"))
	for _, id := range []string{"RISK-2", ".gxp/risk_assessment.log#2"} {
		found, err := w.reader().Details(t.Context(), trace.GroupRisks, query.ArtifactFilter{ID: id})
		if err != nil || len(found) != 1 || found[0].GxPID != "RISK-2" {
			t.Errorf("%s: %v, %v; want the second entry", id, found, err)
		}
	}
	logs, err := w.reader().Details(t.Context(), trace.GroupDocuments, query.ArtifactFilter{ID: ".gxp/risk_assessment.log"})
	if err != nil || len(logs) != 1 || logs[0].Kind != "risk_log" {
		t.Errorf("the file: %v, %v", logs, err)
	}
}

func TestPostgresGetsNumberedPlaceholders(t *testing.T) {
	t.Parallel()
	db := &spy{}
	_, err := query.NewReader(db, query.Postgres).Scans(t.Context(), query.ScanFilter{RepositoryID: "r", Number: 3, Outcome: "failed"})
	if !errors.Is(err, errSpy) {
		t.Fatal(err)
	}
	if !strings.HasSuffix(db.query, "WHERE s.repository_id = $1 AND s.number = $2 AND s.outcome = $3 ORDER BY s.position") {
		t.Errorf("query %q", db.query)
	}
	if fmt.Sprint(db.args) != "[r 3 failed]" {
		t.Errorf("args %v", db.args)
	}
}
