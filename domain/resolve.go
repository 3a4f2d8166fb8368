package domain

import (
	"fmt"
	"slices"
	"strings"
)

// index finds the artifacts of a tree by gxp_id. Where several claim one id and kind, the last in the order of keys wins.
type index map[string]map[Kind]*node

func (t *tree) index() index {
	ix := make(index, len(t.nodes))
	for _, n := range t.nodes {
		if n.known.GxPID == "" {
			continue
		}
		kinds := ix[n.known.GxPID]
		if kinds == nil {
			kinds = make(map[Kind]*node, 1)
			ix[n.known.GxPID] = kinds
		}
		kinds[n.known.Kind] = n
	}
	return ix
}

// kinds returns the kinds that have id, in the order of Kinds.
func (ix index) kinds(id string) []Kind {
	var out []Kind
	for _, k := range Kinds() {
		if ix[id][k] != nil {
			out = append(out, k)
		}
	}
	return out
}

// resolve fills To or Broken of a link of an artifact of kind child: exactly and case-sensitively, within one tree.
func (ix index) resolve(child Kind, l Link) Link {
	l.To, l.Broken = nil, ""
	kinds := ix[l.Target]
	for _, want := range Targets(child, l.Edge) {
		if n := kinds[want]; n != nil {
			l.To = &Ref{Number: n.known.Number, Kind: want}
			return l
		}
	}
	if len(kinds) > 0 {
		l.Broken = BrokenWrongKind
	} else {
		l.Broken = BrokenMissing
	}
	return l
}

func same(a, b Link) bool {
	if a.Edge != b.Edge || a.Target != b.Target || a.Broken != b.Broken || (a.To == nil) != (b.To == nil) {
		return false
	}
	return a.To == nil || *a.To == *b.To
}

// link resolves every link of the tree. It returns the links that changed under artifacts which did not; those of one
// artifact share their Links.
func (t *tree) link(ix index) (LinkCounts, []Relinked) {
	var counts LinkCounts
	var changed []Relinked
	for _, n := range t.nodes {
		for i, before := range n.known.Links {
			now := ix.resolve(n.known.Kind, before)
			n.known.Links[i] = now
			counts.add(now)
			if n.parsed == nil && !same(now, n.before.Links[i]) {
				changed = append(changed, Relinked{
					Key: n.Key, Kind: n.known.Kind, Number: n.known.Number, Index: i, Link: now, Links: n.known.Links,
				})
			}
		}
		if n.parsed != nil {
			n.parsed.Links = slices.Clone(n.known.Links)
		}
	}
	return counts, changed
}

func (c *LinkCounts) add(l Link) {
	switch l.Broken {
	case BrokenMissing:
		c.Missing++
	case BrokenWrongKind:
		c.WrongKind++
	default:
		c.Sound++
	}
}

// brokenLinks lists every broken link of the tree as a violation, in the order of keys.
func (t *tree) brokenLinks(ix index) []Violation {
	var out []Violation
	for _, n := range t.nodes {
		for _, l := range n.known.Links {
			if l.Broken != "" {
				out = append(out, broken(n, l, ix))
			}
		}
	}
	return out
}

func broken(n *node, l Link, ix index) Violation {
	v := Violation{Path: n.Path, GxPID: n.known.GxPID, Edge: l.Edge, Target: l.Target}
	wanted := words(Targets(n.known.Kind, l.Edge))
	if l.Broken == BrokenMissing {
		v.Code = ViolationMissingParent
		v.Text = fmt.Sprintf("%s: %s names %q, and no artifact of this revision has that id; expected the id of a %s: "+
			"add it or mend the link, or scan with the link policy %q", n.Key, l.Edge, l.Target, wanted, LinksFlag)
		return v
	}
	v.Code = ViolationWrongKind
	found := words(ix.kinds(l.Target))
	v.Text = fmt.Sprintf("%s: %s names %q, which is a %s; expected the id of a %s: mend the link, or scan with the link "+
		"policy %q", n.Key, l.Edge, l.Target, found, wanted, LinksFlag)
	return v
}

func words(kinds []Kind) string {
	if len(kinds) == 0 {
		return "nothing: this kind has no such link"
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, " or ")
}
