package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
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
	err = a.answer(statusDocument{all, verified}, func(screen *render.Screen) {
		showStatuses(screen, all)
		if verified != nil {
			screen.Line("%s, at %s", lastVerification(*verified), verified.FinishedAt)
		}
	})
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
	case s.Retrying != nil:
		r := s.Retrying
		return fmt.Sprintf("%s tries again since %s, %s failed, the last one at %s: %s", r.Process, render.Time(r.Since), render.CountOf(r.Times, "try", "tries"),
			render.Time(r.Last), oneLine(r.Error))
	case s.Holder != "":
		return "written by " + leaseOf(s.Holder, s.LeaseLeft)
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
	return text + ", by " + leaseOf(b.Holder, b.LeaseLeft)
}

// leaseOf names a process that writes a build, and how long others wait for it if it has died.
func leaseOf(holder string, left float64) string {
	return fmt.Sprintf("%s (lease: %s left)", holder, render.Duration(seconds(left).Round(time.Second)))
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
			document := buildsDocument{append([]gxpledger.ProjectionBuild{}, builds...)}
			return a.answer(document, func(screen *render.Screen) { showBuilds(screen, builds) })
		},
	}
}

func showBuilds(screen *render.Screen, builds []gxpledger.ProjectionBuild) {
	t := render.NewList("Projection", "Build>", "Version>", "State", "Position>", "Created", "Updated", "Rows when activated>")
	for _, b := range builds {
		rows := any(nil)
		if len(b.Tables) > 0 {
			rows = rowsOf(b.Tables)
		}
		t.Add(b.Projection, b.Build, b.Version, string(b.State), b.Position, b.CreatedAt, b.UpdatedAt, rows)
	}
	screen.List(t)
}

// rowsOf counts the rows of tables.
func rowsOf(tables []gxpledger.TableDigest) (rows int64) {
	for _, table := range tables {
		rows += table.Rows
	}
	return rows
}

// actionsDocument is the output, with --json, of the commands that act on projections: the actions as they were recorded.
type actionsDocument struct {
	Actions []domain.AdminActed `json:"actions"`
}

// actionCommand is a command with an action on one projection, or on all.
type actionCommand struct {
	app      *app
	who      whoFlags
	which    projectionArgs
	run      func(gxpledger.Admin, context.Context, gxpledger.ActionRequest) (gxpledger.ActionResult, error)
	describe func(gxpledger.ProjectionAction) string // what was done, as a sentence
	idle     string                                  // the sentence for a projection for which there was nothing to do
}

// command completes a command. It adds the flags --all, --reason and --actor.
func (o *actionCommand) command(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.which.check(args); err != nil {
			return err
		}
		if err := o.who.check(); err != nil {
			return err
		}
		result, err := o.run(o.app.ledger.Admin(), cmd.Context(), gxpledger.ActionRequest{Projections: o.which.names, Actor: o.who.actor, Reason: o.who.reason})
		if err != nil {
			return o.failed(err)
		}
		return o.app.showActions(result, func(done gxpledger.ProjectionAction) string {
			if done.Recorded == nil {
				return fmt.Sprintf(o.idle, done.Projection)
			}
			return o.describe(done)
		})
	}
	o.which.add(cmd)
	o.who.add(cmd)
	return cmd
}

// failed words the errors of an action on the projection that was named.
func (o *actionCommand) failed(err error) error {
	switch {
	case errors.Is(err, projections.ErrNotPaused):
		return failed(err, "cannot resume %s: it is not paused; nothing was changed", o.which.names[0])
	case errors.Is(err, projections.ErrNoBuild):
		return failed(err, "cannot cancel: %s is not being rebuilt; nothing was changed", o.which.names[0])
	}
	return err
}

// showActions shows what was done, a sentence for each projection.
func (a *app) showActions(result gxpledger.ActionResult, describe func(gxpledger.ProjectionAction) string) error {
	a.noteNotProjected(result.NotProjected)
	document := actionsDocument{Actions: []domain.AdminActed{}}
	for _, done := range result.Actions {
		if done.Recorded != nil {
			document.Actions = append(document.Actions, *done.Recorded)
		}
	}
	return a.answer(document, func(screen *render.Screen) {
		for _, done := range result.Actions {
			screen.Line("%s", describe(done))
		}
	})
}

// noteNotProjected says that the audit trail does not show an action yet.
func (a *app) noteNotProjected(err error) {
	if err != nil && !errors.As(err, new(*gxpledger.UnrecordedError)) { // which is an error of the command
		a.notes().Line("the audit trail does not show the action yet (%s): see gxpledger projections status", oneLine(err.Error()))
	}
}

// actionCommands are the commands that act on one projection or on all.
func actionCommands(a *app) []*cobra.Command {
	pause := &actionCommand{app: a, run: gxpledger.Admin.Pause, describe: func(done gxpledger.ProjectionAction) string {
		return fmt.Sprintf("Paused %s. Its tables stay as they are until gxpledger projections resume %[1]s --reason TEXT.", done.Projection)
	}}
	resume := &actionCommand{app: a, run: gxpledger.Admin.Resume, idle: "%s was not paused.", describe: func(done gxpledger.ProjectionAction) string {
		return fmt.Sprintf("Resumed %s.", done.Projection)
	}}
	cancel := &actionCommand{app: a, run: gxpledger.Admin.Cancel, idle: "%s was not being rebuilt.", describe: func(done gxpledger.ProjectionAction) string {
		return fmt.Sprintf("Cancelled the rebuild of %s and discarded build %s. Readers keep the active build.", done.Projection, numbers(done.Builds))
	}}
	return []*cobra.Command{
		cancel.command(&cobra.Command{
			Use:   "cancel [NAME] --reason TEXT",
			Short: "Cancel a running rebuild and discard its partial build",
			Long: "Cancel the rebuild of a projection, or with --all of every one, in whichever process it runs, and discard the partial\n" +
				"build. An orphaned build is discarded too. Readers keep the active build.",
			Example: "  gxpledger projections cancel artifacts --reason \"wrong binary\"",
		}),
		pause.command(&cobra.Command{
			Use:   "pause [NAME] --reason TEXT",
			Short: "Pause a projection: its tables stay as they are",
			Long: "Pause a projection, or with --all every one: from its next page on, no process writes its tables until projections\n" +
				"resume. Scans are still recorded in the log. Commands that read the tables say that they are behind the log. An\n" +
				"administrator's rebuild still replaces them.",
			Example: "  gxpledger projections pause artifacts --reason \"database upgrade, change request 18\"",
		}),
		resume.command(&cobra.Command{
			Use:     "resume [NAME] --reason TEXT",
			Short:   "Resume a paused projection",
			Long:    "Resume a paused projection, or with --all every one, and catch up its tables.",
			Example: "  gxpledger projections resume artifacts --reason \"upgrade done\"",
		}),
		newProjectionsPrune(a),
	}
}

func newProjectionsPrune(a *app) *cobra.Command {
	keep := 0
	o := &actionCommand{app: a, idle: "%s has no retired builds to remove.", describe: func(done gxpledger.ProjectionAction) string {
		return fmt.Sprintf("Removed retired builds of %s: %s.", done.Projection, numbers(done.Builds))
	}}
	o.run = func(admin gxpledger.Admin, ctx context.Context, r gxpledger.ActionRequest) (gxpledger.ActionResult, error) {
		if keep < 0 {
			return gxpledger.ActionResult{}, usage("the flag --keep does not take %d: want a number of builds, 0 or more", keep)
		}
		return admin.Prune(ctx, gxpledger.PruneRequest{Projections: r.Projections, Keep: keep, Actor: r.Actor, Reason: r.Reason})
	}
	cmd := o.command(&cobra.Command{
		Use:   "prune [NAME] --reason TEXT",
		Short: "Remove the retired builds of a projection",
		Long: "Remove the retired builds of a projection, or with --all of every one, except the newest --keep. No data is lost: a\n" +
			"rebuild restores the same rows from the log.",
		Example: "  gxpledger projections prune --all --reason \"the new version is in use for a week\"\n" +
			"  gxpledger projections prune artifacts --keep 1 --reason \"disk space\"",
	})
	cmd.Flags().IntVar(&keep, "keep", 0, "number of retired builds to keep")
	return cmd
}

func numbers(builds []int) string {
	texts := make([]string, len(builds))
	for i, n := range builds {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}

func newProjectionsSkip(a *app) *cobra.Command {
	who, which := whoFlags{}, projectionArgs{}
	cmd := &cobra.Command{
		Use:   "skip [NAME] POSITION --reason TEXT",
		Short: "Skip the event at which a projection stopped",
		Long: "Skip the event at which a projection stopped because it cannot apply it. The projection skips that event from now on,\n" +
			"live and in every rebuild, as-of view and verification, and its tables lack what the event says; the skip is recorded\n" +
			"in the log. A later version of the projection tries the event again. Prefer to remove the cause: use a newer\n" +
			"gxpledger, or restore the log. POSITION must be where the projection stopped; NAME may be left out when only one\n" +
			"projection stopped there.",
		Example: "  gxpledger projections skip artifacts 1042 --reason \"known defect 12, assessed as harmless\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return takes(cmd, args, 1, 2, "the position of the event, and before it the name of the projection")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			last := args[len(args)-1]
			position, err := strconv.ParseUint(last, 10, 64)
			if err != nil || position == 0 {
				return usage("%q is not a position: want the number at which the projection stopped, see gxpledger projections status", last)
			}
			request := gxpledger.SkipRequest{Position: eventstore.Position(position)}
			if len(args) > 1 {
				if err := which.check(args[:1]); err != nil {
					return err
				}
				request.Projection = args[0]
			}
			if err := who.check(); err != nil {
				return err
			}
			request.Actor, request.Reason = who.actor, who.reason
			return a.skip(cmd.Context(), request)
		},
	}
	who.add(cmd)
	return cmd
}

func (a *app) skip(ctx context.Context, r gxpledger.SkipRequest) error {
	result, err := a.ledger.Admin().Skip(ctx, r)
	if refused, ok := errors.AsType[*gxpledger.NotFaultedError](err); ok {
		if len(refused.Faulted) > 1 {
			return usage("%s", refused.Error())
		}
		return failed(err, "%v; nothing was changed: gxpledger projections status shows where projections stopped", err)
	}
	if err != nil {
		return err
	}
	return a.showActions(result, func(done gxpledger.ProjectionAction) string {
		return fmt.Sprintf("Skipped position %d (%s) in %s, version %s. Its tables lack what that event says.",
			uint64(r.Position), done.Recorded.Arguments["type"], done.Projection, done.Recorded.Arguments["version"])
	})
}
