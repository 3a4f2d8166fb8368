package query_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
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

// drawHistory scans trees that have something in common, under policies of which some refuse them.
func drawHistory(t *rapid.T, w *world) {
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
		w.record(rapid.SampledFrom([]string{"demo", "demo", "demo", "other"}).Draw(t, "repository"), policy, tree...)
		before = tree
	}
	w.project()
}

// TestPropertyTheMatrixIsWhatItsDefinitionSays judges every artifact again, in the plainest way, from the lists that other
// queries return and from the events of the log.
func TestPropertyTheMatrixIsWhatItsDefinitionSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		drawHistory(rt, w)
		m := w.matrix()
		o := newJudge(rt, w)
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
		checkGaps(rt, w, m)
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

// judge judges artifacts by definition.
type judge struct {
	all   map[numbered]query.Artifact
	links map[numbered][]query.Link // sound ones within the chain, by the artifact that declares them
	said  map[numbered]int64
}

func newJudge(t *rapid.T, w *world) *judge {
	j := &judge{all: map[numbered]query.Artifact{}, links: map[numbered][]query.Link{}, said: w.said(t)}
	for _, shelf := range []query.Shelf{query.ShelfRequirements, query.ShelfStories, query.ShelfSpecs, query.ShelfEvidence} {
		artifacts, err := w.reader().Artifacts(context.Background(), shelf, query.ArtifactFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range artifacts {
			at := numbered{a.RepositoryID, a.Number}
			j.all[at] = a
			for _, l := range a.Links {
				if l.State == query.StateSound {
					j.links[at] = append(j.links[at], l)
				}
			}
		}
	}
	return j
}

// said folds the log into the number of the scan that last changed what each artifact says.
func (w *world) said(t *rapid.T) map[numbered]int64 {
	type was struct {
		number int64
		digest string
	}
	said, at := map[numbered]int64{}, map[string]was{}
	scan := map[string]int64{} // of the batch, found at its end
	var batch []eventstore.Record
	for r, err := range w.log.Read(context.Background(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, r); !r.EndsBatch() {
			continue
		}
		scan[string(r.Stream)]++
		removed := map[string]was{}
		for _, r := range batch {
			repository := strings.TrimPrefix(string(r.Stream), eventstore.RepositoryPrefix)
			event, err := eventstore.Decode(r)
			if err != nil {
				t.Fatal(err)
			}
			switch e := event.(type) {
			case domain.ArtifactRemoved:
				removed[repository+e.Key.String()] = at[repository+e.Key.String()]
			case domain.ArtifactParsed:
				key := numbered{repository, int64(e.Number)}
				now := scan[string(r.Stream)]
				if e.MovedFrom != nil {
					if old := removed[repository+e.MovedFrom.String()]; old.digest == e.Digest {
						now = said[numbered{repository, old.number}]
					}
				}
				if e.Change != domain.ChangeReread {
					said[key] = now
				}
				at[repository+e.Key.String()] = was{int64(e.Number), e.Digest}
			}
		}
		batch = nil
	}
	return said
}

func rank(kind string) int {
	return slices.Index([]string{"requirement", "user_story", "spec", "evidence_jws"}, kind)
}

// from returns who links soundly to an artifact from a kind.
func (j *judge) from(to numbered, kind string) []query.Artifact {
	var out []query.Artifact
	for at, links := range j.links {
		for _, l := range links {
			if at.repository == to.repository && l.ToNumber == to.number && j.all[at].Kind == kind {
				out = append(out, j.all[at])
				break
			}
		}
	}
	return out
}

// own are the states that an artifact is in by itself.
func (j *judge) own(at numbered) []string {
	a := j.all[at]
	found := map[string]bool{}
	broken := false
	for _, l := range a.Links {
		switch l.State {
		case "missing":
			found[query.StateOrphaned], broken = true, true
		case "wrong_kind":
			found[query.StateWrongKind], broken = true, true
		default:
			if to := (numbered{a.RepositoryID, l.ToNumber}); to != at && j.said[to] > j.said[at] {
				found[query.StateSuspect] = true
			}
		}
	}
	if !broken && rank(a.Kind) > 0 && len(j.up(at)) == 0 {
		found[query.StateOrphaned] = true
	}
	for other, b := range j.all {
		if other != at && other.repository == at.repository && b.Kind == a.Kind && b.GxPID == a.GxPID {
			found[query.StateDuplicate] = true
		}
	}
	j.cover(at, found)
	return slices.Sorted(maps.Keys(found))
}

func (j *judge) cover(at numbered, found map[string]bool) {
	a := j.all[at]
	switch a.Kind {
	case "requirement":
		found[query.StateMissing] = len(j.from(at, "user_story")) == 0
	case "user_story":
		found[query.StateMissing] = len(j.from(at, "spec")) == 0
	case "spec":
		valid, proven := false, false
		evidence := j.from(at, "evidence_jws")
		for _, e := range evidence {
			valid = valid || e.Evidence.Overall == "valid"
			proven = proven || e.Evidence.Overall == "valid" && *e.Evidence.Failed == 0
		}
		found[query.StateMissing] = len(evidence) == 0
		found[query.StateFailed] = valid && !proven
		found[query.StateUnverified] = len(evidence) > 0 && !valid
	case "evidence_jws":
		found[query.StateUnverified] = a.Evidence.Overall != "valid"
		found[query.StateFailed] = a.Evidence.Overall == "valid" && *a.Evidence.Failed > 0
	}
	maps.DeleteFunc(found, func(_ string, is bool) bool { return !is })
}

// up is what stands above an artifact in rows: what it leads to on higher levels, less what is above of that already, or
// what is above of what it leads to on its own.
func (j *judge) up(at numbered) []numbered { return j.upWithout(at, nil) }

func (j *judge) upWithout(at numbered, without []numbered) []numbered {
	higher := map[numbered]bool{}
	for _, l := range j.links[at] {
		if rank(l.ToKind) < rank(j.all[at].Kind) {
			higher[numbered{at.repository, l.ToNumber}] = true
		}
	}
	for _, near := range slices.Collect(maps.Keys(higher)) {
		for far := range higher {
			if far != near && rank(j.all[far].Kind) < rank(j.all[near].Kind) && j.reaches(near, far) {
				delete(higher, far)
			}
		}
	}
	if len(higher) == 0 && rank(j.all[at].Kind) > 0 {
		for _, l := range j.links[at] {
			to := numbered{at.repository, l.ToNumber}
			if l.ToKind == j.all[at].Kind && !slices.Contains(without, to) {
				for _, up := range j.upWithout(to, append(without[:len(without):len(without)], at)) {
					higher[up] = true
				}
			}
		}
	}
	return slices.Collect(maps.Keys(higher))
}

// reaches reports whether the rows lead from an artifact up to another.
func (j *judge) reaches(from, to numbered) bool {
	for _, up := range j.up(from) {
		if up == to || j.reaches(up, to) {
			return true
		}
	}
	return false
}

// states are all states of an artifact.
func (j *judge) states(repository string, number int64) string {
	at := numbered{repository, number}
	if own := j.own(at); len(own) > 0 {
		return strings.Join(own, " ")
	}
	for other := range j.all {
		if len(j.own(other)) > 0 && (j.reaches(at, other) || j.taints(other, at)) {
			return query.StateTransitive
		}
	}
	return query.StateCovered
}

// taints reports whether what is below an artifact spoils it: not through a spec that has evidence which is well.
func (j *judge) taints(below, at numbered) bool {
	for _, up := range j.up(below) {
		enough := j.all[up].Kind == "spec" && slices.ContainsFunc(j.from(up, "evidence_jws"), func(e query.Artifact) bool {
			return len(j.own(numbered{e.RepositoryID, e.Number})) == 0
		})
		if !enough && (up == at || j.taints(up, at)) {
			return true
		}
	}
	return false
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
func checkGaps(t *rapid.T, w *world, m query.Matrix) {
	found, err := w.reader().Gaps(context.Background(), query.GapFilter{})
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

// TestPropertyADiffIsWhatDiffersBetweenTwoPasts compares a diff, which reads the tables of the history, with what the log
// folds to up to both ends.
func TestPropertyADiffIsWhatDiffersBetweenTwoPasts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		drawHistory(rt, w)
		head, err := w.log.Head(context.Background())
		if err != nil {
			rt.Fatal(err)
		}
		repositories, err := w.reader().Repositories(context.Background())
		if err != nil {
			rt.Fatal(err)
		}
		at := func(what string) query.Place {
			p, err := query.ParsePoint(fmt.Sprint("pos:", rapid.Uint64Range(1, uint64(head)).Draw(rt, what)))
			if err != nil {
				rt.Fatal(err)
			}
			place, err := w.finder().Find(context.Background(), p, "")
			if err != nil {
				rt.Fatal(err)
			}
			return place
		}
		from, to := at("from"), at("to")
		before, after := w.past(rt, from), w.past(rt, to)
		for _, repository := range repositories {
			d, err := w.reader().Diff(context.Background(), repository, from, to)
			if err != nil {
				rt.Fatal(err)
			}
			checkDiff(rt, d, before[repository.ID], after[repository.ID])
		}
	})
}

// tree is what a repository held: by place and kind, what lies there, as "digest stamp"; and the links that are broken.
type tree struct{ artifacts, broken map[string]string }

// past folds the log up to a place into the trees of all repositories.
func (w *world) past(t *rapid.T, at query.Place) map[string]tree {
	trees := map[string]tree{}
	for r, err := range w.log.Read(context.Background(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Position > at.Position {
			break
		}
		repository := strings.TrimPrefix(string(r.Stream), eventstore.RepositoryPrefix)
		if _, known := trees[repository]; !known {
			trees[repository] = tree{map[string]string{}, map[string]string{}}
		}
		event, err := eventstore.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		trees[repository].fold(event)
	}
	return trees
}

func (tr tree) fold(event domain.Event) {
	link := func(key string, l domain.Link) {
		key += " " + string(l.Edge) + " " + l.Target
		delete(tr.broken, key)
		if l.Broken != "" {
			tr.broken[key] = string(l.Broken)
		}
	}
	forget := func(key string) {
		maps.DeleteFunc(tr.broken, func(k, _ string) bool { return strings.HasPrefix(k, key+" ") })
	}
	switch e := event.(type) {
	case domain.ArtifactParsed:
		key := string(e.Kind) + " " + e.Key.String()
		tr.artifacts[key] = e.Digest + " " + e.Stamp
		forget(key)
		for _, l := range e.Links {
			link(key, l)
		}
	case domain.ArtifactRemoved:
		key := string(e.Kind) + " " + e.Key.String()
		delete(tr.artifacts, key)
		forget(key)
	case domain.ScanCompleted:
		for _, r := range e.Relinked {
			link(string(r.Kind)+" "+r.Key.String(), r.Link)
		}
	}
}

// checkDiff checks that a diff names the places and the broken links that differ, and no other.
func checkDiff(t *rapid.T, d query.Diff, before, after tree) {
	told, moved := map[string]bool{}, map[string]bool{}
	for _, a := range d.Artifacts {
		key := a.Kind + " " + domain.Key{Path: a.Path, Ordinal: int(a.Ordinal)}.String()
		was, had := before.artifacts[key]
		is, has := after.artifacts[key]
		told[key] = true
		right := true
		switch a.What {
		case query.WhatNew:
			right = has
		case query.WhatRemoved:
			right = had
		case query.WhatChanged, query.WhatReread:
			right = had && has && was != is
		case query.WhatMoved:
			from := a.Kind + " " + a.MovedFrom
			_, left := before.artifacts[from]
			right = has && left
			told[from], moved[key] = true, true
		}
		if !right {
			t.Fatalf("%s %s: was %q, is %q", a.What, key, was, is)
		}
	}
	for _, side := range []tree{before, after} {
		for key := range side.artifacts {
			if before.artifacts[key] != after.artifacts[key] && !told[key] {
				t.Fatalf("%s differs and is not told: %+v", key, d.Artifacts)
			}
		}
	}
	links := map[string]string{}
	for _, l := range d.Links {
		key := l.Kind + " " + domain.Key{Path: l.Path, Ordinal: int(l.Ordinal)}.String()
		if !moved[key] {
			links[key+" "+l.Edge+" "+l.Target] = l.What
		}
	}
	for key, what := range links {
		if _, broken := after.broken[key]; broken != (what == query.WhatBroken) {
			t.Fatalf("link %s is told as %s: after it is %q", key, what, after.broken[key])
		}
	}
	for key, state := range after.broken {
		artifact := strings.Join(strings.Fields(key)[:2], " ")
		if before.broken[key] != state && links[key] != query.WhatBroken && !moved[artifact] {
			t.Fatalf("link %s is %s, was %q, and is told as %q", key, state, before.broken[key], links[key])
		}
	}
}
