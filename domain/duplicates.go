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
}

// claims returns the ids that more than one path of a kind claims, in the order of kind and id as first met.
// Entries of one file that repeat an id are the reader's to notice.
func (t *tree) claims() []claim {
	type key struct {
		kind Kind
		id   string
	}
	at := map[key]int{}
	var all []claim
	for _, n := range t.nodes {
		if n.known.GxPID == "" {
			continue
		}
		k := key{n.known.Kind, n.known.GxPID}
		i, met := at[k]
		if !met {
			at[k] = len(all)
			all = append(all, claim{kind: k.kind, id: k.id, paths: []string{n.Path}})
			continue
		}
		if last := all[i].paths[len(all[i].paths)-1]; last != n.Path {
			all[i].paths = append(all[i].paths, n.Path)
		}
	}
	return slices.DeleteFunc(all, func(c claim) bool { return len(c.paths) < 2 })
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
