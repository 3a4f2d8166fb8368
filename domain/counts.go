package domain

// counts tallies the tree by kind, in the order of Kinds, kinds without any left out.
func (t *tree) counts() []Count {
	by := map[Kind]*Count{}
	of := func(k Kind) *Count {
		if by[k] == nil {
			by[k] = &Count{Kind: k}
		}
		return by[k]
	}
	for _, n := range t.nodes {
		of(n.known.Kind).tally(n)
	}
	for _, g := range t.gone {
		of(g.known.Kind).Removed++
	}
	for _, f := range t.rejected {
		of(f.Rejected.Kind).Rejected++
	}
	for _, path := range t.standing {
		of(t.state.Units[path].Rejected.Kind).Rejected++
	}
	var out []Count
	for _, k := range Kinds() {
		if c := by[k]; c != nil {
			out = append(out, *c)
		}
	}
	return out
}

func (c *Count) tally(n *node) {
	c.Found++
	if n.parsed == nil {
		c.Unchanged++
		return
	}
	switch n.parsed.Change {
	case ChangeNew:
		c.New++
	case ChangeChanged:
		c.Changed++
	case ChangeReread:
		c.Reread++
	}
}
