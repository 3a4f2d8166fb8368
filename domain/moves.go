package domain

// move pairs each artifact that is gone with a new one of the same kind and gxp_id or, where the kind has no ids, with
// the same bytes; each is paired once, in the order of keys.
func (t *tree) move() {
	type sameness struct {
		kind    Kind
		id, sha string
	}
	of := func(k Known) sameness {
		if k.GxPID != "" {
			return sameness{kind: k.Kind, id: k.GxPID}
		}
		return sameness{kind: k.Kind, sha: k.SHA256}
	}
	waiting := map[sameness][]*gone{}
	for _, g := range t.gone {
		waiting[of(g.known)] = append(waiting[of(g.known)], g)
	}
	for _, n := range t.nodes {
		if n.before != nil {
			continue
		}
		k := of(n.known)
		if len(waiting[k]) == 0 {
			continue
		}
		from := waiting[k][0]
		waiting[k] = waiting[k][1:]
		fromKey, toKey := from.Key, n.Key
		n.parsed.MovedFrom, from.movedTo = &fromKey, &toKey
	}
}
