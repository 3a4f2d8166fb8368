package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// gapsDocument is the output of gaps --json.
type gapsDocument struct {
	pastDocument
	Gaps     []query.Gap    `json:"gaps"`
	Coverage query.Coverage `json:"coverage"`
}

type gapsOptions struct {
	app        *app
	repository repositoryFlag
	asOf       asOfFlag
}

func newGaps(a *app) *cobra.Command {
	o := &gapsOptions{app: a}
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "Find where the chain from requirement to evidence does not hold",
		Long: "Lists broken links, requirements that no user story leads to, user stories that no spec leads to, and specs that no\n" +
			"valid evidence leads to: its signature was verified by the operator's key, for a package every check passed, and it\n" +
			"claims no failed test.\n" +
			"The exit code is 3 when there is any gap, and 0 when there is none.",
		Example: "  gxpledger gaps\n" +
			"  gxpledger gaps --repository product --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	return cmd
}

func (o *gapsOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, o.asOf, o.repository, func(v *view) error {
		id, err := o.repository.id(ctx, v)
		if err != nil {
			return err
		}
		gaps, coverage, err := v.query.Gaps(ctx, query.GapFilter{RepositoryID: id})
		if err != nil {
			return err
		}
		several, err := o.repository.several(ctx, v)
		if err != nil {
			return err
		}
		if err := o.show(v, gaps, coverage, several); err != nil {
			return err
		}
		if len(gaps) > 0 {
			return found()
		}
		return nil
	})
}

func (o *gapsOptions) show(v *view, gaps []query.Gap, coverage query.Coverage, several bool) error { //revive:disable-line:flag-parameter // a fact of the log, not a switch
	if o.app.json {
		return o.app.document(gapsDocument{v.document(), gaps, coverage})
	}
	screen := o.app.screenOf(v)
	for _, group := range []struct{ gap, one, many string }{
		{query.GapBrokenLink, "broken link", "broken links"},
		{query.GapNoStory, "requirement without a user story", "requirements without a user story"},
		{query.GapNoSpec, "user story without a spec", "user stories without a spec"},
		{query.GapNoEvidence, "spec without valid evidence", "specs without valid evidence"},
	} {
		var of []query.Gap
		for _, g := range gaps {
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
	if len(gaps) == 0 {
		screen.Line("%s", render.Good.Of("No gaps."))
		screen.Blank()
	}
	showCoverage(screen, coverage)
	return screen.Err()
}

func gapTable(gaps []query.Gap, several bool) *table { //revive:disable-line:flag-parameter // a fact of the log, not a switch
	t := columns("Repository", "ID", "Title", "Risk", "Link", "To", "State", "Evidence", "Path")
	for _, g := range gaps {
		repository := ""
		if several {
			repository = g.Repository
		}
		state := ""
		if g.Gap == query.GapBrokenLink {
			state = map[string]string{query.StateOrphaned: "missing", query.StateWrongKind: "wrong kind"}[g.State]
		}
		path := g.Path
		if g.Ordinal > 0 {
			path = fmt.Sprintf("%s#%d", g.Path, g.Ordinal)
		}
		t.Add(repository, g.Name(), g.Title, g.Risk, g.Edge, g.Target, state, gapEvidence(g), path)
	}
	return t
}

// gapEvidence says what there is instead of valid evidence.
func gapEvidence(g query.Gap) string {
	if g.Gap != query.GapNoEvidence {
		return ""
	}
	if len(g.Evidence) == 0 {
		return "none"
	}
	counts := map[string]int{}
	for _, e := range g.Evidence {
		counts[e.Overall]++
	}
	var parts []string
	for _, unfit := range []struct{ overall, text string }{
		{"valid", "with failed tests"}, {"invalid", "invalid"}, {"unverifiable", "unverifiable"},
	} {
		if n := counts[unfit.overall]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unfit.text))
		}
	}
	return strings.Join(parts, ", ")
}

func showCoverage(screen *render.Screen, c query.Coverage) {
	t := columns("Coverage", "Covered>", "Of>")
	for _, row := range []struct {
		what    string
		covered query.Covered
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
