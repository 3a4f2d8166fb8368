package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	readOptions
	failOn statesFlag
}

func newGaps(a *app) *cobra.Command {
	o := &gapsOptions{readOptions{app: a}, nil}
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "Find gaps in traceability: broken links, untested or unverified artifacts",
		Long: "Find gaps in traceability: broken links, requirements without a user story, user stories without a spec, and specs\n" +
			"without valid evidence. Evidence is valid when the operator's key verifies its signature, every check of its package\n" +
			"passed, and it claims no failed test. Findings are listed apart: ids that two artifacts claim, artifacts that lead to\n" +
			"nothing above them, and suspect artifacts, whose upstream changed after them. The states are those of matrix.\n" +
			"The exit code is 3 when there is a gap, or with --fail-on a gap, a finding or a transitive artifact in one of these\n" +
			"states; and always 3 when the last scan of a repository did not complete, since the answer is about an older one. It\n" +
			"is 1 when no scan of a repository ever completed, and else 0. Retired repositories are left out.",
		Example: "  gxpledger gaps\n" +
			"  gxpledger gaps --fail-on failed,orphaned,suspect      in a pipeline that lets missing evidence pass\n" +
			"  gxpledger gaps --repository product --as-of scan:3 --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.add(cmd)
	o.addRetired(cmd)
	cmd.Flags().Var(&o.failOn, "fail-on", "comma-separated `STATES` that set exit code 3: "+strings.Join(badStates(), ", ")+" (default: any gap)")
	return cmd
}

func (o *gapsOptions) run(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		without := o.leaveOutRetired(v)
		others, unknown := v.judged()
		if !others {
			return unknown
		}
		gaps, err := v.Gaps(ctx, query.Scope{RepositoryID: v.repositoryID, WithoutRetired: without})
		if err != nil {
			return err
		}
		if err := v.answer(gapsDocument{v.head(), gaps}, func(screen *render.Screen) { o.show(screen, v, gaps) }); err != nil {
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

func (o *gapsOptions) show(screen *render.Screen, v *view, gaps trace.Gaps) {
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
			screen.Line("%s", render.Bad.Of(render.CountOf(len(of), group.one, group.many)))
			screen.List(gapTable(v, of))
			screen.Blank()
		}
	}
	if len(gaps.Gaps) == 0 {
		none := render.Good.Of("No gaps.")
		if v.incomplete() {
			none = render.Notice.Of("No gaps in the completed scans. Later scans did not complete: the revisions that they read may have gaps.")
		}
		screen.Line("%s", none)
		screen.Blank()
	}
	showGapFindings(screen, v, gaps.Findings)
	showCoverage(screen, gaps.Coverage)
	o.showFailOn(screen, gaps)
}

// showGapFindings lists what is not a gap and should be looked at.
func showGapFindings(screen *render.Screen, v *view, findings []trace.Gap) {
	if len(findings) == 0 {
		return
	}
	screen.Line("%s", render.Notice.Of(render.Count(len(findings), "finding")+", not "+render.Verb(len(findings), "a gap", "gaps")))
	t := render.NewList("Repository", "ID", "Title", "State", "Why", "Path")
	for _, n := range findings {
		t.Add(v.of(n.Repository), n.Name(), n.Title, n.State.Words(), n.Text, n.Key())
	}
	screen.List(t)
	screen.Blank()
}

// showFailOn counts the states that the exit code depends on.
func (o *gapsOptions) showFailOn(screen *render.Screen, gaps trace.Gaps) {
	if len(o.failOn) == 0 {
		return
	}
	parts := make([]string, len(o.failOn))
	for i, state := range o.failOn {
		parts[i] = fmt.Sprintf("%d %s", gaps.Count(state), state.Words())
	}
	screen.Blank()
	screen.Field("Fail on", "%s", strings.Join(parts, ", "))
}

// statesFlag is a list of states of the matrix other than covered.
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

func gapTable(v *view, gaps []trace.Gap) *render.List {
	t := render.NewList("Repository", "ID", "Title", "Risk", "Link", "To", "State", "Evidence", "Path")
	for _, g := range gaps {
		state := ""
		if g.Gap == trace.GapBrokenLink {
			state = map[trace.State]string{trace.StateOrphaned: "missing", trace.StateWrongKind: "wrong kind"}[g.State]
		}
		t.Add(v.of(g.Repository), g.Name(), g.Title, g.Risk, g.Edge, g.Target, state, gapEvidence(g), g.Key())
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
		what := trace.EvidenceWord(e.State, e.Reason, e.Detail)
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
	t := render.NewList("Coverage", "Covered>", "Of>")
	for _, row := range []struct {
		what    string
		covered trace.Covered
	}{
		{"resolved links", c.Links},
		{"requirements with a user story", c.Requirements},
		{"user stories with a spec", c.Stories},
		{"specs with valid evidence", c.Specs},
	} {
		t.Add(row.what, row.covered.Covered, row.covered.Total)
	}
	screen.List(t)
}
