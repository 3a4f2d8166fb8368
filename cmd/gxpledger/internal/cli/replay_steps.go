package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

func (o *replayOptions) validateSteps(cmd *cobra.Command) error {
	for _, name := range []string{"into", "force"} {
		if cmd.Flags().Changed(name) {
			return usage("--%s and --follow-scans exclude each other: one makes tables, the other shows what each scan changed", name)
		}
	}
	for _, end := range []struct {
		name string
		flag asOfFlag
	}{{"from", o.from}, {"to", o.to}} {
		if p := end.flag.point; !p.IsNow() && !p.NamesScan() {
			return usage("the flag --%s does not take %q with --follow-scans: want a scan, scan:N or commit:SHA", end.name, p.String())
		}
	}
	return nil
}

// follow steps through the scans of a repository.
func (o *replayOptions) follow(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{repository: o.repository, needs: []string{gxpledger.Artifacts, gxpledger.History}}, func(v *view) error {
		repository, err := v.Find(ctx, o.repository.name)
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
			screen = o.app.screenOf(v)
		}
		for step, err := range v.Steps(ctx, repository, from, to) {
			if err == nil {
				err = o.showStep(screen, v.document(), step, step.Scan.Number == from)
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
	number := func(p query.Point, otherwise func() (int64, error)) (int64, error) {
		if p.IsNow() {
			return otherwise()
		}
		scan, err := v.ScanAt(ctx, p, repository.ID)
		return scan.Number, err
	}
	if from, err = number(o.from.point, func() (int64, error) { return 1, nil }); err != nil {
		return 0, 0, err
	}
	to, err = number(o.to.point, func() (int64, error) {
		last, err := v.Scans(ctx, query.ScanFilter{RepositoryID: repository.ID, Last: true})
		if err != nil || len(last) == 0 {
			return 0, err
		}
		return last[0].Number, nil
	})
	if err == nil && to < from {
		err = usage("--from is scan %d, and --to is scan %d, which is before it: nothing is between", from, to)
	}
	return from, to, err
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
	field(screen, "  Recorded", "by %s at %s, position %d%s", actor(s.Scan.Actor, s.Scan.ActorFrom), s.Scan.RecordedAt, s.Scan.Position, reasonGiven(s.Scan.Reason))
	field(screen, "  Claimed", "%s", claimed(s.Scan.Claims))
	for _, violation := range s.Scan.Violations {
		screen.Line("  %s %s", render.Bad.Of(violation.Code), violation.Text)
	}
	if len(s.Artifacts) == 0 && len(s.Links) == 0 {
		screen.Line("  Nothing changed.")
		return screen.Err()
	}
	summary := showDifferences(screen, "  ", s.Artifacts, s.Links)
	screen.Line("  %s", render.Faint.Of(summary))
	return screen.Err()
}
