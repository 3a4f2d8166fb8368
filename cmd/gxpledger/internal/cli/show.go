package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

type showOptions struct {
	readOptions
	subject subject
	id      string
	filter  query.ArtifactFilter
}

// subject is what show can show.
type subject struct {
	name      string // as help writes it
	one, many string
	words     []string            // by which it may be named, beside name
	group     trace.ArtifactGroup // of artifacts; "" for others
	flags     []string            // filters that apply, beside repository and query
	show      func(o *showOptions, ctx context.Context, v *view) error
}

func subjects() []subject {
	var all []subject
	for _, g := range trace.AllGroups() {
		info := g.Info()
		words := append([]string{info.One, info.Many}, info.Words...)
		if len(info.Kinds) == 1 {
			words = append(words, string(info.Kinds[0]))
		}
		for i := range words {
			words[i] = plainWord(words[i])
		}
		all = append(all, subject{
			info.Words[0], info.One, info.Many, words, g, []string{"risk", "tier", "status", "parent"}, (*showOptions).showArtifacts,
		})
	}
	return append(all, []subject{
		{"links", "link", "links", nil, "", []string{"status", "parent"}, (*showOptions).showLinks},
		{"findings", "finding", "findings", nil, "", nil, (*showOptions).showFindings},
		{"ignored", "ignored file", "ignored files", []string{"ignored-file", "ignored-files"}, "", nil, (*showOptions).showIgnored},
		{"rejected", "rejected file", "rejected files", []string{"rejected-file", "rejected-files"}, "", nil, (*showOptions).showRejected},
	}...)
}

// plainWord is a word in lower case, with hyphens.
func plainWord(word string) string {
	return strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(word))
}

func newShow(a *app) *cobra.Command {
	o := &showOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "show KIND [ID]",
		Short: "Show artifacts as of the last completed scan",
		Long: "Show artifacts as of the last completed scan, now or --as-of a point in time, or with an ID the details of one.\n" +
			"KIND is one of\n" + subjectNames() + ".\n" +
			"ID is a gxp_id, a path, or path#number for an entry of a risk log, exactly as written. Filters ignore case, blanks and\n" +
			"dashes; all that are given must match.",
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
	o.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.filter.Risk, "risk", "", "filter by risk `RATING`")
	flags.StringVar(&o.filter.Tier, "tier", "", "filter by verification `TIER`")
	flags.StringVar(&o.filter.Status, "status", "", "filter by `STATUS`, validation status or assurance status; for links, by state")
	flags.StringVar(&o.filter.Parent, "parent", "", "filter by declared link to this `ID`")
	flags.StringVar(&o.filter.Text, "query", "", "filter by `TEXT` in id, path, title or fields, ignoring case")
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
		o.id = args[1]
	}
	var fault error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		filters := []string{"risk", "tier", "status", "parent"}
		if fault == nil && slices.Contains(filters, f.Name) && !slices.Contains(found.flags, f.Name) {
			fault = usage("the flag --%s does not apply to %s: leave it out, or search with --query", f.Name, found.name)
		}
		if fault == nil && slices.Contains(filters[:3], f.Name) && query.Normal(f.Value.String()) == "" {
			fault = usage("the flag --%s does not take %q: want a word with more than blanks and dashes", f.Name, f.Value.String())
		}
	})
	return fault
}

// findSubject finds what a word names: in the singular or the plural, with a hyphen, underscore or blank.
func findSubject(word string) (subject, error) {
	plain := plainWord(word)
	var known []string
	for _, s := range subjects() {
		if plain == s.name || plain == s.one || slices.Contains(s.words, plain) {
			return s, nil
		}
		known = append(known, s.name)
	}
	return subject{}, usage("unknown artifact kind %q: %s", word, didYouMean(plain, known, "want one of "+subjectNames()))
}

func (o *showOptions) run(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		o.filter.RepositoryID, o.filter.ID = v.repositoryID, o.id
		return o.subject.show(o, ctx, v)
	})
}

// end says how many rows there are, or with the note why there are none.
func (o *showOptions) end(screen *render.Screen, n int, note string) {
	switch {
	case note != "":
		screen.Line("%s", note)
	case n == 0:
		screen.Line("There is no %s.", o.subject.one)
	default:
		screen.Blank()
		screen.Line("%s", render.Faint.Of(render.CountOf(n, o.subject.one, o.subject.many)))
	}
}

// note says why there are no rows, and which values would have matched; "" when there are some, or nothing was filtered.
func (o *showOptions) note(ctx context.Context, v *view, n int) (string, error) {
	if n > 0 {
		return "", nil
	}
	var risks, tiers, statuses, parents []string
	if o.subject.group != "" && o.filter.Risk+o.filter.Tier+o.filter.Status+o.filter.Parent != "" {
		all, err := v.Artifacts(ctx, o.subject.group, query.ArtifactFilter{RepositoryID: o.filter.RepositoryID})
		if err != nil {
			return "", err
		}
		risks, tiers, statuses, parents = []string{}, []string{}, []string{}, []string{}
		for _, a := range all {
			risks, tiers = append(risks, a.Risk), append(tiers, a.Tier)
			statuses = append(statuses, a.Status, a.ValidationStatus, a.AssuranceStatus)
			for _, l := range a.Links {
				parents = append(parents, l.Target)
			}
		}
	}
	if o.subject.name == "links" {
		all, err := v.Links(ctx, query.LinkFilter{RepositoryID: o.filter.RepositoryID})
		if err != nil {
			return "", err
		}
		statuses, parents = []string{}, []string{}
		for _, s := range trace.LinkStates() {
			statuses = append(statuses, string(s))
		}
		for _, l := range all {
			parents = append(parents, l.Target)
		}
	}
	f := o.filter
	return noMatch(o.subject.one, givenFilter{name: "ID", value: o.id}, word("--risk", f.Risk, risks), word("--tier", f.Tier, tiers),
		word("--status", f.Status, statuses), givenFilter{name: "--parent", value: f.Parent, present: parents},
		givenFilter{name: "--query", value: f.Text}, givenFilter{name: "--repository", value: o.repository}), nil
}
