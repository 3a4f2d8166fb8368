package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections/query"
)

// entries tells a lineage: what happened in which scan, and how much changed.
func entries(l query.Lineage) string {
	return fmt.Sprintf("%s %s present=%v\n", l.Kind, l.Path, l.Present) + lines(l.Entries, func(e query.Entry) string {
		version := "-"
		if e.Version != nil {
			version = fmt.Sprintf("#%d v%d", e.Version.Number, e.Version.Version)
		}
		return strings.TrimSpace(fmt.Sprintf("scan %d %s %s %s", e.Scan, e.What, version, e.Evidence))
	})
}

func historyOf(t *testing.T, w *world, id string) query.History {
	t.Helper()
	h, err := w.reader().History(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHistoryTellsEveryVersionFieldByField(t *testing.T) {
	t.Parallel()
	w := newWorld(t).
		scan(domaintest.Saying(`{"gxp_id":"REQ-1","title":"Old","list":["a","b","c"],"gone":"x"}`, domaintest.Requirement("REQ-1", "a"))).
		scan(domaintest.With(domaintest.Saying(`{"gxp_id":"REQ-1","title":"New","list":["a","c","d"],"map":{"k":"v"}}`, domaintest.Requirement("REQ-1", "a")),
			func(a *domain.Artifact) { a.Title = "New" })).
		scan(domaintest.With(domaintest.Saying(`{"gxp_id":"REQ-1","title":"New","list":["a","c","d"],"map":{"k":"w"}}`, domaintest.Requirement("REQ-1", "a")),
			func(a *domain.Artifact) { a.Title = "New" }))
	h := historyOf(t, w, "REQ-1")
	want(t, entries(h.Artifacts[0]),
		"requirement .gxp/requirements/REQ-1.md present=true", "scan 1 new #1 v1", "scan 2 changed #1 v2", "scan 3 changed #1 v3")
	second := h.Artifacts[0].Entries[1]
	got := changes(second.Changes)
	want(t, got[:strings.LastIndex(got, "\n")],
		`attribute title changed "Title of REQ-1" -> "New"`,
		`field title changed "Old" -> "New"`,
		`field list[2] removed "b" ->`,
		`field list[3] added -> "d"`,
		`field gone removed "x" ->`,
		`field map added -> {"k":"v"}`,
	)
	if !strings.HasPrefix(got[strings.LastIndex(got, "\n")+1:], "content sha256 changed") {
		t.Errorf("the last change is not that of the bytes:\n%s", got)
	}
	want(t, changes(h.Artifacts[0].Entries[2].Changes[:1]), `field map.k changed "v" -> "w"`)
	if second.Actor != "carol" || second.Reason != "scan number 2" || second.RecordedAt.Format("15:04") != "12:02" {
		t.Errorf("recorded by %s at %s for %q; want what the engine knows", second.Actor, second.RecordedAt, second.Reason)
	}
	if c := second.Claims; c.AuthorName != "Ada" || c.Message != "Commit 2" || c.AuthorAt.Format("15:04") != "11:02" {
		t.Errorf("claims %+v; want what git says, apart", c)
	}
}

func TestHistoryFollowsMovesRemovalsAndReturns(t *testing.T) {
	t.Parallel()
	at := func(path, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, "REQ-1", saying)
	}
	w := newWorld(t).
		scan(at(".gxp/requirements/a.md", "x")).
		scan(at(".gxp/requirements/b.md", "x")).
		scan(at(".gxp/requirements/b.md", "y")).
		scan(at(".gxp/requirements/c.md", "y")).
		scan().
		scan(at(".gxp/requirements/c.md", "y"))
	for _, id := range []string{"REQ-1", ".gxp/requirements/c.md"} {
		h := historyOf(t, w, id)
		if len(h.Artifacts) != 2 {
			t.Fatalf("%s: %d lineages, want the one that was removed and the one that came back", id, len(h.Artifacts))
		}
		want(t, entries(h.Artifacts[0]), "requirement .gxp/requirements/c.md present=false",
			"scan 1 new #1 v1", "scan 2 moved #2 v1", "scan 3 changed #2 v2", "scan 4 moved #3 v1", "scan 5 removed -")
		want(t, entries(h.Artifacts[1]), "requirement .gxp/requirements/c.md present=true", "scan 6 new #4 v1")
		moved := h.Artifacts[0].Entries[1]
		want(t, changes(moved.Changes), `place path changed ".gxp/requirements/a.md" -> ".gxp/requirements/b.md"`)
	}
	first := historyOf(t, w, ".gxp/requirements/a.md")
	if len(first.Artifacts) != 1 || first.Artifacts[0].Path != ".gxp/requirements/c.md" {
		t.Errorf("by the first path: %+v; want the lineage that began there", first.Artifacts)
	}
}

func TestHistoryFollowsNamesThatAreSwapped(t *testing.T) {
	t.Parallel()
	at := func(path, id, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, id, saying)
	}
	w := newWorld(t).
		scan(at("a", "REQ-1", "x"), at("b", "REQ-2", "y")).
		scan(at("a", "REQ-2", "y"), at("b", "REQ-1", "x")).
		scan(at("a", "REQ-1", "x"), at("b", "REQ-2", "y"))
	want(t, entries(historyOf(t, w, "REQ-2").Artifacts[0]), "requirement b present=true",
		"scan 1 new #2 v1", "scan 2 moved #3 v1", "scan 3 moved #6 v1")
}

func TestHistoryTellsThatAFileCouldNotBeParsedAnyMore(t *testing.T) {
	t.Parallel()
	good := domaintest.Requirement("REQ-1", "a")
	w := newWorld(t).scan(good).scan(domaintest.Malformed(domain.KindRequirement, good.Path, "{")).scan(good)
	h := historyOf(t, w, "REQ-1")
	want(t, entries(h.Artifacts[0]), "requirement .gxp/requirements/REQ-1.md present=false", "scan 1 new #1 v1", "scan 2 rejected -")
	want(t, entries(h.Artifacts[1]), "requirement .gxp/requirements/REQ-1.md present=true", "scan 3 new #2 v1")
}

func TestHistoryTellsWhereLinksLeadSince(t *testing.T) {
	t.Parallel()
	story := domaintest.UserStory("US-1", "REQ-1")
	w := newWorld(t).
		scan(story).
		scan(story, domaintest.Requirement("REQ-1", "a")).
		scan(story)
	h := historyOf(t, w, "US-1")
	want(t, entries(h.Artifacts[0]), "user_story .gxp/user_stories/US-1.md present=true",
		"scan 1 new #1 v1", "scan 2 relinked -", "scan 3 relinked -")
	want(t, changes(h.Artifacts[0].Entries[1].Changes), `link parent_id changed `+
		`{"edge":"parent_id","target":"REQ-1","state":"missing"} -> `+
		`{"edge":"parent_id","target":"REQ-1","state":"resolved","to_kind":"requirement","to_number":2}`)
	want(t, changes(h.Artifacts[0].Entries[2].Changes), `link parent_id changed `+
		`{"edge":"parent_id","target":"REQ-1","state":"resolved","to_kind":"requirement","to_number":2} -> `+
		`{"edge":"parent_id","target":"REQ-1","state":"missing"}`)
}

func TestHistoryTellsHowEvidenceWasReplaced(t *testing.T) {
	t.Parallel()
	spec := domaintest.Spec("SPEC-1", "US-1")
	signed := func(fields string, verdict domain.Verdict) domain.File {
		return domaintest.Saying(fields, domaintest.Evidence("EV-1", "SPEC-1", verdict))
	}
	first := signed(`{"spec_id":"SPEC-1","passed":"7","iat":"1"}`, domain.VerdictUnverifiable)
	verified := domaintest.With(domaintest.ReadBy("rosie/1 key", first), func(a *domain.Artifact) {
		a.Evidence = &domain.Evidence{SpecID: "SPEC-1", Signature: domain.Signature{Verdict: domain.VerdictValid, Algorithm: "ES256"}}
	})
	w := newWorld(t).
		scan(spec, first).
		scan(spec, verified).
		scan(spec, signed(`{"spec_id":"SPEC-1","passed":"7","iat":"2"}`, domain.VerdictValid)).
		scan(spec, signed(`{"spec_id":"SPEC-1","passed":"8","iat":"3"}`, domain.VerdictInvalid))
	h := historyOf(t, w, "EV-1")
	want(t, entries(h.Artifacts[0]), "evidence_jws .gxp/evidence/EV-1.jws present=true",
		"scan 1 new #1 v1", "scan 2 reread #1 v2 re-verified", "scan 3 changed #1 v3 re-signed", "scan 4 changed #1 v4 replaced")
	want(t, changes(h.Artifacts[0].Entries[1].Changes),
		`evidence verdict changed "unverifiable" -> "valid"`, `reading stamp changed "rosie/1" -> "rosie/1 key"`)
}

func TestHistoryTellsAReadByANewerReaderFromOneWithOtherKeys(t *testing.T) {
	t.Parallel()
	read := func(stamp string, verdict domain.Verdict) domain.File {
		return domaintest.With(domaintest.ReadBy(stamp, domaintest.Evidence("EV-1", "SPEC-1", domain.VerdictUnverifiable)), func(a *domain.Artifact) {
			a.Evidence = &domain.Evidence{SpecID: "SPEC-1", Signature: domain.Signature{Verdict: verdict, Algorithm: "ES256"}}
		})
	}
	spec := domaintest.Spec("SPEC-1", "US-1")
	w := newWorld(t).
		scan(spec, read("rosie/1+keys:a", domain.VerdictUnverifiable)).
		scan(spec, read("rosie/2+keys:a", domain.VerdictInvalid)).
		scan(spec, read("rosie/2+keys:b", domain.VerdictValid))
	want(t, entries(historyOf(t, w, "EV-1").Artifacts[0]), "evidence_jws .gxp/evidence/EV-1.jws present=true",
		"scan 1 new #1 v1", "scan 2 reread #1 v2 read by a newer reader", "scan 3 reread #1 v3 re-verified")
}

func TestHistoryOfAnUnknownIDNamesFormerNeighbours(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(domaintest.Requirement("REQ-001", "a")).scan()
	_, err := w.reader().History(t.Context(), "", "REQ-010")
	var unknown *query.UnknownError
	if !errors.As(err, &unknown) || len(unknown.Near) == 0 || unknown.Near[0] != "REQ-001" {
		t.Errorf("got %v; want the removed REQ-001 as the nearest", err)
	}
}
