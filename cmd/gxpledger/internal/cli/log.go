package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// logLine is a line of log --json.
type logLine struct {
	Position   eventstore.Position `json:"position"`
	RecordedAt time.Time           `json:"recorded_at"`
	Type       string              `json:"type"`
	Stream     eventstore.StreamID `json:"stream"`
	Revision   eventstore.Revision `json:"revision"`
	ID         string              `json:"id"`
	Meta       eventstore.Meta     `json:"meta"`
	Summary    string              `json:"summary"`
	Data       json.RawMessage     `json:"data"` // as it is stored
}

type logOptions struct {
	app       *app
	filter    eventstore.Filter
	types     []string
	after     uint64
	limit     int
	backwards bool
	follow    bool
}

func newLog(a *app) *cobra.Command {
	o := &logOptions{app: a}
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show the events of the log",
		Long: "Show the events of the log, one a line, in the order in which they were recorded. --json writes one JSON document a\n" +
			"line, with the data as it is stored. --follow continues with each new event, of any process, until Ctrl-C.",
		Example: "  gxpledger log --backwards --limit 10\n" +
			"  gxpledger log --type scan.completed --type scan.failed\n" +
			"  gxpledger log --stream engine\n" +
			"  gxpledger log --follow --after 1200 --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.filter.StreamPrefix, "stream", "", "filter by streams whose name begins with `NAME`: engine, repository-...")
	flags.StringArrayVar(&o.types, "type", nil, "filter by event `TYPE`, with or without its version; repeatable")
	flags.Uint64Var(&o.after, "after", 0, "position `N` after which to begin; need not be that of an event")
	flags.IntVar(&o.limit, "limit", 0, "maximum number `N` of events (default: all)")
	flags.BoolVar(&o.backwards, "backwards", false, "newest first")
	flags.BoolVar(&o.follow, "follow", false, "continue with new events")
	cmd.AddCommand(newLogCopy(a))
	return cmd
}

func (o *logOptions) validate() error {
	if o.backwards && o.follow {
		return usage("--backwards and --follow exclude each other: new events come last")
	}
	if o.limit < 0 {
		return usage("the flag --limit does not take %d: want a number from 1, or 0 for all", o.limit)
	}
	for _, given := range o.types {
		match := typesNamed(given)
		if len(match) == 0 {
			return usage("the flag --type does not take %q: %s", given,
				didYouMean(given, typeNames(), "want one of "+strings.Join(typeNames(), ", ")))
		}
		o.filter.Types = append(o.filter.Types, match...)
	}
	return nil
}

// typesNamed returns the stored names of every version of a type, or of the one version that is given.
func typesNamed(given string) []string {
	var match []string
	for _, known := range eventstore.KnownTypes() {
		if known == given || withoutVersion(known) == given {
			match = append(match, known)
		}
	}
	return match
}

func withoutVersion(name string) string {
	if i := strings.LastIndex(name, ".v"); i > 0 {
		return name[:i]
	}
	return name
}

func typeNames() []string {
	var names []string
	for _, known := range eventstore.KnownTypes() {
		names = append(names, withoutVersion(known))
	}
	return names
}

func (o *logOptions) run(ctx context.Context) error {
	log, err := o.app.ledger.Log(ctx)
	if err != nil {
		return err
	}
	if err := o.app.noteLogHead(ctx); err != nil {
		return err
	}
	after, err := o.start(ctx)
	if err != nil {
		return err
	}
	screen := o.app.screen()
	var shown int
	err = o.app.ledger.WhileHome(ctx, func(ctx context.Context) (err error) {
		shown, err = o.showAll(screen, o.records(ctx, log, after))
		return err
	})
	if o.follow && ctx.Err() != nil {
		return nil //nolint:nilerr // it was stopped, as one stops a follower
	}
	if err != nil {
		return err
	}
	if shown == 0 && !o.app.json && !o.follow {
		given := ""
		if o.after > 0 {
			given = strconv.FormatUint(o.after, 10)
		}
		screen.Line("%s", cmp.Or(noMatch("event", givenFilter{name: "--stream", value: o.filter.StreamPrefix},
			givenFilter{name: "--type", value: strings.Join(o.types, ", ")}, givenFilter{name: "--after", value: given}), "The log is empty."))
	}
	return screen.Err()
}

// showAll shows the records that were asked for and returns how many they were.
func (o *logOptions) showAll(screen *render.Screen, records iter.Seq2[eventstore.Record, error]) (shown int, err error) {
	for record, err := range records {
		if err != nil {
			return shown, err
		}
		if uint64(record.Position) <= o.after {
			if o.backwards {
				break
			}
			continue // a number above the head was given, and the log has not come so far
		}
		if err := o.show(screen, record); err != nil {
			return shown, err
		}
		if shown++; shown == o.limit {
			break
		}
	}
	return shown, nil
}

// start returns the position from which to read on.
func (o *logOptions) start(ctx context.Context) (eventstore.Position, error) {
	if o.backwards || o.after == 0 {
		return 0, nil
	}
	return o.app.ledger.PositionBefore(ctx, o.after)
}

func (o *logOptions) records(ctx context.Context, log eventstore.Log, after eventstore.Position) iter.Seq2[eventstore.Record, error] {
	switch {
	case o.follow:
		return log.Subscribe(ctx, after, o.filter)
	case o.backwards:
		return log.ReadBackwards(ctx, 0, o.filter)
	default:
		return log.Read(ctx, after, o.filter)
	}
}

func (o *logOptions) show(screen *render.Screen, r eventstore.Record) error {
	summary := tables.Summary(r)
	if o.app.json {
		return render.Line(o.app.system.Stdout, logLine{
			Position: r.Position, RecordedAt: r.RecordedAt, Type: r.Type, Stream: r.Stream, Revision: r.Revision, ID: r.ID.String(),
			Meta: r.Meta, Summary: summary, Data: storedData(r.Data),
		})
	}
	screen.Line("%d  %s  %s  %s  %s  %s", uint64(r.Position), r.RecordedAt, render.Strong.Of(render.Word(r.Type)),
		render.Word(shortStream(r.Stream)), r.Meta.Actor, summary)
	return screen.Err()
}

// storedData is data as it is stored; what is no JSON, which verify names, as a text.
func storedData(data []byte) json.RawMessage {
	if json.Valid(data) {
		return data
	}
	text, err := json.Marshal(string(data))
	if err != nil {
		return nil
	}
	return text
}

// shortStream is the name of a stream with the first digits of a repository's id.
func shortStream(stream eventstore.StreamID) string {
	const digits = 8
	name := string(stream)
	if id, ok := strings.CutPrefix(name, eventstore.RepositoryPrefix); ok && len(id) > digits {
		return eventstore.RepositoryPrefix + id[:digits]
	}
	return name
}

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
	err = o.app.answer(copied, func(screen *render.Screen) { o.show(screen, copied) })
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

func (o *logCopyOptions) show(screen *render.Screen, c transfer.Result) {
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

// noteLogHead says on standard error which scans the log holds. Tables that cannot say so are no failure: a log can be read
// without them.
func (a *app) noteLogHead(ctx context.Context) error {
	const longest = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	v, err := (&readOptions{app: a}).open(ctx, []string{gxpledger.Artifacts})
	if err == nil {
		defer func() { _ = v.Close() }() // nothing was written
		err = v.noteHead()
	}
	if err == nil {
		return nil
	}
	_, why := explain(ctx, err)
	notes := a.notes()
	notes.Line("the tables cannot say which scans this log holds: %s", why)
	return notes.Err()
}
