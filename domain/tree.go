package domain

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// node is one artifact of the tree that a scan leads to.
type node struct {
	Key
	known  Known           // as the state will hold it, links resolved
	before *Known          // as the state holds it; nil when new
	parsed *ArtifactParsed // the event to record; nil when unchanged
	from   *gone           // which artifact of the state it is; nil when that has none or nobody read it again
}

// gone is an artifact that the state holds in a unit that is gone or was read again.
type gone struct {
	Key
	known *Known
	stamp string
	to    *node // which artifact of the tree it is; nil when that has none
}

// stays reports whether n is the artifact that the state has at its path: such a one goes on under its number.
func (n *node) stays() bool {
	return n.from != nil && n.from.Path == n.Path && (n.from.Ordinal == 0) == (n.Ordinal == 0)
}

// tree is what a scan leads to, compared with the state.
type tree struct {
	nodes     []*node // sorted by key
	gone      []*gone // those that do not stay, sorted by key
	rejected  []File  // rejected in this scan, sorted by path
	cleared   []string
	standing  []string // paths rejected before and unchanged, sorted
	state     State
	numbers   int
	addresses []string // of the scan
}

// grow compares the files of a scan with the state. The error is ErrStale, or tells of a reader that breaks its contract.
func grow(s State, files []File) (*tree, error) {
	t := &tree{state: s, numbers: s.Numbers}
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return Key{Path: a.Path}.Compare(Key{Path: b.Path}) })
	seen := make(map[string]bool, len(files))
	for _, f := range files {
		if seen[f.Path] {
			return nil, fmt.Errorf("scan: path %q occurs twice", f.Path)
		}
		seen[f.Path] = true
		if err := t.add(f); err != nil {
			return nil, err
		}
	}
	for _, path := range s.Paths() {
		if !seen[path] {
			t.leave(path, s.Units[path])
		}
	}
	t.compare()
	t.number()
	return t, nil
}

func (t *tree) add(f File) error {
	unit := t.state.Units[f.Path]
	switch {
	case f.Unchanged:
		return t.keep(f, unit)
	case f.Rejected != nil && unit != nil && unit.Rejected != nil && t.state.Holds(f.Path, f.Blob, f.Stamp):
		t.standing = append(t.standing, f.Path)
		return nil
	case f.Rejected != nil:
		t.rejected = append(t.rejected, f)
		if unit != nil {
			t.leaveArtifacts(f.Path, unit)
		}
		return nil
	case len(f.Artifacts) == 0 || f.Artifacts[0].Ordinal != 0:
		return fmt.Errorf("scan: %q has no artifact of ordinal 0 and is not rejected", f.Path)
	}
	present := make(map[int]bool, len(f.Artifacts))
	for _, a := range f.Artifacts {
		if a.Path != f.Path || present[a.Ordinal] {
			return fmt.Errorf("scan: %q holds an artifact of key %s, which is foreign or repeats", f.Path, a.Key)
		}
		present[a.Ordinal] = true
		n := &node{Key: a.Key, known: Known{
			Ordinal: a.Ordinal, Version: 1, Kind: a.Kind, GxPID: a.GxPID,
			SHA256: a.Content.SHA256, Digest: a.Digest, Links: slices.Clone(a.Links),
		}, parsed: &ArtifactParsed{Artifact: a, Change: ChangeNew, Stamp: f.Stamp, Source: f.Blob}}
		n.known.knowEvidence(a.Evidence)
		t.nodes = append(t.nodes, n)
	}
	if unit != nil {
		t.leave(f.Path, unit)
	}
	return nil
}

// keep carries a unit over that the scan did not read again.
func (t *tree) keep(f File, unit *Unit) error {
	if !t.state.Holds(f.Path, f.Blob, f.Stamp) {
		return fmt.Errorf("%w: %q is claimed unchanged", ErrStale, f.Path)
	}
	if unit.Rejected != nil {
		t.standing = append(t.standing, f.Path)
	}
	for i := range unit.Artifacts {
		before := &unit.Artifacts[i]
		known := *before
		known.Links = slices.Clone(before.Links)
		t.nodes = append(t.nodes, &node{
			Key: Key{Path: f.Path, Ordinal: before.Ordinal}, known: known, before: before,
		})
	}
	return nil
}

// leave notes what a unit held that is gone or was read again: its rejection and its artifacts.
func (t *tree) leave(path string, unit *Unit) {
	if unit.Rejected != nil {
		t.cleared = append(t.cleared, path)
	}
	t.leaveArtifacts(path, unit)
}

func (t *tree) leaveArtifacts(path string, unit *Unit) {
	for i := range unit.Artifacts {
		known := &unit.Artifacts[i]
		t.gone = append(t.gone, &gone{Key: Key{Path: path, Ordinal: known.Ordinal}, known: known, stamp: unit.Stamp})
	}
}

// compare says of each artifact that was read whether it is new, moved, changed, read again or as it was, and sorts what the
// tree holds and what is gone.
func (t *tree) compare() {
	slices.SortFunc(t.nodes, func(a, b *node) int { return a.Compare(b.Key) })
	slices.SortFunc(t.gone, func(a, b *gone) int { return a.Compare(b.Key) })
	t.pair()
	for i, n := range t.nodes {
		if n.parsed != nil && n.Ordinal == 0 {
			n.parsed.Shifted = shifted(t.nodes[i+1:], n.Path)
		}
		switch {
		case n.from == nil:
		case !n.stays():
			n.parsed.MovedFrom = &Key{Path: n.from.Path, Ordinal: n.from.Ordinal}
		default:
			n.goOn()
		}
	}
	t.gone = slices.DeleteFunc(t.gone, func(g *gone) bool { return g.to != nil && g.to.stays() })
}

// goOn compares an artifact with what it was in the state.
func (n *node) goOn() {
	b := n.from.known
	n.before = b
	n.known.Number, n.known.Version = b.Number, b.Version
	switch {
	case b.Digest != n.known.Digest:
		n.parsed.Change = ChangeChanged
	case n.from.stamp != n.parsed.Stamp, len(n.parsed.Shifted) > 0:
		n.parsed.Change = ChangeReread
	default:
		n.parsed = nil
		return
	}
	n.known.Version++
	n.parsed.Previous = b.SHA256
}

// shifted lists the entries of the file at path, with which nodes begin, that stay what they are at another ordinal.
func shifted(nodes []*node, path string) []Shift {
	var out []Shift
	for _, n := range nodes {
		if n.Path != path {
			break
		}
		if n.stays() && n.from.Ordinal != n.Ordinal {
			k := n.from.known
			out = append(out, Shift{
				Number: k.Number, Version: k.Version, From: n.from.Ordinal, To: n.Ordinal, Links: len(k.Links),
			})
		}
	}
	return out
}

// number gives each new artifact its number, in the order of keys.
func (t *tree) number() {
	for _, n := range t.nodes {
		if n.before == nil {
			t.numbers++
			n.known.Number = t.numbers
		}
	}
}

// digestLine writes what the digest of a tree says of one artifact or rejected file.
func digestLine(w io.Writer, key Key, kind Kind, id, digest string) {
	_, _ = fmt.Fprintf(w, "%q %d %s %q %s\n", key.Path, key.Ordinal, kind, id, digest) // a hash never fails
}

// digest returns what State.TreeDigest will return once the events are folded.
func (t *tree) digest() string {
	h := sha256.New()
	for _, n := range t.nodes {
		digestLine(h, n.Key, n.known.Kind, n.known.GxPID, n.known.Digest)
	}
	type bad struct {
		path, sha string
		kind      Kind
	}
	var all []bad
	for _, f := range t.rejected {
		all = append(all, bad{f.Path, f.Rejected.Content.SHA256, f.Rejected.Kind})
	}
	for _, path := range t.standing {
		r := t.state.Units[path].Rejected
		all = append(all, bad{path, r.SHA256, r.Kind})
	}
	slices.SortFunc(all, func(a, b bad) int { return Key{Path: a.path}.Compare(Key{Path: b.path}) })
	for _, b := range all {
		digestLine(h, Key{Path: b.path}, b.kind, "", "rejected "+b.sha)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TreeDigest is the SHA-256 over the tree: one line for each artifact in the order of keys (quoted path, ordinal, kind,
// quoted gxp_id, digest), then one for each rejected file. Two scans with one digest saw the same artifacts.
func (s State) TreeDigest() string {
	h := sha256.New()
	paths := s.Paths()
	for _, path := range paths {
		for _, k := range s.Units[path].Artifacts {
			digestLine(h, Key{Path: path, Ordinal: k.Ordinal}, k.Kind, k.GxPID, k.Digest)
		}
	}
	for _, path := range paths {
		if r := s.Units[path].Rejected; r != nil {
			digestLine(h, Key{Path: path}, r.Kind, "", "rejected "+r.SHA256)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

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
		name := c.Path[strings.LastIndexByte(c.Path, '/')+1:]
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
