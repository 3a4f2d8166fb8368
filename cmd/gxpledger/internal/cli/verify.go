package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	tablesqlite "github.com/gxpledger/gxpledger/projections/sqlite"
)

// verifyDocument is the output of verify --json.
type verifyDocument struct {
	Sound  bool                `json:"sound"` // no faults
	Log    eventstore.Verified `json:"log"`
	Tables []verifiedTables    `json:"tables"`
	Faults []eventstore.Fault  `json:"faults"`
}

// verifiedTables is what was compared of one projection.
type verifiedTables struct {
	Projection string        `json:"projection"`
	Build      int           `json:"build"`
	Position   uint64        `json:"position"` // up to which the tables show the log
	Tables     []tableDigest `json:"tables"`   // as stored
}

// The faults of tables, beside those of a log.
const (
	faultTable    eventstore.FaultCode = "table"    // a row that is not what the log says
	faultTables   eventstore.FaultCode = "tables"   // tables that cannot be compared
	faultRecorded eventstore.FaultCode = "mismatch" // tables that were made from another log
)

type verifyOptions struct {
	app      *app
	document verifyDocument
	progress *render.Progress
}

func newVerify(a *app) *cobra.Command {
	o := &verifyOptions{app: a, document: verifyDocument{Tables: []verifiedTables{}, Faults: []eventstore.Fault{}}}
	return &cobra.Command{
		Use:   "verify",
		Short: "Prove that the log is whole and that the tables are what it says",
		Long: "Reads the whole log and checks that no position, revision or event of a batch is missing, that ids are derived from\n" +
			"their scans, that times never fall, that every event can be decoded and follows from those before it, that every\n" +
			"content that an event names is stored and has its SHA-256, that snapshots equal the fold, and that what keeps the log\n" +
			"append-only is as it was made: the file and its triggers; on PostgreSQL tables, triggers and rights; on an EventStoreDB\n" +
			"that no stream was cut, deleted or opened to others. Then replays the log, compares every row of every table, and looks\n" +
			"whether views, indexes and triggers are as they were made. Each fault is named, with what to do. The exit code is 3 when\n" +
			"there is any. Nothing is changed, but that tables which lag behind the log are brought up to date first.",
		Example: "  gxpledger verify\n  gxpledger verify --json",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *verifyOptions) run(ctx context.Context) error {
	o.progress = o.app.progress()
	err := o.verify(ctx)
	o.progress.Done()
	if err != nil {
		return err
	}
	o.document.Sound = len(o.document.Faults) == 0
	if err := o.show(); err != nil {
		return err
	}
	if !o.document.Sound {
		return found()
	}
	return nil
}

func (o *verifyOptions) verify(ctx context.Context) (err error) {
	log, err := o.app.openLogToVerify(ctx)
	if errors.Is(err, eventstore.ErrCorrupt) { // so that nothing more of it can be looked at
		o.note(eventstore.Fault{
			Code: eventstore.FaultUnreadable, Where: "the log", Text: oneLine(err.Error()),
			Remedy: "stop writing to this log, keep it as it is for an inquiry, and restore the last backup that verifies",
		})
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	o.document.Log, err = eventstore.Verify(ctx, log, eventstore.VerifyWatch{
		Fault:    o.note,
		Events:   func(at, head eventstore.Position) { o.say("reading the log", uint64(at), uint64(head)) },
		Contents: func(done uint64) { o.say("reading contents", done, 0) },
	})
	if err != nil {
		return err
	}
	return o.verifyTables(ctx, log)
}

// verifyTables compares the tables with the log. Tables that cannot be opened or brought up to date are a fault.
func (o *verifyOptions) verifyTables(ctx context.Context, log eventstore.Log) (err error) {
	v, err := o.app.openStill(ctx, func(context.Context) (eventstore.Log, error) { return log, nil })
	if errors.Is(err, projections.ErrDamaged) {
		o.noteTables("the tables", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := v.runner.CatchUp(ctx, 0); ctx.Err() != nil {
		return err
	} else if err != nil && !errors.Is(err, projections.ErrLogMismatch) { // which the comparison names for each projection
		o.noteTables("tables", err)
	}
	for _, name := range projectionNames() {
		if err := o.compare(ctx, v, name); err != nil {
			return err
		}
	}
	return nil
}

func (o *verifyOptions) note(f eventstore.Fault) { o.document.Faults = append(o.document.Faults, f) }

// say tells how far the work is, every now and then: the text is costly and most of them are not shown.
func (o *verifyOptions) say(what string, done, all uint64) {
	const pace = 1 << 10
	if done%pace != 0 {
		return
	}
	if all > 0 {
		o.progress.Say(fmt.Sprintf("%s: %d of %d", what, done, all))
		return
	}
	o.progress.Say(fmt.Sprintf("%s: %d", what, done))
}

// compare replays the log for one projection and compares its tables with the stored ones.
func (o *verifyOptions) compare(ctx context.Context, v *view, name string) (err error) {
	o.progress.Say("replaying " + name)
	scratch, err := tablesqlite.OpenScratch(ctx, "", tablesqlite.Options{Now: o.app.system.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	checked, err := v.runner.Verify(ctx, name, scratch)
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		o.noteTables("tables of projection "+name, err)
		return nil
	}
	done := verifiedTables{Projection: name, Build: checked.Number, Position: uint64(checked.Checkpoint.Position)}
	for _, d := range checked.Tables {
		done.Tables = append(done.Tables, tableDigest(d))
	}
	o.document.Tables = append(o.document.Tables, done)
	remedy := fmt.Sprintf("find out who or what wrote it, then gxpledger projections rebuild %s --reason TEXT: the log is what counts", name)
	for _, d := range checked.Differences {
		o.note(eventstore.Fault{Code: faultTable, Where: "table " + d.Table, Text: d.String(), Remedy: remedy})
	}
	for _, text := range checked.Broken {
		o.note(eventstore.Fault{Code: faultTables, Where: "projection " + name, Text: text, Remedy: remedy})
	}
	return nil
}

// noteTables notes why tables could not be compared.
func (o *verifyOptions) noteTables(where string, err error) {
	f := eventstore.Fault{Code: faultTables, Where: where, Text: oneLine(err.Error()), Remedy: "see gxpledger projections status"}
	var stopped *projections.EventError
	switch {
	case errors.Is(err, projections.ErrDamaged):
		f.Remedy = makeAnew(err)
	case errors.Is(err, projections.ErrLogMismatch):
		f.Code, f.Remedy = faultRecorded, "open the log that the tables were made from, or rebuild them with --adopt-log if this one is right"
	case errors.As(err, &stopped):
		f.Position, f.Remedy = stopped.Position, "mend what is wrong with the event first: see the faults of the log"
	}
	for _, other := range o.document.Faults {
		if other.Code == f.Code && other.Text == f.Text {
			return
		}
	}
	o.note(f)
}

func (o *verifyOptions) show() error {
	d := o.document
	if o.app.json {
		return o.app.document(d)
	}
	screen := o.app.screen()
	field(screen, "Log", "%s in %s of %s up to position %d, %s, %s", render.Count(int(d.Log.Events), "event"), //nolint:gosec // no log has 2^63 events
		render.CountOf(int(d.Log.Batches), "batch", "batches"), render.Count(int(d.Log.Streams), "stream"), uint64(d.Log.Head), //nolint:gosec // nor batches
		render.Count(int(d.Log.Contents), "content"), render.Count(int(d.Log.Snapshots), "snapshot")) //nolint:gosec // nor contents
	for _, t := range d.Tables {
		var rows int64
		for _, table := range t.Tables {
			rows += table.Rows
		}
		field(screen, "Tables", "%s: %d rows in %s compared with a replay up to position %d", t.Projection, rows,
			render.Count(len(t.Tables), "table"), t.Position)
	}
	screen.Blank()
	if d.Sound {
		screen.Line("%s", render.Good.Of("No fault was found."))
		return screen.Err()
	}
	for _, f := range d.Faults {
		screen.Line("%s %s: %s", render.Bad.Of(string(f.Code)), f.Where, f.Text)
		screen.Line("    %s", f.Remedy)
	}
	screen.Blank()
	screen.Line("%s", render.Bad.Of(render.Count(len(d.Faults), "fault")+" found."))
	return screen.Err()
}
