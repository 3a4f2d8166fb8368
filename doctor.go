package gxpledger

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/internal/doctor"
)

// Diagnosis is the result of [Ledger.Diagnose]. The JSON names are stable.
type Diagnosis struct {
	Healthy  bool      `json:"healthy"` // nothing is bad, and everything was found out
	Findings []Finding `json:"findings"`
}

// Finding is the result of one check of a [Diagnosis].
type Finding = doctor.Finding

// The states of a [Finding].
const (
	FindingGood    = doctor.Good
	FindingWarning = doctor.Warning
	FindingBad     = doctor.Bad
	FindingUnknown = doctor.Unknown
)

// Diagnose looks for what is wrong with the home, the log and the tables. It reads no more than takes moments: [Ledger.Verify]
// reads all. It changes nothing, and waits for servers as [Config.Wait] says.
//
// Errors: none; what cannot be found out is a finding.
func (l *Ledger) Diagnose(ctx context.Context) Diagnosis {
	d := Diagnosis{Findings: l.diagnoseHome()}
	log, closing, err := l.logToVerify(ctx)
	if err != nil {
		d.Findings = append(d.Findings, unopened(err)...)
	} else {
		d.Findings = append(d.Findings, Finding{Check: "log", State: doctor.Good, Text: l.logName() + " can be read: " + log.Features().Name})
		d.Findings = append(d.Findings, l.diagnoseLog(ctx, log)...)
		d.Findings = append(d.Findings, diagnoseKeys(ctx, log))
		if err := closing(); err != nil {
			d.Findings = append(d.Findings, doctor.CannotTell("log", err, "run it again"))
		}
		d.Findings = append(d.Findings, l.diagnoseSchemas(ctx)...)
		d.Findings = append(d.Findings, l.diagnoseTables(ctx)...)
	}
	d.Healthy = doctor.Healthy(d.Findings)
	return d
}

// unopened is what is to be said where the log cannot be opened, and so nothing else found out.
func unopened(err error) []Finding {
	log := Finding{Check: "log", State: doctor.Bad, Text: config.OneLine(err.Error()), Remedy: "see Verifying, and Backup and restore, in docs/operations.md"}
	if wrong, ok := errors.AsType[*ConfigError](err); ok && wrong.Remedy != "" {
		log.Text, log.Remedy = wrong.Problem, wrong.Remedy
	}
	out := []Finding{log}
	for _, check := range []string{"clock", "guards", "keys", "schemas", "projections", "verification"} {
		out = append(out, doctor.CannotTell(check, errors.New("the log cannot be opened, so nothing is known of the "+check), ""))
	}
	return out
}

// diagnoseKeys looks at the evidence keys.
func diagnoseKeys(ctx context.Context, log eventstore.StreamReader) Finding {
	at, err := recorder.LoadKeys(ctx, log, 0)
	if err != nil {
		return doctor.CannotTell("keys", err, "run gxpledger verify")
	}
	return doctor.Keys(len(at.Keys.InForce()), len(at.Keys.Revoked()))
}

// diagnoseHome looks at the files of the home.
func (l *Ledger) diagnoseHome() []Finding {
	home := l.settings.HomeFolder()
	c, err := l.settings.LookAtHome()
	const remedy = "record a scan first, or name another home folder"
	if errors.Is(err, fs.ErrNotExist) {
		return []Finding{{Check: "home", State: doctor.Bad, Text: "there is no home at " + home, Remedy: remedy}}
	}
	if err != nil {
		return []Finding{doctor.CannotTell("disk", err, remedy), doctor.CannotTell("rights", err, remedy), doctor.CannotTell("spool", err, remedy)}
	}
	space, access := doctor.Space(home, c.Free, c.Used), doctor.Access(home, c.Writable, c.Readable)
	if c.FreeUnknown != nil {
		space = doctor.CannotTell("disk", c.FreeUnknown, "look with the tools of the system")
	}
	if c.AccessUnknown != nil {
		access = doctor.CannotTell("rights", c.AccessUnknown, "look with the tools of the system")
	}
	return []Finding{space, access, doctor.Spool(c.Spooled, c.SpooledSince)}
}

// diagnoseLog looks at the clock and the guards of an open log.
func (l *Ledger) diagnoseLog(ctx context.Context, log eventstore.Log) []Finding {
	return []Finding{l.diagnoseClock(ctx, log), diagnoseGuards(ctx, log)}
}

func (l *Ledger) diagnoseClock(ctx context.Context, log eventstore.Log) Finding {
	const remedy = "run gxpledger verify"
	var database, last time.Time
	if clock, ok := log.(eventstore.Clock); ok {
		var err error
		if database, err = clock.Time(ctx); err != nil {
			return doctor.CannotTell("clock", err, "check the server")
		}
	}
	head, err := log.Head(ctx)
	if err == nil && head > 0 {
		var r eventstore.Record
		r, err = log.At(ctx, head)
		last = r.RecordedAt
	}
	if err != nil {
		return doctor.CannotTell("clock", err, remedy)
	}
	return doctor.Clock(l.config.Now(), database, last)
}

func diagnoseGuards(ctx context.Context, log eventstore.Log) Finding {
	var check func(context.Context, func(eventstore.Fault)) error
	if guarded, ok := log.(eventstore.GuardChecker); ok {
		check = guarded.CheckGuards
	} else if checker, ok := log.(eventstore.IntegrityChecker); ok {
		check = checker.CheckIntegrity
	} else {
		return doctor.CannotTell("guards", errors.New("this log does not tell what keeps it append-only"), "run gxpledger verify")
	}
	var faults []string
	if err := check(ctx, func(f eventstore.Fault) { faults = append(faults, f.Where+": "+f.Text) }); err != nil {
		return doctor.CannotTell("guards", err, "run gxpledger verify")
	}
	return doctor.Guards(faults)
}

// diagnoseSchemas compares the schemas with this program.
func (l *Ledger) diagnoseSchemas(ctx context.Context) []Finding {
	var out []Finding
	if l.settings.Log.Local() {
		if schema, err := l.settings.LogSchema(l.options()); err == nil {
			status, err := schema.Status(ctx)
			if err != nil {
				return []Finding{doctor.CannotTell("schema of the log", err, "run gxpledger migrate status")}
			}
			out = append(out, doctor.Schema("log", len(status.Applied), len(status.Missing), true, nil))
		}
	}
	schemas, err := l.Admin().Migrations(ctx)
	if err != nil {
		return append(out, doctor.CannotTell("schemas", err, "run gxpledger migrate status"))
	}
	if schemas.Log != nil && !l.settings.Log.Local() && len(schemas.Log.Applied)+len(schemas.Log.Missing) > 0 {
		out = append(out, judgeSchema("log", *schemas.Log))
	}
	if schemas.Tables != nil {
		out = append(out, judgeSchema("tables", *schemas.Tables))
	}
	return out
}

func judgeSchema(what string, s Schema) Finding {
	ready := (s.WriterReady == nil || *s.WriterReady) && (s.ReaderReady == nil || *s.ReaderReady)
	var problems []string
	for _, p := range s.Access {
		problems = append(problems, p.Text)
		if p.Hides { // rows may be missing from what is read, without a word
			return doctor.CannotTell("schema of the "+what, errors.New(p.Text), "let an administrator run: "+p.SQL)
		}
	}
	return doctor.Schema(what, len(s.Applied), len(s.Missing), ready, problems)
}

// diagnoseTables looks at the projections and the last verification.
func (l *Ledger) diagnoseTables(ctx context.Context) []Finding {
	var out []Finding
	if l.settings.FindTables() != nil { // opening them would make some
		out = append(out, doctor.Projections([]doctor.Projection{{Name: "tables", State: "absent"}})...)
	} else if statuses, err := l.Admin().Status(ctx); err != nil {
		out = append(out, doctor.CannotTell("projections", err, "run gxpledger projections status"))
	} else {
		var all []doctor.Projection
		for _, s := range statuses {
			p := doctor.Projection{Name: s.Name, State: string(s.State), Lag: s.Lag}
			if s.Retrying != nil {
				p.Retrying = s.Retrying.Error
			}
			all = append(all, p)
		}
		out = append(out, doctor.Projections(all)...)
	}
	last, err := l.Admin().LastVerification(ctx)
	if err != nil {
		return append(out, doctor.CannotTell("verification", err, "run gxpledger verify"))
	}
	if last == nil {
		last = &LastVerification{}
	}
	return append(out, doctor.Verified(l.config.Now(), last.FinishedAt, last.Faults, last.Unknown))
}
