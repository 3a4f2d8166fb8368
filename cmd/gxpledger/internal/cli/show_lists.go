package cli

import (
	"context"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// artifactsDocument is the output of show KIND --json for artifacts.
type artifactsDocument struct {
	pastDocument
	Artifacts []query.Artifact `json:"artifacts"`
}

// linksDocument is the output of show links --json.
type linksDocument struct {
	pastDocument
	Links []query.Link `json:"links"`
}

// findingsDocument is the output of show findings --json.
type findingsDocument struct {
	pastDocument
	Findings []query.Finding `json:"findings"`
}

// rejectedDocument is the output of show rejected --json.
type rejectedDocument struct {
	pastDocument
	Rejected []query.Rejected `json:"rejected"`
}

func (o *showOptions) showArtifacts(ctx context.Context, v *view) error {
	if o.id != "" {
		return o.showDetails(ctx, v)
	}
	artifacts, err := v.query.Artifacts(ctx, o.subject.shelf, o.filter)
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(artifactsDocument{v.document(), artifacts})
	}
	several, err := o.repository.several(ctx, v)
	if err != nil {
		return err
	}
	t := columns("Repository", "ID", "Title", "Risk", "Tier", "Status", "Validation", "Assurance", "Parent", "Evidence",
		"Signature", "Tests", "Version>", "Path")
	for _, a := range artifacts {
		repository, overall, signature := "", any(nil), any(nil)
		if several {
			repository = a.Repository
		}
		if e := a.Evidence; e != nil {
			overall, signature = good(e.Overall, "valid"), good(e.Verdict, "valid")
		}
		t.Add(repository, a.GxPID, a.Title, a.Risk, a.Tier, a.Status, a.ValidationStatus, a.AssuranceStatus, parents(a.Links),
			overall, signature, tests(a.Evidence), a.Version, a.Key())
	}
	screen := o.app.screenOf(v)
	t.show(screen)
	return o.end(screen, len(artifacts))
}

// parents lists what an artifact names, each id once, with the reason where it leads nowhere.
func parents(links []query.Link) any {
	var names []string
	seen := map[string]bool{}
	broken := false
	for _, l := range links {
		name := l.Target
		if l.State != query.StateSound {
			name, broken = name+" ("+linkState(l.State)+")", true
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

// linkState is the state of a link as people say it.
func linkState(state string) string { return strings.ReplaceAll(state, "_", " ") }

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
	links, err := v.query.Links(ctx, query.LinkFilter{
		RepositoryID: o.filter.RepositoryID, ID: o.id, State: query.Normal(o.filter.Status), Target: o.filter.Parent, Text: o.filter.Text,
	})
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(linksDocument{v.document(), links})
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
		t.Add(repository, from, l.Kind, l.Edge, l.Target, good(linkState(l.State), query.StateSound), l.ToKind, l.Key())
	}
	screen := o.app.screenOf(v)
	t.show(screen)
	return o.end(screen, len(links))
}

func (o *showOptions) showFindings(ctx context.Context, v *view) error {
	findings, err := v.query.Findings(ctx, query.FindingFilter{RepositoryID: o.filter.RepositoryID, ID: o.id, Text: o.filter.Text})
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(findingsDocument{v.document(), findings})
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
	return o.end(screen, len(findings))
}

func (o *showOptions) showRejected(ctx context.Context, v *view) error {
	rejected, err := v.query.Rejected(ctx, query.RejectedFilter{RepositoryID: o.filter.RepositoryID, Path: o.id, Text: o.filter.Text})
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(rejectedDocument{v.document(), rejected})
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
	return o.end(screen, len(rejected))
}
