package query_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

// suspects renders the suspects of a matrix.
func suspects(m query.Matrix) string {
	var out []string
	for _, i := range m.Artifacts {
		for _, r := range i.Reasons {
			if r.State == query.StateSuspect {
				out = append(out, fmt.Sprintf("%s: %s by %s", i.Name(), r.Text, r.Edge))
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestAParentThatChangedLaterMakesItsChildrenSuspect(t *testing.T) {
	t.Parallel()
	rest := sound()[1:]
	w := newWorld(t).scan(sound()...).scan(append(rest, domaintest.Requirement("REQ-1", "b"))...)
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
	want(t, rowsOf(w.matrix()), "suspect: REQ-1 / US-1 / SPEC-1 / EV-1")
	want(t, reasonsOf(w.matrix()),
		"REQ-1 transitive (below it, US-1 is suspect)",
		"US-1 suspect (REQ-1 is newer: it is of scan 2, this of scan 1)",
		"SPEC-1 transitive (above it, US-1 is suspect)",
		"EV-1 transitive (above it, US-1 is suspect)",
	)

	story := saying(`{"so_that":"it fits the new requirement"}`, domaintest.UserStory("US-1", "REQ-1"))
	w.scan(append(rest[1:], domaintest.Requirement("REQ-1", "b"), story)...) // the story follows, and its spec has not yet
	want(t, suspects(w.matrix()), "SPEC-1: US-1 is newer: it is of scan 3, this of scan 1 by parent_id")
}

func TestTheFirstScanMakesNothingSuspect(t *testing.T) {
	t.Parallel()
	want(t, suspects(newWorld(t).scan(sound()...).matrix())) // although its events have an order
	all := []domain.File{
		domaintest.Requirement("REQ-1", "b"), saying(`{"x":"1"}`, domaintest.UserStory("US-1", "REQ-1")),
		saying(`{"x":"1"}`, domaintest.Spec("SPEC-1", "US-1")), saying(`{"x":"1"}`, evidence("EV-1", "SPEC-1", "valid")),
	}
	want(t, suspects(newWorld(t).scan(sound()...).scan(all...).matrix())) // nor does one that changes all of them
}

func TestEvidenceThatIsOlderThanItsSpecIsSuspect(t *testing.T) {
	t.Parallel()
	spec := saying(`{"verification_tier":"PQ"}`, domaintest.Spec("SPEC-1", "US-1"))
	first := append(sound(), leading(evidence("EV-2", "SPEC-404", "valid"), domain.Link{Edge: domain.EdgeTracedUserStory, Target: "US-1"}))
	second := append(first[:2:2], spec, first[3], first[4])
	w := newWorld(t).scan(first...).scan(second...)
	want(t, suspects(w.matrix()), "EV-1: SPEC-1 is newer: it is of scan 2, this of scan 1 by spec_id")
	if state := w.matrix().Rows[0].Spec.State; state != query.StateTransitive {
		t.Errorf("a spec whose only proof is older is %s, want transitive", state)
	}
	if found, err := w.reader().Gaps(t.Context(), query.GapFilter{}); err != nil || len(found.Gaps) != 1 || len(found.Notices) != 1 {
		t.Errorf("gaps %v, notices %v, %v; want the broken link and the suspect apart from it", found.Gaps, found.Notices, err)
	}
	w.scan(append(second, evidence("EV-3", "SPEC-1", "valid"))...) // a new run beside the old record
	if m := w.matrix(); suspects(m) == "" || m.Rows[0].Spec.State != query.StateCovered {
		t.Errorf("a spec with a newer proof is %s; the old one still %q", m.Rows[0].Spec.State, suspects(m))
	}
}

func TestReadingAnewChangesNothing(t *testing.T) {
	t.Parallel()
	by := func(stamp string, files ...domain.File) []domain.File {
		var out []domain.File
		for _, f := range files {
			out = append(out, domaintest.ReadBy(stamp, f))
		}
		return out
	}
	later := append(sound()[:2:2], saying(`{"x":"1"}`, domaintest.Spec("SPEC-1", "US-1")), sound()[3])
	w := newWorld(t).scan(sound()...).scan(by("rosie/2", sound()...)...)
	want(t, suspects(w.matrix())) // all were read anew
	w.scan(append(by("rosie/3", sound()[:1]...), by("rosie/2", sound()[1:]...)...)...)
	want(t, suspects(w.matrix())) // the requirement alone was
	w.scan(by("rosie/3", later...)...).scan(by("rosie/4", later...)...)
	want(t, suspects(w.matrix()), "EV-1: SPEC-1 is newer: it is of scan 4, this of scan 1 by spec_id") // with other keys too
}

func TestAMoveThatLeavesTheBytesChangesNothing(t *testing.T) {
	t.Parallel()
	at := func(path, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, "REQ-1", saying)
	}
	rest := sound()[1:]
	scan := func(w *world, requirement domain.File) *world {
		return w.scan(append([]domain.File{requirement}, rest...)...)
	}
	w := scan(scan(scan(newWorld(t), at("r/a.md", "a")), at("r/b.md", "a")), at("r/c.md", "a"))
	want(t, suspects(w.matrix())) // moved twice
	scan(scan(w, at("r/c.md", "b")), at("r/d.md", "b"))
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 4, this of scan 1 by parent_id") // changed between moves
	scan(w, at("r/e.md", "c"))
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 6, this of scan 1 by parent_id") // moved and changed at once
}

func TestAChildThatMovesIsAsOldAsItWas(t *testing.T) {
	t.Parallel()
	story := domaintest.File(domain.KindUserStory, ".gxp/user_stories/elsewhere.md", "US-1", "REQ-1", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"})
	w := newWorld(t).scan(sound()...).
		scan(append(sound()[1:], domaintest.Requirement("REQ-1", "b"))...).
		scan(story, domaintest.Requirement("REQ-1", "b"), sound()[2], sound()[3])
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
}

func TestWhatComesBackCountsAsChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(sound()...).scan(sound()[1:]...).scan(sound()...)
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 3, this of scan 1 by parent_id")
}

func TestLinksWithinALevelCountToo(t *testing.T) {
	t.Parallel()
	sub := domaintest.File(domain.KindRequirement, "r/sub.md", "REQ-1-1", "x", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"})
	w := newWorld(t).scan(domaintest.Requirement("REQ-1", "a"), sub).scan(domaintest.Requirement("REQ-1", "b"), sub)
	want(t, suspects(w.matrix()), "REQ-1-1: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
}
