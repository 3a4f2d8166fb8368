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
	Filter []render.Filter `json:"filter,omitempty"` // in force
	trace.Gaps
}

type gapsOptions struct {
	readOptions
	documentOptions
	failOn    statesFlag
	states    statesFlag
	selection trace.Selection
}

func newGaps(a *app) *cobra.Command {
	o := &gapsOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "Find gaps in traceability: broken links, untested or unverified artifacts",
		Long: "Find gaps in traceability: broken links, requirements without a user story, user stories without a spec, and specs\n" +
			"without valid evidence. Evidence is valid when the operator's key verifies its signature, every check of its package\n" +
			"passed, and it claims no failed test. Findings are listed apart: ids that two artifacts claim, artifacts that lead to\n" +
			"nothing above them, and suspect artifacts, whose upstream changed after them. The states are those of matrix.\n" +
			"The exit code is 3 when there is a gap, or with --fail-on a gap, a finding or a transitive artifact in one of these\n" +
			"states; and always 3 when the last scan of a repository did not complete, since the answer is about an older one. It\n" +
			"is 1 when no scan of a repository ever completed, and else 0. Retired repositories are left out.\n\n" +
			"The filters choose by the requirements that an artifact leads to; all that are given must match, and all of the above is\n" +
			"about what they choose. An artifact has the risk of its requirements and the tier of its specs. Where these are not\n" +
			"known, since it leads to none, it may be of any: it is listed too, and the answer says how many those are.",
		Example: "  gxpledger gaps\n" +
			"  gxpledger gaps --risk high                            without valid evidence, or on the way to it\n" +
			"  gxpledger gaps --requirement REQ-001 --output gaps.html\n" +
			"  gxpledger gaps --fail-on failed,orphaned,suspect      in a pipeline that lets missing evidence pass\n" +
			"  gxpledger gaps --repository product --as-of scan:3 --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.chooseFormat(a, cmd); err != nil {
				return err
			}
			if err := checkWords(cmd, "risk", "tier"); err != nil {
				return err
			}
			o.selection.States = o.states
			return o.run(cmd.Context())
		},
	}
	o.add(cmd)
	o.addRetired(cmd)
	o.addDocument(cmd, formatCSV, formatHTML)
	cmd.Flags().StringVar(&o.selection.Risk, "risk", "", "filter by risk `RATING` of the requirements")
	cmd.Flags().StringVar(&o.selection.Tier, "tier", "", "filter by verification `TIER` of the specs")
	cmd.Flags().StringVar(&o.selection.Requirement, "requirement", "", "filter by `ID` or path of a requirement, with all that leads to it")
	cmd.Flags().Var(&o.states, "state", "filter by comma-separated `STATES` of the gap or finding: "+strings.Join(badStates(), ", "))
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
		if err := v.checkSelection(ctx, o.selection); err != nil {
			return err
		}
		gaps, err := v.SelectedGaps(ctx, query.Scope{RepositoryID: v.repositoryID, WithoutRetired: without}, o.selection)
		if err != nil {
			return err
		}
		filters := given(append([]render.Filter{{Name: "repository", Value: o.repository}}, o.filters()...)...)
		err = o.deliver(v, reportDocument(gapsDocument{v.head(), filters, gaps}, func(screen *render.Screen) { o.show(screen, v, gaps) },
			func() render.Report { return render.GapsReport(v.source(filters), gaps) }))
		if err != nil {
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

// filters are those of the selection in force.
func (o *gapsOptions) filters() []render.Filter {
	s := o.selection
	return given(render.Filter{Name: "risk", Value: s.Risk}, render.Filter{Name: "tier", Value: s.Tier},
		render.Filter{Name: "state", Value: o.states.String()}, render.Filter{Name: "requirement", Value: s.Requirement})
}

func (o *gapsOptions) show(screen *render.Screen, v *view, gaps trace.Gaps) {
	if filter := render.FilterWords(o.filters()); filter != "" {
		screen.Field("Filter", "%s", filter)
		if gaps.Unknown > 0 {
			screen.Line("%s", render.Notice.Of(render.UnknownWords(gaps.Unknown)))
		}
		screen.Blank()
	}
	for _, group := range render.GapGroups() {
		var of []trace.Gap
		for _, g := range gaps.Gaps {
			if g.Gap == group.Gap {
				of = append(of, g)
			}
		}
		if len(of) > 0 {
			screen.Line("%s", render.Bad.Of(render.CountOf(len(of), group.One, group.Many)))
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

// statesFlag is a list of states of the matrix, of those that its flag takes: all but covered for what is wrong.
type statesFlag []trace.State

// anyStates is a statesFlag that takes covered too.
type anyStates struct{ *statesFlag }

// Set reads states, separated by commas.
func (f anyStates) Set(text string) error { return f.set(text, allStates()) }

// allStates returns every state.
func allStates() []string {
	var out []string
	for _, s := range trace.States() {
		out = append(out, string(s))
	}
	return out
}

var _ pflag.Value = (*statesFlag)(nil)

// badStates returns what the flag takes: every state but covered.
func badStates() []string {
	return slices.DeleteFunc(allStates(), func(s string) bool { return s == string(trace.StateCovered) })
}

// Set reads states, separated by commas. A second flag adds to the first.
func (f *statesFlag) Set(text string) error { return f.set(text, badStates()) }

func (f *statesFlag) set(text string, states []string) error {
	for word := range strings.SplitSeq(text, ",") {
		state := query.Normal(strings.TrimSpace(word))
		if !slices.Contains(states, state) {
			want := "want states, separated by commas: " + strings.Join(states, ", ")
			if near := spelling.Nearest(state, states, 1); len(near) > 0 {
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
		t.Add(v.of(g.Repository), g.Name(), g.Title, render.GapRisk(g), g.Edge, g.Target, state, render.GapEvidence(g), g.Key())
	}
	return t
}

func showCoverage(screen *render.Screen, c trace.Coverage) {
	t := render.NewList("Coverage", "Covered>", "Of>")
	for _, row := range render.CoverageRows(c) {
		t.Add(row.What, row.Covered.Covered, row.Covered.Total)
	}
	screen.List(t)
}
