package domain_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// model is what a tree is, kept as naively as can be: what each path says.
type model map[domain.Key]domain.Artifact

func modelOf(files []domain.File) model {
	m := model{}
	for _, f := range files {
		for _, a := range f.Artifacts {
			m[a.Key] = a
		}
	}
	return m
}

// drawTree draws a tree of few paths and few ids, so that changes, moves, duplicates and broken links are common.
func drawTree(t *rapid.T) []domain.File {
	var files []domain.File
	id := rapid.SampledFrom([]string{"", "A", "B", "C"})
	word := rapid.SampledFrom([]string{"x", "y"})
	for i, kind := range []domain.Kind{
		domain.KindRequirement, domain.KindRequirement, domain.KindUserStory, domain.KindUserStory, domain.KindSpec,
		domain.KindEvidenceJWS, domain.KindADR,
	} {
		path := fmt.Sprintf(".gxp/%d-%s", i, kind)
		switch rapid.IntRange(0, 5).Draw(t, "fate of "+path) {
		case 0: // absent
		case 1:
			files = append(files, Malformed(kind, path, word.Draw(t, "bytes")))
		default:
			edge := rapid.SampledFrom([]domain.Edge{
				domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeImplements, domain.EdgeSpecID, domain.EdgeTracedUserStory,
			}).Draw(t, "edge")
			target := id.Draw(t, "target")
			f := File(kind, path, id.Draw(t, "id"), word.Draw(t, "text")+string(edge)+target, domain.Link{Edge: edge, Target: target})
			files = append(files, f)
		}
	}
	if n := rapid.IntRange(0, 4).Draw(t, "risk entries"); n > 0 {
		var entries []string
		for range n {
			entries = append(entries, rapid.SampledFrom([]string{"", "RISK-1", "RISK-2", "RISK-3"}).Draw(t, "risk id"), word.Draw(t, "risk"))
		}
		files = append(files, RiskLog(entries...))
	}
	return rapid.Permutation(files).Draw(t, "order")
}

// forget lets a reader skip some of the units that the state holds.
func forget(t *rapid.T, s domain.State, files []domain.File) []domain.File {
	out := slices.Clone(files)
	for i, f := range out {
		if s.Holds(f.Path, f.Blob, f.Stamp) && rapid.Bool().Draw(t, "skip "+f.Path) {
			out[i] = Unchanged(f)
		}
	}
	return out
}

// TestPropertyFoldingWhatWasDecidedGivesTheScannedTree: for any sequence of trees, whatever was read again or not.
func TestPropertyFoldingWhatWasDecidedGivesTheScannedTree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var state domain.State
		used := map[int]known{}
		for range rapid.IntRange(1, 6).Draw(t, "scans") {
			files := drawTree(t)
			events, err := domain.Decide(state, Scan(Flag(), forget(t, state, files)...))
			if err != nil {
				t.Fatalf("decide: %v", err)
			}
			checkNumbers(t, used, events)
			state = domain.Fold(state, events...)
			checkTree(t, state, files)
			checkCompleted(t, state, events)

			again, err := domain.Decide(state, Scan(Flag(), files...))
			if err != nil || len(again) != 1 {
				t.Fatalf("deciding twice on one tree gave %d events and %v; want ScanCompleted alone", len(again), err)
			}
			if done, ok := again[0].(domain.ScanCompleted); !ok || len(done.Relinked) != 0 {
				t.Fatalf("deciding twice relinked %+v", again[0])
			}
		}
	})
}

// known is what a number stays with: a path and, for an entry of a file, an id.
type known struct{ path, id string }

func checkNumbers(t *rapid.T, used map[int]known, events []domain.Event) {
	for _, e := range events {
		p, ok := e.(domain.ArtifactParsed)
		if !ok {
			continue
		}
		is := known{path: p.Path}
		if p.Ordinal > 0 {
			is.id = p.GxPID
		}
		was, taken := used[p.Number]
		if taken && was != is {
			t.Fatalf("number %d was given to %v and to %v", p.Number, was, is)
		}
		if taken == (p.Change == domain.ChangeNew) {
			t.Fatalf("%s is %s with number %d, taken: %v", p.Key, p.Change, p.Number, taken)
		}
		used[p.Number] = is
	}
}

func checkTree(t *rapid.T, state domain.State, files []domain.File) {
	want := modelOf(files)
	if got := state.Artifacts(); got != len(want) {
		t.Fatalf("state holds %d artifacts, tree %d", got, len(want))
	}
	for _, f := range files {
		u := state.Units[f.Path]
		if u == nil || u.Blob != f.Blob || u.Stamp != f.Stamp || (u.Rejected != nil) != (f.Rejected != nil) {
			t.Fatalf("unit %s is %+v, file %+v", f.Path, u, f)
		}
		for _, k := range u.Artifacts {
			a := want[domain.Key{Path: f.Path, Ordinal: k.Ordinal}]
			if a.Kind != k.Kind || a.GxPID != k.GxPID || a.Digest != k.Digest || k.Ordinal == 0 && a.Content.SHA256 != k.SHA256 {
				t.Fatalf("state knows %+v, the tree says %+v", k, a)
			}
			for i, l := range k.Links {
				checkLink(t, world{want, state}, a.Kind, [2]domain.Link{a.Links[i], l})
			}
		}
	}
	if len(state.Units) != len(files) {
		t.Fatalf("state holds %d units, tree %d", len(state.Units), len(files))
	}
}

type world struct {
	tree  model
	state domain.State
}

// checkLink resolves a link by looking at every artifact of the tree.
func checkLink(t *rapid.T, w world, child domain.Kind, link [2]domain.Link) {
	tree, state, declared, got := w.tree, w.state, link[0], link[1]
	var winner domain.Key
	found, anywhere := false, false
	for _, kind := range domain.Targets(child, declared.Edge) {
		for key, a := range tree {
			if a.GxPID == declared.Target && a.GxPID != "" && a.Kind == kind && (!found || key.Compare(winner) > 0) {
				winner, found = key, true
			}
		}
		if found {
			break
		}
	}
	for _, a := range tree {
		anywhere = anywhere || a.GxPID == declared.Target && a.GxPID != ""
	}
	switch {
	case found:
		k := state.Units[winner.Path].Artifacts
		i := slices.IndexFunc(k, func(k domain.Known) bool { return k.Ordinal == winner.Ordinal })
		if got.Broken != "" || got.To == nil || got.To.Number != k[i].Number || got.To.Kind != k[i].Kind {
			t.Fatalf("link %+v is %+v, want number %d", declared, got, k[i].Number)
		}
	case anywhere && got.Broken != domain.BrokenWrongKind, !anywhere && got.Broken != domain.BrokenMissing:
		t.Fatalf("link %+v is %+v; its target exists: %v", declared, got, anywhere)
	}
}

func checkCompleted(t *rapid.T, state domain.State, events []domain.Event) {
	done, ok := events[len(events)-1].(domain.ScanCompleted)
	if !ok {
		t.Fatalf("last event is %T", events[len(events)-1])
	}
	if done.TreeDigest != state.TreeDigest() {
		t.Fatal("the digest that the scan recorded is not that of the state it leads to")
	}
	found, links := 0, 0
	for _, c := range done.Counts {
		found += c.Found
		if c.Found != c.New+c.Changed+c.Reread+c.Unchanged {
			t.Fatalf("count %+v does not add up", c)
		}
	}
	for _, u := range state.Units {
		for _, k := range u.Artifacts {
			links += len(k.Links)
		}
	}
	if found != state.Artifacts() || links != done.Links.Sound+done.Links.Missing+done.Links.WrongKind {
		t.Fatalf("scan counts %d artifacts and %+v links; the state holds %d and %d", found, done.Links, state.Artifacts(), links)
	}
}

// TestPropertyStrictPassesExactlyWhatFlagFindsResolved: the policy decides about recording, not about what is seen.
func TestPropertyStrictPassesExactlyWhatFlagFindsResolved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		files := drawTree(t)
		flagged, err := domain.Decide(domain.State{}, Scan(Flag(), files...))
		if err != nil {
			t.Fatalf("flag: %v", err)
		}
		done, ok := flagged[len(flagged)-1].(domain.ScanCompleted)
		if !ok {
			t.Fatalf("last event is %T", flagged[len(flagged)-1])
		}
		strict, err := domain.Decide(domain.State{}, Scan(domain.DefaultPolicy(), files...))
		resolved := done.Links.Missing+done.Links.WrongKind == 0 && len(done.Findings) == 0
		if resolved != (err == nil) {
			t.Fatalf("links %+v, findings %v, but strict says %v", done.Links, done.Findings, err)
		}
		if resolved && !reflect.DeepEqual(strict[:len(strict)-1], flagged[:len(flagged)-1]) {
			t.Fatal("strict and flag recorded different facts of a sound tree")
		}
	})
}
