package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// artifactsDocument is the output of show KIND --json for artifacts.
type artifactsDocument struct {
	headDocument
	Artifacts []query.Artifact `json:"artifacts"`
	Note      string           `json:"note,omitempty"` // why nothing is listed
}

// linksDocument is the output of show links --json.
type linksDocument struct {
	headDocument
	Links []trace.Link `json:"links"`
	Note  string       `json:"note,omitempty"` // why nothing is listed
}

// findingsDocument is the output of show findings --json.
type findingsDocument struct {
	headDocument
	Findings []query.Finding `json:"findings"`
	Note     string          `json:"note,omitempty"` // why nothing is listed
}

// rejectedDocument is the output of show rejected --json.
type rejectedDocument struct {
	headDocument
	Rejected []query.Rejected `json:"rejected"`
	Note     string           `json:"note,omitempty"` // why nothing is listed
}

func (o *showOptions) showArtifacts(ctx context.Context, v *view) error {
	if o.id != "" {
		return o.showDetails(ctx, v)
	}
	artifacts, err := v.Artifacts(ctx, o.subject.group, o.filter)
	if err != nil {
		return err
	}
	note, err := o.note(ctx, v, len(artifacts))
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(artifactsDocument{v.document(), artifacts, note})
	}
	several, err := o.repository.several(ctx, v)
	if err != nil {
		return err
	}
	t := columns("Repository", "ID", "Title", "Risk", "Tier", "Status", "Validation", "Assurance", "Parent", "Evidence",
		"Worth", "Signature", "Tests", "Version>", "Path")
	for _, a := range artifacts {
		repository, overall, worth, signature := "", any(nil), any(nil), any(nil)
		if several {
			repository = a.Repository
		}
		if e := a.Evidence; e != nil {
			overall, worth, signature = good(e.Overall, "valid"), evidenceWorth(e), good(e.Verdict, "valid")
		}
		t.Add(repository, a.GxPID, a.Title, a.Risk, a.Tier, a.Status, a.ValidationStatus, a.AssuranceStatus, parents(a.Links),
			overall, worth, signature, tests(a.Evidence), a.Version, a.Key())
	}
	screen := o.app.screenOf(v)
	t.show(screen)
	return o.end(screen, len(artifacts), note)
}

// evidenceWorth is what evidence is worth for its spec and, where it does not cover it, why.
func evidenceWorth(e *query.Evidence) render.Styled {
	if e.State == string(domain.EvidencePassed) {
		return render.Good.Of(e.State)
	}
	text := e.State
	if e.StateReason != "" {
		text += ": " + trace.EvidenceWord(domain.EvidenceState(e.State), e.StateReason)
	}
	return render.Bad.Of(text)
}

// parents lists what an artifact names, each id once, with the reason where it leads nowhere.
func parents(links []trace.Link) any {
	var names []string
	seen := map[string]bool{}
	broken := false
	for _, l := range links {
		name := l.Target
		if l.State != trace.LinkResolved {
			name, broken = name+" ("+spaced(l.State)+")", true
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	text := strings.Join(names, ", ")
	if broken {
		return render.Bad.Of(text)
	}
	return text
}

// spaced is a kind or a state with blanks for underscores.
func spaced[T ~string](word T) string { return strings.ReplaceAll(string(word), "_", " ") }

// tests is the totals that evidence claims.
func tests(e *query.Evidence) any {
	if e == nil || e.Passed == nil {
		return nil
	}
	text := render.CountOf(int(*e.Passed), "passed", "passed")
	if e.Failed != nil && *e.Failed > 0 {
		return render.Bad.Of(text + ", " + render.CountOf(int(*e.Failed), "failed", "failed"))
	}
	return text
}

func (o *showOptions) showLinks(ctx context.Context, v *view) error {
	links, err := v.Links(ctx, query.LinkFilter{
		RepositoryID: o.filter.RepositoryID, ID: o.id, State: trace.LinkState(query.Normal(o.filter.Status)), Target: o.filter.Parent, Text: o.filter.Text,
	})
	if err != nil {
		return err
	}
	note, err := o.note(ctx, v, len(links))
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(linksDocument{v.document(), links, note})
	}
	several, err := o.repository.several(ctx, v)
	if err != nil {
		return err
	}
	t := columns("Repository", "From", "Kind", "Link", "To", "State", "Leads to", "Path")
	for _, l := range links {
		repository, from := "", l.GxPID
		if several {
			repository = l.Repository
		}
		if from == "" {
			from = l.Key()
		}
		t.Add(repository, from, string(l.Kind), l.Edge, l.Target, good(spaced(l.State), string(trace.LinkResolved)), string(l.ToKind), l.Key())
	}
	screen := o.app.screenOf(v)
	t.show(screen)
	return o.end(screen, len(links), note)
}

func (o *showOptions) showFindings(ctx context.Context, v *view) error {
	findings, err := v.Findings(ctx, query.FindingFilter{RepositoryID: o.filter.RepositoryID, ID: o.id, Text: o.filter.Text})
	if err != nil {
		return err
	}
	note, err := o.note(ctx, v, len(findings))
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(findingsDocument{v.document(), findings, note})
	}
	several, err := o.repository.several(ctx, v)
	if err != nil {
		return err
	}
	t := columns("Repository", "Code", "ID", "Place", "Finding")
	for _, f := range findings {
		repository := ""
		if several {
			repository = f.Repository
		}
		t.Add(repository, render.Notice.Of(f.Code), f.GxPID, place(f.Path, int(f.Line), 0), f.Text)
	}
	screen := o.app.screenOf(v)
	t.show(screen)
	return o.end(screen, len(findings), note)
}

func (o *showOptions) showRejected(ctx context.Context, v *view) error {
	rejected, err := v.Rejected(ctx, query.RejectedFilter{RepositoryID: o.filter.RepositoryID, Path: o.id, Text: o.filter.Text})
	if err != nil {
		return err
	}
	note, err := o.note(ctx, v, len(rejected))
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(rejectedDocument{v.document(), rejected, note})
	}
	several, err := o.repository.several(ctx, v)
	if err != nil {
		return err
	}
	t := columns("Repository", "Kind", "Place", "Fault", "SHA-256")
	for _, f := range rejected {
		repository := ""
		if several {
			repository = f.Repository
		}
		t.Add(repository, f.Kind, place(f.Path, int(f.Line), int(f.Column)), f.Message, render.Short(f.ContentSHA256))
	}
	screen := o.app.screenOf(v)
	t.show(screen)
	return o.end(screen, len(rejected), note)
}

// ignoredDocument is the output of show ignored --json.
type ignoredDocument struct {
	headDocument
	Ignored []query.Ignored `json:"ignored"`        // by repository
	Note    string          `json:"note,omitempty"` // why nothing is listed
}

// showIgnored lists the files below .gxp/ that no artifact was made of. The count is exact, the list is bounded, and a scan
// that did not record it is named.
func (o *showOptions) showIgnored(ctx context.Context, v *view) error {
	ignored, err := v.Ignored(ctx, o.filter.RepositoryID)
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
	if o.app.json {
		return o.app.document(ignoredDocument{v.document(), ignored, note})
	}
	several, err := o.repository.several(ctx, v)
	if err != nil {
		return err
	}
	screen := o.app.screenOf(v)
	t := columns("Repository", "Path")
	for _, i := range ignored {
		repository := ""
		if several {
			repository = i.Repository
		}
		for _, path := range i.Paths {
			t.Add(repository, path)
		}
	}
	t.show(screen)
	return o.endIgnored(screen, ignored, shown, note)
}

// endIgnored says how many files there are and what is not known.
func (o *showOptions) endIgnored(screen *render.Screen, ignored []query.Ignored, shown int, note string) error {
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
		return screen.Err()
	case o.id != "" || o.filter.Text != "":
		all = shown
	case all > shown:
		screen.Line("and %s more, counted and not listed", render.Count(all-shown, "ignored file"))
	}
	return o.end(screen, all, note)
}
