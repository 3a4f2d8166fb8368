package query_test

import (
	"context"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// judge judges artifacts by definition.
type judge struct {
	all   map[numbered]query.Artifact
	links map[numbered][]query.Link // sound ones within the chain, by the artifact that declares them
	said  map[numbered]int64
}

func newJudge(t *rapid.T, w *world, name string) *judge {
	j := &judge{all: map[numbered]query.Artifact{}, links: map[numbered][]query.Link{}, said: w.said(t, name)}
	for _, shelf := range []query.Shelf{query.ShelfRequirements, query.ShelfStories, query.ShelfSpecs, query.ShelfEvidence} {
		artifacts, err := w.reader().Artifacts(context.Background(), shelf, query.ArtifactFilter{RepositoryID: string(repositoryID(name))})
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

// said folds the stream of a repository into the number of the scan that last changed what each artifact says.
func (w *world) said(t *rapid.T, name string) map[numbered]int64 {
	type was struct {
		number int64
		digest string
	}
	said, at := map[numbered]int64{}, map[string]was{}
	scan := int64(0)
	var batch []eventstore.Record
	repository := string(repositoryID(name))
	for r, err := range w.log.ReadStream(context.Background(), eventstore.RepositoryStream(repositoryID(name)), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, r); !r.EndsBatch() {
			continue
		}
		scan++
		removed := map[string]was{}
		for _, r := range batch {
			event, err := eventstore.Decode(r)
			if err != nil {
				t.Fatal(err)
			}
			switch e := event.(type) {
			case domain.ArtifactRemoved:
				removed[e.String()] = at[e.String()]
			case domain.ArtifactParsed:
				key := numbered{repository, int64(e.Number)}
				now := scan
				if e.MovedFrom != nil {
					if old := removed[e.MovedFrom.String()]; old.digest == e.Digest {
						now = said[numbered{repository, old.number}]
					}
				}
				if e.Change != domain.ChangeReread {
					said[key] = now
				}
				at[e.String()] = was{int64(e.Number), e.Digest}
			case domain.RepositoryRegistered, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
				domain.ScanCompleted, domain.ScanFailed, domain.AdminActed:
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
				for _, up := range j.upWithout(to, append(slices.Clip(without), at)) {
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
