package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

type replayOptions struct {
	readOptions
	from, to    asOfFlag
	into        string
	force       bool
	followScans bool
}

func newReplay(a *app) *cobra.Command {
	o := &replayOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "replay --to TIME --into FILE | --follow-scans",
		Short: "Export the tables as of a point in time, or step through the scans",
		Long: "Export all tables as of a point in time, --to, into a SQLite file that any SQL tool opens, or into a schema of its own in\n" +
			"a PostgreSQL database: the same tables and columns as the present ones, a view catalogue that explains each column, and\n" +
			"a table about that says what they are. The export appears complete or not at all. TIME is a date, a timestamp, pos:N,\n" +
			"scan:N or commit:SHA.\n\n" +
			"With --follow-scans, step through the scans of a repository and show for each who ran it, when, why, of which commit\n" +
			"and what it changed, as diff does. --json writes one document a line.",
		Example: "  gxpledger replay --to 2026-03-01 --into audit-2026-03-01.db\n" +
			"  gxpledger replay --to commit:1e19594 --into release.db --force\n" +
			"  gxpledger replay --to scan:7 --into 'postgres://USER@HOST/DATABASE?schema=audit_2026'\n" +
			"  gxpledger replay --follow-scans --from scan:3 --to scan:7\n" +
			"  gxpledger replay --follow-scans --repository product --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			if o.followScans {
				return o.follow(cmd.Context())
			}
			return o.export(cmd.Context())
		},
	}
	o.addRepository(cmd)
	flags := cmd.Flags()
	flags.Var(&o.to, "to", "point in time `TIME` to export; with --follow-scans the last scan, scan:N or commit:SHA")
	flags.StringVar(&o.into, "into", "", "`FILE`, or PostgreSQL address with a schema, to export into")
	flags.BoolVar(&o.force, "force", false, "replace an existing file or schema, except a database that replay did not create")
	flags.BoolVar(&o.followScans, "follow-scans", false, "step through the scans and show what each changed")
	flags.Var(&o.from, "from", "with --follow-scans, the first scan `TIME`: scan:N or commit:SHA (default: the first of all)")
	return cmd
}

func (o *replayOptions) validate(cmd *cobra.Command) error {
	switch {
	case o.followScans:
		return o.validateSteps(cmd)
	case o.into == "":
		return usage("replay needs --to TIME and --into FILE, or --follow-scans: %s --help shows examples", cmd.CommandPath())
	case o.to.point.IsNow():
		return usage("the flag --to is required with --into: want %s", query.PointForms)
	case !o.from.point.IsNow():
		return usage("--from goes with --follow-scans: an export shows one point in time, --to")
	}
	return nil
}

func (o *replayOptions) validateSteps(cmd *cobra.Command) error {
	for _, name := range []string{"into", "force"} {
		if cmd.Flags().Changed(name) {
			return usage("--%s and --follow-scans exclude each other: one exports tables, the other shows what each scan changed", name)
		}
	}
	for _, end := range []struct {
		name string
		flag asOfFlag
	}{{"from", o.from}, {"to", o.to}} {
		if p := end.flag.point; !p.IsNow() && !p.NamesScan() {
			return usage("the flag --%s does not take %q with --follow-scans: want a scan, scan:N, commit:SHA, or a tag or branch that was scanned", end.name, p.String())
		}
	}
	return nil
}

func (o *replayOptions) export(ctx context.Context) error {
	progress := o.app.progress()
	exported, err := o.app.ledger.Export(ctx, gxpledger.ExportRequest{
		AsOf: o.to.String(), Repository: o.repository, Into: o.into, Replace: o.force, MadeBy: programName(), Progress: replayProgress(progress),
	})
	progress.Done()
	if err != nil {
		return asked(err)
	}
	return o.app.answer(exported, func(screen *render.Screen) { showExported(screen, exported) })
}

func showExported(screen *render.Screen, exported gxpledger.Exported) {
	render.Head(screen, exported.Shown)
	screen.Blank()
	screen.Field("Into", "%s", exported.Into)
	screen.Field("Log", "%s", exported.LogID)
	screen.Field("Created", "at %s by %s", exported.MadeAt, exported.MadeBy)
	screen.Blank()
	t := render.NewList("Projection", "Table", "Rows>", "SHA-256")
	for _, p := range exported.Tables {
		for _, table := range p.Tables {
			t.Add(p.Projection, table.Table, table.Rows, table.SHA256)
		}
	}
	screen.List(t)
	screen.Blank()
	screen.Line("%s", render.Faint.Of("Any SQL tool opens it. The table about says what it is, the view catalogue explains every column."))
}

// follow steps through the scans of a repository.
func (o *replayOptions) follow(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		repository, err := v.Find(ctx, o.repository)
		if err != nil {
			return err
		}
		from, to, err := o.ends(ctx, v, repository)
		if err != nil {
			return err
		}
		v.Shown.Only(repository.ID)
		screen := o.app.screen()
		if !o.app.json {
			screen = v.screen(o.app.system.Stdout)
		}
		for step, err := range v.Steps(ctx, repository, from, to) {
			if err == nil {
				err = o.showStep(screen, v.head(), step, step.Scan.Number == from)
			}
			if err != nil {
				return err
			}
		}
		return screen.Err()
	})
}

// ends returns the numbers of the first and the last scan.
func (o *replayOptions) ends(ctx context.Context, v *view, repository query.Repository) (from, to int64, err error) {
	from = 1
	if !o.from.point.IsNow() {
		first, err := v.ScanAt(ctx, o.from.point, repository.ID)
		if err != nil {
			return 0, 0, err
		}
		from = first.Number
	}
	if !o.to.point.IsNow() {
		last, err := v.ScanAt(ctx, o.to.point, repository.ID)
		if err != nil {
			return 0, 0, err
		}
		to = last.Number
	} else if last, err := v.Scans(ctx, query.ScanFilter{RepositoryID: repository.ID, Last: true}); err != nil {
		return 0, 0, err
	} else if len(last) > 0 {
		to = last[0].Number
	}
	if to < from {
		return 0, 0, usage("--from is scan %d, and --to is scan %d, which is before it: there is no scan between", from, to)
	}
	return from, to, nil
}

// stepDocument is a line of replay --follow-scans --json.
type stepDocument struct {
	headDocument
	query.Step
}

func (o *replayOptions) showStep(screen *render.Screen, head headDocument, s query.Step, first bool) error { //revive:disable-line:flag-parameter // where the blank lines go
	if o.app.json {
		return render.Line(o.app.system.Stdout, stepDocument{head, s})
	}
	if !first {
		screen.Blank()
	}
	screen.Line("%s of %s: %s", render.Strong.Of(fmt.Sprintf("Scan %d", s.Scan.Number)), s.Repository, scanOutcome(s.Scan))
	screen.Field("  Recorded", "by %s at %s, position %d%s", render.Actor(s.Scan.Actor, s.Scan.ActorFrom), s.Scan.RecordedAt, s.Scan.Position, render.ReasonGiven(s.Scan.Reason))
	screen.Field("  Claimed", "%s", render.Claimed(s.Scan.Claims))
	for _, violation := range s.Scan.Violations {
		screen.Line("  %s %s", render.Bad.Of(violation.Code), violation.Text)
	}
	if len(s.Artifacts) == 0 && len(s.Links) == 0 {
		screen.Line("  No changes.")
		return screen.Err()
	}
	summary := render.Differences(screen, "  ", s.Differences, nil)
	screen.Line("  %s", render.Faint.Of(summary))
	return screen.Err()
}
