package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
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
	nodes    []*node // sorted by key
	gone     []*gone // those that do not stay, sorted by key
	rejected []File  // rejected in this scan, sorted by path
	cleared  []string
	standing []string // paths rejected before and unchanged, sorted
	state    State
	numbers  int
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
