package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
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
	shown, err := o.showAll(screen, o.records(ctx, log, after))
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
	screen.Line("%d  %s  %s  %s  %s  %s", uint64(r.Position), r.RecordedAt, render.Strong.Of(r.Type), shortStream(r.Stream), r.Meta.Actor, summary)
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
