package domain

import (
	"cmp"
	"container/heap"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// OverrideRewind is the name, among the overrides of a scan, of the permission that its history need not continue from the scan before.
const OverrideRewind = "rewind"

// Relate finds how commit relates to previous, which is that of a scan before. parents returns the parents of a commit, and false
// where the repository does not hold it, as beyond the border of a shallow clone. At most limit commits are looked at.
//
// The answer is never better than the truth: where a commit is not at hand that could decide it, it is [RelationUnknown]. Where every
// ancestor of commit is at hand and previous is not, it is [RelationUnrelated]: history did not continue from previous.
func Relate[ID comparable](previous, commit ID, limit int, parents func(ID) ([]ID, bool, error)) (Relation, error) {
	if previous == commit {
		return RelationSame, nil
	}
	later, earlier := newAncestry(commit), newAncestry(previous)
	for looked := 0; len(later.next)+len(earlier.next) > 0; looked++ {
		if looked >= limit {
			return RelationUnknown, nil
		}
		for _, walk := range []*ancestry[ID]{later, earlier} { // in turn: whichever is near is found soon
			if err := walk.step(parents); err != nil {
				return RelationUnknown, err
			}
		}
		if later.seen[previous] {
			return RelationDescendant, nil
		}
		if earlier.seen[commit] {
			return RelationAncestor, nil
		}
	}
	if later.holes > 0 || earlier.holes > 0 && !earlier.absent {
		return RelationUnknown, nil
	}
	return RelationUnrelated, nil
}

// ancestry is a walk over the ancestors of a commit, the nearest first.
type ancestry[ID comparable] struct {
	of     ID
	seen   map[ID]bool
	next   []ID
	holes  int  // commits that are not at hand
	absent bool // the first one is among them
}

func newAncestry[ID comparable](of ID) *ancestry[ID] {
	return &ancestry[ID]{of: of, seen: map[ID]bool{of: true}, next: []ID{of}}
}

func (a *ancestry[ID]) step(parents func(ID) ([]ID, bool, error)) error {
	if len(a.next) == 0 {
		return nil
	}
	at := a.next[0]
	a.next = a.next[1:]
	ids, ok, err := parents(at)
	if err != nil {
		return err
	}
	if !ok {
		a.holes++
		a.absent = a.absent || at == a.of
	}
	for _, id := range ids {
		if !a.seen[id] {
			a.seen[id] = true
			a.next = append(a.next, id)
		}
	}
	return nil
}

// OnMainLine reports whether a revision is one of the main line: there is a main line, and no other branch was named. A tag, a commit
// id and a HEAD that is on no branch are taken to be of the main line, since nothing says that they are not. A revision that is derived
// from a branch, such as feature~1, is of that branch. Where an older version recorded no full ref, a name that is no commit id counts as
// that of a branch.
func (s RepositorySettings) OnMainLine(source Source) bool {
	if s.MainLine == "" {
		return false
	}
	full := cmp.Or(source.FullRef, source.Ref)
	if i := strings.IndexAny(full, "~^"); i >= 0 {
		full = full[:i]
	}
	switch first, _, _ := strings.Cut(full, "/"); {
	case noRef.MatchString(full):
		return true
	case first == "heads" || first == "tags" || first == "remotes":
		full = "refs/" + full
	case first != "refs":
		full = headsPrefix + full
	}
	main := strings.TrimPrefix(s.MainLine, headsPrefix)
	if strings.HasPrefix(full, "refs/tags/") {
		return true
	}
	if branch, ok := strings.CutPrefix(full, headsPrefix); ok {
		return branch == main
	}
	if remote, ok := strings.CutPrefix(full, "refs/remotes/"); ok {
		_, branch, _ := strings.Cut(remote, "/")
		return branch == main
	}
	return full == s.MainLine
}

const headsPrefix = "refs/heads/"

// noRef is what names a commit by no branch or tag: nothing, a HEAD, a commit id, and what git describe says.
var noRef = regexp.MustCompile(`^(|@|HEAD|[A-Z]+_HEAD|(.*-g)?[0-9a-fA-F]{4,40})$`)

// PreviousCommit returns the commit that a scan of source continues from: on the main line, that of the last completed scan of it, and
// elsewhere that of the last completed scan. "" when there is none.
func (s State) PreviousCommit(source Source) string {
	if s.Settings.OnMainLine(source) {
		return s.MainCommit
	}
	return s.Commit
}

// follow remembers the commit of a completed scan. Files on disk are not the revision that they were compared with: history continues after
// the one before.
func follow(s *State, source Source) {
	if source.Commit == "" || source.Worktree {
		return
	}
	s.Commit, s.CommitRef = source.Commit, cmp.Or(source.FullRef, source.Ref)
	if s.Settings.OnMainLine(source) {
		s.MainCommit = source.Commit
	}
}

// startMainLine lets a main line that was set continue after the last commit, unless that is known to be of another branch.
func startMainLine(s *State) {
	s.MainCommit = ""
	if s.Settings.OnMainLine(Source{Ref: s.CommitRef}) {
		s.MainCommit = s.Commit
	}
}

// order judges whether history continues from the scan before. On the main line it must, unless somebody allowed that it does not, for a
// reason; what is unknown counts as if it did not.
func (s State) order(scan Scan) ([]Violation, []Finding, error) {
	source := scan.Source
	previous := s.PreviousCommit(source)
	if source.Commit == "" || previous == "" {
		return nil, nil, nil
	}
	if source.Previous != "" && source.Previous != previous {
		return nil, nil, fmt.Errorf("%w: its commit was compared with %s, and that of the scan before is %s", ErrStale, source.Previous, previous)
	}
	main := s.Settings.OnMainLine(source)
	relation := source.Relation
	if source.Previous == "" {
		relation = "" // it is to whatever
	}
	var code, how string
	switch relation {
	case RelationSame, RelationDescendant:
		return nil, nil, nil
	case RelationAncestor:
		code, how = FindingWentBack, fmt.Sprintf("commit %s is an ancestor of %s, the commit scanned before: history went back", source.Commit, previous)
	case RelationUnrelated:
		code, how = FindingWentSideways, fmt.Sprintf("commit %s does not descend from %s, the commit scanned before, nor is it known as its ancestor: "+
			"history went sideways", source.Commit, previous)
	case RelationUnknown, "":
		if !main {
			return nil, nil, nil
		}
		code, how = FindingOrderUnknown, fmt.Sprintf("it is unknown whether commit %s descends from %s, the commit scanned before", source.Commit, previous)
		if scan.RelationUnknown != "" {
			how += ", because " + scan.RelationUnknown
		}
	default:
		return nil, nil, fmt.Errorf("the relation of the scan is %q, which is none", relation)
	}
	if !main || scan.allows(OverrideRewind) && scan.Reason != "" {
		return nil, []Finding{{Code: code, Text: how}}, nil
	}
	remedy := "scan a commit that descends from it"
	if code == FindingOrderUnknown {
		remedy = "fetch the missing history, such as by git fetch --unshallow"
	}
	return []Violation{{
		Code: ViolationOrder,
		Text: fmt.Sprintf("%s, on the main line %q: %s, or scan with --allow-rewind and a --reason", how, s.Settings.MainLine, remedy),
	}}, nil, nil
}

// allows reports whether a setting was given for this scan alone.
func (s *Scan) allows(override string) bool {
	return s.Settings != nil && slices.Contains(s.Settings.Overrides, override)
}

// PastCommit is a commit of the history of a repository.
type PastCommit struct {
	ID      string
	Parents []string
	At      time.Time // when it was committed, as git claims
}

// OldestFirst returns commits so that each comes after its parents. Of those that could be next, the one with the earliest date is, and
// of these the one with the smallest id: what clocks claim orders nothing that parents order.
func OldestFirst(commits []PastCommit) []PastCommit {
	children, waits := map[string][]*PastCommit{}, make(map[string]int, len(commits))
	for i := range commits {
		waits[commits[i].ID] = 0
	}
	var ready pastCommits
	for i := range commits {
		c := &commits[i]
		for _, parent := range c.Parents {
			if _, listed := waits[parent]; listed {
				waits[c.ID]++
				children[parent] = append(children[parent], c)
			}
		}
		if waits[c.ID] == 0 {
			ready = append(ready, c)
		}
	}
	heap.Init(&ready)
	out := make([]PastCommit, 0, len(commits))
	for len(ready) > 0 {
		c := heap.Pop(&ready).(*PastCommit) //nolint:errcheck,forcetypeassert // nothing else is pushed
		out = append(out, *c)
		for _, child := range children[c.ID] {
			if waits[child.ID]--; waits[child.ID] == 0 {
				heap.Push(&ready, child)
			}
		}
	}
	return out
}

// pastCommits is a heap of those that could be next.
type pastCommits []*PastCommit

// Len is for package heap.
func (h *pastCommits) Len() int { return len(*h) }

// Swap is for package heap.
func (h *pastCommits) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Less is for package heap.
func (h *pastCommits) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) < 0
}

// Push is for package heap.
func (h *pastCommits) Push(c any) {
	*h = append(*h, c.(*PastCommit)) //nolint:errcheck,forcetypeassert // nothing else is pushed
}

// Pop is for package heap.
func (h *pastCommits) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	*h = (*h)[:last]
	return c
}
