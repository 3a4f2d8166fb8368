package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// retireDocument is the output of retire --json.
type retireDocument struct {
	RepositoryID string              `json:"repository_id"`
	Repository   string              `json:"repository"`
	Actor        string              `json:"actor"`
	Reason       string              `json:"reason"`
	RetiredAt    time.Time           `json:"retired_at"`
	Position     eventstore.Position `json:"position"`
}

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
	if o.name == "" {
		return usage("the repository is empty: give its name or id, gxpledger scans shows what was scanned")
	}
	if o.reason == "" {
		return usage("the flag --reason is required: say why the repository is retired; it is recorded")
	}
	if o.actor == "" {
		o.actor = defaultActor()
	}
	return nil
}

func (o *retireOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{needs: []string{artifactTables}}, func(v *view) error {
		found, err := v.query.Find(ctx, o.name)
		if err != nil {
			return err
		}
		if err := refuseRetiring(found); err != nil {
			return err
		}
		done, err := o.retire(ctx, found)
		if err != nil {
			return err
		}
		if err := o.app.bring(ctx, v.runner, done.Position, v.needs); err != nil {
			o.app.notes().Line("the tables do not show it yet (%s): the next command brings them up to date", oneLine(err.Error()))
		}
		if o.app.json {
			return o.app.document(done)
		}
		screen := o.app.screen()
		screen.Line("Retired %s by %s at %s, position %d; reason: %s", found.Name, done.Actor, done.RetiredAt, uint64(done.Position), done.Reason)
		screen.Line("It is scanned no more. All that was recorded of it can still be shown.")
		return screen.Err()
	})
}

// refuseRetiring says why a repository cannot be retired, nil when it can.
func refuseRetiring(r query.Repository) error {
	switch {
	case !r.RetiredAt.IsZero():
		return failed(nil, "repository %q was retired at %s by %s already: nothing was recorded", r.Name, r.RetiredAt.Format(time.RFC3339), r.RetiredBy)
	case r.RegisteredAt.IsZero():
		return failed(nil, "repository %q has no completed scan, so there is nothing to retire: nothing was recorded", r.Name)
	}
	return nil
}

// retire records it, in a log that it opens for that: commands that look only read.
func (o *retireOptions) retire(ctx context.Context, r query.Repository) (done retireDocument, err error) {
	log, err := o.app.openLog(ctx)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	recorder, err := o.app.newRecorder(log)
	if err != nil {
		return done, err
	}
	act, err := uuid.NewV7()
	if err != nil {
		return done, fmt.Errorf("make an id: %w", err)
	}
	done = retireDocument{RepositoryID: r.ID, Repository: r.Name, Actor: o.actor, Reason: o.reason, RetiredAt: o.app.system.Now().UTC()}
	done.Position, err = recorder.Retire(ctx, act, domain.RepositoryRetired{
		Repository: domain.Repository{ID: domain.RepositoryID(r.ID), Name: r.Name, URL: r.URL},
		Actor:      o.actor, Reason: o.reason, RetiredAt: done.RetiredAt,
	})
	if errors.Is(err, eventstore.ErrInvalid) { // another process was faster
		return done, failed(err, "repository %q cannot be retired (%v): nothing was recorded", r.Name, err)
	}
	return done, err
}
