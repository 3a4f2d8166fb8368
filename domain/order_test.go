package domain_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// dag is a history: the parents of each commit have smaller numbers.
type dag [][]int

func drawDAG(t *rapid.T) dag {
	g := make(dag, rapid.IntRange(1, 14).Draw(t, "commits"))
	for i := range g {
		if i > 0 {
			near := rapid.IntRange(max(0, i-3), i-1) // histories are longer than they are wide
			g[i] = rapid.SliceOfNDistinct(near, 0, min(i, 2), rapid.ID[int]).Draw(t, fmt.Sprintf("parents of %d", i))
		}
	}
	return g
}

// reaches reports whether one is an ancestor of other, by the definition.
func (g dag) reaches(other, one int) bool {
	return slices.ContainsFunc(g[other], func(p int) bool { return p == one || g.reaches(p, one) })
}

func (g dag) relation(previous, commit int) domain.Relation {
	switch {
	case previous == commit:
		return domain.RelationSame
	case g.reaches(commit, previous):
		return domain.RelationDescendant
	case g.reaches(previous, commit):
		return domain.RelationAncestor
	}
	return domain.RelationUnrelated
}

// I15: of a history that is not all here, the answer is the truth or unknown. Where only the commit before is gone, it is known that
// history did not continue from it, and not whether it went back.
func TestPropertyARelationIsTheTruthOrUnknown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := drawDAG(t)
		commit := rapid.IntRange(0, len(g)-1)
		previous, own := commit.Draw(t, "previous"), commit.Draw(t, "own")
		gone := map[int]bool{}
		for _, i := range rapid.SliceOf(commit).Draw(t, "gone") {
			gone[i] = i != own
		}
		want := g.relation(previous, own)
		relate := func(gone map[int]bool, limit int) domain.Relation {
			got, err := domain.Relate(previous, own, limit, func(i int) ([]int, bool, error) {
				if gone[i] {
					return nil, false, nil
				}
				return g[i], true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := relate(nil, 100); got != want {
			t.Fatalf("of a whole history %s, want %s", got, want)
		}
		whole := !gone[own]
		for i := range g {
			whole = whole && (!gone[i] || i == previous || !g.reaches(own, i))
		}
		switch got := relate(gone, 100); {
		case got == want, got == domain.RelationUnknown:
		case got == domain.RelationUnrelated && want == domain.RelationAncestor && gone[previous] && whole:
		default:
			t.Fatalf("without %v it is %s, want %s or unknown", gone, got, want)
		}
		if got := relate(nil, rapid.IntRange(0, 4).Draw(t, "limit")); got != want && got != domain.RelationUnknown {
			t.Fatalf("within a limit it is %s, want %s or unknown", got, want)
		}
	})
}

// A commit in between that is not here hides that history went back.
func TestAGapInTheHistoryOfTheCommitBeforeIsUnknown(t *testing.T) {
	t.Parallel()
	history := map[string][]string{"later": {"gone"}, "earlier": {}} // gone descends from earlier
	got, err := domain.Relate("later", "earlier", 10, func(id string) ([]string, bool, error) {
		parents, ok := history[id]
		return parents, ok, nil
	})
	if got != domain.RelationUnknown || err != nil {
		t.Errorf("%s, %v; want unknown", got, err)
	}
}

func TestARelationThatCannotBeReadIsUnknown(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	got, err := domain.Relate("a", "b", 10, func(string) ([]string, bool, error) { return nil, false, broken })
	if got != domain.RelationUnknown || !errors.Is(err, broken) {
		t.Errorf("%s, %v", got, err)
	}
}

// What clocks claim orders nothing that parents order.
func TestPropertyAHistoryIsListedParentsFirstAndThenByDate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := drawDAG(t)
		commits := make([]domain.PastCommit, len(g))
		for i, parents := range g {
			commits[i] = domain.PastCommit{ID: fmt.Sprint(i), At: time.Unix(rapid.Int64Range(0, 3).Draw(t, "date"), 0)}
			for _, p := range parents {
				commits[i].Parents = append(commits[i].Parents, fmt.Sprint(p))
			}
		}
		given := rapid.Permutation(commits).Draw(t, "order")
		got := domain.OldestFirst(given)
		var want []domain.PastCommit // by the definition: again and again the least of those whose parents are all there
		for left := slices.Clone(commits); len(left) > 0; {
			best := -1
			for i, c := range left {
				ready := !slices.ContainsFunc(left, func(o domain.PastCommit) bool { return slices.Contains(c.Parents, o.ID) })
				if ready && (best < 0 || c.At.Before(left[best].At) || c.At.Equal(left[best].At) && c.ID < left[best].ID) {
					best = i
				}
			}
			want = append(want, left[best])
			left = slices.Delete(left, best, best+1)
		}
		if !slices.EqualFunc(got, want, func(a, b domain.PastCommit) bool { return a.ID == b.ID }) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

const (
	earlierCommit = "1111111111111111111111111111111111111111"
	laterCommit   = "2222222222222222222222222222222222222222"
)

func of(ref, commit string) domain.Source { return domain.Source{FullRef: ref, Commit: commit} }

// scanned is the state after a scan of source, under a main line.
func scanned(t *testing.T, mainLine string, sources ...domain.Source) domain.State {
	t.Helper()
	s := domain.Fold(domain.State{}, registered(), change(domain.RepositorySettings{MainLine: mainLine}))
	for _, source := range sources {
		scan := Scan(Flag())
		scan.Source = source
		scan.Settings, scan.Reason = &domain.Settings{Overrides: []string{domain.OverrideRewind}}, "a reason"
		events, err := domain.Decide(s, scan)
		if err != nil {
			t.Fatal(err)
		}
		s = domain.Fold(s, events...)
	}
	return s
}

// On the main line history continues from scan to scan; elsewhere it is told when it does not.
func TestHistoryGoesOnOnTheMainLine(t *testing.T) {
	t.Parallel()
	type outcome struct{ violation, finding string }
	for relation, want := range map[domain.Relation]struct{ elsewhere, main, allowed outcome }{
		domain.RelationSame:       {},
		domain.RelationDescendant: {},
		domain.RelationAncestor:   {outcome{"", "went_back"}, outcome{"out_of_order", ""}, outcome{"", "went_back"}},
		domain.RelationUnrelated:  {outcome{"", "went_sideways"}, outcome{"out_of_order", ""}, outcome{"", "went_sideways"}},
		domain.RelationUnknown:    {outcome{}, outcome{"out_of_order", ""}, outcome{"", "order_unknown"}},
		"":                        {outcome{}, outcome{"out_of_order", ""}, outcome{"", "order_unknown"}},
	} {
		for name, test := range map[string]struct {
			mainLine, reason string
			allow            bool
			want             outcome
		}{
			"elsewhere":                   {"", "", false, want.elsewhere},
			"on the main line":            {"main", "why", false, want.main},
			"allowed":                     {"main", "why", true, want.allowed},
			"allowed without any reason":  {"main", "", true, want.main},
			"another branch than main is": {"trunk", "", false, want.elsewhere},
		} {
			t.Run(fmt.Sprintf("%s %s", relation, name), func(t *testing.T) {
				t.Parallel()
				s := scanned(t, test.mainLine, of("refs/heads/main", earlierCommit))
				scan := Scan(Flag())
				scan.Source = domain.Source{FullRef: "refs/heads/main", Commit: laterCommit, Relation: relation, Previous: earlierCommit}
				if scan.Reason = test.reason; test.allow {
					scan.Settings = &domain.Settings{Overrides: []string{"links", domain.OverrideRewind}}
				}
				if relation == domain.RelationUnknown {
					scan.RelationUnknown = "the clone is shallow"
				}
				events, err := domain.Decide(s, scan)
				var got outcome
				if refused, ok := errors.AsType[*domain.RefusedError](err); ok {
					v := refused.Violations[0]
					got.violation = v.Code
					for _, part := range []string{earlierCommit, laterCommit, "--allow-rewind", scan.RelationUnknown} {
						if !strings.Contains(v.Text, part) {
							t.Errorf("%q does not say %q", v.Text, part)
						}
					}
				} else if done, ok := events[len(events)-1].(domain.ScanCompleted); ok && len(done.Findings) > 0 {
					got.finding = done.Findings[0].Code
				}
				if got != test.want {
					t.Errorf("%+v, %v; want %+v", got, err, test.want)
				}
			})
		}
	}
}

// A commit that was compared with another than the one before is compared again.
func TestARelationToAnotherCommitIsStale(t *testing.T) {
	t.Parallel()
	s := scanned(t, "", of("", laterCommit))
	scan := Scan(Flag())
	scan.Source = domain.Source{Commit: laterCommit, Relation: domain.RelationDescendant, Previous: earlierCommit}
	if _, err := domain.Decide(s, scan); !errors.Is(err, domain.ErrStale) {
		t.Errorf("%v, want ErrStale", err)
	}
	scan.Source.Previous, scan.Source.Relation = laterCommit, "sibling"
	if _, err := domain.Decide(s, scan); err == nil {
		t.Error("a relation that is none is taken")
	}
}

// Whatever names no other branch is of the main line.
func TestWhatIsOnTheMainLine(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]bool{
		"refs/heads/main": true, "": true, "refs/tags/v1": true, "refs/remotes/origin/main": true, "refs/heads/feature": false,
		"refs/remotes/origin/feature": false, "refs/pull/1/head": false, "refs/heads/x/main": false,
		"refs/heads/main~2": true, "refs/heads/main^2~1": true, "refs/heads/feature~1": false, "refs/tags/v1^{commit}": true, "refs/tags/~": true, "refs/~": false, "refs/~~1": false,
	} {
		for _, mainLine := range []string{"main", "refs/heads/main"} {
			if got := (domain.RepositorySettings{MainLine: mainLine}).OnMainLine(domain.Source{FullRef: ref}); got != want {
				t.Errorf("%q is on %q: %t, want %t", ref, mainLine, got, want)
			}
		}
		if (domain.RepositorySettings{}).OnMainLine(domain.Source{FullRef: ref}) {
			t.Errorf("%q is on the main line, and there is none", ref)
		}
	}
}

// Scans of older versions recorded what the operator gave alone. What names another branch is not of the main line.
func TestWhatWasOnTheMainLineBeforeRefsWereRecordedInFull(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]bool{
		"": true, "HEAD": true, "@": true, "HEAD~3": true, "FETCH_HEAD": true, "main": true, "main~1": true, "refs/heads/main": true, "heads/main": true,
		"refs/tags/v1": true, "tags/v1": true, "refs/remotes/origin/main": true, "cafe123": true, earlierCommit: true, earlierCommit + "^{commit}": true, "v1-3-gcafe123": true,
		"feature": false, "feature~1": false, "refs/heads/feature": false, "release/1": false, "refs/pull/1/head": false, "cafe": true, "caf": false, "v1": false,
	} {
		if got := (domain.RepositorySettings{MainLine: "main"}).OnMainLine(domain.Source{Ref: ref}); got != want {
			t.Errorf("%q is on it: %t, want %t", ref, got, want)
		}
	}
}

// A main line that is set later goes on from the last scan, unless that is known to be of another branch.
func TestAMainLineThatIsSetLaterIsNotComparedWithAnotherBranch(t *testing.T) {
	t.Parallel()
	on := of("refs/heads/main", laterCommit)
	for name, test := range map[string]struct {
		last domain.Source
		want string
	}{
		"after itself":           {of("refs/heads/main", earlierCommit), earlierCommit},
		"after a tag":            {of("refs/tags/v1", earlierCommit), earlierCommit},
		"after no branch":        {domain.Source{Ref: "HEAD", Commit: earlierCommit}, earlierCommit},
		"after another":          {of("refs/heads/feature", earlierCommit), ""},
		"after another, earlier": {domain.Source{Ref: "feature", Commit: earlierCommit}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := domain.Fold(scanned(t, "", test.last), change(domain.RepositorySettings{MainLine: "main"}))
			if got := s.PreviousCommit(on); got != test.want {
				t.Errorf("it continues from %q, want %q", got, test.want)
			}
			if got := s.PreviousCommit(of("refs/heads/beside", laterCommit)); got != earlierCommit {
				t.Errorf("another branch continues from %q, want %q", got, earlierCommit)
			}
		})
	}
}

// Files on disk are no revision, whether they are known to differ from it or not.
func TestHistoryDoesNotGoOnFromFilesOnDisk(t *testing.T) {
	t.Parallel()
	for _, mainLine := range []string{"", "main"} {
		for _, dirty := range []bool{true, false} {
			s := scanned(t, mainLine, of("refs/heads/main", earlierCommit), domain.Source{Commit: laterCommit, Worktree: true, Dirty: dirty})
			if got := s.PreviousCommit(of("refs/heads/main", laterCommit)); got != earlierCommit {
				t.Errorf("it goes on from %s, want %s", got, earlierCommit)
			}
		}
	}
}

// A branch beside the main line does not keep the main line from going on.
func TestTheMainLineGoesOnFromItself(t *testing.T) {
	t.Parallel()
	main, beside := of("refs/heads/main", earlierCommit), of("refs/heads/feature", laterCommit)
	s := scanned(t, "main", main, beside)
	if got := s.PreviousCommit(main); got != earlierCommit {
		t.Errorf("the main line continues from %s, want %s", got, earlierCommit)
	}
	if got := s.PreviousCommit(beside); got != laterCommit {
		t.Errorf("another branch continues from %s, want %s", got, laterCommit)
	}
	s = domain.Fold(s, change(domain.RepositorySettings{MainLine: "trunk"}))
	if got := s.PreviousCommit(of("refs/heads/trunk", "")); got != "" {
		t.Errorf("a new main line continues from %s, which is of another branch", got)
	}
	if got := scanned(t, "main", main, domain.Source{Worktree: true}).PreviousCommit(main); got != earlierCommit {
		t.Errorf("after files without a commit it continues from %q, want %s", got, earlierCommit)
	}
}
