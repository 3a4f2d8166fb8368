package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/internal/spelling"
	"github.com/gxpledger/gxpledger/projections/query"
)

// gapsDocument is the output of gaps --json.
type gapsDocument struct {
	headDocument
	trace.Gaps
}

type gapsOptions struct {
	app        *app
	repository repositoryFlag
	asOf       asOfFlag
	retired    retiredFlag
	failOn     statesFlag
}

func newGaps(a *app) *cobra.Command {
	o := &gapsOptions{app: a}
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "Find where the chain from requirement to evidence does not hold",
		Long: "Lists broken links, requirements that no user story leads to, user stories that no spec leads to, and specs that no\n" +
			"valid evidence leads to: its signature was verified by the operator's key, for a package every check passed, and it\n" +
			"claims no failed test. Apart from these it lists notices: ids that two artifacts claim, artifacts that lead to nothing\n" +
			"above them, and artifacts that something above was changed after (suspect). The states are those of matrix.\n" +
			"The exit code is 3 when there is any gap, or with --fail-on when there is a gap, a notice or a transitive artifact in\n" +
			"one of these states; and whatever --fail-on says when the last scan of a repository did not complete, since the answer\n" +
			"is about an older one. It is 1 when no scan of a repository ever completed, and 0 when there is no gap. Retired\n" +
			"repositories do not count.",
		Example: "  gxpledger gaps\n" +
			"  gxpledger gaps --fail-on failed,orphaned,suspect      in a pipeline that lets missing evidence pass\n" +
			"  gxpledger gaps --repository product --as-of scan:3 --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	o.retired.add(cmd)
	cmd.Flags().Var(&o.failOn, "fail-on", "exit code 3 for these `STATES` alone, separated by commas: "+strings.Join(badStates(), ", ")+" (default: any gap)")
	return cmd
}

func (o *gapsOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{o.asOf, o.repository, []string{gxpledger.Artifacts, gxpledger.History}}, func(v *view) error {
		id, err := o.repository.id(ctx, v)
		if err != nil {
			return err
		}
		without := o.retired.leaveOut(v)
		others, unknown := v.judged()
		if !others {
			return unknown
		}
		gaps, err := v.Gaps(ctx, query.Scope{RepositoryID: id, WithoutRetired: without})
		if err != nil {
			return err
		}
		several, err := o.repository.several(ctx, v)
		if err != nil {
			return err
		}
		if err := o.show(v, gaps, several); err != nil {
			return err
		}
		if unknown != nil {
			return unknown
		}
		if v.incomplete() || len(o.failOn) == 0 && len(gaps.Gaps) > 0 || gaps.Has(o.failOn) {
			return found()
		}
		return nil
	})
}

func (o *gapsOptions) show(v *view, gaps trace.Gaps, several bool) error { //revive:disable-line:flag-parameter // a fact of the log, not a switch
	if o.app.json {
		return o.app.document(gapsDocument{v.document(), gaps})
	}
	screen := o.app.screenOf(v)
	for _, group := range []struct{ gap, one, many string }{
		{trace.GapBrokenLink, "broken link", "broken links"},
		{trace.GapNoStory, "requirement without a user story", "requirements without a user story"},
		{trace.GapNoSpec, "user story without a spec", "user stories without a spec"},
		{trace.GapNoEvidence, "spec without valid evidence", "specs without valid evidence"},
	} {
		var of []trace.Gap
		for _, g := range gaps.Gaps {
			if g.Gap == group.gap {
				of = append(of, g)
			}
		}
		if len(of) > 0 {
			screen.Line("%s", render.Bad.Of(fmt.Sprintf("%d %s", len(of), verb(len(of), group.one, group.many))))
			gapTable(of, several).show(screen)
			screen.Blank()
		}
	}
	if len(gaps.Gaps) == 0 {
		none := render.Good.Of("No gaps.")
		if v.incomplete() {
			none = render.Notice.Of("No gaps in the scans that completed. Later scans did not complete: what they read may have gaps.")
		}
		screen.Line("%s", none)
		screen.Blank()
	}
	showNotices(screen, gaps.Notices, several)
	showCoverage(screen, gaps.Coverage)
	o.showFailOn(screen, gaps)
	return screen.Err()
}

// showNotices lists what is no gap and should be looked at.
func showNotices(screen *render.Screen, notices []trace.Gap, several bool) { //revive:disable-line:flag-parameter // a fact of the log, not a switch
	if len(notices) == 0 {
		return
	}
	screen.Line("%s", render.Notice.Of(render.Count(len(notices), "notice")+", which are no gaps"))
	t := columns("Repository", "ID", "Title", "State", "Why", "Path")
	for _, n := range notices {
		repository := ""
		if several {
			repository = n.Repository
		}
		t.Add(repository, n.Name(), n.Title, n.State.Words(), n.Text, n.Key())
	}
	t.show(screen)
	screen.Blank()
}

// showFailOn says how often there is what the exit code depends on.
func (o *gapsOptions) showFailOn(screen *render.Screen, gaps trace.Gaps) {
	if len(o.failOn) == 0 {
		return
	}
	parts := make([]string, len(o.failOn))
	for i, state := range o.failOn {
		parts[i] = fmt.Sprintf("%d %s", gaps.Count(state), state.Words())
	}
	screen.Blank()
	field(screen, "Fail on", "%s", strings.Join(parts, ", "))
}

// statesFlag is a list of states of the matrix that one does not hope for.
type statesFlag []trace.State

var _ pflag.Value = (*statesFlag)(nil)

// badStates returns what the flag takes: every state but covered.
func badStates() []string {
	var out []string
	for _, s := range trace.States() {
		if s != trace.StateCovered {
			out = append(out, string(s))
		}
	}
	return out
}

// Set reads states, separated by commas. A second flag adds to the first.
func (f *statesFlag) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		state := query.Normal(strings.TrimSpace(word))
		if !slices.Contains(badStates(), state) {
			want := "want states, separated by commas: " + strings.Join(badStates(), ", ")
			if near := spelling.Nearest(state, badStates(), 1); len(near) > 0 {
				want += "; did you mean " + near[0] + "?"
			}
			return wrongValue("%s", want)
		}
		if !slices.Contains(*f, trace.State(state)) {
			*f = append(*f, trace.State(state))
		}
	}
	return nil
}

// String lists the states.
func (f *statesFlag) String() string {
	out := make([]string, len(*f))
	for i, s := range *f {
		out[i] = string(s)
	}
	return strings.Join(out, ",")
}

// Type names the value in the help.
func (*statesFlag) Type() string { return "STATES" }

func gapTable(gaps []trace.Gap, several bool) *table { //revive:disable-line:flag-parameter // a fact of the log, not a switch
	t := columns("Repository", "ID", "Title", "Risk", "Link", "To", "State", "Evidence", "Path")
	for _, g := range gaps {
		repository := ""
		if several {
			repository = g.Repository
		}
		state := ""
		if g.Gap == trace.GapBrokenLink {
			state = map[trace.State]string{trace.StateOrphaned: "missing", trace.StateWrongKind: "wrong kind"}[g.State]
		}
		t.Add(repository, g.Name(), g.Title, g.Risk, g.Edge, g.Target, state, gapEvidence(g), g.Key())
	}
	return t
}

// gapEvidence says what there is instead of valid evidence.
func gapEvidence(g trace.Gap) string {
	if g.Gap != trace.GapNoEvidence {
		return ""
	}
	if len(g.Evidence) == 0 {
		return "none"
	}
	var order []string
	counts := map[string]int{}
	for _, e := range g.Evidence {
		what := trace.EvidenceWord(e.State, e.Reason)
		if counts[what] == 0 {
			order = append(order, what)
		}
		counts[what]++
	}
	for i, what := range order {
		order[i] = fmt.Sprintf("%d %s", counts[what], what)
	}
	return strings.Join(order, ", ")
}

func showCoverage(screen *render.Screen, c trace.Coverage) {
	t := columns("Coverage", "Covered>", "Of>")
	for _, row := range []struct {
		what    string
		covered trace.Covered
	}{
		{"sound links", c.Links},
		{"requirements with a user story", c.Requirements},
		{"user stories with a spec", c.Stories},
		{"specs with valid evidence", c.Specs},
	} {
		t.Add(row.what, row.covered.Covered, row.covered.Total)
	}
	t.show(screen)
}
