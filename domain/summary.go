package domain

import "slices"

// TreeSummary is what follows from a tree alone: what a ScanCompleted records of the tree that it left, counted again.
type TreeSummary struct {
	Found    map[Kind]int // artifacts
	Rejected map[Kind]int // files that could not be parsed
	Links    LinkCounts
	// Misresolved are the artifacts, in the order of keys, with a link that does not lead where the tree says.
	Misresolved []Key
	// Duplicates are the paths of ids that another path of the same kind overrules, as [Decide] lists them.
	Duplicates []string
	Coverage   Coverage

	gaps map[int]Gap // by number
}

// Summarize counts the tree that s holds. The rules are those of [Decide]: one that changes makes recorded scans look wrong,
// and takes a new version of ScanCompleted.
func (s State) Summarize() TreeSummary {
	t := &tree{state: s}
	out := TreeSummary{Found: map[Kind]int{}, Rejected: map[Kind]int{}}
	var cover coverer
	for _, path := range s.Paths() {
		u := s.Units[path]
		if u.Rejected != nil {
			out.Rejected[u.Rejected.Kind]++
		}
		for i := range u.Artifacts {
			n := &node{Key: Key{Path: path, Ordinal: u.Artifacts[i].Ordinal}, known: u.Artifacts[i]}
			t.nodes = append(t.nodes, n)
			out.Found[n.known.Kind]++
			cover.add(n.Key, &n.known)
		}
	}
	ix := t.index()
	for _, n := range t.nodes {
		misresolved := false
		for _, l := range n.known.Links {
			resolved := ix.resolve(n.known.Kind, l)
			out.Links.add(resolved)
			misresolved = misresolved || !SameLink(resolved, l)
		}
		if misresolved {
			out.Misresolved = append(out.Misresolved, n.Key)
		}
	}
	for _, c := range t.claims() {
		out.Duplicates = append(out.Duplicates, c.paths[:len(c.paths)-1]...)
	}
	out.Coverage, out.gaps = cover.coverage(), cover.gaps()
	return out
}

// CoverageSince returns what a scan records of coverage that left the tree of t where the completed scan before left before.
func (t TreeSummary) CoverageSince(before TreeSummary) CoverageChange {
	return coverageChange(before.Coverage, before.gaps, t.Coverage, t.gaps)
}

func coverageChange(before Coverage, old map[int]Gap, after Coverage, now map[int]Gap) CoverageChange {
	fresh := make([]Gap, 0, len(now))
	for number, g := range now {
		if _, known := old[number]; !known {
			fresh = append(fresh, g)
		}
	}
	slices.SortFunc(fresh, func(a, b Gap) int { return a.Compare(b.Key) })
	return CoverageChange{
		Before: before, After: after,
		NewGaps: slices.Clip(fresh[:min(len(fresh), MaxNewGaps)]), NewGapsTotal: len(fresh),
	}
}

// Artifact returns what the state holds at a key, nil for nothing. The caller must not change it.
func (s State) Artifact(key Key) *Known {
	u := s.Units[key.Path]
	if u == nil {
		return nil
	}
	if i, held := u.find(key.Ordinal); held {
		return &u.Artifacts[i]
	}
	return nil
}
