package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

func diffOf(t *testing.T, w *world, from, to int64) query.Diff {
	t.Helper()
	d, err := w.reader().Diff(t.Context(), w.repository("demo"), from, to)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// told tells a diff: artifacts, then links.
func told(d query.Diff) string {
	artifacts := lines(d.Artifacts, func(a query.ArtifactDiff) string {
		line := a.What + " " + a.Path
		if a.MovedFrom != "" {
			line += " from " + a.MovedFrom
		}
		if len(a.Replaces) > 0 {
			line += fmt.Sprintf(" replaces %v", a.Replaces)
		}
		return strings.TrimSpace(line + " " + a.Evidence)
	})
	links := lines(d.Links, func(l query.LinkDiff) string {
		return fmt.Sprintf("%s %s %s %s %s->%s", l.What, l.GxPID, l.Edge, l.Target, l.Before, l.After)
	})
	return strings.TrimSpace(artifacts + "\n" + links)
}

func TestDiffTellsWhatScansInBetweenAddUpTo(t *testing.T) {
	t.Parallel()
	at := func(path, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, "REQ-1", saying)
	}
	keep, story := domaintest.Requirement("REQ-7", "k"), domaintest.UserStory("US-1", "REQ-2")
	w := newWorld(t).
		scan(keep, story, at("r/a.md", "x"), domaintest.Requirement("REQ-3", "c"), domaintest.Requirement("REQ-5", "e")).
		scan(keep, story, at("r/b.md", "x"), domaintest.Requirement("REQ-3", "d"), domaintest.Requirement("REQ-2", "b")).
		scanOf("demo", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-404")).
		scan(keep, story, at("r/c.md", "y"), domaintest.Requirement("REQ-3", "c"), domaintest.Requirement("REQ-2", "b"),
			domaintest.Requirement("REQ-5", "e"), domaintest.UserStory("US-2", "REQ-8"))
	want(t, told(diffOf(t, w, 1, 2)),
		"new .gxp/requirements/REQ-2.md",
		"changed .gxp/requirements/REQ-3.md",
		"removed .gxp/requirements/REQ-5.md",
		"moved r/b.md from r/a.md",
		"healed US-1 parent_id REQ-2 missing->sound",
	)
	want(t, told(diffOf(t, w, 2, 3))) // a failed scan leaves the tree as it was
	want(t, told(diffOf(t, w, 1, 4)),
		"new .gxp/requirements/REQ-2.md",
		"readded .gxp/requirements/REQ-5.md",
		"new .gxp/user_stories/US-2.md",
		"moved r/c.md from r/a.md",
		"healed US-1 parent_id REQ-2 missing->sound",
		"broken US-2 parent_id REQ-8 ->missing",
	)
	want(t, told(diffOf(t, w, 4, 1)),
		"removed .gxp/requirements/REQ-2.md",
		"readded .gxp/requirements/REQ-5.md",
		"removed .gxp/user_stories/US-2.md",
		"moved r/a.md from r/c.md",
		"broken US-1 parent_id REQ-2 sound->missing",
		"dropped US-2 parent_id REQ-8 missing->",
	)
	want(t, told(diffOf(t, w, 4, 4)))
}

func TestDiffTellsFieldsAndEvidence(t *testing.T) {
	t.Parallel()
	spec := domaintest.Spec("SPEC-1", "US-1")
	w := newWorld(t).
		scan(spec, saying(`{"a":"1","iat":"1"}`, evidence("EV-1", "SPEC-1", "valid")), packageOf("PKG-1", "SPEC-1", "valid", "valid", "valid", "valid")).
		scan(spec, saying(`{"a":"1","iat":"2"}`, evidence("EV-1", "SPEC-1", "valid")), packageOf("PKG-2", "SPEC-1", "valid", "valid", "valid", "valid"))
	d := diffOf(t, w, 1, 2)
	want(t, told(d),
		"changed .gxp/evidence/EV-1.jws re-signed",
		"removed .gxp/evidence/packages/PKG-1",
		"new .gxp/evidence/packages/PKG-2 replaces [PKG-1]",
	)
	want(t, changes(d.Artifacts[0].Changes[:1]), `field iat changed "1" -> "2"`)
}

func TestDiffTellsLinksThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	story := domaintest.UserStory("US-1", "REQ-1")
	first := domaintest.File(domain.KindRequirement, "r/a.md", "REQ-1", "a")
	second := domaintest.File(domain.KindRequirement, "r/b.md", "REQ-1", "b")
	w := newWorld(t).scan(story, first).scan(story, first, second)
	d := diffOf(t, w, 1, 2)
	want(t, told(d), "relinked .gxp/user_stories/US-1.md", "new r/b.md")
	want(t, changes(d.Artifacts[0].Changes), `link parent_id changed `+
		`{"edge":"parent_id","target":"REQ-1","state":"sound","to_kind":"requirement","to_number":2} -> `+
		`{"edge":"parent_id","target":"REQ-1","state":"sound","to_kind":"requirement","to_number":3}`)
}

func TestDiffOfAnUnknownScanSaysWhichThereAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan().scan()
	for _, pair := range [][2]int64{{1, 3}, {0, 1}, {-1, 2}} {
		_, err := w.reader().Diff(t.Context(), w.repository("demo"), pair[0], pair[1])
		if !errors.Is(err, query.ErrUnknown) || !strings.Contains(err.Error(), `"demo" has the scans 1 to 2`) {
			t.Errorf("%v: %v; want the scans that there are", pair, err)
		}
	}
}
