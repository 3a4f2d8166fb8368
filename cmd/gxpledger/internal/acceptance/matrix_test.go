package acceptance_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// TestCorpusMatrixIsWhatTheOracleAddsUpTo judges every artifact of each revision by the oracles alone, and compares state
// by state; once as it was scanned behind the others, and once alone.
func TestCorpusMatrixIsWhatTheOracleAddsUpTo(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	key := filepath.Join(folder, "evidence-public-key.pem")
	c := newClient(t)
	var before *revision
	suspects := 0
	for n, tag := range tags() {
		c.scanTag(t, clone, tag, "--evidence-key", key).wantCode(t, 0)
		before = newRevision(readOracle(t, folder, tag), n+1, before)
		suspects += sameMatrix(t, c, before, tag)["suspect"]
	}
	if suspects == 0 {
		t.Error("the corpus has no suspect at all: the comparison proves less than it should")
	}
	for _, tag := range []string{"dev-05-2692cf0", "dev-07-cbec5ad"} {
		alone := newClient(t)
		alone.scanTag(t, clone, tag).wantCode(t, 0) // without a key nothing is valid
		first := newRevision(readOracle(t, folder, tag), 1, nil)
		for _, a := range first.at {
			a.valid = false
		}
		if states := sameMatrix(t, alone, first, tag+" alone"); states["suspect"] > 0 || states["unverified"] == 0 {
			t.Errorf("%s alone: %v", tag, states)
		}
	}
}

// sameMatrix compares the matrix of a home with a revision and returns how many artifacts are in each state.
func sameMatrix(t *testing.T, c client, r *revision, what string) map[string]int {
	t.Helper()
	var m trace.Matrix
	c.json(t, &m, "matrix")
	var got, want []string
	states := map[string]int{}
	for _, i := range m.Artifacts {
		got = append(got, i.Path+" "+string(i.State))
	}
	for path, a := range r.at {
		state := r.state(a)
		states[state]++
		want = append(want, path+" "+state)
	}
	compare(t, what+": states", got, want)
	for state, n := range m.Summary.States {
		if int(n) != states[string(state)] {
			t.Errorf("%s: summary counts %d %s, want %d", what, n, state, states[string(state)])
		}
	}
	records, err := csv.NewReader(strings.NewReader(c.run(t, "matrix", "--format", "csv").stdout)).ReadAll()
	if err != nil || len(records) != 1+len(m.Rows) || len(m.Rows) != r.rows() {
		t.Errorf("%s: %d records, %d rows, want %d rows; %v", what, len(records), len(m.Rows), r.rows(), err)
	}
	page := c.run(t, "matrix", "--format", "html").stdout
	if n := strings.Count(page, `<th scope="row" class="number">`); n != len(m.Rows) {
		t.Errorf("%s: the page has %d rows, want %d", what, n, len(m.Rows))
	}
	return states
}

// revision is the chain of one revision as its oracle has it.
type revision struct{ at map[string]*judged }

// judged is an artifact of the chain. said is the number of the scan that last changed its bytes.
type judged struct {
	oracleArtifact
	rank    int
	id      string
	valid   bool
	said    int
	orphan  bool
	wrong   bool
	parents []*judged
}

func newRevision(o oracle, scan int, before *revision) *revision {
	r := &revision{at: map[string]*judged{}}
	named := map[string]*judged{}
	for _, a := range o.Artifacts {
		rank := slices.Index([]string{"requirement", "user_story", "spec", "evidence_jws", "evidence_package"}, a.Kind)
		if rank < 0 {
			continue
		}
		j := &judged{oracleArtifact: a, rank: min(rank, 3), id: text(a.GxPID), valid: true, said: scan}
		if c := a.Checks; c != nil {
			j.valid = c.Payload && (c.Draft02 || c.Draft03) && len(c.Hash)+len(c.Size)+len(c.Missing)+len(c.Unlisted) == 0
		}
		r.at[a.Path] = j
		named[fmt.Sprint(j.rank, j.id)] = j
		if old := before.samely(j, o); old != nil {
			j.said = old.said
		}
	}
	broken := map[string]string{}
	for _, b := range o.Broken {
		broken[b.Path+b.Edge+b.Missing] = b.Reason
	}
	for _, j := range r.at {
		for _, p := range j.Parents {
			switch reason := broken[j.Path+p[0]+p[1]]; reason {
			case "":
				to := map[string]int{"user_story.parent_id": 0, "spec.parent_id": 1, "evidence.spec_id": 2, "evidence.traced_user_story": 1}[p[0]]
				j.parents = append(j.parents, named[fmt.Sprint(to, p[1])])
			case "missing":
				j.orphan = true
			default:
				j.wrong = true
			}
		}
	}
	return r
}

// samely returns the same artifact with the same bytes in the revision before: where it is now, or where it is no more.
func (r *revision) samely(j *judged, now oracle) *judged {
	if r == nil {
		return nil
	}
	same := func(old *judged) bool {
		return old != nil && old.Kind == j.Kind && old.SHA256 == j.SHA256 && fmt.Sprint(old.Members) == fmt.Sprint(j.Members)
	}
	if old, there := r.at[j.Path]; there {
		if same(old) {
			return old
		}
		return nil
	}
	for _, old := range r.at {
		gone := !slices.ContainsFunc(now.Artifacts, func(a oracleArtifact) bool { return a.Path == old.Path })
		if gone && old.id == j.id && same(old) {
			return old
		}
	}
	return nil
}

// children are the artifacts of a level that lead to a.
func (r *revision) children(a *judged, rank int) []*judged {
	var out []*judged
	for _, j := range r.at {
		if j.rank == rank && slices.Contains(j.parents, a) {
			out = append(out, j)
		}
	}
	return out
}

// own is the most severe state of an artifact by itself, "" when it is well.
func (r *revision) own(a *judged) string {
	proof := func(e *judged) bool { return e.valid }
	evidence := r.children(a, 3)
	suspect := slices.ContainsFunc(a.parents, func(p *judged) bool { return p.said > a.said })
	for _, c := range []struct {
		state string
		holds bool
	}{
		{"orphaned", a.orphan},
		{"wrong_kind", a.wrong},
		{"missing", a.rank < 3 && len(r.children(a, a.rank+1)) == 0},
		{"unverified", a.rank == 3 && !a.valid || a.rank == 2 && len(evidence) > 0 && !slices.ContainsFunc(evidence, proof)},
		{"suspect", suspect},
	} {
		if c.holds {
			return c.state
		}
	}
	return ""
}

// above are the parents that an artifact stands under, without those that another parent stands under itself.
func (r *revision) above(a *judged) []*judged {
	return slices.DeleteFunc(slices.Clone(a.parents), func(far *judged) bool {
		return slices.ContainsFunc(a.parents, func(near *judged) bool { return slices.Contains(near.parents, far) })
	})
}

func (r *revision) state(a *judged) string {
	if own := r.own(a); own != "" {
		return own
	}
	if r.badAbove(a) || r.badBelow(a) {
		return "transitive"
	}
	return "covered"
}

func (r *revision) badAbove(a *judged) bool {
	return slices.ContainsFunc(r.above(a), func(p *judged) bool { return r.own(p) != "" || r.badAbove(p) })
}

func (r *revision) badBelow(a *judged) bool {
	below := r.below(a)
	if a.rank == 2 && slices.ContainsFunc(below, func(e *judged) bool { return r.own(e) == "" }) {
		return false
	}
	return slices.ContainsFunc(below, func(c *judged) bool { return r.own(c) != "" || r.badBelow(c) })
}

func (r *revision) below(a *judged) []*judged {
	return slices.DeleteFunc(slices.Collect(maps.Values(r.at)), func(j *judged) bool { return !slices.Contains(r.above(j), a) })
}

// rows is how many chains there are.
func (r *revision) rows() int {
	var down func(a *judged) int
	down = func(a *judged) int {
		n := 0
		for _, j := range r.below(a) {
			n += down(j)
		}
		return max(n, 1)
	}
	n := 0
	for _, a := range r.at {
		if len(r.above(a)) == 0 {
			n += down(a)
		}
	}
	return n
}
