package query_test

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
	for _, i := range m.Artifacts {
		for _, r := range i.Reasons {
			if r.State == trace.StateSuspect {
				out = append(out, fmt.Sprintf("%s: %s by %s", i.Name(), r.Text, r.Edge))
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestReadingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	by := func(stamp string, files ...domain.File) []domain.File {
		var out []domain.File
		for _, f := range files {
			out = append(out, domaintest.ReadBy(stamp, f))
		}
		return out
	}
	later := append(domaintest.Covered()[:2:2], domaintest.Saying(`{"x":"1"}`, domaintest.Spec("SPEC-1", "US-1")), domaintest.Covered()[3])
	w := newWorld(t).scan(domaintest.Covered()...).scan(by("rosie/2", domaintest.Covered()...)...)
	want(t, suspects(w.matrix())) // all were read again
	w.scan(append(by("rosie/3", domaintest.Covered()[:1]...), by("rosie/2", domaintest.Covered()[1:]...)...)...)
	want(t, suspects(w.matrix())) // the requirement alone was
	w.scan(by("rosie/3", later...)...).scan(by("rosie/4", later...)...)
	want(t, suspects(w.matrix()), "EV-1: SPEC-1 is newer: it is of scan 4, this of scan 1 by spec_id") // with other keys too
}

func TestAMoveThatLeavesTheBytesChangesNothing(t *testing.T) {
	t.Parallel()
	at := func(path, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, "REQ-1", saying)
	}
	rest := domaintest.Covered()[1:]
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
	w := newWorld(t).scan(domaintest.Covered()...).
		scan(append(domaintest.Covered()[1:], domaintest.Requirement("REQ-1", "b"))...).
		scan(story, domaintest.Requirement("REQ-1", "b"), domaintest.Covered()[2], domaintest.Covered()[3])
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
}

func TestWhatComesBackCountsAsChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(domaintest.Covered()...).scan(domaintest.Covered()[1:]...).scan(domaintest.Covered()...)
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 3, this of scan 1 by parent_id")
}

func TestBytesThatDidNotChangeMakeNothingSuspect(t *testing.T) {
	t.Parallel()
	at := func(path, id, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, id, saying)
	}
	rest := append(domaintest.Covered()[1:], domaintest.UserStory("US-2", "REQ-2"))
	for name, trees := range map[string][][]domain.File{
		"names are swapped":                {{at("a", "REQ-1", "x"), at("b", "REQ-2", "y")}, {at("a", "REQ-2", "y"), at("b", "REQ-1", "x")}},
		"names are swapped and back":       {{at("a", "REQ-1", "x"), at("b", "REQ-2", "y")}, {at("a", "REQ-2", "y"), at("b", "REQ-1", "x")}, {at("a", "REQ-1", "x"), at("b", "REQ-2", "y")}},
		"a row is renamed":                 {{at("a", "REQ-1", "x"), at("b", "REQ-2", "y")}, {at("b", "REQ-1", "x"), at("c", "REQ-2", "y")}},
		"a copy wins":                      {{at("a", "REQ-1", "x")}, {at("a", "REQ-1", "x"), at("b", "REQ-1", "x")}},
		"a copy wins, and then stays":      {{at("a", "REQ-1", "x")}, {at("a", "REQ-1", "x"), at("b", "REQ-1", "x")}, {at("b", "REQ-1", "x")}},
		"the original of a copy is edited": {{at("a", "REQ-1", "x")}, {at("a", "REQ-1", "x"), at("b", "REQ-1", "x")}, {at("a", "REQ-1", "z"), at("b", "REQ-1", "x")}},
		"a copy is made with an edit":      {{at("a", "REQ-1", "x")}, {at("a", "REQ-1", "z"), at("b", "REQ-1", "x")}},
		"a copy goes over another":         {{at("a", "REQ-1", "x"), at("b", "REQ-9", "y")}, {at("a", "REQ-1", "x"), at("b", "REQ-1", "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, tree := range trees {
				w.scan(append(tree, rest...)...)
			}
			want(t, suspects(w.matrix()))
		})
	}
	w := newWorld(t).scan(append(rest, at("a", "REQ-1", "x"))...).scan(append(rest, at("a", "REQ-1", "y"))...).scan(append(rest, at("a", "REQ-1", "x"))...)
	want(t, suspects(w.matrix()), "US-1: REQ-1 is newer: it is of scan 3, this of scan 1 by parent_id") // changed and changed back
}

func TestAnArtifactWithoutAnIDIsAsOldAsItsBytesToo(t *testing.T) {
	t.Parallel()
	story := func(path string) domain.File {
		return domaintest.File(domain.KindUserStory, path, "", "x", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"})
	}
	w := newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), story("us/a.md")).
		scan(domaintest.Requirement("REQ-1", "b"), story("us/a.md")).
		scan(domaintest.Requirement("REQ-1", "b"), domaintest.ReadBy("rosie/2", story("us/a.md")))
	want(t, suspects(w.matrix()), "us/a.md: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
	w.scan(domaintest.Requirement("REQ-1", "b"), domaintest.ReadBy("rosie/2", story("us/b.md")))
	want(t, suspects(w.matrix()), "us/b.md: REQ-1 is newer: it is of scan 2, this of scan 1 by parent_id")
}
