package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// judge finds every reason why a state applies to an artifact. What an artifact is by itself comes first, since what is
// above and below it counts only where that is well.
func (c *chain) judge() {
	twins := c.twins()
	for _, i := range c.items {
		i.Reasons = []Reason{}
		i.judgeLinks()
		i.judgeCover()
		if i.level == LevelEvidence {
			i.judgeProof()
		}
		for _, twin := range twins[twinKey(i)] {
			if twin != i {
				i.add(StateDuplicate, "", "", "its id is also that of "+keyText(twin.Path, twin.Ordinal))
				break
			}
		}
	}
	well := slices.DeleteFunc(slices.Clone(c.items), func(i *Item) bool { return len(i.Reasons) > 0 })
	taints := make([]*Item, len(well))
	for n, i := range well {
		taints[n] = cmp.Or(i.badAbove(), i.badBelow())
	}
	for n, i := range well {
		if other := taints[n]; other != nil {
			where := "below"
			if other.level < i.level {
				where = "above"
			}
			i.add(StateTransitive, "", "", fmt.Sprintf("%s it, %s is %s", where, other.Name(), StateWords(other.worstReason())))
		}
	}
	for _, i := range c.items {
		i.settle()
	}
}

// badAbove returns something above an artifact that is not well by itself; nil for nothing.
func (i *Item) badAbove() *Item {
	if !i.lookedAbove {
		i.lookedAbove = true
		for _, up := range i.above {
			if i.badUp = cmp.Or(i.badUp, up.bad(), up.badAbove()); i.badUp != nil {
				break
			}
		}
	}
	return i.badUp
}

// badBelow returns something below an artifact that is not well by itself; nil for nothing. One piece of evidence that is
// well is enough for a spec, whatever else there is.
func (i *Item) badBelow() *Item {
	if !i.lookedBelow {
		i.lookedBelow = true
		enough := i.level == LevelSpec && slices.ContainsFunc(i.below, func(e *Item) bool { return e.bad() == nil })
		for _, down := range i.below {
			if enough {
				break
			}
			if i.badDown = cmp.Or(down.bad(), down.badBelow()); i.badDown != nil {
				break
			}
		}
	}
	return i.badDown
}

// bad returns i unless it is well by itself.
func (i *Item) bad() *Item {
	if len(i.Reasons) > 0 {
		return i
	}
	return nil
}

func (i *Item) add(state, edge, target, text string) {
	if r := (Reason{State: state, Edge: edge, Target: target, Text: text}); !slices.Contains(i.Reasons, r) {
		i.Reasons = append(i.Reasons, r)
	}
}

// settle puts the reasons in order and takes the state from the first.
func (i *Item) settle() {
	slices.SortStableFunc(i.Reasons, func(a, b Reason) int { return cmp.Compare(severity(a.State), severity(b.State)) })
	i.State = i.worstReason()
}

func (i *Item) worstReason() string {
	state := StateCovered
	for _, r := range i.Reasons {
		state = worst(state, r.State)
	}
	return state
}

// judgeLinks looks at where the links of an artifact lead.
func (i *Item) judgeLinks() {
	broken := false
	for _, l := range i.links {
		switch {
		case l.state == string(domain.BrokenWrongKind):
			broken = true
			i.add(StateWrongKind, l.edge, l.target, fmt.Sprintf("%s names %s, which is at another level", l.edge, l.target))
		case l.state != StateSound:
			broken = true
			i.add(StateOrphaned, l.edge, l.target, fmt.Sprintf("%s names %s, which is not there", l.edge, l.target))
		case l.to != nil && l.to != i && l.to.Said > i.Said:
			i.add(StateSuspect, l.edge, l.target, fmt.Sprintf("%s is newer: it is of scan %d, this of scan %d", l.to.Name(), l.to.Said, i.Said))
		}
	}
	if !broken && len(i.above) == 0 && i.level != LevelRequirement {
		i.add(StateOrphaned, "", "", "it leads to no "+(i.level-1).shelf().One())
	}
}

// judgeCover looks at what leads to an artifact from the next level.
func (i *Item) judgeCover() {
	switch {
	case i.level == LevelEvidence || i.level == LevelSpec && slices.ContainsFunc(i.proofs, (*Item).proves):
	case i.level != LevelSpec:
		if !i.children {
			i.add(StateMissing, "", "", fmt.Sprintf("no %s leads to it", (i.level+1).shelf().One()))
		}
	case len(i.proofs) == 0:
		i.add(StateMissing, "", "", "no evidence leads to it")
	default:
		state := StateUnverified
		text := "no evidence of it is valid: "
		if slices.ContainsFunc(i.proofs, func(e *Item) bool { return e.Overall == string(domain.VerdictValid) }) {
			state, text = StateFailed, "its tests failed: "
		}
		i.add(state, "", "", text+strings.Join(unfit(i.proofs), ", "))
	}
}

// mostUnfit is how many pieces of evidence a reason names.
const mostUnfit = 3

// unfit says of evidence why it proves nothing.
func unfit(evidence []*Item) []string {
	var out []string
	for n, e := range evidence {
		if n == mostUnfit && len(evidence) > mostUnfit+1 {
			return append(out, fmt.Sprintf("and %d more", len(evidence)-n))
		}
		text := e.Name() + " is " + e.Overall
		if e.Overall == string(domain.VerdictValid) {
			text = fmt.Sprintf("%s says %d failed", e.Name(), e.Failed)
		}
		out = append(out, text)
	}
	return out
}

// judgeProof looks at what evidence says by itself.
func (i *Item) judgeProof() {
	switch {
	case i.Overall != string(domain.VerdictValid):
		i.add(StateUnverified, "", "", "it is "+i.Overall)
	case i.Failed > 0:
		i.add(StateFailed, "", "", fmt.Sprintf("it says that %d tests failed", i.Failed))
	}
}

type idKey struct{ repository, kind, id string }

func twinKey(i *Item) idKey { return idKey{i.RepositoryID, i.Kind, i.GxPID} }

// twins returns the artifacts of one kind that have the same id.
func (c *chain) twins() map[idKey][]*Item {
	all := make(map[idKey][]*Item, len(c.items))
	for _, i := range c.items {
		if i.GxPID != "" {
			all[twinKey(i)] = append(all[twinKey(i)], i)
		}
	}
	return all
}
