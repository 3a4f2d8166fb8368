package domain

import (
	"fmt"
	"slices"
)

// claim is one gxp_id of one kind, and the paths that claim it.
type claim struct {
	kind  Kind
	id    string
	paths []string // in order, each once
	first int      // index of the first node that has it
}

// claims returns the ids that more than one path of a kind claims, in the order of kind and id as first met.
// Entries of one file that repeat an id are the reader's to notice.
func (t *tree) claims() []*claim {
	first := make(map[identity]int, len(t.nodes)) // index of the node that has it first
	claimed := map[identity]*claim{}
	var all []*claim
	for i, n := range t.nodes {
		if n.known.GxPID == "" {
			continue
		}
		k := identity{n.known.GxPID, n.known.Kind}
		at, met := first[k]
		if !met {
			first[k] = i
			continue
		}
		c := claimed[k]
		if c == nil {
			c = &claim{kind: k.kind, id: k.id, first: at, paths: []string{t.nodes[at].Path}}
			claimed[k], all = c, append(all, c)
		}
		if last := c.paths[len(c.paths)-1]; last != n.Path {
			c.paths = append(c.paths, n.Path)
		}
	}
	all = slices.DeleteFunc(all, func(c *claim) bool { return len(c.paths) < 2 })
	slices.SortFunc(all, func(a, b *claim) int { return a.first - b.first })
	return all
}

// violations names every path of the claim after the first.
func (c claim) violations() []Violation {
	var out []Violation
	for _, path := range c.paths[1:] {
		out = append(out, Violation{
			Code: ViolationDuplicate, Path: path, GxPID: c.id,
			Text: fmt.Sprintf("%s: the %s id %q is already that of %s: give one of them another id, or scan with the "+
				"duplicate policy %q", path, c.kind.Info().One, c.id, c.paths[0], DuplicatesUpdate),
		})
	}
	return out
}

// findings names every path of the claim that the last one overrules.
func (c claim) findings() []Finding {
	winner := c.paths[len(c.paths)-1]
	var out []Finding
	for _, path := range c.paths[:len(c.paths)-1] {
		out = append(out, Finding{
			Code: FindingDuplicate, Path: path,
			Text: fmt.Sprintf("the %s id %q is also that of %s, which is later in order and wins", c.kind.Info().One, c.id, winner),
		})
	}
	return out
}
