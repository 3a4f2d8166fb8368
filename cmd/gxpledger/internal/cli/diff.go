package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

type diffOptions struct {
	app        *app
	repository repositoryFlag
	from, to   query.Point
}

func newDiff(a *app) *cobra.Command {
	o := &diffOptions{app: a}
	cmd := &cobra.Command{
		Use:   "diff FROM TO",
		Short: "Show what differs between two points in time of a repository",
		Long: "Compares the artifacts of a repository as they were at two points in time: new, changed field by field, moved, removed,\n" +
			"removed and added again, evidence signed anew or replaced, and links that broke or healed. FROM and TO are each a date,\n" +
			"a time, pos:N, scan:N or commit:SHA. A failed scan left everything as it was. The later point may come first.",
		Example: "  gxpledger diff scan:6 scan:7\n" +
			"  gxpledger diff 2026-02-01 2026-03-01\n" +
			"  gxpledger diff commit:1e19594 scan:7 --repository product --json",
		Args: func(cmd *cobra.Command, args []string) error {
			return takes(cmd, args, 2, 2, "two points in time, such as scan:A and scan:B")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.repository.add(cmd)
	return cmd
}

func (o *diffOptions) validate(args []string) (err error) {
	if o.from, err = query.ParsePoint(args[0]); err != nil {
		return asked(err)
	}
	o.to, err = query.ParsePoint(args[1])
	return asked(err)
}

func (o *diffOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{needs: []string{artifactTables, historyTables}}, func(v *view) error {
		repository, err := v.query.Find(ctx, o.repository.name)
		if err != nil {
			return err
		}
		from, err := v.find(ctx, o.app, o.from, repository)
		if err != nil {
			return err
		}
		to, err := v.find(ctx, o.app, o.to, repository)
		if err != nil {
			return err
		}
		if err := v.reach(ctx, o.app, max(from.Position, to.Position)); err != nil {
			return err
		}
		diff, err := v.query.Diff(ctx, repository, from, to)
		if err != nil {
			return err
		}
		if o.app.json {
			return o.app.document(diff)
		}
		screen := o.app.screen()
		showDiff(screen, diff)
		return screen.Err()
	})
}

func showDiff(screen *render.Screen, d query.Diff) {
	field(screen, "Repository", "%s", render.Strong.Of(d.Repository))
	field(screen, "From", "%s", endLine(d.FromPoint, d.From))
	field(screen, "To", "%s", endLine(d.ToPoint, d.To))
	screen.Blank()
	if len(d.Artifacts) == 0 && len(d.Links) == 0 {
		screen.Line("Nothing differs.")
		return
	}
	summary := showDifferences(screen, "", d.Artifacts, d.Links)
	screen.Blank()
	screen.Line("%s", render.Faint.Of(summary))
}

// showDifferences lists what happened to artifacts and links, and returns the summary.
func showDifferences(screen *render.Screen, indent string, artifacts []query.ArtifactDiff, links []query.LinkDiff) string {
	counts := map[string]int{}
	for _, a := range artifacts {
		counts[a.What]++
		showArtifactDiff(screen, indent, a)
	}
	for _, l := range links {
		counts[l.What]++
		screen.Line(indent+"%s link %s of %s %s to %s%s", linkMark(l.What), l.Edge, strings.ReplaceAll(l.Kind, "_", " "), nameOf(l), l.Target, linkChange(l))
	}
	return diffSummary(counts)
}

// endLine says which tree is at one end of a diff. A scan that was named is enough.
func endLine(p query.Place, s *query.Scan) string {
	tree := "before the first scan"
	if s != nil {
		tree = scanLine(*s)
		if p.Given == fmt.Sprintf("scan:%d", s.Number) {
			return tree
		}
	}
	return fmt.Sprintf("%s, position %d: %s", p.Given, p.Position, tree)
}

func scanLine(s query.Scan) string {
	return fmt.Sprintf("scan %d, %s at %s: %s", s.Number, s.Outcome, render.Time(s.RecordedAt), revision(s.Claims))
}

func showArtifactDiff(screen *render.Screen, indent string, a query.ArtifactDiff) {
	mark := render.Notice.Of("~ " + a.What)
	switch a.What {
	case query.WhatNew:
		mark = render.Good.Of("+ new")
	case query.WhatRemoved:
		mark = render.Bad.Of("- removed")
	}
	text := strings.ReplaceAll(a.Kind, "_", " ") + " " + a.Name()
	if a.Title != "" {
		text += ", " + a.Title
	}
	if a.MovedFrom != "" {
		text += ", from " + a.MovedFrom
	}
	if a.Evidence != "" {
		text += ", " + a.Evidence
	}
	if len(a.Replaces) > 0 {
		text += ", replaces " + strings.Join(a.Replaces, ", ")
	}
	screen.Line(indent+"%s %s", mark, text)
	showChanges(screen, indent+"    ", a.Changes)
}

func nameOf(l query.LinkDiff) string {
	if l.GxPID != "" {
		return l.GxPID
	}
	return l.Path
}

func linkMark(what string) render.Styled {
	if what == query.WhatBroken {
		return render.Bad.Of("! broken")
	}
	return render.Good.Of("* " + what)
}

func linkChange(l query.LinkDiff) string {
	switch {
	case l.Before == "":
		return ": " + linkState(l.After)
	case l.After == "":
		return ": was " + linkState(l.Before) + ", is declared no more"
	default:
		return ": was " + linkState(l.Before) + ", is " + linkState(l.After)
	}
}

// diffSummary counts what happened, in a fixed order.
func diffSummary(counts map[string]int) string {
	var parts []string
	for _, what := range []string{
		query.WhatNew, query.WhatChanged, query.WhatReread, query.WhatMoved, query.WhatReadded, query.WhatRelinked, query.WhatRemoved,
	} {
		if n := counts[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	for _, what := range []string{query.WhatBroken, query.WhatHealed, query.WhatDropped} {
		if n := counts[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", render.Count(n, "link"), what))
		}
	}
	return strings.Join(parts, ", ")
}
