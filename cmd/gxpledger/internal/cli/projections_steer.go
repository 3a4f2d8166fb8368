package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// actsDocument is the output, with --json, of the commands that steer projections: what was done, as it was recorded.
type actsDocument struct {
	Acts []domain.AdminActed `json:"acts"`
}

// steerCommand is a command that does one act on each projection that is named.
type steerCommand struct {
	acting
	// do does it and returns the acts that were done, and a sentence on each.
	do func(ctx context.Context, s steering, projection string) (domain.AdminActed, string, error)
}

func (o *steerCommand) run(ctx context.Context) error {
	document := actsDocument{Acts: []domain.AdminActed{}}
	return o.app.steer(ctx, func(s steering) error {
		var said []string
		for _, name := range o.names {
			act, sentence, err := o.do(ctx, s, name)
			if err != nil {
				return err
			}
			if act.ID != "" {
				document.Acts = append(document.Acts, act)
			}
			said = append(said, sentence)
		}
		if err := s.showActs(ctx, o.app); err != nil {
			return err
		}
		if o.app.json {
			return o.app.document(document)
		}
		screen := o.app.screen()
		for _, sentence := range said {
			screen.Line("%s", sentence)
		}
		return screen.Err()
	})
}

// command makes the command. Every flag but --all and those of why is the caller's.
func (o *steerCommand) command(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.which(args); err != nil {
			return err
		}
		if err := o.why(); err != nil {
			return err
		}
		return o.run(cmd.Context())
	}
	o.addAll(cmd.Flags())
	o.addWhy(cmd.Flags())
	return cmd
}

// succeeded is an act that is done.
func (o *acting) succeeded(action, projection string) (domain.AdminActed, error) {
	act, err := o.act(action, projection)
	act.Outcome = projections.OutcomeSucceeded
	return act, err
}

func newProjectionsPause(a *app) *cobra.Command {
	o := &steerCommand{acting: acting{app: a}}
	o.do = func(ctx context.Context, s steering, name string) (domain.AdminActed, string, error) {
		act, err := o.succeeded(actPause, name)
		if err != nil {
			return act, "", err
		}
		hold := projections.Hold{By: o.actor, Reason: o.reason, At: act.At}
		return act, fmt.Sprintf("Paused %s: its tables stay as they are until gxpledger projections resume %s --reason TEXT.", name, name),
			s.tables.Pause(ctx, name, hold, act)
	}
	return o.command(&cobra.Command{
		Use:   "pause [NAME] --reason TEXT",
		Short: "Keep the tables of a projection as they are",
		Long: "Keeps the tables of a projection, or with --all of every one, as they are until projections resume: no process writes\n" +
			"them from its next page on. Scans are recorded in the log all the same. Commands that read the tables say that they are\n" +
			"behind. A rebuild or a rollback that an administrator asks for still replaces them.",
		Example: "  gxpledger projections pause artifacts --reason \"database upgrade, change request 18\"",
	})
}

func newProjectionsResume(a *app) *cobra.Command {
	o := &steerCommand{acting: acting{app: a}}
	o.do = func(ctx context.Context, s steering, name string) (domain.AdminActed, string, error) {
		act, err := o.succeeded(actResume, name)
		if err != nil {
			return act, "", err
		}
		err = s.tables.Resume(ctx, name, act)
		if errors.Is(err, projections.ErrNotPaused) {
			if o.all {
				return domain.AdminActed{}, name + " was not paused.", nil
			}
			return act, "", failed(err, "%s is not paused: nothing was done", name)
		}
		return act, fmt.Sprintf("Resumed %s.", name), err
	}
	return o.command(&cobra.Command{
		Use:     "resume [NAME] --reason TEXT",
		Short:   "Let a paused projection go on",
		Long:    "Ends projections pause. The tables are brought up to the head of the log at once.",
		Example: "  gxpledger projections resume artifacts --reason \"upgrade done\"",
	})
}

func newProjectionsCancel(a *app) *cobra.Command {
	o := &steerCommand{acting: acting{app: a}}
	o.do = func(ctx context.Context, s steering, name string) (domain.AdminActed, string, error) {
		act, err := o.succeeded(actCancel, name)
		if err != nil {
			return act, "", err
		}
		ref, err := s.tables.CancelBuild(ctx, name, o.actor, act)
		if errors.Is(err, projections.ErrNoBuild) {
			if o.all {
				return domain.AdminActed{}, fmt.Sprintf("Nothing is being built of %s.", name), nil
			}
			return act, "", failed(err, "nothing is being built of %s: nothing was done", name)
		}
		return act, fmt.Sprintf("Cancelled build %d of %s. Readers see what they saw before.", ref.Number, name), err
	}
	return o.command(&cobra.Command{
		Use:   "cancel [NAME] --reason TEXT",
		Short: "End a rebuild, whichever process it runs in, and drop what it made",
		Long: "Ends the rebuild or the rollback of a projection. A process that is at it is refused its next page and says that it was\n" +
			"cancelled; what one left that died or was stopped is dropped. Readers keep the tables that they see.",
		Example: "  gxpledger projections cancel artifacts --reason \"wrong binary\"",
	})
}

func newProjectionsPrune(a *app) *cobra.Command {
	o := &steerCommand{acting: acting{app: a}}
	keep := 0
	o.do = func(ctx context.Context, s steering, name string) (domain.AdminActed, string, error) {
		if keep < 0 {
			return domain.AdminActed{}, "", usage("the flag --keep does not take %d: want how many former builds stay, from 0", keep)
		}
		act, err := o.succeeded(actPrune, name)
		if err != nil {
			return act, "", err
		}
		pruned, err := s.tables.PruneBuilds(ctx, name, keep, act)
		if err != nil || len(pruned) == 0 {
			return domain.AdminActed{}, name + " has no former builds to remove.", err
		}
		act = projections.PruneAct(act, pruned)
		return act, fmt.Sprintf("Removed former builds of %s: %s.", name, act.Arguments["builds"]), nil
	}
	cmd := o.command(&cobra.Command{
		Use:   "prune [NAME] --reason TEXT",
		Short: "Remove the tables that a projection had before",
		Long: "Removes the builds of a projection, or with --all of every one, that readers saw before the present one, except the\n" +
			"newest --keep of them. They cannot be rolled back to any more; the log makes them anew at any time.",
		Example: "  gxpledger projections prune --all --reason \"the new version is in use for a week\"\n" +
			"  gxpledger projections prune artifacts --keep 1 --reason \"room\"",
	})
	cmd.Flags().IntVar(&keep, "keep", 0, "how many former builds, the newest, stay")
	return cmd
}

func newProjectionsRollback(a *app) *cobra.Command {
	o := &acting{app: a}
	cmd := &cobra.Command{
		Use:   "rollback NAME --reason TEXT",
		Short: "Show the tables again that a projection had before",
		Long: "Brings the build that readers saw before the present one up to the head of the log and shows it again; the present one is\n" +
			"kept, and a second rollback returns to it. A build of another version of the projection can only be brought up to date,\n" +
			"and shown again, by the gxpledger that made it.",
		Example: "  gxpledger projections rollback artifacts --reason \"rows look wrong, deviation 4\"",
		Args:    func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s needs the name of a projection: gxpledger projections status lists them", cmd.CommandPath())
			}
			if err := o.which(args); err != nil {
				return err
			}
			if err := o.why(); err != nil {
				return err
			}
			return o.rollback(cmd.Context(), args[0])
		},
	}
	o.addWhy(cmd.Flags())
	return cmd
}

func (o *acting) rollback(ctx context.Context, name string) error {
	return o.app.steer(ctx, func(s steering) error {
		act, err := o.act(actRollback, name)
		if err != nil {
			return err
		}
		runner, done, err := o.app.watchedRunner(ctx, s.view, "rolling back "+name)
		if err != nil {
			return err
		}
		report, err := s.outwait(ctx, o.app, &act, func() (projections.Report, error) { return runner.Rollback(ctx, name, &act) })
		done()
		switch {
		case errors.Is(err, projections.ErrNoBuild):
			return failed(err, "%s has no former build: nothing was done", name)
		case errors.As(err, new(*projections.VersionError)):
			return failed(err, "the former tables of %s cannot be shown by this binary (%v): nothing was done", name, oneLine(err.Error()))
		case err != nil:
			return unfinished(ctx, "rollback", name, err)
		}
		if err := s.showActs(ctx, o.app); err != nil {
			return err
		}
		document := rebuildDocument{Rebuilt: []rebuilt{rebuiltOf(name, report)}}
		if o.app.json {
			return o.app.document(document)
		}
		screen := o.app.screen()
		showRebuilt(screen, document)
		return screen.Err()
	})
}

func newProjectionsSkip(a *app) *cobra.Command {
	o := &skipOptions{acting: acting{app: a}}
	cmd := &cobra.Command{
		Use:   "skip [NAME] POSITION --reason TEXT",
		Short: "Let a projection pass over the event at which it stopped",
		Long: "A projection that cannot fold an event stops there, and the others go on. After skip it passes over that event, live and in\n" +
			"every rebuild, as-of view and verification, and its tables lack what the event says: this is recorded in the log. A later\n" +
			"version of the projection tries the event again. Mending the cause is better: a newer gxpledger, a restored log.\n" +
			"POSITION must be where it stands now; NAME may be left out when only one projection stands there.",
		Example: "  gxpledger projections skip artifacts 1042 --reason \"known defect 12, assessed as harmless\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return takes(cmd, args, 1, 2, "the position of the event, and before it the name of the projection")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.addWhy(cmd.Flags())
	return cmd
}

type skipOptions struct {
	acting
	position uint64
}

func (o *skipOptions) validate(args []string) error {
	last := args[len(args)-1]
	position, err := strconv.ParseUint(last, 10, 64)
	if err != nil || position == 0 {
		return usage("%q is no position: want the number of the event at which the projection stopped, as gxpledger projections status shows it", last)
	}
	o.position = position
	o.names = projectionNames()
	if len(args) > 1 {
		if err := o.which(args[:1]); err != nil {
			return err
		}
	}
	return o.why()
}

func (o *skipOptions) run(ctx context.Context) error {
	return o.app.steer(ctx, func(s steering) error {
		standing, err := o.standing(ctx, s)
		if err != nil {
			return err
		}
		act, err := o.act(projections.ActSkip, standing.Name)
		if err == nil {
			act, err = projections.SkipAct(act, standing)
		}
		if err != nil {
			return err
		}
		if _, err := s.recorder.Act(ctx, act); err != nil {
			return err
		}
		if err := s.showActs(ctx, o.app); err != nil {
			return err
		}
		if o.app.json {
			return o.app.document(actsDocument{Acts: []domain.AdminActed{act}})
		}
		screen := o.app.screen()
		screen.Line("Skipped position %d (%s) in %s, version %d: its tables lack what that event says.", o.position, standing.Fault.Type, standing.Name, standing.Version)
		return screen.Err()
	})
}

// standing returns the status of the projection that stands at the position.
func (o *skipOptions) standing(ctx context.Context, s steering) (projections.Status, error) {
	all, err := s.runner.Status(ctx, projections.StatusOptions{})
	if err != nil {
		return projections.Status{}, err
	}
	var at []projections.Status
	for _, status := range all {
		if status.Fault != nil && uint64(status.Fault.Position) == o.position && slices.Contains(o.names, status.Name) {
			at = append(at, status)
		}
	}
	switch {
	case len(at) == 1:
		return at[0], nil
	case len(at) > 1:
		return projections.Status{}, usage("%s and %s both stand at position %d: name one of them", at[0].Name, at[1].Name, o.position)
	case len(o.names) == 1:
		return projections.Status{}, failed(nil, "%s does not stand at position %d: nothing was done; gxpledger projections status shows where it is", o.names[0], o.position)
	default:
		return projections.Status{}, failed(nil, "no projection stands at position %d: nothing was done; gxpledger projections status shows where they are", o.position)
	}
}
