package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/verify"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// Verification is the result of [Ledger.Verify]. The JSON names are stable.
type Verification struct {
	Intact bool               `json:"intact"` // no faults, and everything was looked at
	Log    verify.Result      `json:"log"`
	Tables []VerifiedTables   `json:"tables"`
	Faults []eventstore.Fault `json:"faults"`
	// Unknown are what could not be looked at: neither faulty nor intact (I15).
	Unknown []eventstore.Fault `json:"unknown"`
	// Warnings are no faults: steps of a clock, streams of other applications beside the log, and rights that are missing or
	// too many.
	Warnings []eventstore.Fault `json:"warnings"`
}

// VerifiedTables is what was compared of one projection.
type VerifiedTables struct {
	Projection string        `json:"projection"`
	Build      int           `json:"build"`
	Position   uint64        `json:"position"` // up to which the tables show the log
	Tables     []TableDigest `json:"tables"`   // as stored
}

// TableDigest is the digest of the rows of one table.
type TableDigest struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// The faults of tables, beside those of a log.
const (
	FaultTable    eventstore.FaultCode = "table"    // a row that is not what the log says
	FaultTables   eventstore.FaultCode = "tables"   // tables that are damaged or stopped, or what stands around their rows
	FaultMismatch eventstore.FaultCode = "mismatch" // tables that were made from another log
)

// WarningAccess is no fault: rights on PostgreSQL that are missing, or that reach further than they should. Where rows may be
// hidden from readers, it is the code of something unknown.
const WarningAccess eventstore.FaultCode = "access"

// VerifyStep is what a verification is doing.
type VerifyStep string

// The steps of a verification, in order.
const (
	VerifyEvents   VerifyStep = "events"
	VerifyContents VerifyStep = "contents"
	VerifyTables   VerifyStep = "tables"
)

// VerifyOptions say how to verify.
type VerifyOptions struct {
	// Deep reads the stored contents of every artifact again, with the reader of this binary, and compares what events say of
	// them. What another version of the reader recorded and this one reads differently is a warning.
	Deep bool
	// Progress is told of each event and content, and of each projection, of whose name is then set. total is 0 where it is
	// not known. It must not block. Nil for nobody.
	Progress func(step VerifyStep, done, total uint64, projection string)
}

// Verify reads the whole log and checks it, see [verify.Run], then replays it for each projection and compares every row of
// every table. Nothing is changed, but that tables that lag behind the log are updated first. Appending may go on
// meanwhile.
//
// It waits until every event and content is read and every projection replayed, which for a large log takes minutes, and
// while another process updates the tables.
//
// Errors: [ErrNoLog], [ErrLogLost], [ErrClosed], that of ctx, and those of a log or tables that cannot be reached. A log that
// contradicts itself, and tables that cannot be compared, are no errors: they are part of the result.
func (l *Ledger) Verify(ctx context.Context, options VerifyOptions) (Verification, error) {
	v := newVerification(l, options)
	v.update = true
	err := v.run(ctx)
	v.judge(err)
	return v.result, err
}

type verification struct {
	ledger  *Ledger
	options VerifyOptions
	result  Verification
	update  bool // the tables first

	pace     *pace                   // nil for as fast as can be
	done     []string                // parts that need not be done
	finished func(part string) error // told of each part that was done; nil for nobody
}

func newVerification(l *Ledger, options VerifyOptions) *verification {
	if options.Progress == nil {
		options.Progress = func(VerifyStep, uint64, uint64, string) {}
	}
	return &verification{ledger: l, options: options, result: Verification{
		Tables: []VerifiedTables{}, Faults: []eventstore.Fault{}, Unknown: []eventstore.Fault{}, Warnings: []eventstore.Fault{},
	}}
}

func (v *verification) run(ctx context.Context) (err error) {
	log, closing, err := v.ledger.logToVerify(ctx)
	if errors.Is(err, eventstore.ErrCorrupt) { // so that nothing more of it can be looked at
		v.fault(eventstore.Fault{
			Code: eventstore.FaultUnreadable, Where: "the log", Text: config.OneLine(err.Error()),
			Remedy: "stop writing to this log, keep it as it is for an inquiry, and restore the last backup that verifies",
		})
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	if v.ledger.config.OpenedLog == nil {
		err := v.part(partAccess, func() error {
			v.access(ctx)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if v.pace != nil {
		log = pacedLog{Log: log, pace: v.pace}
	}
	err = v.part(partLog, func() (err error) {
		v.result.Log, err = verify.Run(ctx, log, verify.Watch{
			Fault:    v.fault,
			Warning:  func(f eventstore.Fault) { v.result.Warnings = append(v.result.Warnings, f) },
			Events:   func(at, head eventstore.Position) { v.options.Progress(VerifyEvents, uint64(at), uint64(head), "") },
			Contents: func(done uint64) { v.options.Progress(VerifyContents, done, 0, "") },
		})
		return err
	})
	if err != nil {
		return err
	}
	if v.options.Deep {
		if err := v.reread(ctx, log); err != nil {
			return err
		}
	}
	return v.tables(ctx, log)
}

// logToVerify opens the log once more, also one that contradicts itself. The caller calls closing.
func (l *Ledger) logToVerify(ctx context.Context) (_ eventstore.Log, closing func() error, err error) {
	if err := l.acquire(ctx); err != nil { // it was closed
		return nil, nil, err
	}
	<-l.use
	if l.config.OpenedLog != nil {
		return l.config.OpenedLog, func() error { return nil }, nil
	}
	log, err := l.openNewLog(ctx, config.ToVerify)
	if err != nil {
		return nil, nil, err
	}
	return log, log.Close, nil
}

// access looks at the rights on the schemas of servers.
func (v *verification) access(ctx context.Context) {
	if v.ledger.settings.Log.Local() && v.ledger.settings.Tables.Local() {
		return
	}
	schemas, err := v.ledger.Admin().Migrations(ctx)
	if err != nil {
		v.result.Unknown = append(v.result.Unknown, eventstore.Fault{
			Code: WarningAccess, Where: "rights on the server", Text: config.OneLine(err.Error()), Remedy: "see gxpledger migrate status",
		})
	}
	for _, schema := range []*Schema{schemas.Log, schemas.Tables} {
		if schema == nil {
			continue
		}
		for _, p := range schema.Access {
			f := eventstore.Fault{Code: WarningAccess, Where: "schema " + schema.Name, Text: p.Text, Remedy: "let an administrator run: " + p.SQL}
			if p.ByMigrate {
				f.Remedy = "let an administrator run gxpledger migrate up: it does " + p.SQL
			}
			if p.Hides {
				v.result.Unknown = append(v.result.Unknown, f)
			} else {
				v.result.Warnings = append(v.result.Warnings, f)
			}
		}
	}
}

// tables compares the tables with the log. Tables that cannot be opened or updated are a fault.
func (v *verification) tables(ctx context.Context, log eventstore.Log) (err error) {
	db, err := v.ledger.openTables(ctx)
	if errors.Is(err, projections.ErrDamaged) {
		v.tablesFault("the tables", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	runner, err := v.ledger.newRunner(log, db, nil, nil)
	if err != nil {
		return err
	}
	if v.update {
		if err := runner.CatchUp(ctx, 0); ctx.Err() != nil {
			return err
		} else if err != nil && !errors.Is(err, projections.ErrLogMismatch) { // which the comparison names for each projection
			v.tablesFault("tables", err)
		}
	}
	all := tables.All()
	for i, p := range all {
		v.options.Progress(VerifyTables, uint64(i), uint64(len(all)), p.Name)
		if err := v.part(p.Name, func() error { return v.compare(ctx, runner, p.Name) }); err != nil {
			return err
		}
	}
	return nil
}

// compare replays the log for one projection and compares its tables with the stored ones.
func (v *verification) compare(ctx context.Context, runner *run.Runner, name string) (err error) {
	scratch, err := config.OpenScratchTables(ctx, v.ledger.config.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	checked, err := inspect.Verify(ctx, runner, name, scratch)
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		v.tablesFault("tables of projection "+name, err)
		return nil
	}
	done := VerifiedTables{Projection: name, Build: checked.Number, Position: uint64(checked.Checkpoint.Position)}
	for _, d := range checked.Tables {
		done.Tables = append(done.Tables, TableDigest(d))
	}
	v.result.Tables = append(v.result.Tables, done)
	remedy := fmt.Sprintf("find out who or what wrote it, then gxpledger projections rebuild %s --reason TEXT: the log is what counts", name)
	for _, d := range checked.Differences {
		v.fault(eventstore.Fault{Code: FaultTable, Where: "table " + d.Table, Text: d.String(), Remedy: remedy})
	}
	for _, text := range checked.Broken {
		v.fault(eventstore.Fault{Code: FaultTables, Where: "projection " + name, Text: text, Remedy: remedy})
	}
	if checked.Unknown != nil {
		v.tablesFault("views, indexes and triggers of projection "+name, checked.Unknown)
	}
	return nil
}

func (v *verification) fault(f eventstore.Fault) { v.result.Faults = append(v.result.Faults, f) }

// tablesFault notes why tables could not be compared: a fault of theirs, or anything else, which leaves them unknown.
func (v *verification) tablesFault(where string, err error) {
	f := eventstore.Fault{Code: FaultTables, Where: where, Text: config.OneLine(err.Error()), Remedy: "see gxpledger projections status"}
	list := &v.result.Faults
	var stopped *projections.EventError
	switch {
	case errors.Is(err, projections.ErrDamaged):
		f.Remedy = "check the server, then run gxpledger projections rebuild --all --reason TEXT: nothing is lost that is in the log"
		if v.ledger.settings.Tables.Local() {
			f.Remedy = "move that file, and those beside it that end in -wal and -shm, away: the next command builds it again from the log"
		}
	case errors.Is(err, projections.ErrLogMismatch):
		f.Code, f.Remedy = FaultMismatch, "open the log that the tables were made from, or rebuild them with --adopt-log if this one is right"
	case errors.As(err, &stopped):
		f.Position, f.Remedy = stopped.Position, "fix the event first: see the faults of the log"
	case errors.Is(err, projections.ErrReadOnly):
		list, f.Remedy = &v.result.Unknown, "run verify on the primary, as a user who may write the tables"
	default:
		list = &v.result.Unknown
	}
	if !slices.ContainsFunc(*list, func(other eventstore.Fault) bool { return other.Code == f.Code && other.Text == f.Text }) {
		*list = append(*list, f)
	}
}
