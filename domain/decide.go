package domain

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrStale says that a scan claims a unit unchanged which the state does not hold so: the state moved between reading
// and deciding. Read again against the state at hand and decide again.
var ErrStale = errors.New("scan was read against another state")

// RefusedError is the error of a scan that a rule or the policy does not let pass. It lists every violation, not just the
// first. Nothing but [Fail] is to be recorded of such a scan.
type RefusedError struct {
	Violations []Violation // at least one
}

// Error names the first violation and how many there are.
func (r *RefusedError) Error() string {
	switch n := len(r.Violations); n {
	case 0:
		return "scan refused"
	case 1:
		return "scan refused: " + r.Violations[0].Text
	default:
		return fmt.Sprintf("scan refused for %d reasons, the first: %s", n, r.Violations[0].Text)
	}
}

// Decide compares a scan with the state and returns the events that record it, in the order in which they happened to
// the tree: registration, removals, artifacts by key, rejections, links that lead elsewhere, and ScanCompleted as the last. They are one batch (I1).
//
// The error is a *RefusedError when the scan must fail, wraps ErrStale when the scan must be read again, and is anything else
// when the reader broke its contract. Decide changes neither argument and keeps no reference to s.
func Decide(s State, scan Scan) ([]Event, error) {
	files := scan.Files
	scan.Files = nil // what was read of many files need not stay in memory
	t, err := grow(s, files)
	if err != nil {
		return nil, err
	}
	t.addresses = scan.Addresses
	ix := t.index()
	links, relinked := t.link(ix)
	findings, err := t.judge(ix, scan)
	if err != nil {
		return nil, err
	}
	head := scan.Head
	head.Number = s.Scans + 1
	done := ScanCompleted{
		Head: head, Counts: t.counts(), Links: links, Ignored: ignored(scan.Ignored),
		Coverage: t.coverage(), Findings: findings, TreeDigest: t.digest(),
	}
	events := t.events(head)
	for _, r := range relinked {
		done.RelinkedLinks += len(r.Changed)
		events = append(events, r)
	}
	return append(events, done), nil
}

func ignored(paths []string) *Ignored {
	return &Ignored{Count: len(paths), Paths: slices.Clone(paths[:min(len(paths), MaxIgnored)])}
}

// Fail returns the one event of a scan that did not complete (I2). violations must not be empty; the event lists the first
// [MaxViolations] of them and counts total, which is at least their number.
func Fail(s State, head Head, violations []Violation, total int) ScanFailed {
	head.Number = s.Scans + 1
	listed := slices.Clone(violations[:min(len(violations), MaxViolations)])
	return ScanFailed{Head: head, Code: violations[0].Code, Violations: listed, Total: max(total, len(violations))}
}

// faults returns what no policy lets pass.
func faults(s State, scan Scan) []Violation {
	var violations []Violation
	if s.Retired {
		violations = append(violations, Violation{
			Code: ViolationRetired,
			Text: fmt.Sprintf("repository %q was retired; scan it under another name to continue", s.Repository.Name),
		})
	}
	if !s.MayBeReadFrom(scan.Addresses) {
		violations = append(violations, Violation{
			Code: ViolationAddress,
			Text: fmt.Sprintf("repository %q is known by %s, and this revision was read from %s: scan it under another name with --name, or record the address with --accept-address",
				s.Repository.Name, strings.Join(s.Settings.Addresses, ", "), scan.Addresses[0]),
		})
	}
	return append(violations, scan.Faults...)
}

// judge applies the policy to the tree. It returns the findings of the tree as a whole.
func (t *tree) judge(ix index, scan Scan) ([]Finding, error) {
	violations, order, err := t.state.order(scan)
	if err != nil {
		return nil, err
	}
	violations = slices.Concat(violations, faults(t.state, scan), t.missingKeys(scan))
	findings := append(slices.Clone(scan.Findings), order...)
	for _, c := range t.claims() {
		if scan.Policy.Duplicates == DuplicatesUpdate {
			findings = append(findings, c.findings()...)
			continue
		}
		violations = append(violations, c.violations()...)
	}
	if scan.Policy.Links != LinksFlag {
		violations = append(violations, t.brokenLinks(ix)...)
	}
	if len(violations) > 0 {
		return nil, &RefusedError{Violations: violations}
	}
	return findings, nil
}

// events lists what happened to the tree, but for ScanCompleted. It takes the events of the nodes.
func (t *tree) events(head Head) []Event {
	var out []Event
	if !t.state.Registered {
		out = append(out, RepositoryRegistered{Repository: head.Repository, Addresses: t.addresses[:min(len(t.addresses), 1)]})
	}
	for _, g := range t.gone {
		removed := ArtifactRemoved{
			Key: g.Key, Kind: g.known.Kind, GxPID: g.known.GxPID, Number: g.known.Number, Version: g.known.Version,
			Previous: g.known.SHA256,
		}
		if g.to != nil {
			removed.MovedTo = &Key{Path: g.to.Path, Ordinal: g.to.Ordinal}
		}
		out = append(out, removed)
	}
	for _, path := range t.cleared {
		out = append(out, RejectionCleared{Path: path})
	}
	for _, n := range t.nodes {
		if n.parsed != nil {
			n.parsed.Number, n.parsed.Version = n.known.Number, n.known.Version
			out = append(out, *n.parsed)
			n.parsed = nil
		}
	}
	for _, f := range t.rejected {
		out = append(out, ArtifactRejected{Path: f.Path, Rejection: *f.Rejected, Stamp: f.Stamp, Source: f.Blob})
	}
	return out
}

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

// SameLink reports whether two links are declared alike and lead to the same artifact, or are broken alike.
func SameLink(a, b Link) bool {
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
			if n.parsed == nil && !SameLink(now, n.before.Links[i]) {
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
