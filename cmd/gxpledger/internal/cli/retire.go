package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
)

type retireOptions struct {
	app                 *app
	name, actor, reason string
}

func newRetire(a *app) *cobra.Command {
	o := &retireOptions{app: a}
	cmd := &cobra.Command{
		Use:   "retire NAME --reason TEXT",
		Short: "End a repository: it is scanned no more, and its history stays",
		Long: "Records that a repository is scanned no more: every further scan of it fails. Nothing is deleted: all that was ever\n" +
			"recorded of it can still be shown. There is no way back; to go on, scan the repository under another name.",
		Example: "  gxpledger retire product --reason \"replaced by product-2, change request 17\"",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s needs the name or id of a repository: gxpledger scans shows what was scanned", cmd.CommandPath())
			}
			return atMostOne(cmd, "repository", args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.reason, "reason", "", "`WHY` it is retired; required")
	flags.StringVar(&o.actor, "actor", "", "`WHO` retires it (default: the user of the operating system)")
	return cmd
}

func (o *retireOptions) validate(args []string) error {
	o.name = args[0]
	if o.reason == "" {
		return usage("the flag --reason is required: say why the repository is retired; it is recorded")
	}
	if o.actor == "" {
		o.actor = gxpledger.DefaultActor()
	}
	return nil
}

func (o *retireOptions) run(ctx context.Context) error {
	done, err := o.app.ledger.Retire(ctx, gxpledger.RetireRequest{Repository: o.name, Actor: o.actor, Reason: o.reason})
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return failed(err, "it is unknown whether the retirement of %q was recorded, since the log did not answer (%s): "+
			"run the command again, nothing is recorded twice", o.name, oneLine(err.Error()))
	}
	if refused, ok := errors.AsType[*gxpledger.NotRetirableError](err); ok {
		return failed(err, "repository %q %s: nothing was recorded", refused.Repository, refused.Why)
	}
	if err != nil {
		return asked(err)
	}
	if err := o.app.ledger.CatchUp(ctx, done.Position, gxpledger.Artifacts); err != nil {
		o.app.notes().Line("the tables do not show it yet (%s): the next command brings them up to date", oneLine(err.Error()))
	}
	if o.app.json {
		return o.app.document(done)
	}
	screen := o.app.screen()
	screen.Line("Retired %s by %s at %s, position %d; reason: %s", done.Repository, done.Actor, done.RetiredAt, uint64(done.Position), done.Reason)
	screen.Line("It is scanned no more. All that was recorded of it can still be shown.")
	return screen.Err()
}
