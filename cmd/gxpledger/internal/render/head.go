package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/projections/query"
)

// The head of an answer says which state of the record it shows (I16). Every command that answers from the tables or the
// log writes it, in each of its formats, with the code of this file:
//
//	screen   lines above the answer, or on standard error where standard output is for something else
//	JSON     as_of
//	CSV      the first columns of every row
//	HTML     the list at the top of the page

// MostInHead is how many repositories a head names. It counts the others.
const MostInHead = 5

// Head writes the head of an answer, one line for each repository.
func Head(screen *Screen, p query.Shown) {
	if p.Given != "" {
		screen.Line("%s position %d of %d, recorded at %s.", Notice.Of("As of "+PointWords(p.ResolvedPoint)+":"), uint64(p.Position), uint64(p.Head), p.RecordedAt)
	}
	if len(p.Scans) == 0 && p.RetiredLeftOut == 0 {
		screen.Line("No scan was recorded.")
	}
	named, left := NamedInHead(p)
	for _, s := range named {
		line := []any{Strong.Of(s.Repository), ScanWords(s)}
		format := "%s: %s"
		if since := SinceWords(s); since != "" {
			format += "; %s"
			line = append(line, Bad.Of(since))
		}
		if !s.RetiredAt.IsZero() {
			format += "; retired at %s"
			line = append(line, s.RetiredAt)
		}
		screen.Line(format, line...)
	}
	for _, line := range left {
		screen.Line("%s", line)
	}
}

// PointWords returns a point as it was given, and that dates of commits are claims where it was found by them.
func PointWords(p query.ResolvedPoint) string {
	if p.ByCommitDate {
		return p.Given + " (by commit dates, which git claims)"
	}
	return p.Given
}

// NamedInHead returns the repositories that a head names, and what it says of the others. Those whose last scan did not
// complete are named first, so that none of them is hidden behind the others.
func NamedInHead(p query.Shown) (named []query.ShownScan, left []string) {
	named = slices.Clone(p.Scans)
	if more := len(named) - MostInHead; more > 0 {
		rank := func(s query.ShownScan) int {
			if s.Completed() {
				return 1
			}
			return 0
		}
		slices.SortStableFunc(named, func(a, b query.ShownScan) int { return cmp.Compare(rank(a), rank(b)) })
		line := "and " + CountOf(more, "repository", "repositories") + " more"
		incomplete := 0
		for _, s := range named[MostInHead:] {
			if !s.Completed() {
				incomplete++
			}
		}
		if incomplete > 0 {
			line += fmt.Sprintf(", %d of them with later scans that did not complete", incomplete)
		}
		named, left = named[:MostInHead], append(left, line+": see gxpledger scans")
	}
	if n := p.RetiredLeftOut; n > 0 {
		left = append(left, CountOf(n, "retired repository is", "retired repositories are")+" left out: --retired counts "+Verb(n, "it", "them"))
	}
	return named, left
}

// ScanWords says whose tree is shown.
func ScanWords(s query.ShownScan) string {
	if s.Scan == 0 {
		return "no completed scan"
	}
	return fmt.Sprintf("scan %d, recorded at %s, %s", s.Scan, Time(s.RecordedAt), TreeWords(s, Short(s.Commit)))
}

// TreeWords says what a scan read; commit is its commit, whole or the first digits.
func TreeWords(s query.ShownScan, commit string) string {
	switch {
	case s.Worktree && s.Commit == "":
		return "work tree without a commit"
	case s.Worktree && s.Dirty:
		return "work tree, changed since commit " + commit
	case s.Worktree:
		return "work tree, as in commit " + commit
	}
	return "commit " + commit
}

// SinceWords says that later scans did not complete; "" when none was tried.
func SinceWords(s query.ShownScan) string {
	if s.Since == nil {
		return ""
	}
	what := "did not complete"
	if s.Since.Refused == s.Since.Count {
		what = Verb(int(s.Since.Count), "was refused", "were refused")
	}
	since := " since"
	if s.Scan == 0 {
		since = ""
	}
	return sinceScans(s) + " " + what + since + ": see gxpledger scans"
}

// sinceScans names the later scans that did not complete.
func sinceScans(s query.ShownScan) string {
	if s.Since.First == s.Since.Last {
		return fmt.Sprintf("scan %d", s.Since.First)
	}
	return fmt.Sprintf("scans %d to %d", s.Since.First, s.Since.Last)
}

// HeadColumns are the columns that every CSV begins with. The names are stable.
func HeadColumns() []string {
	return []string{"repository", "scan", "scan_recorded_at", "commit", "tree", "not_completed_since", "as_of", "position", "recorded_at"}
}

// HeadCells are the values of HeadColumns for a row of a repository.
func HeadCells(p query.Shown, repositoryID, repository string) []string {
	s := query.ShownScan{Repository: repository}
	for _, o := range p.Scans {
		if o.RepositoryID == repositoryID {
			s = o
		}
	}
	scan, tree, since := "", "", ""
	if s.Scan > 0 {
		scan, tree = fmt.Sprint(s.Scan), "commit"
		if s.Worktree {
			tree, _, _ = strings.Cut(TreeWords(s, ""), " commit")
		}
	}
	if s.Since != nil {
		since = sinceScans(s)
	}
	return []string{
		repository, scan, ExactTime(s.RecordedAt), s.Commit, tree, since, p.Given, fmt.Sprint(uint64(p.Position)), ExactTime(p.RecordedAt),
	}
}

// ExactTime is a time to the microsecond, as the record has it; "" for none.
func ExactTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
