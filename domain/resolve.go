package domain

import (
	"fmt"
	"slices"
	"strings"
)

// index finds the artifacts of a tree by gxp_id and kind. Where several claim both, the last in the order of keys wins.
type index map[identity]*node

// identity is what a link names: an id, of a kind.
type identity struct {
	id   string
	kind Kind
}

func (t *tree) index() index {
	ix := make(index, len(t.nodes))
	for _, n := range t.nodes {
		if n.known.GxPID != "" {
			ix[identity{n.known.GxPID, n.known.Kind}] = n
		}
	}
	return ix
}

// kinds returns the kinds that have id, in the order of Kinds.
func (ix index) kinds(id string) []Kind {
	var out []Kind
	for _, k := range Kinds() {
		if ix[identity{id, k}] != nil {
			out = append(out, k)
		}
	}
	return out
}

// resolve fills To or Broken of a link of an artifact of kind child: exactly and case-sensitively, within one tree.
func (ix index) resolve(child Kind, l Link) Link {
	l.To, l.Broken = nil, ""
	for _, want := range Targets(child, l.Edge) {
		if n := ix[identity{l.Target, want}]; n != nil {
			l.To = &Ref{Number: n.known.Number, Kind: want}
			return l
		}
	}
	if len(ix.kinds(l.Target)) > 0 {
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

// link resolves every link of the tree. It returns the artifacts that did not change themselves and of which links did.
func (t *tree) link(ix index) (LinkCounts, []ArtifactRelinked) {
	var counts LinkCounts
	var relinked []ArtifactRelinked
	for _, n := range t.nodes {
		var changed []int
		for i, before := range n.known.Links {
			now := ix.resolve(n.known.Kind, before)
			n.known.Links[i] = now
			counts.add(now)
			if n.parsed == nil && !same(now, n.before.Links[i]) {
				changed = append(changed, i)
			}
		}
		switch {
		case n.parsed != nil:
			n.parsed.Links = n.known.Links // nothing changes them any more
		case len(changed) > 0:
			relinked = append(relinked, ArtifactRelinked{
				Key: n.Key, Kind: n.known.Kind, GxPID: n.known.GxPID, Number: n.known.Number,
				Links: slices.Clone(n.known.Links), Changed: changed,
			})
		}
	}
	return counts, relinked
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
	wanted := "nothing: this kind has no such link"
	if targets := Targets(n.known.Kind, l.Edge); len(targets) > 0 {
		wanted = "the id of " + anyOf(targets)
	}
	if l.Broken == BrokenMissing {
		v.Code = ViolationMissingParent
		v.Text = fmt.Sprintf("%s: %s names %q, and no artifact of this revision has that id; expected %s: "+
			"add it or fix the link, or scan with the link policy %q", n.Key, l.Edge, l.Target, wanted, LinksFlag)
		return v
	}
	v.Code = ViolationWrongKind
	v.Text = fmt.Sprintf("%s: %s names %q, which is %s; expected %s: fix the link, or scan with the link "+
		"policy %q", n.Key, l.Edge, l.Target, anyOf(ix.kinds(l.Target)), wanted, LinksFlag)
	return v
}

// anyOf says "a requirement or an evidence record".
func anyOf(kinds []Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		article := "a "
		if name := k.Info().One; strings.ContainsRune("aeio", rune(name[0])) { // "a user story"
			article = "an "
		}
		names[i] = article + k.Info().One
	}
	return strings.Join(names, " or ")
}
