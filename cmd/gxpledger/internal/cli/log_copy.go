package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/internal/config"
)

type logCopyOptions struct {
	app           *app
	from, to      string
	actor, reason string
	checkpoints   []uint
	until         uint64
	source        *app // as if --log, or --home, named the log that is copied
	target        *app // and this one where it goes
}

func newLogCopy(a *app) *cobra.Command {
	o := &logCopyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "copy --from URL --to URL --reason TEXT",
		Short: "Copy a whole log to another place or kind, and compare the copy",
		Long: "Copies every event of a log, with its id, data, metadata and recorded time, in order, and every content, compares each\n" +
			"event and reads each content back, and then records in the copy who copied it, why and from where. Nothing may be\n" +
			"recorded in either log meanwhile. A copy that was stopped goes on where it stopped when the same command is run again;\n" +
			"one that is complete is left as it is; a log that holds anything else is refused.\n\n" +
			"A log is named as for --log, or, the SQLite log of a home, by sqlite:FOLDER. A log on PostgreSQL must have been made by\n" +
			"migrate up. The copy has an id of its own: tables that were made from the original are not used with it until they are\n" +
			"made anew by projections rebuild --all --adopt-log. Positions are the same, but where an EventStoreDB is one of the two:\n" +
			"--checkpoint tells then where readers go on, also when the copy is complete.\n\n" +
			"A log that was damaged or tampered with is copied with --until: whole batches up to that position, and the contents that\n" +
			"their events name. What verify says, and an error of log copy, names the position. The copy records that it was cut.",
		Example: "  gxpledger log copy --from sqlite:.gxpledger --to postgres://USER@HOST/DATABASE --reason \"a second machine\"\n" +
			"  gxpledger log copy --from postgres://USER@HOST/DATABASE --to sqlite:/srv/archive --reason \"end of the project\"\n" +
			"  gxpledger log copy --from sqlite:.gxpledger --to esdb://USER:PASSWORD@HOST --reason \"a cluster\"",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("until") && o.until == 0 {
				return usage("the flag --until is 0: want the position of the last event to copy")
			}
			if err := o.validate(cmd.Context()); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "`URL` of the log that is copied, or sqlite:FOLDER; required")
	flags.StringVar(&o.to, "to", "", "`URL` of the log that it is copied to, or sqlite:FOLDER; required")
	flags.StringVar(&o.reason, "reason", "", "`WHY` it is copied; required")
	flags.StringVar(&o.actor, "actor", "", "`WHO` copies it (default: the user of the operating system)")
	flags.UintSliceVar(&o.checkpoints, "checkpoint", nil, "position `N` up to which a reader has read the original: tells where it goes on in the copy; repeatable")
	flags.Uint64Var(&o.until, "until", 0, "position `N` behind which nothing is copied: whole batches that end at or before it")
	flags.Lookup("until").DefValue = ""      // all
	flags.Lookup("checkpoint").DefValue = "" // not worth showing
	return cmd
}

func (o *logCopyOptions) validate(ctx context.Context) (err error) {
	if o.source, err = o.app.withLogAt(ctx, "--from", o.from); err != nil {
		return err
	}
	if o.target, err = o.app.withLogAt(ctx, "--to", o.to); err != nil {
		return err
	}
	if o.reason == "" {
		return usage("the flag --reason is required: say why the log is copied; it is recorded")
	}
	if o.actor == "" {
		o.actor = gxpledger.DefaultActor()
	}
	return nil
}

// withLogAt returns the app that a would be if its log were the one that a flag names.
func (a *app) withLogAt(ctx context.Context, flag, address string) (*app, error) {
	const local = "sqlite:FOLDER for the log in a home"
	other := *a
	if address == "" {
		return nil, usage("the flag %s is required: want an address, as for --log, or %s", flag, local)
	}
	var err error
	if other.settings, err = a.settings.WithLog(address); err != nil {
		if wrong, ok := errors.AsType[*config.Error](err); ok {
			return nil, usage("%s: %s: %s; or write %s", flag, wrong.Problem, wrong.Remedy, local)
		}
		return nil, err
	}
	if other.settings.Log.Local() {
		return &other, other.settings.CheckHome(ctx)
	}
	return &other, nil
}

func (o *logCopyOptions) run(ctx context.Context) error {
	copied, err := o.copy(ctx)
	if err != nil {
		return o.explain(ctx, err)
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

func (o *logCopyOptions) copy(ctx context.Context) (_ transfer.Result, err error) {
	act, err := uuid.NewV7()
	if err != nil {
		return transfer.Result{}, fmt.Errorf("make an id: %w", err)
	}
	from, err := o.source.openLogToRead(ctx)
	if err != nil {
		return transfer.Result{}, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if o.target.settings.Log.Local() {
		if err := o.target.settings.CreateHome(); err != nil {
			return transfer.Result{}, err
		}
	}
	to, err := o.target.openLog(ctx)
	if err != nil {
		return transfer.Result{}, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	progress := o.app.progress()
	defer progress.Done()
	order := transfer.Request{Action: act, Actor: o.actor, Reason: o.reason, At: o.app.system.Now(), Until: eventstore.Position(o.until)}
	for _, at := range o.checkpoints {
		order.Checkpoints = append(order.Checkpoints, eventstore.Position(at))
	}
	return transfer.Copy(ctx, from, to, order, func(step transfer.Step, done, all uint64) {
		progress.Say(sayCopying(step, done, all))
	})
}

// sayCopying says how far a copy is.
func sayCopying(step transfer.Step, done, all uint64) string {
	if step == transfer.Contents {
		return fmt.Sprintf("reading content %d of the copy", done)
	}
	if all == 0 {
		return fmt.Sprintf("%s event %d", step, done)
	}
	return fmt.Sprintf("%s event %d of %d", step, done, all)
}

// explain says what a copy that failed left, without a password of either log.
func (o *logCopyOptions) explain(ctx context.Context, err error) error {
	const goesOn = "the original is as it was, and the same command goes on where it stopped"
	err = o.source.settings.Log.RedactError(o.target.settings.Log.RedactError(err))
	if errors.As(err, new(*faultError)) || errors.As(err, new(*config.Error)) { // says what to do itself
		return err
	}
	switch {
	case ctx.Err() != nil:
		return failed(err, "the copy was stopped: %s", goesOn)
	case errors.Is(err, transfer.ErrOtherHistory):
		return failed(err, "%v; nothing more was written: copy to a new, empty log", err)
	case errors.Is(err, eventstore.ErrTransient):
		return failed(err, "%v: %s", err, goesOn)
	}
	return err
}

func (o *logCopyOptions) show(c transfer.Result) error {
	screen := o.app.screen()
	done := fmt.Sprintf("%s written now", render.Count(int(c.Written), "event")) //nolint:gosec // no log has 2^63 events
	if c.Repeated {
		done = "complete before, nothing was written now"
	}
	field(screen, "Copied", "%s in %s, %s: %s", render.Count(int(c.Events), "event"), //nolint:gosec // no log has 2^63 events
		render.CountOf(int(c.Batches), "batch", "batches"), render.Count(int(c.Contents), "content"), done) //nolint:gosec // nor batches
	field(screen, "From", "log %s at %s%s", c.FromLog, o.source.settings.LogName(), positions(c.Events, c.First.From, c.Last.From))
	field(screen, "To", "log %s at %s%s", c.ToLog, o.target.settings.LogName(), positions(c.Events, c.First.To, c.Last.To))
	if c.Until > 0 {
		field(screen, "Until", "position %d, as asked: what the original holds behind position %d was left out", uint64(c.Until), uint64(c.Last.From))
	}
	field(screen, "Recorded", "log.copied at position %d of the copy", uint64(c.Action))
	for _, at := range c.Checkpoints {
		field(screen, "Checkpoint", "what has read up to position %d goes on behind position %d of the copy", uint64(at.From), uint64(at.To))
	}
	screen.Blank()
	for _, hash := range c.Lost {
		screen.Line("%s content %s is named by events, and the original does not hold it either", render.Bad.Of("lost"), hash)
	}
	if c.Raised > 0 {
		screen.Line("%s fell behind the one before in the original, which had several writers: the copy gives that one's time instead.",
			render.Count(int(c.Raised), "recorded time")) //nolint:gosec // nor recorded times
	}
	screen.Line("%s", render.Good.Of("Every event of the copy was compared with the original, and every content was read back."))
	screen.Line("The copy has an id of its own. Tables that were made from the original have to be made anew, in a home that has some:")
	screen.Line("    gxpledger projections rebuild --all --adopt-log --reason TEXT %s", o.target.flag())
	return screen.Err()
}

// positions says from where to where events stand in a log.
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
