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
	"github.com/gxpledger/gxpledger/projections/query"
)

type showOptions struct {
	readOptions
	subject subject
	id      string
	filter  query.ArtifactFilter

	states      statesFlag // of the matrix
	requirement string     // that the artifact leads to
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
		flags := []string{"risk", "tier", "status", "parent"}
		if _, traced := levelOf(g); traced {
			flags = append(flags, "state", "requirement")
		}
		all = append(all, subject{info.Words[0], info.One, info.Many, words, g, flags, (*showOptions).showArtifacts})
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
			"dashes; all that are given must match. User stories, specs and evidence have the risk of the requirements that they lead\n" +
			"to, and all but specs the tier of their specs.",
		Example: "  gxpledger show requirements --risk high\n" +
			"  gxpledger show specs --risk high --state missing,unverified,failed\n" +
			"  gxpledger show evidence --requirement REQ-001\n" +
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
	flags.Var(anyStates{&o.states}, "state", "filter by comma-separated `STATES` of the matrix: "+strings.Join(allStates(), ", "))
	flags.StringVar(&o.requirement, "requirement", "", "filter by `ID` or path of a requirement that the artifact is or leads to")
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
		filters := []string{"risk", "tier", "status", "parent", "state", "requirement"}
		if fault == nil && slices.Contains(filters, f.Name) && !slices.Contains(found.flags, f.Name) {
			fault = usage("the flag --%s does not apply to %s: leave it out, or search with --query", f.Name, found.name)
		}
	})
	if fault != nil {
		return fault
	}
	return checkWords(cmd, "risk", "tier", "status")
}

// checkWords refuses a filter by a word that is blanks and dashes alone, which would filter nothing.
func checkWords(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if f := cmd.Flags().Lookup(name); f.Changed && query.Normal(f.Value.String()) == "" {
			return usage("the flag --%s does not take %q: want a word with more than blanks and dashes", name, f.Value.String())
		}
	}
	return nil
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
	f, s := o.filter, o.selection()
	if s.Risk != "" {
		risks = nil // they are of others
	}
	if s.Tier != "" {
		tiers = nil
	}
	return noMatch(o.subject.one, givenFilter{name: "ID", value: o.id}, word("--risk", f.Risk, risks), word("--tier", f.Tier, tiers),
		word("--status", f.Status, statuses), givenFilter{name: "--parent", value: f.Parent, present: parents},
		givenFilter{name: "--state", value: o.states.String()}, givenFilter{name: "--requirement", value: o.requirement},
		givenFilter{name: "--query", value: f.Text}, givenFilter{name: "--repository", value: o.repository}), nil
}

// The outputs of show KIND --json. Note says why nothing is listed.
type (
	artifactsDocument struct {
		headDocument
		Artifacts []query.Artifact `json:"artifacts"`
		Note      string           `json:"note,omitempty"`
		LeftOut   string           `json:"left_out,omitempty"` // what may match and is not listed
	}
	linksDocument struct {
		headDocument
		Links []trace.Link `json:"links"`
		Note  string       `json:"note,omitempty"`
	}
	findingsDocument struct {
		headDocument
		Findings []query.Finding `json:"findings"`
		Note     string          `json:"note,omitempty"`
	}
	rejectedDocument struct {
		headDocument
		Rejected []query.Rejected `json:"rejected"`
		Note     string           `json:"note,omitempty"`
	}
	ignoredDocument struct {
		headDocument
		Ignored []query.Ignored `json:"ignored"` // by repository
		Note    string          `json:"note,omitempty"`
	}
)

// listing is a list of rows to show.
type listing struct {
	rows     int
	document func(note string) any
	add      func(*render.List) // adds the rows
	titles   []string           // of the columns after the repository
	leftOut  string             // what may match and is not listed
}

// list shows rows, or says why there are none.
func (o *showOptions) list(ctx context.Context, v *view, l listing) error {
	note, err := o.note(ctx, v, l.rows)
	if err != nil {
		return err
	}
	return v.answer(l.document(note), func(screen *render.Screen) {
		t := render.NewList(append([]string{"Repository"}, l.titles...)...)
		l.add(t)
		screen.List(t)
		o.end(screen, l.rows, note)
		if l.leftOut != "" {
			screen.Line("%s", render.Notice.Of(l.leftOut))
		}
	})
}

func (o *showOptions) showArtifacts(ctx context.Context, v *view) error {
	if o.id != "" {
		return o.showDetails(ctx, v)
	}
	artifacts, unknown, err := o.selected(ctx, v)
	if err != nil {
		return err
	}
	leftOut := o.leftOut(unknown)
	return o.list(ctx, v, listing{len(artifacts), func(note string) any { return artifactsDocument{v.head(), artifacts, note, leftOut} }, func(t *render.List) {
		for _, a := range artifacts {
			overall, state, signature := any(nil), any(nil), any(nil)
			if e := a.Evidence; e != nil {
				overall, state, signature = render.Expected(e.Overall, "valid"), render.EvidenceState(e), render.Expected(e.Verdict, "valid")
			}
			t.Add(v.of(a.Repository), a.GxPID, a.Title, a.Risk, a.Tier, a.Status, a.ValidationStatus, a.AssuranceStatus, parents(a.Links),
				overall, state, signature, render.Tests(a.Evidence), a.Version, a.Key())
		}
	}, []string{"ID", "Title", "Risk", "Tier", "Status", "Validation", "Assurance", "Parent", "Evidence", "State", "Signature", "Tests", "Version>", "Path"}, leftOut})
}

// parents lists the targets of links, each once, with the state of broken ones.
func parents(links []trace.Link) any {
	var names []string
	broken := false
	for _, l := range links {
		name := l.Target
		if l.State != trace.LinkResolved {
			name, broken = name+" ("+render.Spaced(l.State)+")", true
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	text := strings.Join(names, ", ")
	if broken {
		return render.Bad.Of(text)
	}
	return text
}

func (o *showOptions) showLinks(ctx context.Context, v *view) error {
	links, err := v.Links(ctx, query.LinkFilter{
		RepositoryID: v.repositoryID, ID: o.id, State: trace.LinkState(query.Normal(o.filter.Status)), Target: o.filter.Parent, Text: o.filter.Text,
	})
	if err != nil {
		return err
	}
	return o.list(ctx, v, listing{len(links), func(note string) any { return linksDocument{v.head(), links, note} }, func(t *render.List) {
		for _, l := range links {
			t.Add(v.of(l.Repository), render.LinkSource(l), string(l.Kind), l.Edge, l.Target, render.Expected(render.Spaced(l.State), string(trace.LinkResolved)), string(l.ToKind), l.Key())
		}
	}, []string{"From", "Kind", "Link", "To", "State", "Leads to", "Path"}, ""})
}

func (o *showOptions) showFindings(ctx context.Context, v *view) error {
	findings, err := v.Findings(ctx, query.FindingFilter{RepositoryID: v.repositoryID, ID: o.id, Text: o.filter.Text})
	if err != nil {
		return err
	}
	return o.list(ctx, v, listing{len(findings), func(note string) any { return findingsDocument{v.head(), findings, note} }, func(t *render.List) {
		for _, f := range findings {
			t.Add(v.of(f.Repository), render.Notice.Of(f.Code), f.GxPID, render.Location(f.Path, int(f.Line), 0), f.Text)
		}
	}, []string{"Code", "ID", "Location", "Finding"}, ""})
}

func (o *showOptions) showRejected(ctx context.Context, v *view) error {
	rejected, err := v.Rejected(ctx, query.RejectedFilter{RepositoryID: v.repositoryID, Path: o.id, Text: o.filter.Text})
	if err != nil {
		return err
	}
	return o.list(ctx, v, listing{len(rejected), func(note string) any { return rejectedDocument{v.head(), rejected, note} }, func(t *render.List) {
		for _, f := range rejected {
			t.Add(v.of(f.Repository), f.Kind, render.Location(f.Path, int(f.Line), int(f.Column)), f.Message, render.Short(f.ContentSHA256))
		}
	}, []string{"Kind", "Location", "Problem", "SHA-256"}, ""})
}

// showIgnored lists the files below .gxp/ that became no artifact. The count is exact, the list is bounded, and a scan
// that did not record it is named.
func (o *showOptions) showIgnored(ctx context.Context, v *view) error {
	ignored, err := v.Ignored(ctx, v.repositoryID)
	if err != nil {
		return err
	}
	shown := 0
	for i := range ignored {
		ignored[i].Paths = slices.DeleteFunc(ignored[i].Paths, func(path string) bool {
			return o.id != "" && path != o.id || !strings.Contains(strings.ToLower(path), strings.ToLower(o.filter.Text))
		})
		shown += len(ignored[i].Paths)
	}
	note, err := o.note(ctx, v, shown)
	if err != nil {
		return err
	}
	return v.answer(ignoredDocument{v.head(), ignored, note}, func(screen *render.Screen) {
		t := render.NewList("Repository", "Path")
		for _, i := range ignored {
			for _, path := range i.Paths {
				t.Add(v.of(i.Repository), path)
			}
		}
		screen.List(t)
		o.endIgnored(screen, ignored, shown, note)
	})
}

// endIgnored says how many files there are and what is not known.
func (o *showOptions) endIgnored(screen *render.Screen, ignored []query.Ignored, shown int, note string) {
	all, unknown := 0, false
	for _, i := range ignored {
		if i.Count == nil {
			unknown = true
			screen.Line("%s", render.Notice.Of(fmt.Sprintf("not recorded by scan %d of %s: scan again", i.Scan, i.Repository)))
			continue
		}
		all += int(*i.Count)
	}
	switch {
	case unknown && shown == 0:
		return
	case o.id != "" || o.filter.Text != "":
		all = shown
	case all > shown:
		screen.Line("and %s more, counted and not listed", render.Count(all-shown, "ignored file"))
	}
	o.end(screen, all, note)
}

// detailsDocument is the output of show KIND ID --json: several artifacts when they claim the same id.
type detailsDocument struct {
	headDocument
	Artifacts []query.Detail `json:"artifacts"`
}

func (o *showOptions) showDetails(ctx context.Context, v *view) error {
	details, err := v.Details(ctx, o.subject.group, o.filter)
	if err != nil {
		return err
	}
	return v.answer(detailsDocument{v.head(), details}, func(screen *render.Screen) {
		for i, d := range details {
			if i > 0 {
				screen.Blank()
			}
			render.Detail(screen, d)
		}
	})
}
