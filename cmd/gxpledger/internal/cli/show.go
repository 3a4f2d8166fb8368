package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

type showOptions struct {
	app        *app
	repository repositoryFlag
	asOf       asOfFlag
	subject    subject
	id         string
	filter     query.ArtifactFilter
}

// subject is what show can show.
type subject struct {
	name  string      // plural, as help writes it
	one   string      // of it
	words []string    // by which it may be named, beside name
	shelf query.Shelf // of artifacts; "" for what is none
	flags []string    // filters that apply, beside repository and query
	list  func(o *showOptions, ctx context.Context, v *view) error
}

func subjects() []subject {
	all := []string{"risk", "tier", "status", "parent"}
	artifacts := (*showOptions).showArtifacts
	return []subject{
		{"requirements", "requirement", []string{"req", "reqs"}, query.ShelfRequirements, all, artifacts},
		{"stories", "user story", []string{"story", "user-story", "user-stories"}, query.ShelfStories, all, artifacts},
		{"specs", "spec", []string{"spec", "specification", "specifications"}, query.ShelfSpecs, all, artifacts},
		{"evidence", "piece of evidence", []string{"evidences"}, query.ShelfEvidence, all, artifacts},
		{"risks", "risk", nil, query.ShelfRisks, all, artifacts},
		{"documents", "document", nil, query.ShelfDocuments, all, artifacts},
		{"adr", "decision record", []string{"adrs", "decision", "decisions"}, query.ShelfADRs, all, artifacts},
		{"vendor", "vendor assessment", []string{"vendors", "vendor-assessment", "vendor-assessments"}, query.ShelfVendors, all, artifacts},
		{"context", "system context", []string{"contexts", "system-context", "system-contexts"}, query.ShelfContexts, all, artifacts},
		{"links", "link", nil, "", []string{"status", "parent"}, (*showOptions).showLinks},
		{"findings", "finding", nil, "", nil, (*showOptions).showFindings},
		{"rejected", "rejected file", []string{"rejected-file", "rejected-files"}, "", nil, (*showOptions).showRejected},
	}
}

func newShow(a *app) *cobra.Command {
	o := &showOptions{app: a}
	cmd := &cobra.Command{
		Use:   "show KIND [ID]",
		Short: "Show artifacts as the last completed scan left them",
		Long: "Shows artifacts as the last completed scan left them, now or --as-of a point in time, or with an ID all that is known\n" +
			"of one. KIND is one of\n" +
			subjectNames() + ".\n" +
			"ID is a gxp_id, a path, or path#number for an entry of a risk log, exactly as written. Filters are compared without\n" +
			"regard to case, blanks and dashes; all that are given must hold.",
		Example: "  gxpledger show requirements --risk high\n" +
			"  gxpledger show requirement REQ-001\n" +
			"  gxpledger show requirement REQ-001 --as-of 2026-03-01\n" +
			"  gxpledger show specs --parent US-001-001 --status draft\n" +
			"  gxpledger show links --status missing\n" +
			"  gxpledger show evidence --query 2026-02",
		Args: func(cmd *cobra.Command, args []string) error {
			return takes(cmd, args, 1, 2, "KIND and at most one ID")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(cmd, args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.filter.Risk, "risk", "", "only this risk `RATING`")
	flags.StringVar(&o.filter.Tier, "tier", "", "only this verification `TIER`")
	flags.StringVar(&o.filter.Status, "status", "", "only where status, validation status or assurance status is `STATUS`; of links their state")
	flags.StringVar(&o.filter.Parent, "parent", "", "only what declares a link to this `ID`, wherever it leads")
	flags.StringVar(&o.filter.Text, "query", "", "only what holds this `TEXT` in id, path, title or fields, without regard to case")
	return cmd
}

func subjectNames() string {
	names := make([]string, 0, len(subjects()))
	for _, s := range subjects() {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

func (o *showOptions) validate(cmd *cobra.Command, args []string) error {
	found, err := findSubject(args[0])
	if err != nil {
		return err
	}
	o.subject = found
	if len(args) > 1 {
		if o.id = args[1]; o.id == "" {
			return usage("the ID is empty: leave it out to list all %s", found.name)
		}
	}
	var fault error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		filters := []string{"risk", "tier", "status", "parent"}
		if fault == nil && slices.Contains(filters, f.Name) && !slices.Contains(found.flags, f.Name) {
			fault = usage("the flag --%s does not apply to %s: leave it out, or search with --query", f.Name, found.name)
		}
	})
	return fault
}

// findSubject finds what a word names: in the singular or the plural, with a hyphen, underscore or blank.
func findSubject(word string) (subject, error) {
	plain := strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(word))
	var known []string
	for _, s := range subjects() {
		names := append([]string{s.name, strings.TrimSuffix(s.name, "s"), strings.ReplaceAll(s.one, " ", "-")}, s.words...)
		if slices.Contains(names, plain) {
			return s, nil
		}
		known = append(known, s.name)
	}
	return subject{}, usage("%q is nothing to show: %s", word, didYouMean(plain, known, "want one of "+subjectNames()))
}

func (o *showOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{o.asOf, o.repository, []string{artifactTables, historyTables}}, func(v *view) error {
		id, err := o.repository.id(ctx, v)
		if err != nil {
			return err
		}
		o.filter.RepositoryID, o.filter.ID = id, o.id
		return o.subject.list(o, ctx, v)
	})
}

// end says how many rows there are, or why there are none.
func (o *showOptions) end(screen *render.Screen, n int) error {
	switch {
	case n == 0 && o.filtered():
		screen.Line("No %s matches.", o.subject.one)
	case n == 0:
		screen.Line("There is no %s.", o.subject.one)
	default:
		screen.Blank()
		screen.Line("%s", faintCount(n, o.subject))
	}
	return screen.Err()
}

func faintCount(n int, s subject) render.Styled {
	many := s.one + "s"
	switch s.name {
	case "stories":
		many = "user stories"
	case "evidence":
		many = "pieces of evidence"
	}
	return render.Faint.Of(fmt.Sprintf("%d %s", n, verb(n, s.one, many)))
}

func (o *showOptions) filtered() bool {
	f := o.filter
	return f.Risk+f.Tier+f.Status+f.Parent+f.Text+f.ID+o.repository.name != ""
}
