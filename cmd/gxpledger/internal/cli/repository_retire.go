package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

type retireOptions struct {
	app  *app
	who  whoFlags
	name string
}

func newRetire(a *app) *cobra.Command {
	o := &retireOptions{app: a}
	cmd := &cobra.Command{
		Use:   "retire NAME --reason TEXT",
		Short: "Retire a repository: it can no longer be scanned, its history stays",
		Long: "Retire a repository: every further scan of it fails. Nothing is deleted, and its history can still be shown. It cannot be\n" +
			"undone; to continue, scan the repository under another name.",
		Example: "  gxpledger repository retire product --reason \"replaced by product-2, change request 17\"",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s needs the name, address or id of a repository: gxpledger scans shows what was scanned", cmd.CommandPath())
			}
			return atMostOne(cmd, "repository", args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.who.check(); err != nil {
				return err
			}
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
	o.who.add(cmd)
	return cmd
}

func (o *retireOptions) run(ctx context.Context) error {
	done, err := o.app.ledger.Admin().Retire(ctx, gxpledger.RetireRequest{Repository: o.name, Actor: o.who.actor, Reason: o.who.reason})
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return failed(err, "it is unknown whether the retirement of %q was recorded, since the log did not answer (%s): "+
			"run the command again, nothing is recorded twice", o.name, oneLine(err.Error()))
	}
	if refused, ok := errors.AsType[*domain.NotChangedError](err); ok {
		return failed(err, "repository %q %s: nothing was recorded", refused.Repository, refused.Why)
	}
	if err != nil {
		return asked(err)
	}
	if err := o.app.ledger.CatchUp(ctx, done.Position, gxpledger.Artifacts); err != nil {
		o.app.notes().Line("the tables do not show it yet (%s): the next command catches them up", oneLine(err.Error()))
	}
	return o.app.answer(done, func(screen *render.Screen) {
		screen.Line("Retired %s by %s at %s, position %d; reason: %s", done.Repository, done.Actor, done.RetiredAt, uint64(done.Position), done.Reason)
		screen.Line("It can no longer be scanned. Its history can still be shown.")
	})
}
