package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

// scansDocument is the output of scans --json.
type scansDocument struct {
	headDocument
	Scans []query.Scan `json:"scans"`
}

type scansOptions struct {
	app        *app
	repository repositoryFlag
	asOf       asOfFlag
	failed     bool
}

func newScans(a *app) *cobra.Command {
	o := &scansOptions{app: a}
	cmd := &cobra.Command{
		Use:   "scans",
		Short: "List the scans that were recorded",
		Long: "Lists every scan, completed or failed, in the order in which they were recorded. Scans of a repository are numbered\n" +
			"from 1. Recorded is what the log knows. The actor is a claim, of the operating system or --actor; the revision is what\n" +
			"git claims.",
		Example: "  gxpledger scans\n" +
			"  gxpledger scans --failed                      with every reason why they failed\n" +
			"  gxpledger scans --as-of 2026-03-01            those recorded up to the end of that day\n" +
			"  gxpledger scans --repository product --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	cmd.Flags().BoolVar(&o.failed, "failed", false, "only scans that failed, with every reason")
	return cmd
}

func (o *scansOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{o.asOf, o.repository, []string{gxpledger.Artifacts}}, func(v *view) error {
		id, err := o.repository.id(ctx, v)
		if err != nil {
			return err
		}
		filter := query.ScanFilter{RepositoryID: id}
		if o.failed {
			filter.Outcome = "failed"
		}
		scans, err := v.Scans(ctx, filter)
		if err != nil {
			return err
		}
		if o.app.json {
			return o.app.document(scansDocument{v.document(), scans})
		}
		several, err := o.repository.several(ctx, v)
		if err != nil {
			return err
		}
		screen := o.app.screenOf(v)
		o.show(screen, scans, several)
		return screen.Err()
	})
}

func (o *scansOptions) show(screen *render.Screen, scans []query.Scan, several bool) { //revive:disable-line:flag-parameter // a fact of the log, not a switch
	if len(scans) == 0 {
		screen.Line("%s", map[bool]string{true: "No scan failed.", false: "No scan was recorded."}[o.failed])
		return
	}
	t := columns("Repository", "Scan>", "Recorded", "Outcome", "Revision", "Actor", "Unsigned", "Reasons>", "Found>", "New>", "Changed>", "Reread>",
		"Removed>", "Rejected>", "Broken>", "Ignored>", "Attempts>")
	for _, s := range scans {
		repository := ""
		if several {
			repository = s.Repository
		}
		row := []any{repository, s.Number, s.RecordedAt, scanOutcome(s), revision(s.Claims), actor(s.Actor, s.ActorFrom), s.UnsignedPolicy, reasonCount(s)}
		if n := s.Totals; n != nil {
			row = append(row, n.Found, n.Added, n.Changed, n.Reread, n.Removed, n.Rejected, broken(n.Broken()), ignoredCount(s.Ignored), s.Attempts)
		} else {
			row = append(row, "", "", "", "", "", "", "", "", s.Attempts)
		}
		t.Add(row...)
	}
	t.show(screen)
	if o.failed {
		showReasons(screen, scans)
	}
}

func scanOutcome(s query.Scan) render.Styled {
	if s.Outcome == "failed" {
		return render.Bad.Of("failed: " + s.Code)
	}
	return render.Good.Of(s.Outcome)
}

// reasonCount is how many reasons a scan failed for.
func reasonCount(s query.Scan) any {
	if s.Outcome == outcomeCompleted {
		return nil
	}
	return s.ViolationsTotal
}

// ignoredCount is how many files a scan ignored; one that did not count them says so.
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
func showReasons(screen *render.Screen, scans []query.Scan) {
	for _, s := range scans {
		screen.Blank()
		screen.Line("Scan %d of %s failed for %s:", s.Number, s.Repository, render.Count(int(s.ViolationsTotal), "reason"))
		for _, v := range s.Violations {
			screen.Line("  %s %s", render.Bad.Of(v.Code), v.Text)
		}
		if more := int(s.ViolationsTotal) - len(s.Violations); more > 0 {
			screen.Line("  and %s more, counted and not listed", render.Count(more, "reason"))
		}
	}
}
