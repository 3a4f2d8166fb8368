package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// The outputs of show KIND --json. Note says why nothing is listed.
type (
	artifactsDocument struct {
		headDocument
		Artifacts []query.Artifact `json:"artifacts"`
		Note      string           `json:"note,omitempty"`
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
	})
}

func (o *showOptions) showArtifacts(ctx context.Context, v *view) error {
	if o.id != "" {
		return o.showDetails(ctx, v)
	}
	artifacts, err := v.Artifacts(ctx, o.subject.group, o.filter)
	if err != nil {
		return err
	}
	return o.list(ctx, v, listing{len(artifacts), func(note string) any { return artifactsDocument{v.head(), artifacts, note} }, func(t *render.List) {
		for _, a := range artifacts {
			overall, state, signature := any(nil), any(nil), any(nil)
			if e := a.Evidence; e != nil {
				overall, state, signature = render.Expected(e.Overall, "valid"), render.EvidenceState(e), render.Expected(e.Verdict, "valid")
			}
			t.Add(v.of(a.Repository), a.GxPID, a.Title, a.Risk, a.Tier, a.Status, a.ValidationStatus, a.AssuranceStatus, parents(a.Links),
				overall, state, signature, render.Tests(a.Evidence), a.Version, a.Key())
		}
	}, []string{"ID", "Title", "Risk", "Tier", "Status", "Validation", "Assurance", "Parent", "Evidence", "State", "Signature", "Tests", "Version>", "Path"}})
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
	}, []string{"From", "Kind", "Link", "To", "State", "Leads to", "Path"}})
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
	}, []string{"Code", "ID", "Location", "Finding"}})
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
	}, []string{"Kind", "Location", "Problem", "SHA-256"}})
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
