package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// diffDocument is the output of diff --json.
type diffDocument struct {
	headDocument
	query.Diff
	TextDiffs []render.TextDiff `json:"text_diffs"` // each pair of contents once
}

type diffOptions struct {
	readOptions
	documentOptions
	from, to query.Point
}

func newDiff(a *app) *cobra.Command {
	o := &diffOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "diff FROM TO",
		Short: "Show the differences between two points in time",
		Long: "Show the differences between the artifacts of a repository at two points in time: new, changed field by field, moved,\n" +
			"removed, removed and added again, evidence signed again or replaced, and links that broke or were repaired. Files that\n" +
			"changed are compared line by line, except binary and very large ones. FROM and TO are each a date, a timestamp, pos:N,\n" +
			"scan:N, commit:SHA, commit-date:TIME, or a tag or branch that was scanned. A failed scan changes nothing. The later\n" +
			"point may come first.",
		Example: "  gxpledger diff scan:6 scan:7\n" +
			"  gxpledger diff scan:6 scan:7 --output changes.html\n" +
			"  gxpledger diff 2026-02-01 2026-03-01\n" +
			"  gxpledger diff v1.3 v1.4                       tags that were scanned\n" +
			"  gxpledger diff commit:1e19594 scan:7 --repository product --json",
		Args: func(cmd *cobra.Command, args []string) error {
			return takes(cmd, args, 2, 2, "two points in time, such as scan:A and scan:B")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			if err := o.chooseFormat(a, cmd); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.addRepository(cmd)
	o.addDocument(cmd, formatCSV, formatHTML)
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
	return o.read(ctx, withHistory, func(v *view) error {
		repository, err := v.Find(ctx, o.repository)
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
		changes := make([][]trace.Change, len(diff.Artifacts))
		for i, a := range diff.Artifacts {
			changes[i] = a.Changes
		}
		texts, list, err := v.textDiffs(ctx, changes...)
		if err != nil {
			return err
		}
		filters := given(render.Filter{Name: "repository", Value: o.repository})
		return o.deliver(v, reportDocument(diffDocument{v.head(), diff, list},
			func(screen *render.Screen) { showDiff(screen, diff, texts) },
			func() render.Report {
				return render.DiffReport(v.source(filters), diff, texts, endLine(diff.FromPoint, diff.From), endLine(diff.ToPoint, diff.To))
			}))
	})
}

func showDiff(screen *render.Screen, d query.Diff, texts render.TextDiffs) {
	screen.Field("From", "%s", endLine(d.FromPoint, d.From))
	screen.Field("To", "%s", endLine(d.ToPoint, d.To))
	screen.Blank()
	if len(d.Artifacts) == 0 && len(d.Links) == 0 {
		screen.Line("No differences.")
		return
	}
	summary := render.Differences(screen, "", d.Differences, texts)
	screen.Blank()
	screen.Line("%s", render.Faint.Of(summary))
}

// endLine describes the tree at one end of a diff.
func endLine(p query.Shown, s *query.Scan) string {
	tree := "before the first scan"
	if s != nil {
		tree = render.ScanWords(p.Scans[0])
		if s.Claims.Ref != "" && s.Outcome == outcomeCompleted {
			tree += " (" + s.Claims.Ref + ")"
		}
		if since := render.SinceWords(p.Scans[0]); since != "" {
			tree += "; " + since
		}
	}
	return fmt.Sprintf("%s, position %d: %s", render.PointWords(p.ResolvedPoint), p.Position, tree)
}

// outcomeCompleted is the outcome of a scan that did not fail.
const outcomeCompleted = "completed"
