package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// diffDocument is the output of diff --json.
type diffDocument struct {
	headDocument
	query.Diff
}

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
	return o.app.lookAt(ctx, looking{repository: o.repository, needs: []string{gxpledger.Artifacts, gxpledger.History}}, func(v *view) error {
		repository, err := v.Find(ctx, o.repository.name)
		if err != nil {
			return err
		}
		from, err := v.Locate(ctx, o.from, repository.ID)
		if err != nil {
			return err
		}
		to, err := v.Locate(ctx, o.to, repository.ID)
		if err != nil {
			return err
		}
		if err := v.Reach(ctx, max(from.Position, to.Position)); err != nil {
			return err
		}
		diff, err := v.Diff(ctx, repository, from, to)
		if err != nil {
			return err
		}
		v.Shown.Only(repository.ID)
		if o.app.json {
			return o.app.document(diffDocument{v.document(), diff})
		}
		screen := o.app.screenOf(v)
		showDiff(screen, diff)
		return screen.Err()
	})
}

func showDiff(screen *render.Screen, d query.Diff) {
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
func showDifferences(screen *render.Screen, indent string, artifacts []trace.ArtifactDiff, links []trace.LinkDiff) string {
	counts := map[string]int{}
	for _, a := range artifacts {
		counts[a.What]++
		showArtifactDiff(screen, indent, a)
	}
	for _, l := range links {
		counts[l.What]++
		screen.Line(indent+"%s link %s of %s %s to %s%s", linkMark(l.What), l.Edge, spaced(l.Kind), nameOf(l), l.Target, linkChange(l))
	}
	return diffSummary(counts)
}

// endLine says whose tree is at one end of a diff.
func endLine(p query.Shown, s *query.Scan) string {
	tree := "before the first scan"
	if s != nil {
		tree = scanWords(p.Scans[0])
		if s.Claims.Ref != "" && s.Outcome == outcomeCompleted {
			tree += " (" + s.Claims.Ref + ")"
		}
		if since := sinceWords(p.Scans[0]); since != "" {
			tree += "; " + since
		}
	}
	return fmt.Sprintf("%s, position %d: %s", p.Given, p.Position, tree)
}

// outcomeCompleted is the outcome of a scan that did not fail.
const outcomeCompleted = "completed"

func showArtifactDiff(screen *render.Screen, indent string, a trace.ArtifactDiff) {
	mark := render.Notice.Of("~ " + a.What)
	switch a.What {
	case trace.WhatNew:
		mark = render.Good.Of("+ new")
	case trace.WhatRemoved:
		mark = render.Bad.Of("- removed")
	}
	text := spaced(a.Kind) + " " + a.Name()
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

func nameOf(l trace.LinkDiff) string {
	if l.GxPID != "" {
		return l.GxPID
	}
	return l.Path
}

func linkMark(what string) render.Styled {
	if what == trace.WhatBroken {
		return render.Bad.Of("! broken")
	}
	return render.Good.Of("* " + what)
}

func linkChange(l trace.LinkDiff) string {
	switch {
	case l.Before == "":
		return ": " + spaced(l.After)
	case l.After == "":
		return ": was " + spaced(l.Before) + ", is declared no more"
	default:
		return ": was " + spaced(l.Before) + ", is " + spaced(l.After)
	}
}

// diffSummary counts what happened, in a fixed order.
func diffSummary(counts map[string]int) string {
	var parts []string
	for _, what := range []string{
		trace.WhatNew, trace.WhatChanged, trace.WhatReread, trace.WhatMoved, trace.WhatReadded, trace.WhatRelinked, trace.WhatRemoved,
	} {
		if n := counts[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	for _, what := range []string{trace.WhatBroken, trace.WhatHealed, trace.WhatDropped} {
		if n := counts[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", render.Count(n, "link"), what))
		}
	}
	return strings.Join(parts, ", ")
}
