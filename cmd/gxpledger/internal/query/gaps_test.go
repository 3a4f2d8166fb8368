package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

func TestGapsNameEveryPlaceWhereTheChainDoesNotHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(
		domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-2", "b"),
		domaintest.UserStory("US-1", "REQ-1"), domaintest.UserStory("US-2", "REQ-1"), domaintest.UserStory("US-3", "REQ-9"),
		domaintest.Spec("SPEC-1", "US-1"), domaintest.Spec("SPEC-2", "US-1"), domaintest.Spec("SPEC-3", "US-2"),
		domaintest.Spec("SPEC-4", "US-2"), domaintest.Spec("SPEC-5", "REQ-1"),
		evidence("EV-1", "SPEC-1", "valid"), evidence("EV-2", "SPEC-2", "unverifiable"), evidence("EV-9", "SPEC-9", "valid"),
		packageOf("PKG-2", "SPEC-2", "valid", "valid", "invalid", "valid"), packageOf("PKG-4", "SPEC-4", "valid", "valid", "valid", "valid"),
	)
	found, err := w.reader().Gaps(t.Context(), query.GapFilter{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, lines(found.Gaps, func(g query.Gap) string {
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
	w.scanOf("other", domaintest.Flag(), domaintest.Requirement("REQ-1", "a"))
	found, err = w.reader().Gaps(t.Context(), query.GapFilter{RepositoryID: w.repository("other").ID})
	if err != nil || len(found.Gaps) != 1 || found.Gaps[0].Gap != query.GapNoStory || found.Coverage.Requirements.Total != 1 {
		t.Errorf("of other: %v, %v; want one requirement without story", found, err)
	}
}

func TestAChainThatHoldsHasNoGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(
		domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"), domaintest.Spec("SPEC-1", "US-1"),
		evidence("EV-1", "SPEC-1", "invalid"), packageOf("PKG-1", "SPEC-1", "valid", "valid", "valid", "valid"),
	)
	found, err := w.reader().Gaps(t.Context(), query.GapFilter{})
	if err != nil || len(found.Gaps) != 0 {
		t.Errorf("got %v, %v; want none: one valid piece of evidence is enough", found.Gaps, err)
	}
}

func TestASignedFailureProvesNoSpec(t *testing.T) {
	t.Parallel()
	saying := func(f domain.File, passed, failed int) domain.File {
		return with(f, func(a *domain.Artifact) { a.Evidence.Tests = &domain.TestTotals{Passed: passed, Failed: failed} })
	}
	w := newWorld(t).scan(
		domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"),
		domaintest.Spec("SPEC-1", "US-1"), saying(evidence("EV-1", "SPEC-1", "valid"), 9, 2), evidence("EV-2", "SPEC-1", "unverifiable"),
		domaintest.Spec("SPEC-2", "US-1"), saying(evidence("EV-3", "SPEC-2", "invalid"), 9, 2),
		domaintest.Spec("SPEC-3", "US-1"), saying(evidence("EV-4", "SPEC-3", "valid"), 9, 2), saying(evidence("EV-5", "SPEC-3", "valid"), 11, 0),
	)
	found, err := w.reader().Gaps(t.Context(), query.GapFilter{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, lines(found.Gaps, func(g query.Gap) string {
		line := fmt.Sprintf("%s %s %s:", g.Gap, g.State, g.Name())
		for _, e := range g.Evidence {
			line += fmt.Sprintf(" %s %s, %d failed", e.Name, e.Overall, e.Failed)
		}
		return line
	}),
		"no_valid_evidence failed SPEC-1: EV-1 valid, 2 failed EV-2 unverifiable, 0 failed",
		"no_valid_evidence unverified SPEC-2: EV-3 invalid, 2 failed",
	)
	if found.Coverage.Specs != (query.Covered{Covered: 1, Total: 3}) {
		t.Errorf("coverage of specs %v, want 1 of 3: one valid piece of evidence of tests that passed is enough", found.Coverage.Specs)
	}
}

func TestTheAuditTrailIsFilteredAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	w := newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-2", "b")).
		scan(domaintest.Requirement("REQ-1", "A")).
		scanOf("demo", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-9"))
	at := func(minute int) time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		filter query.AuditFilter
		want   string
	}{
		{query.AuditFilter{}, "1 REPOSITORY_REGISTERED, 2 ARTIFACT_INSERTED, 3 ARTIFACT_INSERTED, 4 SCAN_COMPLETED, " +
			"5 ARTIFACT_REMOVED, 6 ARTIFACT_UPDATED, 7 SCAN_COMPLETED, 8 SCAN_FAILED"},
		{query.AuditFilter{Limit: 2}, "7 SCAN_COMPLETED, 8 SCAN_FAILED"},
		{query.AuditFilter{Action: "ARTIFACT_INSERTED"}, "2 ARTIFACT_INSERTED, 3 ARTIFACT_INSERTED"},
		{query.AuditFilter{Resource: "REQ-1"}, "2 ARTIFACT_INSERTED, 6 ARTIFACT_UPDATED"},
		{query.AuditFilter{Resource: ".gxp/requirements/REQ-2.md"}, "3 ARTIFACT_INSERTED, 5 ARTIFACT_REMOVED"},
		{query.AuditFilter{Resource: "scan"}, "4 SCAN_COMPLETED, 7 SCAN_COMPLETED, 8 SCAN_FAILED"},
		{query.AuditFilter{Outcome: "failed"}, "8 SCAN_FAILED"},
		{query.AuditFilter{Since: at(2), Until: at(3)}, "5 ARTIFACT_REMOVED, 6 ARTIFACT_UPDATED, 7 SCAN_COMPLETED"},
		{query.AuditFilter{Actor: "nobody"}, ""},
	} {
		rows, err := w.reader().Audit(t.Context(), c.filter)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(lines(rows, func(a query.Audit) string { return fmt.Sprintf("%d %s", a.Sequence, a.Action) }), "\n", ", ")
		if got != c.want {
			t.Errorf("%+v: got %s, want %s", c.filter, got, c.want)
		}
	}
	if err := w.reader().KnowsAuditWord(t.Context(), query.AuditActor, "actor", "carol"); err != nil {
		t.Errorf("carol: %v", err)
	}
	err := w.reader().KnowsAuditWord(t.Context(), query.AuditAction, "action", "SCAN_FALED")
	if !errors.Is(err, query.ErrUnknown) || !strings.Contains(err.Error(), `nearest: "SCAN_FAILED"`) {
		t.Errorf("a misspelt action: %v; want its neighbour", err)
	}
}

func TestContentIsFoundNowAndThen(t *testing.T) {
	t.Parallel()
	pack := packageOf("PKG-1", "SPEC-1", "valid", "valid", "valid", "valid")
	bad := domaintest.Malformed(domain.KindRequirement, ".gxp/requirements/bad.md", "{")
	w := newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), pack, bad).
		scan(domaintest.Requirement("REQ-1", "b"))
	demo := w.repository("demo")
	member := ".gxp/evidence/packages/PKG-1/manifest.json"
	for _, c := range []struct {
		path   string
		number int64
		want   string
	}{
		{".gxp/requirements/REQ-1.md", 0, domaintest.Hash("REQ-1b")},
		{".gxp/requirements/REQ-1.md", 1, domaintest.Hash("REQ-1a")},
		{member, 1, domaintest.Hash("PKG-1manifest.json")},
	} {
		source, err := w.reader().Content(t.Context(), demo, c.path, c.number)
		if err != nil || source.SHA256 != c.want {
			t.Errorf("%s at %d: %v, %v; want %s", c.path, c.number, source, err, c.want)
		}
	}
	then, err := w.reader().Content(t.Context(), demo, ".gxp/requirements/bad.md", 1)
	if err != nil || then.Rejected == 0 {
		t.Errorf("rejected then: %+v, %v; want the event that rejected it", then, err)
	}
	for path, part := range map[string]string{
		member:                        "it was there until scan 2: name the scan before it with --scan",
		".gxp/requirements/REQ-2.md":  `nearest: ".gxp/requirements/REQ-1.md"`,
		".gxp/requirements/bad.md":    `no file ".gxp/requirements/bad.md"`,
		".gxp/evidence/packages/none": `no file ".gxp/evidence/packages/none"`,
	} {
		if _, err := w.reader().Content(t.Context(), demo, path, 0); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v; want it to say %s", path, err, part)
		}
	}
	w.scan(domaintest.Requirement("REQ-1", "b"), bad, pack)
	now, err := w.reader().Content(t.Context(), demo, ".gxp/requirements/bad.md", 0)
	if err != nil || now.SHA256 != domaintest.Hash("{") {
		t.Errorf("rejected now: %+v, %v", now, err)
	}
	if _, err = w.reader().Content(t.Context(), demo, ".gxp/evidence/packages/PKG-1", 0); err == nil || !strings.Contains(err.Error(), member) {
		t.Errorf("a package: %v; want its files as the nearest", err)
	}
}
