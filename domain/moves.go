package domain

import (
	"cmp"
	"container/heap"
	"path"
	"slices"
	"strings"
)

// candidate is an artifact of one side while nothing says which one of the other side it is.
type candidate struct {
	Key
	kind       Kind
	id, digest string
	gone       *gone // of the state; nil for one of the scan
	node       *node // of the scan; nil for one of the state
	paired     bool
}

func (g *gone) candidate() *candidate {
	return &candidate{Key: g.Key, kind: g.known.Kind, id: g.known.GxPID, digest: g.known.Digest, gone: g}
}

func (n *node) candidate() *candidate {
	return &candidate{Key: n.Key, kind: n.known.Kind, id: n.known.GxPID, digest: n.known.Digest, node: n}
}

// pairing finds out which artifact of the scan is which one of the state. What it costs grows with the number of artifacts
// that differ, about linearly, however many of them are alike.
type pairing struct {
	open group // in the order of keys
}

// group is candidates in the order of keys.
type group []*candidate

// likeness is what candidates must have in common to be paired; fields that do not matter are zero.
type likeness struct {
	kind             Kind
	path, id, digest string
	entry            bool // ordinal above 0, where the path matters
}

// pair finds for each artifact that was read the one of the state that it is (I17), at most one for each. It sets node.from
// and gone.to; what stays at its path goes on under its number, and everything else that is paired moved.
//
// Bytes that stay at their path stay. So does an id at its path, unless the bytes there now had that id at another path and
// are there no more. The rest is paired by id and bytes, then by id, then by bytes, the nearest path first. What is left at
// one path is one file that says something else now.
func (t *tree) pair() {
	p := pairing{open: t.differing()}
	p.by(group.byOrdinal, func(c *candidate) (likeness, bool) {
		return likeness{kind: c.kind, path: c.Path, id: c.id, digest: c.digest, entry: c.Ordinal > 0}, true
	})
	p.by(group.byOrdinal, func(c *candidate) (likeness, bool) {
		return likeness{kind: c.kind, path: c.Path, digest: c.digest, entry: c.Ordinal > 0}, true
	})
	elsewhere := map[likeness]bool{}
	for _, c := range p.open {
		if c.gone != nil {
			elsewhere[likeness{kind: c.kind, id: c.id, digest: c.digest}] = true
		}
	}
	p.by(group.byOrdinal, func(c *candidate) (likeness, bool) {
		movedIn := c.node != nil && elsewhere[likeness{kind: c.kind, id: c.id, digest: c.digest}]
		identified := c.id != "" || c.Ordinal > 0
		return likeness{kind: c.kind, path: c.Path, id: c.id, entry: c.Ordinal > 0}, identified && !movedIn
	})
	p.by(group.byPath, func(c *candidate) (likeness, bool) {
		return likeness{kind: c.kind, id: c.id, digest: c.digest}, true
	})
	p.by(group.byPath, func(c *candidate) (likeness, bool) { return likeness{kind: c.kind, id: c.id}, c.id != "" })
	p.by(group.byPath, func(c *candidate) (likeness, bool) { return likeness{kind: c.kind, digest: c.digest}, true })
	p.by(group.byOrdinal, func(c *candidate) (likeness, bool) {
		return likeness{kind: c.kind, path: c.Path}, c.Ordinal == 0
	})
}

// differing pairs what is as it was at its key, and returns the rest of what is gone or was read.
func (t *tree) differing() group {
	if len(t.gone) == 0 {
		return nil
	}
	var open group
	gone := t.gone
	for _, n := range t.nodes {
		if n.parsed == nil {
			continue
		}
		for len(gone) > 0 && gone[0].Compare(n.Key) < 0 {
			open = append(open, gone[0].candidate())
			gone = gone[1:]
		}
		c := n.candidate()
		if len(gone) > 0 {
			if g := gone[0].candidate(); g.Key == c.Key && g.kind == c.kind && g.id == c.id && g.digest == c.digest {
				match(g, c)
				gone = gone[1:]
				continue
			}
		}
		open = append(open, c)
	}
	for _, g := range gone {
		open = append(open, g.candidate())
	}
	return open
}

// by pairs candidates that are alike. No candidate is in two groups, so that the order in which groups come is no matter.
func (p *pairing) by(match func(group) group, like func(*candidate) (likeness, bool)) {
	if !p.open.mixed() {
		return
	}
	groups := make(map[likeness]group, len(p.open))
	for _, c := range p.open {
		if l, ok := like(c); ok {
			groups[l] = append(groups[l], c)
		}
	}
	for _, g := range groups {
		match(g)
	}
	p.open = p.open.unpaired()
}

// mixed reports whether there are candidates of both sides.
func (g group) mixed() bool {
	return slices.ContainsFunc(g, func(c *candidate) bool { return (c.gone == nil) != (g[0].gone == nil) })
}

// unpaired returns what is left of g, which it takes over.
func (g group) unpaired() group {
	return slices.DeleteFunc(g, func(c *candidate) bool { return c.paired })
}

// match makes one artifact of two candidates of different sides.
func match(a, b *candidate) {
	if a.gone == nil {
		a, b = b, a
	}
	a.paired, b.paired = true, true
	a.gone.to, b.node.from = b.node, a.gone
}

// byOrdinal pairs candidates of one path, the nearest ordinals first, until one side is left.
func (g group) byOrdinal() group {
	return g.closest(func(a, b *candidate) int { return a.Ordinal - b.Ordinal })
}

// byPath pairs candidates until one side is left, and returns that: first those that have the most leading directories in
// common, of these first those whose files have one name, then those whose paths begin with the most bytes in common.
func (g group) byPath() group { return g.below(0) }

// below is byPath of candidates that have the first bytes of their paths, which end a directory, in common.
func (g group) below(prefix int) group {
	switch {
	case !g.mixed():
		return g
	case len(g) == 2:
		match(g[0], g[1])
		return nil
	}
	shared := commonPrefix(g[0].Path[prefix:], g[len(g)-1].Path[prefix:])
	prefix += strings.LastIndexByte(g[0].Path[prefix:prefix+shared], '/') + 1
	var rest group
	for i := 0; i < len(g); {
		next := i + 1
		name := g[i].Path[prefix:]
		slash := strings.IndexByte(name, '/')
		if slash < 0 {
			rest = append(rest, g[i])
			i = next
			continue
		}
		for next < len(g) && strings.HasPrefix(g[next].Path[prefix:], name[:slash+1]) {
			next++
		}
		rest = append(rest, g[i:next:next].below(prefix+slash+1)...)
		i = next
	}
	nearness := func(a, b *candidate) int { return commonPrefix(a.Path[prefix:], b.Path[prefix:]) }
	return rest.byName(nearness).closest(nearness)
}

// byName pairs candidates whose files have one name, and returns the rest.
func (g group) byName(nearness func(a, b *candidate) int) group {
	named := map[string]group{}
	for _, c := range g {
		name := path.Base(c.Path)
		named[name] = append(named[name], c)
	}
	for _, alike := range named {
		alike.closest(nearness)
	}
	return g.unpaired()
}

// commonPrefix returns how many leading bytes two texts have in common.
func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// closest pairs candidates of different sides, always those next for which nearness is the greatest, until one side is left,
// and returns that. Nearness must not grow with the distance in g: then the nearest two are neighbours in what is left of it.
func (g group) closest(nearness func(a, b *candidate) int) group {
	if !g.mixed() {
		return g
	}
	// The neighbours of i in what is left are before[i+1] and after[i+1]; index 0 and the last are sentinels.
	last := len(g) + 1
	before, after := make([]int, last+1), make([]int, last+1)
	for i := range last + 1 {
		before[i], after[i] = i-1, i+1
	}
	var queue neighbours
	look := func(a, b int) {
		if a > 0 && b < last && (g[a-1].gone == nil) != (g[b-1].gone == nil) {
			heap.Push(&queue, neighbour{a, b, nearness(g[a-1], g[b-1])})
		}
	}
	for i := 1; i+1 < last; i++ {
		look(i, i+1)
	}
	for queue.Len() > 0 {
		n, ok := heap.Pop(&queue).(neighbour)
		if !ok || g[n.a-1].paired || g[n.b-1].paired {
			continue
		}
		match(g[n.a-1], g[n.b-1])
		a, b := before[n.a], after[n.b]
		after[a], before[b] = b, a
		look(a, b)
	}
	return g.unpaired()
}

// neighbour is two neighbours of different sides.
type neighbour struct{ a, b, nearness int }

// neighbours is a heap with the nearest on top, and of equally near ones the first.
type neighbours []neighbour

func (n *neighbours) Len() int      { return len(*n) }
func (n *neighbours) Swap(i, j int) { (*n)[i], (*n)[j] = (*n)[j], (*n)[i] }
func (n *neighbours) Less(i, j int) bool {
	a, b := (*n)[i], (*n)[j]
	return cmp.Or(cmp.Compare(b.nearness, a.nearness), cmp.Compare(a.a, b.a)) < 0
}

// Push adds a neighbour.
func (n *neighbours) Push(x any) {
	if x, ok := x.(neighbour); ok {
		*n = append(*n, x)
	}
}

// Pop removes the last one.
func (n *neighbours) Pop() any {
	x := (*n)[len(*n)-1]
	*n = (*n)[:len(*n)-1]
	return x
}
