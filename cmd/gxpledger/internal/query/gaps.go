package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// Gap is a place where the chain from requirement to evidence does not hold.
type Gap struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	// Gap is broken_link, no_story, no_spec or no_valid_evidence; of a notice no_parent, duplicate_id or suspect.
	Gap string `json:"gap"`
	// State is what a traceability matrix calls it: orphaned, wrong_kind, missing, failed or unverified; of a notice
	// orphaned, duplicate or suspect.
	State   string `json:"state"`
	Kind    string `json:"kind"`
	Number  int64  `json:"number"`
	GxPID   string `json:"gxp_id,omitempty"`
	Title   string `json:"title,omitempty"`
	Path    string `json:"path"`
	Ordinal int64  `json:"ordinal"`
	Risk    string `json:"risk,omitempty"`
	// Edge and Target are those of a broken link, or of the link to what changed.
	Edge   string `json:"edge,omitempty"`
	Target string `json:"target,omitempty"`
	// Text says why there is a notice. It holds ids of the repository, hostile until neutralised.
	Text string `json:"text,omitempty"`
	// Evidence is what a spec without valid evidence has instead.
	Evidence []GapEvidence `json:"evidence,omitempty"`
}

// GapEvidence is a piece of evidence that does not prove its spec: it is not valid, or it is and says that tests failed.
type GapEvidence struct {
	Name    string `json:"name"` // gxp_id or path
	Path    string `json:"path"`
	Overall string `json:"overall"`
	Failed  int64  `json:"failed,omitempty"` // tests that failed, as it claims
}

// The gaps.
const (
	GapBrokenLink = "broken_link"       // a link that leads nowhere, or to another level
	GapNoStory    = "no_story"          // a requirement that no user story leads to
	GapNoSpec     = "no_spec"           // a user story that no spec leads to
	GapNoEvidence = "no_valid_evidence" // a spec that no valid evidence of tests that passed leads to
)

// The notices: what is no gap, and what a reviewer should look at.
const (
	NoticeNoParent  = "no_parent"    // it leads to nothing above it, and names nothing either
	NoticeDuplicate = "duplicate_id" // another artifact of its kind has the same id
	NoticeSuspect   = "suspect"      // something that it leads to was changed after it
)

// GapFilter chooses gaps. The zero value chooses all.
type GapFilter struct{ RepositoryID string }

// Name is how people call the artifact: its gxp_id, or else its place.
func (g Gap) Name() string {
	if g.GxPID != "" {
		return g.GxPID
	}
	return g.Key()
}

// Key is the place of the artifact: the path, with #ordinal behind it unless that is 0.
func (g Gap) Key() string { return keyText(g.Path, g.Ordinal) }

// Coverage is how much of each level is covered by the next.
type Coverage struct {
	Links        Covered `json:"links"`        // sound, of all
	Requirements Covered `json:"requirements"` // with a user story
	Stories      Covered `json:"user_stories"` // with a spec
	Specs        Covered `json:"specs"`        // with valid evidence of tests that passed
}

// Covered is a part of a whole.
type Covered struct {
	Covered int64 `json:"covered"`
	Total   int64 `json:"total"`
}

// Gaps is where the chain does not hold, and how much of it does.
type Gaps struct {
	// Gaps are broken links first and then down the levels, each in the order of repositories and paths.
	Gaps     []Gap    `json:"gaps"`
	Coverage Coverage `json:"coverage"`
	// Notices are no gaps: the chain holds, and somebody should look. In the order of repositories, levels and paths.
	Notices []Gap `json:"notices"`
	// States counts the artifacts of the chain, each once, by their most severe state, as the matrix does.
	States StateCounts `json:"states"`
}

// Count is how many gaps and notices have a state; of transitive, how many artifacts do.
func (g *Gaps) Count(state string) int {
	n := 0
	for _, o := range slices.Concat(g.Gaps, g.Notices) {
		if o.State == state {
			n++
		}
	}
	if state == StateTransitive {
		n = int(g.States[state])
	}
	return n
}

// Has reports whether Count is above 0 for one of the states.
func (g *Gaps) Has(states []string) bool {
	return slices.ContainsFunc(states, func(s string) bool { return g.Count(s) > 0 })
}

// Gaps returns every gap. Evidence is valid when its signature is and, for a package, each of its checks. It proves its spec
// when it is valid and claims no failed test: a signature under a failure only proves the failure.
func (r *Reader) Gaps(ctx context.Context, filter GapFilter) (Gaps, error) {
	g := Gaps{Notices: []Gap{}}
	var err error
	if g.Gaps, err = r.brokenLinks(ctx, filter, &g.Coverage); err != nil {
		return Gaps{}, fmt.Errorf("find broken links: %w", err)
	}
	c, err := r.readChain(ctx, filter.RepositoryID)
	if err != nil {
		return Gaps{}, fmt.Errorf("find gaps: %w", err)
	}
	g.States = c.summary().States
	for _, level := range []struct {
		gap     string
		level   Level
		covered *Covered
	}{
		{GapNoStory, LevelRequirement, &g.Coverage.Requirements},
		{GapNoSpec, LevelStory, &g.Coverage.Stories},
		{GapNoEvidence, LevelSpec, &g.Coverage.Specs},
	} {
		for _, i := range c.items {
			if i.level != level.level {
				continue
			}
			level.covered.Total++
			if state := i.uncovered(); state != "" {
				g.Gaps = append(g.Gaps, i.gap(level.gap, Reason{State: state}))
				continue
			}
			level.covered.Covered++
		}
	}
	for _, i := range c.items {
		g.Notices = append(g.Notices, i.notices()...)
	}
	return g, nil
}

func (r *Reader) brokenLinks(ctx context.Context, filter GapFilter, coverage *Coverage) ([]Gap, error) {
	links, err := r.Links(ctx, LinkFilter{RepositoryID: filter.RepositoryID, BrokenOnly: true})
	if err != nil {
		return nil, err
	}
	var w where
	is(&w, "repository_id", filter.RepositoryID)
	all, err := count(ctx, r, "FROM traceability_links"+w.String(), w.args...)
	if err != nil {
		return nil, err
	}
	coverage.Links = Covered{Covered: all - int64(len(links)), Total: all}
	gaps := make([]Gap, len(links))
	for i, l := range links {
		gaps[i] = Gap{
			RepositoryID: l.RepositoryID, Repository: l.Repository, Gap: GapBrokenLink, State: StateOrphaned, Kind: l.Kind,
			Number: l.Number, GxPID: l.GxPID, Path: l.Path, Ordinal: l.Ordinal, Edge: l.Edge, Target: l.Target,
		}
		if l.State == string(domain.BrokenWrongKind) {
			gaps[i].State = StateWrongKind
		}
	}
	return gaps, nil
}

// gap is a gap or notice at an artifact.
func (i *Item) gap(gap string, r Reason) Gap {
	g := Gap{
		RepositoryID: i.RepositoryID, Repository: i.Repository, Gap: gap, State: r.State, Kind: i.Kind, Number: i.Number, GxPID: i.GxPID,
		Title: i.Title, Path: i.Path, Ordinal: i.Ordinal, Risk: i.Risk, Edge: r.Edge, Target: r.Target, Text: r.Text,
	}
	if gap != GapNoEvidence {
		return g
	}
	for _, e := range i.proofs {
		if !e.proves() {
			g.Evidence = append(g.Evidence, GapEvidence{Name: cmp.Or(e.GxPID, e.Path), Path: e.Path, Overall: e.Overall, Failed: e.Failed})
		}
	}
	return g
}

// uncovered is the state of an artifact above evidence that nothing of the next level covers; "" for one that something
// does.
func (i *Item) uncovered() string {
	for _, r := range i.Reasons {
		if r.State == StateMissing || r.State == StateFailed || r.State == StateUnverified {
			return r.State
		}
	}
	return ""
}

func (i *Item) notices() []Gap {
	var out []Gap
	for _, r := range i.Reasons {
		switch {
		case r.State == StateOrphaned && r.Edge == "":
			out = append(out, i.gap(NoticeNoParent, r))
		case r.State == StateDuplicate:
			out = append(out, i.gap(NoticeDuplicate, r))
		case r.State == StateSuspect:
			out = append(out, i.gap(NoticeSuspect, r))
		}
	}
	return out
}
