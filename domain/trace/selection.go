package trace

import (
	"cmp"
	"slices"
)

// Selection chooses artifacts by what they are and by the requirements that they lead to. All that is given must hold; the
// zero value chooses all.
type Selection struct {
	// Risk is compared with the risk of the requirements that an artifact leads to, and with its own.
	Risk string
	// Tier is compared with the tier of specs: its own, those that evidence is for, and those that lead to a user story or
	// requirement.
	Tier string
	// States are those of gaps, findings and artifacts, any of which will do.
	States []State
	// Requirement is the gxp_id or key of a requirement that the artifact is or leads to, exactly.
	Requirement string
}

// Match says whether an artifact is of a selection.
type Match int

// The matches, from the least.
const (
	MatchNo      Match = iota
	MatchUnknown       // it has no known risk or tier, so that it may be
	MatchYes
)

// IsZero reports whether the selection chooses all.
func (s Selection) IsZero() bool {
	return s.Risk == "" && s.Tier == "" && len(s.States) == 0 && s.Requirement == ""
}

func (s Selection) hasState(state State) bool {
	return len(s.States) == 0 || slices.Contains(s.States, state)
}

// words are the risks or tiers that bear on an artifact, and whether one is not known.
type words struct {
	known   []Word
	unknown bool
}

// Word is a word of a vocabulary, such as a risk.
type Word struct {
	Normal  string // as it is compared
	Written string // as the first file has it
}

func (w *words) add(other words) {
	w.unknown = w.unknown || other.unknown
	for _, word := range other.known {
		if !slices.ContainsFunc(w.known, func(o Word) bool { return o.Normal == word.Normal }) {
			w.known = append(w.known, word)
		}
	}
}

func (w *words) match(normal string) Match {
	switch {
	case normal == "" || slices.ContainsFunc(w.known, func(o Word) bool { return o.Normal == normal }):
		return MatchYes
	case w.unknown:
		return MatchUnknown
	}
	return MatchNo
}

// selector answers for one selection. It remembers what it found, since artifacts share what is above and below them.
type selector struct {
	Selection
	at           map[nodeKey]*node
	risks, tiers map[*node]words
	requirement  map[*node]bool
}

func (g *Graph) selector(s Selection) *selector {
	out := &selector{
		Selection: s, at: make(map[nodeKey]*node, len(g.nodes)), risks: map[*node]words{}, tiers: map[*node]words{}, requirement: map[*node]bool{},
	}
	for _, n := range g.nodes {
		out.at[nodeKey{n.RepositoryID, n.Number}] = n
	}
	return out
}

// match says whether an artifact is of the selection, whatever its state.
func (s *selector) match(n *node) Match {
	if s.Requirement != "" && !s.ofRequirement(n) {
		return MatchNo
	}
	risks, tiers := s.risksOf(n), s.tiersOf(n)
	return min(risks.match(s.Risk), tiers.match(s.Tier))
}

// matchGap is match for the artifact of a gap. One of no level leads to no requirement: its risk and tier are not known.
func (s *selector) matchGap(g *Gap) Match {
	n := s.at[nodeKey{g.RepositoryID, g.Number}]
	switch {
	case !s.hasState(g.State):
		return MatchNo
	case n != nil && (s.Requirement == "" || g.Target != s.Requirement):
		return s.match(n)
	case s.Requirement != "" && g.Target != s.Requirement:
		return MatchNo
	case n == nil:
		unknown := words{unknown: true}
		return min(unknown.match(s.Risk), unknown.match(s.Tier))
	}
	risks, tiers := s.risksOf(n), s.tiersOf(n)
	return min(risks.match(s.Risk), tiers.match(s.Tier))
}

func (s *selector) ofRequirement(n *node) bool {
	found, known := s.requirement[n]
	if !known {
		found = n.level == LevelRequirement && (n.GxPID == s.Requirement || n.Key() == s.Requirement) ||
			slices.ContainsFunc(n.above, s.ofRequirement)
		s.requirement[n] = found
	}
	return found
}

// risksOf are the risks of an artifact and of the requirements above it. One that leads to no requirement may have any.
func (s *selector) risksOf(n *node) words {
	if found, known := s.risks[n]; known {
		return found
	}
	var of words
	if n.RiskNormal != "" {
		of.known = []Word{{n.RiskNormal, n.Risk}}
	}
	for _, up := range n.above {
		of.add(s.risksOf(up))
	}
	if len(n.above) == 0 && (n.level != LevelRequirement || n.RiskNormal == "") {
		of.unknown = true
	}
	s.risks[n] = of
	return of
}

// tiersOf are the tiers of the specs that an artifact is, is for, or is covered by.
func (s *selector) tiersOf(n *node) words {
	if found, known := s.tiers[n]; known {
		return found
	}
	var of words
	towards := n.below
	if n.level == LevelEvidence {
		towards = n.above
	}
	switch {
	case n.level == LevelSpec && n.TierNormal != "":
		of.known = []Word{{n.TierNormal, n.Tier}}
	case n.level == LevelSpec || len(towards) == 0:
		of.unknown = true
	default:
		for _, o := range towards {
			if n.level == LevelEvidence || o.level != LevelEvidence {
				of.add(s.tiersOf(o))
			}
		}
		of.unknown = of.unknown || len(of.known) == 0
	}
	s.tiers[n] = of
	return of
}

// Select returns for each artifact of a level whether it is of a selection, by repository and number.
func (g *Graph) Select(s Selection) func(repositoryID string, number int64) Match {
	of := g.selector(s)
	return func(repositoryID string, number int64) Match {
		n := of.at[nodeKey{repositoryID, number}]
		if n == nil || !s.hasState(n.State) {
			return MatchNo
		}
		return of.match(n)
	}
}

// SelectedGaps is [Graph.Gaps] of the artifacts of a selection. What may be of it, because its risk or tier is not known, is
// listed too. The coverage and the counts are of all states.
func (g *Graph) SelectedGaps(s Selection) Gaps {
	of, out := g.selector(s), g.allGaps()
	addRisks(of, out.Gaps)
	addRisks(of, out.Findings)
	if s.IsZero() {
		return out
	}
	keep := func(gaps []Gap) []Gap {
		return slices.DeleteFunc(gaps, func(gap Gap) bool {
			match := of.matchGap(&gap)
			if match == MatchUnknown {
				out.Unknown++
			}
			return match == MatchNo
		})
	}
	out.Gaps, out.Findings = keep(out.Gaps), keep(out.Findings)
	out.Coverage, out.States = Coverage{}, newStateCounts()
	for _, n := range g.nodes {
		if of.match(n) == MatchNo {
			continue
		}
		out.States[n.State]++
		for _, l := range n.links {
			out.Coverage.Links.count(l.state == LinkResolved)
		}
		covered := n.uncovered() == ""
		switch n.level {
		case LevelRequirement:
			out.Coverage.Requirements.count(covered)
		case LevelStory:
			out.Coverage.Stories.count(covered)
		case LevelSpec:
			out.Coverage.Specs.count(covered)
		case LevelEvidence:
		}
	}
	return out
}

func (c *Covered) count(covered bool) { //revive:disable-line:flag-parameter // what is counted
	c.Total++
	if covered {
		c.Covered++
	}
}

// addRisks fills in the risks that bear on each gap.
func addRisks(of *selector, gaps []Gap) {
	for i := range gaps {
		n := of.at[nodeKey{gaps[i].RepositoryID, gaps[i].Number}]
		if n == nil {
			continue
		}
		for _, w := range of.risksOf(n).known {
			gaps[i].Risks = append(gaps[i].Risks, w.Written)
		}
	}
}

// RiskCount counts the requirements of one risk by their states.
type RiskCount struct {
	Risk   string      `json:"risk,omitempty"` // as it is compared; absent for requirements without one
	Total  int64       `json:"total"`
	States StateCounts `json:"states"`
}

// riskCounts counts requirements by risk: the known ratings from above, then others by name, then those without one.
func riskCounts(nodes []*node) []RiskCount {
	out := []RiskCount{}
	for _, n := range nodes {
		if n.level != LevelRequirement {
			continue
		}
		i := slices.IndexFunc(out, func(c RiskCount) bool { return c.Risk == n.RiskNormal })
		if i < 0 {
			i = len(out)
			out = append(out, RiskCount{Risk: n.RiskNormal, States: newStateCounts()})
		}
		out[i].Total++
		out[i].States[n.State]++
	}
	ratings := []string{"critical", "high", "medium", "low"}
	rank := func(risk string) int {
		if i := slices.Index(ratings, risk); i >= 0 {
			return i
		}
		if risk == "" {
			return len(ratings) + 1
		}
		return len(ratings)
	}
	slices.SortFunc(out, func(a, b RiskCount) int {
		return cmp.Or(cmp.Compare(rank(a.Risk), rank(b.Risk)), cmp.Compare(a.Risk, b.Risk))
	})
	return out
}
