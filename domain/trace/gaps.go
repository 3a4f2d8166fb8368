package trace

import (
	"cmp"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// Gap is a gap in the traceability from requirement to evidence, or a finding.
type Gap struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	// Gap is broken_link, no_story, no_spec or no_valid_evidence; of a finding no_parent, duplicate_id or suspect.
	Gap string `json:"gap"`
	// State is what a traceability matrix calls it: orphaned, wrong_kind, missing, failed or unverified; of a finding
	// orphaned, duplicate or suspect.
	State   State       `json:"state"`
	Kind    domain.Kind `json:"kind"`
	Number  int64       `json:"number"`
	GxPID   string      `json:"gxp_id,omitempty"`
	Title   string      `json:"title,omitempty"`
	Path    string      `json:"path"`
	Ordinal int64       `json:"ordinal"`
	Risk    string      `json:"risk,omitempty"`
	// Risks are its own and those of the requirements that it leads to, each once; none where they are not known.
	Risks []string `json:"risks,omitempty"`
	// Edge and Target are those of a broken link, or of the link to what changed.
	Edge   string `json:"edge,omitempty"`
	Target string `json:"target,omitempty"`
	// Text says why there is a finding. It holds ids of the repository, hostile until neutralised.
	Text string `json:"text,omitempty"`
	// Evidence is what a spec without valid evidence has instead.
	Evidence []GapEvidence `json:"evidence,omitempty"`
}

// GapEvidence is a piece of evidence that does not cover its spec.
type GapEvidence struct {
	Name    string               `json:"name"` // gxp_id or path
	Path    string               `json:"path"`
	Overall string               `json:"overall"`          // the worst of signature and checks
	State   domain.EvidenceState `json:"state"`            // failed or unverified
	Reason  string               `json:"reason,omitempty"` // why it is unverified, as a code
	Text    string               `json:"text"`             // what it is worth, in a few words
	Detail  string               `json:"detail,omitempty"` // of a key that was revoked: when, and which
	Failed  *int64               `json:"failed,omitempty"` // tests that failed, as it claims; nil when its results are unknown
}

// The gaps.
const (
	GapBrokenLink = "broken_link"       // a link that leads nowhere, or to another level
	GapNoStory    = "no_story"          // a requirement that no user story leads to
	GapNoSpec     = "no_spec"           // a user story that no spec leads to
	GapNoEvidence = "no_valid_evidence" // a spec that no evidence of tests that passed covers, or that some evidence failed
)

// The findings: what is no gap, and what a reviewer should look at.
const (
	FindingNoParent  = "no_parent"    // it leads to nothing above it, and names nothing either
	FindingDuplicate = "duplicate_id" // another artifact of its kind has the same id
	FindingSuspect   = "suspect"      // something that it leads to was changed after it
)

// Name is the gxp_id of the artifact, or else its key.
func (g *Gap) Name() string { return cmp.Or(g.GxPID, g.Key()) }

// Key is the key of the artifact as text: the path, with #ordinal behind it unless that is 0.
func (g *Gap) Key() string { return keyText(g.Path, g.Ordinal) }

// Coverage is how much of each level is covered by the next.
type Coverage struct {
	Links        Covered `json:"links"`        // resolved, of all
	Requirements Covered `json:"requirements"` // with a user story
	Stories      Covered `json:"user_stories"` // with a spec
	Specs        Covered `json:"specs"`        // with valid evidence of tests that passed
}

// Covered is a part of a whole.
type Covered struct {
	Covered int64 `json:"covered"`
	Total   int64 `json:"total"`
}

// Gaps is every gap and every finding, and how much is covered.
type Gaps struct {
	// Gaps are broken links first and then down the levels, each in the order of repositories and keys.
	Gaps     []Gap    `json:"gaps"`
	Coverage Coverage `json:"coverage"`
	// Findings are no gaps: something that a reviewer should look at. In the order of repositories, levels and keys.
	Findings []Gap `json:"findings"`
	// States counts the artifacts, each once, by their most severe state, as the matrix does.
	States StateCounts `json:"states"`
	// Unknown is how many of both lists are there because their risk or tier, by which a [Selection] chose, is not known.
	Unknown int64 `json:"unknown,omitempty"`
}

// Count is how many gaps and findings have a state; of transitive, how many artifacts have it.
func (g *Gaps) Count(state State) int {
	if state == StateTransitive {
		return int(g.States[state])
	}
	n := 0
	for _, o := range slices.Concat(g.Gaps, g.Findings) {
		if o.State == state {
			n++
		}
	}
	return n
}

// Has reports whether Count is above 0 for one of the states.
func (g *Gaps) Has(states []State) bool {
	return slices.ContainsFunc(states, func(s State) bool { return g.Count(s) > 0 })
}

// Gaps returns every gap and every finding. A spec is covered when evidence of it passed and none failed: see
// [domain.Evidence.Judge].
func (g *Graph) Gaps() Gaps { return g.SelectedGaps(Selection{}) }

func (g *Graph) allGaps() Gaps {
	out := Gaps{Gaps: []Gap{}, Findings: []Gap{}, States: g.summary().States}
	out.Coverage.Links = Covered{Covered: g.links - int64(len(g.broken)), Total: g.links}
	for i := range g.broken {
		out.Gaps = append(out.Gaps, brokenLink(&g.broken[i]))
	}
	for _, level := range []struct {
		gap     string
		level   Level
		covered *Covered
	}{
		{GapNoStory, LevelRequirement, &out.Coverage.Requirements},
		{GapNoSpec, LevelStory, &out.Coverage.Stories},
		{GapNoEvidence, LevelSpec, &out.Coverage.Specs},
	} {
		for _, n := range g.nodes {
			if n.level != level.level {
				continue
			}
			level.covered.Total++
			if state := n.uncovered(); state != "" {
				out.Gaps = append(out.Gaps, n.gap(level.gap, Reason{State: state}))
				continue
			}
			level.covered.Covered++
		}
	}
	for _, n := range g.nodes {
		for _, r := range n.Reasons {
			switch {
			case r.State == StateOrphaned && r.Edge == "":
				out.Findings = append(out.Findings, n.gap(FindingNoParent, r))
			case r.State == StateDuplicate:
				out.Findings = append(out.Findings, n.gap(FindingDuplicate, r))
			case r.State == StateSuspect:
				out.Findings = append(out.Findings, n.gap(FindingSuspect, r))
			}
		}
	}
	return out
}

func brokenLink(l *Link) Gap {
	g := Gap{
		RepositoryID: l.RepositoryID, Repository: l.Repository, Gap: GapBrokenLink, State: StateOrphaned, Kind: l.Kind,
		Number: l.Number, GxPID: l.GxPID, Path: l.Path, Ordinal: l.Ordinal, Edge: l.Edge, Target: l.Target,
	}
	if l.State == LinkWrongKind {
		g.State = StateWrongKind
	}
	return g
}

// uncovered is the state of an artifact above evidence that nothing of the next level covers; "" for one that is covered.
func (n *node) uncovered() State {
	for _, r := range n.Reasons {
		if r.State == StateMissing || r.State == StateFailed || r.State == StateUnverified {
			return r.State
		}
	}
	return ""
}

// gap is a gap or finding at an artifact.
func (n *node) gap(gap string, r Reason) Gap {
	g := Gap{
		RepositoryID: n.RepositoryID, Repository: n.Repository, Gap: gap, State: r.State, Kind: n.Kind, Number: n.Number, GxPID: n.GxPID,
		Title: n.Title, Path: n.Path, Ordinal: n.Ordinal, Risk: n.Risk, Edge: r.Edge, Target: r.Target, Text: r.Text,
	}
	if gap != GapNoEvidence {
		return g
	}
	for _, e := range n.evidence {
		if e.Evidence != domain.EvidencePassed {
			g.Evidence = append(g.Evidence, GapEvidence{
				Name: cmp.Or(e.GxPID, e.Path), Path: e.Path, Overall: e.Overall, State: e.Evidence, Reason: e.EvidenceReason,
				Text: e.evidenceWords(), Detail: e.EvidenceDetail, Failed: e.Failed,
			})
		}
	}
	return g
}
