package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/internal/config"
)

type logCopyOptions struct {
	app            *app
	from, to       string
	who            whoFlags
	checkpoints    []uint
	until          uint64
	source, target *app // with the ledgers of the two logs
}

func newLogCopy(a *app) *cobra.Command {
	o := &logCopyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "copy --from URL --to URL --reason TEXT",
		Short: "Copy a log to another location or kind, and compare the copy",
		Long: "Copy every event of a log, with its id, data, metadata and recorded time, in order, and every content; compare each\n" +
			"event and read each content back; and then record in the copy who copied it, why and from where. Nothing may be\n" +
			"recorded in either log meanwhile. An interrupted copy is resumed by the same command; a complete one is left as it is; a\n" +
			"target that holds anything else is refused.\n\n" +
			"A log is named as for --log, or by sqlite:FOLDER, the home of a SQLite log. A log on PostgreSQL must have been created\n" +
			"by migrate up. The copy has an id of its own: tables that were built from the source are refused until projections\n" +
			"rebuild --all --adopt-log. Positions stay the same, unless one of the two is an EventStoreDB: then --checkpoint shows\n" +
			"where readers continue, also for a complete copy.\n\n" +
			"Copy a damaged or tampered log with --until: whole batches up to that position, and the contents that their events name.\n" +
			"verify, and the error of log copy, name the position. The copy records that it is partial.",
		Example: "  gxpledger log copy --from sqlite:.gxpledger --to postgres://USER@HOST/DATABASE --reason \"a second machine\"\n" +
			"  gxpledger log copy --from postgres://USER@HOST/DATABASE --to sqlite:/srv/archive --reason \"end of the project\"\n" +
			"  gxpledger log copy --from sqlite:.gxpledger --to esdb://USER:PASSWORD@HOST --reason \"a cluster\"",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("until") && o.until == 0 {
				return usage("the flag --until is 0: want the position of the last event to copy")
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "`URL` of the source log, or sqlite:FOLDER (required)")
	flags.StringVar(&o.to, "to", "", "`URL` of the target log, or sqlite:FOLDER (required)")
	o.who.add(cmd)
	flags.UintSliceVar(&o.checkpoints, "checkpoint", nil, "position `N` that a reader of the source has reached, to be mapped to the copy; repeatable")
	flags.Uint64Var(&o.until, "until", 0, "last position `N` to copy: whole batches that end at or before it")
	flags.Lookup("until").DefValue = ""      // all
	flags.Lookup("checkpoint").DefValue = "" // not worth showing
	return cmd
}

// openBoth opens the ledgers of both logs.
func (o *logCopyOptions) openBoth(ctx context.Context) (err error) {
	if o.source, err = o.app.ledgerOf(ctx, "--from", o.from); err != nil {
		return err
	}
	if o.target, err = o.app.ledgerOf(ctx, "--to", o.to); err != nil {
		return err
	}
	return o.who.check()
}

// ledgerOf returns the app that a would be if its log were the one that a flag names.
func (a *app) ledgerOf(ctx context.Context, flag, address string) (*app, error) {
	const local = "sqlite:FOLDER for the log in a home"
	other := *a
	if address == "" {
		return nil, usage("the flag %s is required: want an address, as for --log, or %s", flag, local)
	}
	var err error
	if other.settings, err = a.settings.WithLog(address); err == nil {
		err = other.openLedger(ctx)
	}
	if wrong, ok := errors.AsType[*config.Error](err); ok && wrong.Setting == config.Log {
		return nil, usage("%s: %s: %s; or write %s", flag, wrong.Problem, wrong.Remedy, local)
	}
	return &other, err
}

func (o *logCopyOptions) run(ctx context.Context) (err error) {
	defer func() {
		for _, opened := range []*app{o.source, o.target} {
			if opened != nil {
				err = opened.closeLedger(err)
			}
		}
	}()
	if err := o.openBoth(ctx); err != nil {
		return err
	}
	request := gxpledger.CopyRequest{Until: eventstore.Position(o.until), Actor: o.who.actor, Reason: o.who.reason}
	for _, at := range o.checkpoints {
		request.Checkpoints = append(request.Checkpoints, eventstore.Position(at))
	}
	progress := o.app.progress()
	request.Progress = func(step transfer.Step, done, all uint64) { progress.Say(copyProgress(step, done, all)) }
	copied, err := o.source.ledger.Admin().CopyLog(ctx, o.target.ledger, request)
	progress.Done()
	if err != nil {
		return copyFailed(ctx, err)
	}
	if o.app.json {
		err = o.app.document(copied)
	} else {
		err = o.show(copied)
	}
	if err == nil && len(copied.Lost) > 0 {
		return found()
	}
	return err
}

func copyProgress(step transfer.Step, done, all uint64) string {
	if step == transfer.Contents {
		return fmt.Sprintf("reading content %d of the copy", done)
	}
	if all == 0 {
		return fmt.Sprintf("%s event %d", step, done)
	}
	return fmt.Sprintf("%s event %d of %d", step, done, all)
}

// copyFailed says what a copy that failed left.
func copyFailed(ctx context.Context, err error) error {
	const resumes = "the source log is unchanged, and the same command resumes the copy"
	switch {
	case errors.As(err, new(*config.Error)): // says what to do itself
		return err
	case ctx.Err() != nil:
		return failed(err, "the copy was interrupted: %s", resumes)
	case errors.Is(err, transfer.ErrOtherHistory):
		return failed(err, "%v; nothing more was written: copy to a new, empty log", err)
	case errors.Is(err, eventstore.ErrTransient):
		return failed(err, "%v: %s", err, resumes)
	}
	return err
}

func (o *logCopyOptions) show(c transfer.Result) error {
	screen := o.app.screen()
	done := fmt.Sprintf("%s written now", render.Count(int(c.Written), "event")) //nolint:gosec // no log has 2^63 events
	if c.Repeated {
		done = "complete already, nothing written now"
	}
	screen.Field("Copied", "%s in %s, %s: %s", render.Count(int(c.Events), "event"), //nolint:gosec // no log has 2^63 events
		render.CountOf(int(c.Batches), "batch", "batches"), render.Count(int(c.Contents), "content"), done) //nolint:gosec // nor batches
	screen.Field("From", "log %s at %s%s", c.FromLog, o.source.settings.LogName(), positions(c.Events, c.First.From, c.Last.From))
	screen.Field("To", "log %s at %s%s", c.ToLog, o.target.settings.LogName(), positions(c.Events, c.First.To, c.Last.To))
	if c.Until > 0 {
		screen.Field("Until", "position %d, as requested: events after position %d of the source were left out", uint64(c.Until), uint64(c.Last.From))
	}
	screen.Field("Recorded", "log.copied at position %d of the copy", uint64(c.Action))
	for _, at := range c.Checkpoints {
		screen.Field("Checkpoint", "a reader at position %d of the source continues after position %d of the copy", uint64(at.From), uint64(at.To))
	}
	screen.Blank()
	for _, hash := range c.Lost {
		screen.Line("%s content %s is named by events, and the source does not hold it either", render.Bad.Of("lost"), hash)
	}
	if c.Raised > 0 {
		screen.Line("%s in the source decreased, since it had several writers: the copy has the time of the event before instead.",
			render.Count(int(c.Raised), "recorded time")) //nolint:gosec // nor recorded times
	}
	screen.Line("%s", render.Good.Of("Every event of the copy was compared with the source, and every content was read back."))
	screen.Line("The copy has an id of its own. Rebuild tables that were built from the source:")
	screen.Line("    gxpledger projections rebuild --all --adopt-log --reason TEXT %s", o.target.flag())
	return screen.Err()
}

// positions says which positions events have in a log.
func positions(events uint64, first, last eventstore.Position) string {
	if events == 0 {
		return ""
	}
	return fmt.Sprintf(", positions %d to %d", first, last)
}

// flag is the flag that chooses the log, without passwords.
func (a *app) flag() string {
	if a.settings.Log.Local() {
		return "--home " + a.settings.HomeFolder()
	}
	return "--log " + a.settings.LogName()
}
