package query_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

// drawTree draws a tree of few ids at few places, so that moves, duplicates, broken links, links past a level and circles
// are common.
func drawTree(t *rapid.T) []domain.File {
	var files []domain.File
	for _, kind := range []domain.Kind{domain.KindRequirement, domain.KindUserStory, domain.KindSpec, domain.KindEvidenceJWS} {
		for n := range 3 {
			path := fmt.Sprintf("%s/%d.md", kind, n)
			if rapid.IntRange(0, 3).Draw(t, "absent "+path) == 0 {
				continue
			}
			if rapid.IntRange(0, 4).Draw(t, "moved "+path) == 0 {
				path = "moved/" + path
			}
			id := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "id")
			word := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "word")
			links := drawLinks(t, kind)
			f := domaintest.File(kind, path, id, fmt.Sprint(kind, word, links), links...)
			if kind == domain.KindEvidenceJWS {
				f = with(f, func(a *domain.Artifact) {
					a.Evidence = &domain.Evidence{
						Signature: domain.Signature{Verdict: rapid.SampledFrom([]domain.Verdict{"valid", "valid", "invalid", "unverifiable"}).Draw(t, "verdict")},
						Tests:     &domain.TestTotals{Failed: rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "failed")},
					}
					a.Digest = domaintest.Hash(fmt.Sprint(a.Digest, a.Evidence.Signature, a.Evidence.Tests))
					a.Content.SHA256 = a.Digest
				})
				f.Blob = f.Artifacts[0].Digest[:40]
			}
			stamp := rapid.SampledFrom([]string{domaintest.Stamp, domaintest.Stamp, "rosie/2"}).Draw(t, "stamp")
			files = append(files, domaintest.ReadBy(stamp, f))
		}
	}
	return files
}

func drawLinks(t *rapid.T, kind domain.Kind) []domain.Link {
	edges := map[domain.Kind][]domain.Edge{
		domain.KindRequirement: {domain.EdgeParentID},
		domain.KindUserStory:   {domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeDerivesFrom},
		domain.KindSpec:        {domain.EdgeParentID, domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeImplements, domain.EdgeDerivesFrom},
		domain.KindEvidenceJWS: {domain.EdgeSpecID, domain.EdgeSpecID, domain.EdgeTracedUserStory},
	}[kind]
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) domain.Link {
		return domain.Link{
			Edge: rapid.SampledFrom(edges).Draw(t, "edge"), Target: rapid.SampledFrom([]string{"A", "B", "C", "D"}).Draw(t, "target"),
		}
	}), 0, 3, func(l domain.Link) string { return string(l.Edge) + l.Target }).Draw(t, "links")
}

// drawHistory scans trees that have something in common, under policies of which some refuse them, into a new repository,
// and returns its name. The world is the same for all histories of a test: making one takes most of the time.
func drawHistory(t *rapid.T, w *world) string {
	w.histories++
	name := fmt.Sprint("history ", w.histories)
	var before []domain.File
	for range rapid.IntRange(1, 5).Draw(t, "scans") {
		tree := drawTree(t)
		if len(before) > 0 && rapid.Bool().Draw(t, "like before") {
			tree = before
			if i := rapid.IntRange(0, len(tree)-1).Draw(t, "without"); rapid.Bool().Draw(t, "less") {
				tree = slices.Delete(slices.Clone(tree), i, i+1)
			}
		}
		policy := domaintest.Flag()
		if rapid.IntRange(0, 5).Draw(t, "strict") == 0 {
			policy = domain.DefaultPolicy()
		}
		w.record(name, policy, tree...)
		before = tree
	}
	w.project()
	return name
}

// TestPropertyTheMatrixIsWhatItsDefinitionSays judges every artifact again, in the plainest way, from the lists that other
// queries return and from the events of the log.
func TestPropertyTheMatrixIsWhatItsDefinitionSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		name := drawHistory(rt, w)
		m, err := w.reader().Matrix(context.Background(), query.MatrixFilter{RepositoryID: string(repositoryID(name))})
		if err != nil {
			rt.Fatal(err)
		}
		o := newJudge(rt, w, name)
		var counted int64
		for _, n := range m.Summary.States {
			counted += n
		}
		if counted != int64(len(o.all)) || m.Summary.Artifacts != counted || len(m.Artifacts) != len(o.all) {
			rt.Fatalf("%d artifacts are counted as %v, want %d", len(m.Artifacts), m.Summary, len(o.all))
		}
		for _, i := range m.Artifacts {
			if got, want := statesOf(i), o.states(i.RepositoryID, i.Number); got != want {
				rt.Fatalf("%s %s of %s is %s, want %s\n%s", i.Kind, i.Path, i.Repository, got, want, reasonsOf(m))
			}
			if want := o.said[numbered{i.RepositoryID, i.Number}]; i.Said != want {
				rt.Fatalf("%s %s last changed in scan %d, want %d", i.Kind, i.Path, i.Said, want)
			}
		}
		checkRows(rt, m)
		checkGaps(rt, w, name, m)
	})
}

func statesOf(i *query.Item) string {
	if len(i.Reasons) == 0 {
		return query.StateCovered
	}
	var out []string
	for _, r := range i.Reasons {
		if !slices.Contains(out, r.State) {
			out = append(out, r.State)
		}
	}
	if i.State != out[0] {
		return "inconsistent: " + i.State
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

type numbered struct {
	repository string
	number     int64
}

// checkRows checks that rows are in order, that each artifact is in one, and that a row is as bad as its worst cell.
func checkRows(t *rapid.T, m query.Matrix) {
	shown := map[*query.Item]bool{}
	last := ""
	for _, r := range m.Rows {
		key, state := r.Repository, len(query.States())
		for level := range query.LevelEvidence + 1 {
			path := "\xff" // absent last
			if i := r.Item(level); i != nil {
				path, shown[i] = i.Path, true
				state = min(state, slices.Index(query.States(), i.State))
			}
			key += "\x00" + path
		}
		if key < last {
			t.Fatalf("rows are not in order:\n%s", rowsOf(m))
		}
		last = key
		if r.State != query.States()[state] {
			t.Fatalf("row is %s, want %s:\n%s", r.State, query.States()[state], rowsOf(m))
		}
	}
	if len(shown) != len(m.Artifacts) {
		t.Fatalf("%d artifacts are in rows, want %d:\n%s", len(shown), len(m.Artifacts), rowsOf(m))
	}
}

// checkGaps checks that gaps and notices name exactly the artifacts that have these states in the matrix.
func checkGaps(t *rapid.T, w *world, name string, m query.Matrix) {
	found, err := w.reader().Gaps(context.Background(), query.GapFilter{RepositoryID: string(repositoryID(name))})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, g := range append(found.Gaps, found.Notices...) {
		got = append(got, fmt.Sprint(g.Repository, g.Number, g.State, g.Edge, g.Target))
	}
	for _, i := range m.Artifacts {
		for _, r := range i.Reasons {
			if r.State != query.StateTransitive && !strings.HasPrefix(i.Kind, "evidence") || r.Edge != "" || r.State == query.StateOrphaned || r.State == query.StateDuplicate {
				want = append(want, fmt.Sprint(i.Repository, i.Number, r.State, r.Edge, r.Target))
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("gaps and notices\n%s\nthe matrix has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
