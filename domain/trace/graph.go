package trace

import (
	"cmp"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// Graph is the artifacts from requirement to evidence, each with its state, and the links between them. It does not change:
// safe for concurrent use.
type Graph struct {
	nodes  []*node // in the order of repositories, levels and keys
	links  int64   // how many were given
	broken []Link  // in the order of repositories and keys
	walks  int
}

// node is an artifact with its place in the graph.
type node struct {
	*Artifact
	level    Level
	links    []outLink // that it declares
	above    []*node   // its neighbours in rows
	below    []*node
	evidence []*node // of a spec: evidence that leads to it, in the order of paths
	children bool    // whether something of the next level leads to it
	mark     int     // the last walk that visited it

	badUp, badDown               *node // what is wrong above and below, once it was searched for
	searchedAbove, searchedBelow bool
}

// outLink is a declared link; to is nil unless it resolves to an artifact of a level.
type outLink struct {
	edge, target string
	state        LinkState
	to           *node
}

// nodeKey names an artifact of any repository.
type nodeKey struct {
	repository string
	number     int64
}

// New makes the graph of artifacts and finds the state of each. It keeps the artifacts and fills in State and Reasons.
//
// Artifacts of kinds that belong to no level are left out. links are all links that artifacts declare, those of one
// artifact in the order of its file; those of artifacts that were left out count in [Graph.Gaps] alone. Of a link that is
// resolved New needs RepositoryID, Number, Edge, Target, State and ToNumber; of a broken one, in place of ToNumber, all that
// a [Gap] names.
func New(artifacts []Artifact, links []Link) *Graph {
	level := map[domain.Kind]Level{}
	for l := range Level(levels) {
		for _, kind := range l.Group().Kinds() {
			level[kind] = l
		}
	}
	g := &Graph{links: int64(len(links))}
	at := make(map[nodeKey]*node, len(artifacts))
	nodes := make([]node, len(artifacts))
	for i := range artifacts {
		a := &artifacts[i]
		if l, traced := level[a.Kind]; traced {
			a.State, a.Reasons = "", []Reason{}
			nodes[i] = node{Artifact: a, level: l}
			g.nodes = append(g.nodes, &nodes[i])
			at[nodeKey{a.RepositoryID, a.Number}] = &nodes[i]
		}
	}
	slices.SortStableFunc(g.nodes, func(a, b *node) int {
		return cmp.Or(
			cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.RepositoryID, b.RepositoryID), cmp.Compare(a.level, b.level),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.Number, b.Number),
		)
	})
	for i := range links {
		l := &links[i]
		if l.State != LinkResolved {
			g.broken = append(g.broken, *l)
		}
		from := at[nodeKey{l.RepositoryID, l.Number}]
		if from == nil {
			continue
		}
		out := outLink{edge: l.Edge, target: l.Target, state: l.State}
		if l.State == LinkResolved {
			out.to = at[nodeKey{l.RepositoryID, l.ToNumber}]
		}
		from.links = append(from.links, out)
	}
	slices.SortStableFunc(g.broken, func(a, b Link) int {
		return cmp.Or(
			cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.RepositoryID, b.RepositoryID),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Ordinal, b.Ordinal),
		)
	})
	g.join()
	g.judge()
	return g
}

// Artifacts returns the artifacts, each once, in the order of repositories, levels and keys. The caller must not change them.
func (g *Graph) Artifacts() []*Artifact {
	out := make([]*Artifact, len(g.nodes))
	for i, n := range g.nodes {
		out[i] = n.Artifact
	}
	return out
}

// join finds the neighbours of every artifact. What is above comes first, so that what it leads to is known.
func (g *Graph) join() {
	var byLevel [levels][]*node
	for _, n := range g.nodes {
		byLevel[n.level] = append(byLevel[n.level], n)
		n.joinUpwards()
	}
	for _, nodes := range byLevel {
		for _, n := range nodes {
			g.findAbove(n)
		}
		peers := peers{number: map[*node]int{}, lowest: map[*node]int{}, done: map[*node]bool{}}
		for _, n := range nodes {
			peers.visit(n)
		}
	}
	for _, n := range g.nodes {
		for _, up := range n.above {
			up.below = append(up.below, n)
		}
	}
}

// joinUpwards tells what an artifact directly leads to that it does.
func (n *node) joinUpwards() {
	for _, l := range n.links {
		if l.to == nil {
			continue
		}
		if n.level == l.to.level+1 {
			l.to.children = true
		}
		e := l.to.evidence
		if n.level == LevelEvidence && l.to.level == LevelSpec && (len(e) == 0 || e[len(e)-1] != n) {
			l.to.evidence = append(e, n)
		}
	}
}

// findAbove finds what is above an artifact in its rows: what its resolved links lead to on higher levels, the nearest level
// first, except what is above of that already.
func (g *Graph) findAbove(n *node) {
	for level := n.level - 1; level >= LevelRequirement; level-- {
		g.walks++
		for _, up := range n.above {
			g.markAbove(up)
		}
		for _, l := range n.links {
			if l.to != nil && l.to.level == level && l.to.mark != g.walks {
				l.to.mark = g.walks
				n.above = append(n.above, l.to)
			}
		}
	}
}

// markAbove marks an artifact and all that is above it.
func (g *Graph) markAbove(n *node) {
	if n.mark == g.walks {
		return
	}
	n.mark = g.walks
	for _, up := range n.above {
		g.markAbove(up)
	}
}

// peers gives artifacts that lead to no higher level what is above of all that they reach on their own level, through
// others that lead to no higher level. Those that reach each other have the same above them, whatever comes first: they
// are found as strongly connected components, by the algorithm of Tarjan.
type peers struct {
	number map[*node]int // in the order of visits, from 1
	lowest map[*node]int // number that an artifact reaches among those on the stack
	stack  []*node       // visited and in no component yet
	done   map[*node]bool
}

func (p *peers) visit(n *node) {
	if p.number[n] != 0 || len(n.above) > 0 || n.level == LevelRequirement {
		return
	}
	p.number[n] = len(p.number) + 1
	p.lowest[n] = p.number[n]
	from := len(p.stack)
	p.stack = append(p.stack, n)
	for _, l := range n.links {
		if l.to == nil || l.to.level != n.level {
			continue
		}
		p.visit(l.to)
		if p.number[l.to] != 0 && !p.done[l.to] {
			p.lowest[n] = min(p.lowest[n], p.lowest[l.to])
		}
	}
	if p.lowest[n] == p.number[n] {
		p.shareAbove(p.stack[from:])
		p.stack = p.stack[:from]
	}
}

// shareAbove gives the artifacts of a component what is above of all that they lead to.
func (p *peers) shareAbove(component []*node) {
	var above []*node
	seen := map[*node]bool{}
	for _, n := range component {
		p.done[n] = true
		for _, l := range n.links {
			if l.to == nil || l.to.level != n.level {
				continue
			}
			for _, up := range l.to.above {
				if !seen[up] {
					seen[up] = true
					above = append(above, up)
				}
			}
		}
	}
	for _, n := range component {
		n.above = slices.Clip(above)
	}
}
