package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Show what is wrong with the home, the log and the tables, and what to do",
		Long: "Look at the disk, the rights of the files of the home, the spool, the clock against the database and the last event, the guards\n" +
			"that keep the log append-only, the schemas against this gxpledger, the projections and the last verification. Each finding is\n" +
			"good, warning, bad or unknown, with what to do. What cannot be found out is unknown. The exit code is 3 when something is bad\n" +
			"or unknown. It takes moments and changes nothing: gxpledger verify reads everything.",
		Example: "  gxpledger doctor\n  gxpledger doctor --json",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.diagnose(cmd.Context()) },
	}
}

func (a *app) diagnose(ctx context.Context) error {
	d := a.ledger.Diagnose(ctx)
	for i := range d.Findings {
		d.Findings[i].Text = oneLine(a.redact(d.Findings[i].Text))
	}
	err := a.answer(d, func(screen *render.Screen) {
		for _, f := range d.Findings {
			screen.Line("%s  %s", stateOfFinding(f), f.Text)
			if f.Remedy != "" {
				screen.Line("         %s", f.Remedy)
			}
		}
		screen.Blank()
		if d.Healthy {
			screen.Line("%s", render.Good.Of("Nothing is wrong."))
			return
		}
		bad, unknown := 0, 0
		for _, f := range d.Findings {
			switch f.State {
			case gxpledger.FindingBad:
				bad++
			case gxpledger.FindingUnknown:
				unknown++
			case gxpledger.FindingGood, gxpledger.FindingWarning:
			}
		}
		screen.Line("%s", render.Bad.Of(render.Count(bad, "problem")+", "+render.Count(unknown, "check")+" without an answer."))
	})
	if err == nil && !d.Healthy {
		return found()
	}
	return err
}

// stateOfFinding is the first column of the screen.
func stateOfFinding(f gxpledger.Finding) render.Styled {
	word := string(f.State)
	for len(word) < len(gxpledger.FindingWarning) {
		word += " "
	}
	switch f.State {
	case gxpledger.FindingGood:
		return render.Good.Of(word)
	case gxpledger.FindingBad:
		return render.Bad.Of(word)
	case gxpledger.FindingWarning, gxpledger.FindingUnknown:
	}
	return render.Notice.Of(word)
}
