package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections/query"
)

// scansDocument is the output of scans --json.
type scansDocument struct {
	headDocument
	Scans []query.Scan `json:"scans"`
}

type scansOptions struct {
	readOptions
	failed bool
}

func newScans(a *app) *cobra.Command {
	o := &scansOptions{readOptions{app: a}, false}
	cmd := &cobra.Command{
		Use:   "scans",
		Short: "List recorded scans",
		Long: "List every scan, completed or failed, in the order in which they were recorded. Scans of a repository are numbered\n" +
			"from 1. The time is that of the log. The actor is a claim of the operating system or --actor; the revision is a claim of\n" +
			"git. Scans that failed under names that are not known, before anything was recorded, have no number and are not in the list:\n" +
			"gxpledger audit --action scan_attempt_failed shows them.",
		Example: "  gxpledger scans\n" +
			"  gxpledger scans --failed                      with every violation\n" +
			"  gxpledger scans --as-of 2026-03-01            those recorded up to the end of that day\n" +
			"  gxpledger scans --repository product --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&o.failed, "failed", false, "failed scans alone, with their violations")
	return cmd
}

func (o *scansOptions) run(ctx context.Context) error {
	return o.read(ctx, []string{gxpledger.Artifacts}, func(v *view) error {
		filter := query.ScanFilter{RepositoryID: v.repositoryID}
		if o.failed {
			filter.Outcome = "failed"
		}
		scans, err := v.Scans(ctx, filter)
		if err != nil {
			return err
		}
		return v.answer(scansDocument{v.head(), scans}, func(screen *render.Screen) { o.show(screen, v, scans) })
	})
}

func (o *scansOptions) show(screen *render.Screen, v *view, scans []query.Scan) {
	if len(scans) == 0 {
		switch {
		case !o.failed:
			screen.Line("No scan was recorded.")
		case v.repository != "":
			screen.Line("No scan failed.")
		default:
			screen.Line("No scan of a repository failed. Those under names that are not known are in gxpledger audit --action scan_attempt_failed.")
		}
		return
	}
	t := render.NewList("Repository", "Scan>", "Recorded", "Outcome", "Revision", "History", "Actor", "Unsigned", "Violations>", "Found>", "New>", "Changed>", "Reread>",
		"Removed>", "Rejected>", "Broken>", "Ignored>", "Attempts>")
	for _, s := range scans {
		row := []any{v.of(s.Repository), s.Number, s.RecordedAt, scanOutcome(s), render.Revision(s.Claims), relationOf(s.Claims), render.Actor(s.Actor, s.ActorFrom), s.UnsignedPolicy, violationCount(s)}
		if n := s.Totals; n != nil {
			row = append(row, n.Found, n.Added, n.Changed, n.Reread, n.Removed, n.Rejected, broken(n.Broken()), ignoredCount(s.Ignored), s.Attempts)
		} else {
			row = append(row, "", "", "", "", "", "", "", "", s.Attempts)
		}
		t.Add(row...)
	}
	screen.List(t)
	if o.failed {
		showViolationsOf(screen, scans)
	}
}

// relationOf is how the commit relates to the one that was scanned before, unless it continues from it as it should.
func relationOf(c query.Claims) any {
	switch domain.Relation(c.Relation) {
	case domain.RelationAncestor, domain.RelationUnrelated, domain.RelationUnknown:
		return render.RelationWords(c.Relation, render.Short(c.Previous))
	case domain.RelationSame, domain.RelationDescendant:
	}
	return ""
}

func scanOutcome(s query.Scan) render.Styled {
	if s.Outcome == "failed" {
		return render.Bad.Of("failed: " + s.Code)
	}
	return render.Good.Of(s.Outcome)
}

func violationCount(s query.Scan) any {
	if s.Outcome == outcomeCompleted {
		return nil
	}
	return s.ViolationsTotal
}

// ignoredCount is how many files a scan ignored, which scans of older versions did not count.
func ignoredCount(n *int64) any {
	if n == nil {
		return "unknown"
	}
	return *n
}

func broken(n int64) any {
	if n > 0 {
		return render.Notice.Of(n)
	}
	return n
}

// showReasons lists every violation of scans that failed.
func showViolationsOf(screen *render.Screen, scans []query.Scan) {
	for _, s := range scans {
		screen.Blank()
		screen.Line("Scan %d of %s failed with %s:", s.Number, s.Repository, render.Count(int(s.ViolationsTotal), "violation"))
		for _, v := range s.Violations {
			screen.Line("  %s %s", render.Bad.Of(v.Code), v.Text)
		}
		if more := int(s.ViolationsTotal) - len(s.Violations); more > 0 {
			screen.Line("  and %s more, counted and not listed", render.Count(more, "violation"))
		}
	}
}
