package trace_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// drawProduct draws a repository of which trees were scanned that have something in common.
func drawProduct(t *rapid.T) *product {
	p := given(t)
	var before []domain.File
	for range rapid.IntRange(1, 5).Draw(t, "scans") {
		tree := domaintest.DrawTree(t)
		if len(before) > 0 && rapid.Bool().Draw(t, "like before") {
			tree = before
			if i := rapid.IntRange(0, len(tree)-1).Draw(t, "without"); rapid.Bool().Draw(t, "less") {
				tree = slices.Delete(slices.Clone(tree), i, i+1)
			}
		}
		p.scan(t, tree)
		before = tree
	}
	return p
}

// The states of all artifacts are those that their definition gives them, whatever the order of artifacts; rows and gaps
// follow from the states.
func TestPropertyTheMatrixIsWhatItsDefinitionSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawProduct(t)
		artifacts, links := p.artifacts()
		d := define(artifacts, links)
		g := trace.New(artifacts, links)
		m, err := g.Matrix()
		if err != nil {
			t.Fatal(err)
		}
		counts := map[trace.State]int64{}
		for _, a := range m.Artifacts {
			counts[a.State]++
			if got, want := statesOf(a), d.states(a.Number); got != want {
				t.Fatalf("%s %s is %s, want %s\n%s", a.Kind, a.Path, got, want, reasonsOf(m))
			}
		}
		for _, state := range trace.States() {
			if m.Summary.States[state] != counts[state] {
				t.Fatalf("the summary counts %d %s, want %d", m.Summary.States[state], state, counts[state])
			}
		}
		if len(m.Artifacts) != len(d.artifacts) || m.Summary.Artifacts != int64(len(d.artifacts)) {
			t.Fatalf("%d artifacts, want %d", len(m.Artifacts), len(d.artifacts))
		}
		checkRows(t, m)
		checkGaps(t, g.Gaps(), m)
	})
}

// What a scan counts as covered is what the gaps leave: package domain decides by the same rule.
func TestPropertyCoverageIsThatOfTheScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawProduct(t)
		got, want := p.graph().Gaps().Coverage, p.coverage
		for _, level := range []struct {
			name string
			got  trace.Covered
			want domain.Covered
		}{
			{"requirements", got.Requirements, want.Requirements},
			{"user stories", got.Stories, want.UserStories},
			{"specs", got.Specs, want.Specs},
		} {
			if level.got != (trace.Covered{Covered: int64(level.want.Covered), Total: int64(level.want.Total)}) {
				t.Fatalf("%s: %v, the scan counted %v", level.name, level.got, level.want)
			}
		}
	})
}

// A diff is a function of the two trees and of what moved: turned around it tells the opposite, and from a scan to itself
// nothing. Each place of which the bytes or the reading differ is in it.
func TestPropertyADiffReportsEveryDifferenceInBothDirections(t *testing.T) {
	t.Parallel()
	opposite := map[string]string{trace.WhatNew: trace.WhatRemoved, trace.WhatRemoved: trace.WhatNew}
	rapid.Check(t, func(t *rapid.T) {
		p := drawProduct(t)
		from, to := rapid.Int64Range(1, p.scans).Draw(t, "from"), rapid.Int64Range(1, p.scans).Draw(t, "to")
		there, back := p.diff(from, to), p.diff(to, from)
		if again := p.diff(from, to); !reflect.DeepEqual(there, again) {
			t.Fatalf("asked twice:\n%s\n%s", told(there), told(again))
		}
		if same := p.diff(from, from); len(same.Artifacts)+len(same.Links) > 0 {
			t.Fatalf("nothing differs from itself, got\n%s", told(same))
		}
		var forth, mirrored []string
		for _, a := range there.Artifacts {
			forth = append(forth, fmt.Sprint(a.What, len(a.Changes), a.What != trace.WhatMoved && a.Path != ""))
		}
		for _, a := range back.Artifacts {
			what := a.What
			if turned, ok := opposite[what]; ok {
				what = turned
			}
			mirrored = append(mirrored, fmt.Sprint(what, len(a.Changes), what != trace.WhatMoved && a.Path != ""))
		}
		slices.Sort(forth)
		slices.Sort(mirrored)
		if !slices.Equal(forth, mirrored) {
			t.Fatalf("there\n%s\nback\n%s", told(there), told(back))
		}
		checkPlaces(t, p, from, to, there)
	})
}

func checkPlaces(t *rapid.T, p *product, from, to int64, d trace.Differences) {
	named := map[string]bool{}
	for _, a := range d.Artifacts {
		named[a.Path], named[a.MovedFrom] = true, true
	}
	before, after := p.tree(from), p.tree(to)
	for _, tree := range []map[string]string{before, after} {
		for path := range tree {
			if before[path] != after[path] && !named[path] {
				t.Fatalf("%s differs and is not told:\n%s", path, told(d))
			}
		}
	}
	for path := range named {
		if path != "" && before[path] == "" && after[path] == "" {
			t.Fatalf("%s is told and was never there:\n%s", path, told(d))
		}
	}
}

// tree is what was at each path after a scan: kind, bytes and reading.
func (p *product) tree(scan int64) map[string]string {
	out := map[string]string{}
	for _, v := range p.versions {
		if v.Position <= scan && (v.EndedPosition == 0 || v.EndedPosition > scan) {
			out[v.Path] = fmt.Sprint(v.Kind, v.Digest, v.Stamp)
		}
	}
	return out
}

func statesOf(a *trace.Artifact) string {
	if len(a.Reasons) == 0 {
		return string(a.State)
	}
	var out []trace.State
	for _, r := range a.Reasons {
		if !slices.Contains(out, r.State) {
			out = append(out, r.State)
		}
	}
	if a.State != out[0] {
		return "inconsistent: " + string(a.State)
	}
	return words(out)
}

// checkRows checks that rows are in order, that each artifact is in one, and that a row is as bad as its worst cell.
func checkRows(t *rapid.T, m trace.Matrix) {
	shown := map[*trace.Artifact]bool{}
	last := ""
	for _, r := range m.Rows {
		key, state := r.Repository, len(trace.States())
		for level := range trace.LevelEvidence + 1 {
			path := "\xff" // absent last
			if a := r.Artifact(level); a != nil {
				path, shown[a] = a.Path, true
				state = min(state, slices.Index(trace.States(), a.State))
			}
			key += "\x00" + path
		}
		if key < last {
			t.Fatalf("rows are not in order:\n%s", rowsOf(m))
		}
		last = key
		if r.State != trace.States()[state] {
			t.Fatalf("row is %s, want %s:\n%s", r.State, trace.States()[state], rowsOf(m))
		}
	}
	if len(shown) != len(m.Artifacts) {
		t.Fatalf("%d artifacts are in rows, want %d:\n%s", len(shown), len(m.Artifacts), rowsOf(m))
	}
}

// checkGaps checks that gaps and findings name exactly the artifacts that have these states in the matrix.
func checkGaps(t *rapid.T, found trace.Gaps, m trace.Matrix) {
	var got, want []string
	for _, g := range append(found.Gaps, found.Findings...) {
		got = append(got, fmt.Sprint(g.Number, g.State, g.Edge, g.Target))
	}
	for _, a := range m.Artifacts {
		for _, r := range a.Reasons {
			uncovered := r.State != trace.StateTransitive && a.Kind != domain.KindEvidenceJWS
			if uncovered || r.Edge != "" || r.State == trace.StateOrphaned || r.State == trace.StateDuplicate {
				want = append(want, fmt.Sprint(a.Number, r.State, r.Edge, r.Target))
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("gaps and findings\n%s\nthe matrix has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Whatever links specs have to each other, circles included, what is above of one is what it reaches: the order of links
// changes nothing.
func TestPropertyWhatIsAboveOfSpecsThatImplementEachOtherIsWhatTheyReach(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const stories = 4
		n := rapid.IntRange(1, 8).Draw(t, "specs")
		links := make([][]int, n) // numbers from n on are stories
		for i := range links {
			links[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, 3, rapid.ID[int]).Draw(t, fmt.Sprint("specs of ", i))
			if rapid.IntRange(0, 2).Draw(t, fmt.Sprint("leads up ", i)) == 0 {
				links[i] = append(links[i], n+rapid.IntRange(0, stories-1).Draw(t, fmt.Sprint("story of ", i)))
			}
		}
		var artifacts []trace.Artifact
		var declared []trace.Link
		order := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := range n + stories {
				if !yield(i) {
					return
				}
			}
		})).Draw(t, "order")
		for at, i := range order {
			a := trace.Artifact{Cell: trace.Cell{Kind: domain.KindSpec, Number: int64(i), Path: fmt.Sprintf("%02d", at)}}
			if i >= n {
				a.Kind = domain.KindUserStory
				artifacts = append(artifacts, a)
				continue
			}
			artifacts = append(artifacts, a)
			for _, to := range links[i] {
				declared = append(declared, trace.Link{Number: int64(i), State: trace.LinkResolved, ToNumber: int64(to)})
			}
		}
		m, err := trace.New(artifacts, declared).Matrix()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]map[int]bool, n)
		for i := range got {
			got[i] = map[int]bool{}
		}
		for _, r := range m.Rows {
			if r.Spec != nil && r.UserStory != nil {
				got[r.Spec.Number][int(r.UserStory.Number)] = true
			}
		}
		for i := range n {
			want := map[int]bool{}
			reach(links, n, i, map[int]bool{}, want)
			if fmt.Sprint(got[i]) != fmt.Sprint(want) {
				t.Fatalf("links %v, order %v: above of %d is %v, want %v", links, order, i, got[i], want)
			}
		}
	})
}

// reach collects the stories that a spec leads to, or those of the specs that it leads to where it leads to none.
func reach(links [][]int, n, i int, seen, into map[int]bool) {
	if seen[i] {
		return
	}
	seen[i] = true
	direct := false
	for _, to := range links[i] {
		if to >= n {
			into[to], direct = true, true
		}
	}
	if direct {
		return
	}
	for _, to := range links[i] {
		reach(links, n, to, seen, into)
	}
}

// Moves of one artifact are one line, from whichever end it is asked; a record that goes round in circles ends too.
func TestPropertyAnArtifactHasTheSameNumbersWhereverItIsAsked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SliceOfNDistinct(rapid.Int64Range(1, 30), 1, 8, rapid.ID[int64]).Draw(t, "numbers")
		var moves []trace.Move
		for i := range line[1:] {
			moves = append(moves, trace.Move{From: line[i], To: line[i+1]})
		}
		m := trace.NewMoves(rapid.Permutation(moves).Draw(t, "moves"))
		for _, n := range line {
			if got := m.Numbers(n); !slices.Equal(got, line) {
				t.Fatalf("numbers of %d: %v, want %v", n, got, line)
			}
		}
		circle := trace.NewMoves(append(moves, trace.Move{From: line[len(line)-1], To: line[0]}))
		if got := circle.Numbers(line[0]); len(got) != len(line) {
			t.Fatalf("a circle of %d has %v", len(line), got)
		}
	})
}

func TestEveryKindIsInOneGroup(t *testing.T) {
	t.Parallel()
	in := map[domain.Kind]int{}
	for _, g := range trace.Groups() {
		for _, k := range g.Kinds() {
			in[k]++
			if trace.GroupOf(k) != g {
				t.Errorf("%s is in %q, want %q", k, trace.GroupOf(k), g)
			}
		}
	}
	for _, k := range domain.Kinds() {
		if in[k] != 1 {
			t.Errorf("%s is in %d groups, want 1", k, in[k])
		}
	}
	if g := trace.GroupOf("unheard of"); g != "" || g.Kinds() != nil || g.Singular() != "artifact" {
		t.Errorf("a kind that is none is in %q", g)
	}
	if g := trace.GroupADRs; g.Singular() != "decision record" {
		t.Errorf("one of the decision records is a %q", g.Singular())
	}
}
