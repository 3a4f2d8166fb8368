package query_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// drawHistory scans trees that have something in common, under policies of which some refuse them, into a new repository,
// and returns its name. The world is the same for all histories of a test: making one takes most of the time.
func drawHistory(t *rapid.T, w *world) string {
	w.histories++
	name := fmt.Sprint("history ", w.histories)
	var before []domain.File
	for range rapid.IntRange(1, 5).Draw(t, "scans") {
		tree := domaintest.DrawTree(t)
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

// TestPropertyMatrixAndGapsAreThoseOfTheTables: what is read for the matrix and the gaps is what the lists of artifacts and
// links show, and what the events of the log say of when each artifact changed last.
func TestPropertyMatrixAndGapsAreThoseOfTheTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		name := drawHistory(rt, w)
		id := string(repositoryID(name))
		matrix, err := w.reader().Matrix(context.Background(), query.Scope{RepositoryID: id})
		if err != nil {
			rt.Fatal(err)
		}
		gaps, err := w.reader().Gaps(context.Background(), query.Scope{RepositoryID: id})
		if err != nil {
			rt.Fatal(err)
		}
		graph := w.listed(rt, name)
		wanted, err := graph.Matrix()
		if err != nil {
			rt.Fatal(err)
		}
		same(rt, "matrix", matrix, wanted)
		same(rt, "gaps", gaps, graph.Gaps())
	})
}

// listed is the graph of a repository as the lists of its artifacts and links show it.
func (w *world) listed(t *rapid.T, name string) *trace.Graph {
	id := string(repositoryID(name))
	changed := w.lastChanged(t, name)
	var artifacts []trace.Artifact
	for level := range trace.LevelEvidence + 1 {
		of, err := w.reader().Artifacts(context.Background(), level.Group(), query.ArtifactFilter{RepositoryID: id})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range of {
			row := trace.Artifact{
				RepositoryID: a.RepositoryID, Repository: a.Repository, Risk: a.Risk, Tier: a.Tier, LastChanged: changed[a.Number],
				Cell: trace.Cell{Kind: domain.Kind(a.Kind), Number: a.Number, GxPID: a.GxPID, Title: a.Title, Path: a.Path, Ordinal: a.Ordinal},
			}
			if e := a.Evidence; e != nil {
				row.Overall, row.Evidence, row.EvidenceReason = e.Overall, domain.EvidenceState(e.State), e.StateReason
				row.Passed, row.Failed, row.Skipped = e.Passed, e.Failed, e.Skipped
			}
			artifacts = append(artifacts, row)
		}
	}
	links, err := w.reader().Links(context.Background(), query.LinkFilter{RepositoryID: id})
	if err != nil {
		t.Fatal(err)
	}
	return trace.New(artifacts, links)
}

func same(t *rapid.T, what string, got, want any) {
	a, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Fatalf("%s\n%s\nwant\n%s", what, a, b)
	}
}

// lastChanged folds the stream of a repository into the number of the scan since which the bytes of each artifact have been
// in the tree without a break, whichever artifact of its kind had them.
func (w *world) lastChanged(t *rapid.T, name string) map[int64]int64 {
	type content struct {
		kind   domain.Kind
		digest string
	}
	tree, since := map[int]content{}, map[content]int64{}
	scan := int64(0)
	for r, err := range w.log.ReadStream(context.Background(), eventstore.RepositoryStream(repositoryID(name)), 0) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := eventstore.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case domain.ArtifactRemoved:
			delete(tree, e.Number)
		case domain.ArtifactParsed:
			tree[e.Number] = content{e.Kind, e.Digest}
		case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
			domain.ArtifactRelinked, domain.ScanCompleted, domain.ScanFailed, domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
		}
		if !r.EndsBatch() {
			continue
		}
		scan++
		before := since
		since = map[content]int64{}
		for _, c := range tree {
			since[c] = scan
			if earlier, there := before[c]; there {
				since[c] = earlier
			}
		}
	}
	changed := map[int64]int64{}
	for number, c := range tree {
		changed[int64(number)] = since[c]
	}
	return changed
}
