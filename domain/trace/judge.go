package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// judge finds every reason why a state applies to an artifact. What is wrong with an artifact itself comes first: what is
// above and below it counts only where nothing is.
func (g *Graph) judge() {
	sameID := g.sameID()
	for _, n := range g.nodes {
		n.judgeLinks()
		n.judgeCover()
		if n.level == LevelEvidence {
			n.judgeEvidence()
		}
		for _, other := range sameID[n.idKey()] {
			if other != n {
				n.add(StateDuplicate, "", "", "its id is also that of "+other.Key())
				break
			}
		}
	}
	var good, tainted []*node
	for _, n := range g.nodes {
		if len(n.Reasons) == 0 {
			good, tainted = append(good, n), append(tainted, cmp.Or(n.findBadAbove(), n.findBadBelow()))
		}
	}
	for i, n := range good {
		if other := tainted[i]; other != nil {
			where := "below"
			if other.level < n.level {
				where = "above"
			}
			n.add(StateTransitive, "", "", fmt.Sprintf("%s it, %s is %s", where, other.Name(), other.worstReason().Words()))
		}
	}
	for _, n := range g.nodes {
		slices.SortStableFunc(n.Reasons, func(a, b Reason) int { return cmp.Compare(a.State.severity(), b.State.severity()) })
		n.State = n.worstReason()
	}
}

// findBadAbove returns an artifact above this one with which something is wrong; nil for none.
func (n *node) findBadAbove() *node {
	if !n.searchedAbove {
		n.searchedAbove = true
		for _, up := range n.above {
			if n.badUp = cmp.Or(up.bad(), up.findBadAbove()); n.badUp != nil {
				break
			}
		}
	}
	return n.badUp
}

// findBadBelow returns an artifact below this one with which something is wrong; nil for none. One piece of evidence with
// which nothing is wrong is enough for a spec, whatever others there are.
func (n *node) findBadBelow() *node {
	if !n.searchedBelow {
		n.searchedBelow = true
		if n.level == LevelSpec && slices.ContainsFunc(n.below, func(e *node) bool { return e.bad() == nil }) {
			return nil
		}
		for _, down := range n.below {
			if n.badDown = cmp.Or(down.bad(), down.findBadBelow()); n.badDown != nil {
				break
			}
		}
	}
	return n.badDown
}

// bad returns n when something is wrong with it, and else nil.
func (n *node) bad() *node {
	if len(n.Reasons) > 0 {
		return n
	}
	return nil
}

func (n *node) add(state State, edge, target, text string) {
	n.addReason(Reason{State: state, Edge: edge, Target: target, Text: text})
}

func (n *node) addReason(r Reason) {
	if !slices.Contains(n.Reasons, r) {
		n.Reasons = append(n.Reasons, r)
	}
}

func (n *node) worstReason() State {
	state := StateCovered
	for _, r := range n.Reasons {
		state = worse(state, r.State)
	}
	return state
}

// judgeLinks looks at where the links of an artifact lead.
func (n *node) judgeLinks() {
	broken := false
	for _, l := range n.links {
		switch {
		case l.state == LinkWrongKind:
			broken = true
			n.add(StateWrongKind, l.edge, l.target, fmt.Sprintf("%s names %s, which is at another level", l.edge, l.target))
		case l.state != LinkResolved:
			broken = true
			n.add(StateOrphaned, l.edge, l.target, fmt.Sprintf("%s names %s, which is not there", l.edge, l.target))
		case l.to != nil && l.to != n && l.to.LastChanged > n.LastChanged:
			n.add(StateSuspect, l.edge, l.target, fmt.Sprintf("%s is newer: it is of scan %d, this of scan %d", l.to.Name(), l.to.LastChanged, n.LastChanged))
		}
	}
	if !broken && len(n.above) == 0 && n.level != LevelRequirement {
		n.add(StateOrphaned, "", "", "it leads to no "+(n.level-1).Group().Singular())
	}
}

// judgeCover looks at what leads to an artifact from the next level. A spec is covered when some evidence passed and none
// failed: a failure counts whatever it is signed with, and whatever other evidence says (I15).
func (n *node) judgeCover() {
	is := func(state domain.EvidenceState) func(*node) bool {
		return func(e *node) bool { return e.Evidence == state }
	}
	switch {
	case n.level == LevelEvidence:
	case n.level != LevelSpec:
		if !n.children {
			n.add(StateMissing, "", "", fmt.Sprintf("no %s leads to it", (n.level+1).Group().Singular()))
		}
	case len(n.evidence) == 0:
		n.add(StateMissing, "", "", "no evidence leads to it")
	case slices.ContainsFunc(n.evidence, is(domain.EvidenceFailed)):
		n.add(StateFailed, "", "", "its tests failed: "+evidenceReasons(n.evidence, is(domain.EvidenceFailed)))
	case !slices.ContainsFunc(n.evidence, is(domain.EvidencePassed)):
		code := n.evidence[0].EvidenceReason
		if slices.ContainsFunc(n.evidence, func(e *node) bool { return e.EvidenceReason != code }) {
			code = ""
		}
		n.addReason(Reason{
			State: StateUnverified, Code: code, Text: "no evidence of it is valid: " + evidenceReasons(n.evidence, func(*node) bool { return true }),
		})
	}
}

// mostNamed is how many pieces of evidence a reason names.
const mostNamed = 3

// evidenceReasons says of each piece of evidence that matches why it does not cover its spec.
func evidenceReasons(evidence []*node, matches func(*node) bool) string {
	var out []string
	total := 0
	for _, e := range evidence {
		if !matches(e) {
			continue
		}
		if total++; total <= mostNamed {
			out = append(out, e.Name()+" "+e.evidenceWords())
		}
	}
	if total > mostNamed {
		out = append(out, fmt.Sprintf("and %d more", total-mostNamed))
	}
	return strings.Join(out, ", ")
}

// evidenceWords is what evidence is worth as a predicate: "is not signed".
func (a *Artifact) evidenceWords() string {
	switch failed := a.Failed; {
	case a.Evidence == domain.EvidenceFailed && failed != nil && *failed > 0:
		if *failed == 1 {
			return "says that 1 test failed"
		}
		return fmt.Sprintf("says that %d tests failed", *failed)
	case a.Evidence == domain.EvidenceFailed:
		return "says that tests failed"
	case a.Evidence == domain.EvidencePassed:
		return "passed"
	}
	switch a.EvidenceReason {
	case domain.UnverifiedResults:
		return "gives no test results that can be read"
	case domain.UnverifiedOlderReader:
		return "was read by an older reader, scan again"
	case domain.UnverifiedNothing:
		return "says that no test passed"
	case domain.UnverifiedUnsigned:
		return "is not signed"
	case domain.UnverifiedNoKey:
		return "is unverifiable"
	case domain.UnverifiedRevoked:
		return "is unverified: " + revokedWords(a.EvidenceDetail)
	case domain.UnverifiedInvalid:
		return "is invalid"
	}
	return "is unverified"
}

// revokedWords says of evidence that its key was revoked: when, and which, as far as that is known.
func revokedWords(detail string) string {
	if detail == "" {
		return "key revoked"
	}
	return strings.ToLower(detail[:1]) + strings.TrimSuffix(detail[1:], ".")
}

// EvidenceWord is what evidence that does not cover its spec is worth, as a word or two that follow a number. detail is what its signature
// says of a key that was revoked.
func EvidenceWord(state domain.EvidenceState, reason, detail string) string {
	switch {
	case state == domain.EvidenceFailed:
		return "with failed tests"
	case reason == "":
		return string(state)
	case reason == domain.UnverifiedRevoked:
		return revokedWords(detail)
	}
	words := map[string]string{
		domain.UnverifiedResults:     "with unknown results",
		domain.UnverifiedOlderReader: "read by an older reader, scan again",
		domain.UnverifiedNothing:     "without a passed test",
	}
	return cmp.Or(words[reason], reason)
}

// judgeEvidence looks at what evidence says by itself.
func (n *node) judgeEvidence() {
	text := "it " + n.evidenceWords()
	switch n.Evidence {
	case domain.EvidencePassed:
	case domain.EvidenceFailed:
		n.add(StateFailed, "", "", text)
	case domain.EvidenceUnverified:
		n.addReason(Reason{State: StateUnverified, Code: n.EvidenceReason, Text: text})
	default: // of a later version
		n.addReason(Reason{State: StateUnverified, Code: n.EvidenceReason, Text: "it is " + string(n.Evidence)})
	}
}

type idKey struct {
	repository string
	kind       domain.Kind
	id         string
}

func (n *node) idKey() idKey { return idKey{n.RepositoryID, n.Kind, n.GxPID} }

// sameID returns the artifacts of one kind that have the same id.
func (g *Graph) sameID() map[idKey][]*node {
	all := make(map[idKey][]*node, len(g.nodes))
	for _, n := range g.nodes {
		if n.GxPID != "" {
			all[n.idKey()] = append(all[n.idKey()], n)
		}
	}
	return all
}
