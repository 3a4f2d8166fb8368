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
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
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
	act.Outcome = run.OutcomeSucceeded
	return act, err
}

func newProjectionsPause(a *app) *cobra.Command {
	o := &steerCommand{acting: acting{app: a}}
	o.do = func(ctx context.Context, s steering, name string) (domain.AdminActed, string, error) {
		act, err := o.succeeded(actPause, name)
		if err != nil {
			return act, "", err
		}
		hold := projections.Pause{By: o.actor, Reason: o.reason, At: act.At}
		return act, fmt.Sprintf("Paused %s: its tables stay as they are until gxpledger projections resume %s --reason TEXT.", name, name),
			projections.PauseProjection(ctx, s.tables, name, hold, act)
	}
	return o.command(&cobra.Command{
		Use:   "pause [NAME] --reason TEXT",
		Short: "Keep the tables of a projection as they are",
		Long: "Keeps the tables of a projection, or with --all of every one, as they are until projections resume: no process writes\n" +
			"them from its next page on. Scans are recorded in the log all the same. Commands that read the tables say that they are\n" +
			"behind. A rebuild that an administrator asks for still replaces them.",
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
		err = projections.ResumeProjection(ctx, s.tables, name, act)
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
		ref, err := projections.CancelBuild(ctx, s.tables, name, o.actor, act)
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
		Long: "Ends the rebuild of a projection. A process that is at it is refused its next page and says that it was cancelled; what one\n" +
			"left that died or was stopped is dropped. Readers keep the tables that they see.",
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
		pruned, err := projections.PruneBuilds(ctx, s.tables, name, keep, act)
		if err != nil || len(pruned) == 0 {
			return domain.AdminActed{}, name + " has no former builds to remove.", err
		}
		act = projections.WithPrunedBuilds(act, pruned)
		return act, fmt.Sprintf("Removed former builds of %s: %s.", name, act.Arguments["builds"]), nil
	}
	cmd := o.command(&cobra.Command{
		Use:   "prune [NAME] --reason TEXT",
		Short: "Remove the tables that a projection had before",
		Long: "Removes the builds of a projection, or with --all of every one, that readers saw before the present one, except the\n" +
			"newest --keep of them. Nothing is lost: they hold what the log says.",
		Example: "  gxpledger projections prune --all --reason \"the new version is in use for a week\"\n" +
			"  gxpledger projections prune artifacts --keep 1 --reason \"room\"",
	})
	cmd.Flags().IntVar(&keep, "keep", 0, "how many former builds, the newest, stay")
	return cmd
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
		act, err := o.act(run.ActionSkip, standing.Name)
		if err == nil {
			act, err = run.SkipAction(act, standing.Name, standing.Version, standing.Fault)
		}
		if err != nil {
			return err
		}
		if _, err := s.recorder.RecordAction(ctx, act); err != nil {
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
func (o *skipOptions) standing(ctx context.Context, s steering) (inspect.Status, error) {
	all, err := s.statuses(ctx)
	if err != nil {
		return inspect.Status{}, err
	}
	var at []inspect.Status
	for _, status := range all {
		if status.Fault != nil && uint64(status.Fault.Position) == o.position && slices.Contains(o.names, status.Name) {
			at = append(at, status)
		}
	}
	switch {
	case len(at) == 1:
		return at[0], nil
	case len(at) > 1:
		return inspect.Status{}, usage("%s and %s both stand at position %d: name one of them", at[0].Name, at[1].Name, o.position)
	case len(o.names) == 1:
		return inspect.Status{}, failed(nil, "%s does not stand at position %d: nothing was done; gxpledger projections status shows where it is", o.names[0], o.position)
	default:
		return inspect.Status{}, failed(nil, "no projection stands at position %d: nothing was done; gxpledger projections status shows where they are", o.position)
	}
}
