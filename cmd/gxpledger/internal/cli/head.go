package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

// The head of an answer says which state of the record it shows (I16). Every command that answers from the tables or the
// log writes it, in each of its formats, with the code of this file:
//
//	screen   lines above the answer, or on standard error where standard output is for something else
//	JSON     as_of
//	CSV      the first columns of every row
//	HTML     the list at the top of the page

// headDocument is what every document begins with.
type headDocument struct {
	AsOf query.Shown `json:"as_of"`
}

// document is what the documents of v begin with.
func (v *view) document() headDocument { return headDocument{AsOf: v.Shown} }

// screenOf is the screen for what v shows. It begins with which state that is.
func (a *app) screenOf(v *view) *render.Screen { return a.screenOn(a.system.Stdout, v) }

// screenOn is screenOf for another writer.
func (a *app) screenOn(w io.Writer, v *view) *render.Screen {
	screen := render.NewScreen(w, a.terminal(w))
	showHead(screen, v.Shown)
	screen.Blank()
	return screen
}

// noteHead says on standard error which state v shows, where standard output is for something else.
func (a *app) noteHead(v *view) error {
	notes := a.notes()
	showHead(notes, v.Shown)
	return notes.Err()
}

// headTimeout bounds how long the command log waits for tables that say which scans the log holds.
const headTimeout = 10 * time.Second

// noteLogHead says on standard error which scans a log holds. Tables that cannot say so are named and are no failure: a
// log can be read without them.
func (a *app) noteLogHead(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	look := func() (err error) {
		v, err := a.openView(ctx, looking{needs: []string{gxpledger.Artifacts}})
		if err != nil {
			return err
		}
		defer func() { _ = v.Close() }() // nothing was written
		return a.noteHead(v)
	}
	if err := look(); err != nil {
		_, why := explain(ctx, err)
		notes := a.notes()
		notes.Line("the tables cannot say which scans this log holds: %s", why)
		return notes.Err()
	}
	return nil
}

// mostInHead is how many repositories a head names. It counts the others.
const mostInHead = 5

// showHead writes the head of an answer, one line for each repository.
func showHead(screen *render.Screen, p query.Shown) {
	if p.Given != "" {
		screen.Line("%s position %d of %d, recorded at %s.", render.Notice.Of("As of "+p.Given+":"), uint64(p.Position), uint64(p.Head), p.RecordedAt)
	}
	if len(p.Scans) == 0 && p.RetiredLeftOut == 0 {
		screen.Line("No scan was recorded.")
	}
	named, left := inHead(p)
	for _, s := range named {
		line := []any{render.Strong.Of(s.Repository), scanWords(s)}
		format := "%s: %s"
		if since := sinceWords(s); since != "" {
			format += "; %s"
			line = append(line, render.Bad.Of(since))
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

// inHead returns the repositories that a head names, and what it says of the others. Those whose last scan did not
// complete are named first, so that none of them is hidden behind the others.
func inHead(p query.Shown) (named []query.ShownScan, left []string) {
	named = slices.Clone(p.Scans)
	if more := len(named) - mostInHead; more > 0 {
		rank := func(s query.ShownScan) int {
			if s.Completed() {
				return 1
			}
			return 0
		}
		slices.SortStableFunc(named, func(a, b query.ShownScan) int { return cmp.Compare(rank(a), rank(b)) })
		line := "and " + render.CountOf(more, "repository", "repositories") + " more"
		incomplete := 0
		for _, s := range named[mostInHead:] {
			if !s.Completed() {
				incomplete++
			}
		}
		if incomplete > 0 {
			line += fmt.Sprintf(", %d of them with later scans that did not complete", incomplete)
		}
		named, left = named[:mostInHead], append(left, line+": see gxpledger scans")
	}
	if n := p.RetiredLeftOut; n > 0 {
		left = append(left, render.CountOf(n, "retired repository is", "retired repositories are")+" left out: --retired counts "+verb(n, "it", "them"))
	}
	return named, left
}

// scanWords says whose tree is shown.
func scanWords(s query.ShownScan) string {
	if s.Scan == 0 {
		return "no completed scan"
	}
	return fmt.Sprintf("scan %d, recorded at %s, %s", s.Scan, render.Time(s.RecordedAt), treeWords(s, render.Short(s.Commit)))
}

// treeWords says what a scan read; commit is its commit, whole or the first digits.
func treeWords(s query.ShownScan, commit string) string {
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

// sinceWords says that later scans did not complete; "" when none was tried.
func sinceWords(s query.ShownScan) string {
	if s.Since == nil {
		return ""
	}
	what := "did not complete"
	if s.Since.Refused == s.Since.Count {
		what = verb(int(s.Since.Count), "was refused", "were refused")
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

// headColumns are the columns that every CSV begins with. The names are stable.
func headColumns() []string {
	return []string{"repository", "scan", "scan_recorded_at", "commit", "tree", "not_completed_since", "as_of", "position", "recorded_at"}
}

// headCells are the values of headColumns for a row of a repository.
func headCells(p query.Shown, repositoryID, repository string) []string {
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
			tree, _, _ = strings.Cut(treeWords(s, ""), " commit")
		}
	}
	if s.Since != nil {
		since = sinceScans(s)
	}
	return []string{
		repository, scan, exactTime(s.RecordedAt), s.Commit, tree, since, p.Given, fmt.Sprint(uint64(p.Position)), exactTime(p.RecordedAt),
	}
}

// retiredFlag is the flag --retired of the commands that judge what is traced.
type retiredFlag struct{ include bool }

func (f *retiredFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.include, "retired", false, "count retired repositories too (default: only one that --repository names)")
}

// leaveOut narrows v to the repositories that are judged, and reports whether retired ones are not among them.
func (f *retiredFlag) leaveOut(v *view) bool {
	without := v.repository == "" && !f.include
	if without {
		v.Shown.LeaveOutRetired()
	}
	return without
}

// judged returns the error of an answer that would be about nothing: because no repository was selected, or because no
// scan of one of them ever completed, so that nothing is known of it. It says whether something is known of others.
func (v *view) judged() (others bool, err error) {
	if len(v.Shown.Scans) == 0 {
		if v.Shown.RetiredLeftOut > 0 {
			return false, failed(nil, "every repository is retired: name one with --repository, or add --retired")
		}
		return false, query.ErrEmpty
	}
	var never []string
	for _, s := range v.Shown.Scans {
		if s.Scan == 0 {
			never = append(never, fmt.Sprintf("%q", s.Repository))
		}
	}
	if len(never) == 0 {
		return true, nil
	}
	names := strings.Join(never[:min(len(never), mostInHead)], ", ")
	if more := len(never) - mostInHead; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return len(never) < len(v.Shown.Scans), failed(nil, "no scan of %s completed, so nothing is known of %s: see gxpledger scans --failed",
		names, verb(len(never), "it", "them"))
}

// incomplete reports whether the last scan of a repository that is shown did not complete.
func (v *view) incomplete() bool {
	return slices.ContainsFunc(v.Shown.Scans, func(s query.ShownScan) bool { return !s.Completed() })
}
