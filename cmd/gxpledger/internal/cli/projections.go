package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/inspect"
)

func newProjections(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "projections",
		Short: "Inspect and rebuild the tables",
		Long: "Inspect and rebuild the tables. They are built from the log by projections, each of which writes its own tables, and\n" +
			"can be rebuilt while readers keep reading.",
		Example: "  gxpledger projections status\n" +
			"  gxpledger projections rebuild artifacts --reason \"after an upgrade\"",
		Args: cobra.ArbitraryArgs,
		RunE: chooseCommand,
	}
	cmd.AddCommand(newProjectionsStatus(a), newProjectionsBuilds(a), newProjectionsRun(a), newProjectionsRebuild(a))
	cmd.AddCommand(actionCommands(a)...)
	cmd.AddCommand(newProjectionsSkip(a))
	return cmd
}

// statusDocument is the output of projections status --json.
type statusDocument struct {
	Projections []gxpledger.ProjectionStatus `json:"projections"`
	// Verification is the last one in the background, of projections run --verify-every; absent when there was none.
	Verification *gxpledger.LastVerification `json:"last_verification,omitempty"`
}

func newProjectionsStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the state of each projection",
		Long: "Show the active build of each projection and its state: live (at the head of the log), catching-up, paused, stalled\n" +
			"(events wait and the position does not move), faulted (stopped at an event), mismatched (built from another log) or\n" +
			"absent; and the build that is to replace it. The tables are not caught up first. Where projections run --verify-every\n" +
			"verifies in the background from this home, the outcome of the last verification is shown. The exit code is 3 when a\n" +
			"projection is stalled, faulted or mismatched, or when that verification found a fault or could not make a check.",
		Example: "  gxpledger projections status\n  gxpledger projections status --json",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.showStatus(cmd.Context()) },
	}
}

func (a *app) showStatus(ctx context.Context) error {
	all, err := a.ledger.Admin().Status(ctx)
	if err != nil {
		return err
	}
	verified, err := a.ledger.Admin().LastVerification(ctx)
	if err != nil {
		return err
	}
	if a.json {
		err = a.document(statusDocument{all, verified})
	} else {
		screen := a.screen()
		showStatuses(screen, all)
		if verified != nil {
			screen.Line("%s, at %s", lastVerification(*verified), verified.FinishedAt)
		}
		err = screen.Err()
	}
	if err == nil && (slices.ContainsFunc(all, gxpledger.ProjectionStatus.NeedsAttention) || verified != nil && !verified.Intact) {
		return found()
	}
	return err
}

func showStatuses(screen *render.Screen, all []gxpledger.ProjectionStatus) {
	t := render.NewList("Projection", "Version>", "Build>", "State", "Position>", "Head>", "Lag>", "Lag time", "Events/s>", "Retired>", "Details")
	for _, s := range all {
		rate, lag := any(nil), ""
		if s.Rate >= 1 && s.State == inspect.StateCatchingUp {
			rate = int64(s.Rate)
		}
		if s.LagSeconds > 0 {
			lag = render.Duration(seconds(s.LagSeconds))
		}
		t.Add(s.Name, s.Version, unlessZero(s.Build), stateWord(s.State), s.Position, s.Head, s.Lag, lag, rate, unlessZero(s.Retired), stateDetails(s))
	}
	screen.List(t)
	for _, s := range all {
		if s.Next != nil {
			screen.Line("%s", nextBuildLine(s))
		}
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// unlessZero is a number as a cell of a table, which is empty for 0.
func unlessZero(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

func stateWord(s inspect.State) any {
	switch s {
	case inspect.StateLive:
		return render.Good.Of(string(s))
	case inspect.StateCatchingUp, inspect.StatePaused, inspect.StateAbsent:
		return string(s)
	case inspect.StateStalled, inspect.StateFaulted, inspect.StateMismatched:
	}
	return render.Bad.Of(string(s))
}

// stateDetails says why a projection is not live.
func stateDetails(s gxpledger.ProjectionStatus) string {
	switch {
	case s.Mismatch != "":
		return s.Mismatch
	case s.Fault != nil:
		return fmt.Sprintf("position %d (%s): %s", s.Fault.Position, s.Fault.Type, s.Fault.Text)
	case s.Paused != nil:
		return fmt.Sprintf("since %s by %s: %s", render.Time(s.Paused.At), s.Paused.By, s.Paused.Reason)
	}
	return ""
}

// nextBuildLine describes the build that is to replace the active one.
func nextBuildLine(s gxpledger.ProjectionStatus) string {
	b := s.Next
	text := fmt.Sprintf("%s: build %d (version %d) is %s at position %d of %d", s.Name, b.Build, b.Version, b.State, b.Position, s.Head)
	switch {
	case b.CancelledBy != "":
		return text + ", cancelled by " + b.CancelledBy
	case b.Orphaned:
		return text + "; it is orphaned, the next rebuild resumes it"
	}
	if b.Rate >= 1 {
		text += fmt.Sprintf(", %.0f events/s", b.Rate)
	}
	if left := seconds(b.SecondsLeft); left > 0 {
		text += ", " + render.Duration(left.Round(time.Second)) + " left"
	}
	return text + ", by " + b.Holder
}

// buildsDocument is the output of projections builds --json.
type buildsDocument struct {
	Builds []gxpledger.ProjectionBuild `json:"builds"`
}

func newProjectionsBuilds(a *app) *cobra.Command {
	p := projectionArgs{}
	return &cobra.Command{
		Use:   "builds [NAME]",
		Short: "List the builds of projections",
		Long: "List the builds of a projection, or of all: the active one, retired ones until projections prune removes them, and one\n" +
			"that is being filled. With --json also the SHA-256 of each table when the build was activated. The tables are not\n" +
			"caught up first.",
		Example: "  gxpledger projections builds\n  gxpledger projections builds artifacts --json",
		Args:    func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			p.all = len(args) == 0
			if err := p.check(args); err != nil {
				return err
			}
			builds, err := a.ledger.Admin().Builds(cmd.Context(), p.names...)
			if err != nil {
				return err
			}
			return a.showBuilds(builds)
		},
	}
}

func (a *app) showBuilds(builds []gxpledger.ProjectionBuild) error {
	if a.json {
		return a.document(buildsDocument{append([]gxpledger.ProjectionBuild{}, builds...)})
	}
	screen := a.screen()
	t := render.NewList("Projection", "Build>", "Version>", "State", "Position>", "Created", "Updated", "Rows when activated>")
	for _, b := range builds {
		rows := any(nil)
		if len(b.Tables) > 0 {
			rows = rowsOf(b.Tables)
		}
		t.Add(b.Projection, b.Build, b.Version, string(b.State), b.Position, b.CreatedAt, b.UpdatedAt, rows)
	}
	screen.List(t)
	return screen.Err()
}

// rowsOf counts the rows of tables.
func rowsOf(tables []gxpledger.TableDigest) (rows int64) {
	for _, table := range tables {
		rows += table.Rows
	}
	return rows
}
