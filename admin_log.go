package gxpledger

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/migrations"
)

// CopyRequest says how to copy a log, and why.
type CopyRequest struct {
	// Until is a position behind which nothing is copied, such as the last before damaged events: whole batches that end at
	// or before it. 0 copies all.
	Until eventstore.Position
	// Checkpoints are positions up to which readers have read the source. The result tells where each goes on in the copy.
	Checkpoints []eventstore.Position
	// Actor and Reason are recorded in the copy. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
	// Progress is told how far the copy is. It must not block. Nil for nobody.
	Progress transfer.Progress
}

// CopyLog copies every event and content of the log to the log of another ledger, of the same kind or another, compares the
// two and records the copy in the target, see [transfer.Copy]. Nobody may write to either log meanwhile. The copy has an id
// of its own: tables of the target are rebuilt with [RebuildRequest.AdoptLog]. It waits until all is copied and read back;
// called again, it resumes where it stopped.
//
// Errors: [ErrInvalid] without a reason, [ErrNoLog], [transfer.ErrOtherHistory], [transfer.ErrStillWritten], and those of
// package eventstore.
func (a Admin) CopyLog(ctx context.Context, to *Ledger, r CopyRequest) (transfer.Result, error) {
	r.Actor = cmp.Or(r.Actor, a.ledger.config.Actor)
	switch {
	case to == nil:
		return transfer.Result{}, fmt.Errorf("cannot copy the log: %w: a ledger to copy to is required", ErrInvalid)
	case r.Reason == "":
		return transfer.Result{}, fmt.Errorf("cannot copy the log: %w: a reason is required", ErrInvalid)
	case max(len(r.Actor), len(r.Reason)) > longestText:
		return transfer.Result{}, fmt.Errorf("cannot copy the log: %w: Actor and Reason have at most %d bytes", ErrInvalid, longestText)
	}
	copied, err := a.copyLog(ctx, to, r)
	return copied, a.ledger.settings.Log.RedactError(to.settings.Log.RedactError(err))
}

func (a Admin) copyLog(ctx context.Context, to *Ledger, r CopyRequest) (transfer.Result, error) {
	action, err := uuid.NewV7()
	if err != nil {
		return transfer.Result{}, fmt.Errorf("make an id: %w", err)
	}
	source, err := a.ledger.openLog(ctx, config.ToRead)
	if err != nil {
		return transfer.Result{}, err
	}
	target, err := to.createLog(ctx)
	if err != nil {
		return transfer.Result{}, err
	}
	return transfer.Copy(ctx, source, target, transfer.Request{
		Action: action, Actor: r.Actor, Reason: r.Reason, At: a.ledger.config.Now(),
		Until: r.Until, Checkpoints: r.Checkpoints,
	}, r.Progress)
}

// Schemas are the schemas that migrations upgrade. The JSON names are stable.
type Schemas struct {
	// Log is that of the log; nil where only the tables are on a server, since a SQLite log is upgraded when it is opened.
	Log *Schema `json:"log,omitempty"`
	// Tables is that of the tables; nil for tables in the home, which are upgraded when they are opened.
	Tables *Schema `json:"tables,omitempty"`
}

// Schema says how far a schema is.
type Schema struct {
	Address string      `json:"address"`          // or the path of the file, without passwords
	Name    string      `json:"schema,omitempty"` // on PostgreSQL
	Owner   string      `json:"owner,omitempty"`
	Applied []Migration `json:"applied,omitzero"`
	Missing []Migration `json:"missing,omitzero"` // what [Admin.Migrate] would apply
	Done    []Migration `json:"done,omitzero"`    // what [Admin.Migrate] applied
	// WriterReady and ReaderReady say whether the roles exist and have their rights; nil where there is no such role.
	WriterReady *bool `json:"writer_ready,omitempty"`
	ReaderReady *bool `json:"reader_ready,omitempty"`
	// Access is what is wrong with rights on PostgreSQL. [Admin.Migrate] gives back those that are missing.
	Access []AccessProblem `json:"access,omitempty"`
	// SQL is what [Admin.Migrate] would run, of [Admin.PlanMigrations] alone; "" when there is nothing to do.
	SQL string `json:"sql,omitempty"`
}

// AccessProblem is something about the rights on a schema that an administrator should know.
type AccessProblem struct {
	Text string `json:"text"`
	SQL  string `json:"sql"` // ends the problem
	// ByMigrate reports that [Admin.Migrate] does it.
	ByMigrate bool `json:"by_migrate"`
	// Hides reports that rows may be missing from what other programs read, without a word.
	Hides bool `json:"hides"`
}

// Migration is one step of a schema.
type Migration struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Checksum string `json:"checksum"` // SHA-256 of its SQL
}

// Migrations returns which migrations the schemas have and lack. It changes nothing, waits for nothing but the servers, and
// works without a log or tables. Errors: a *[ConfigError].
func (a Admin) Migrations(ctx context.Context) (Schemas, error) {
	return a.eachSchema(func(s *config.Schema, out *Schema) error {
		status, err := s.Status(ctx)
		out.Name, out.Owner, out.Applied, out.Missing = status.Schema, status.Owner, newMigrations(status.Applied), newMigrations(status.Missing)
		for _, role := range []struct {
			migrations.Role
			ready **bool
		}{{status.Writer, &out.WriterReady}, {status.Reader, &out.ReaderReady}} {
			if role.Name != "" {
				*role.ready = &role.Ready
			}
		}
		for _, p := range status.Access {
			out.Access = append(out.Access, AccessProblem{Text: p.Text, SQL: p.SQL, ByMigrate: p.ByUp, Hides: p.Hides})
		}
		return err
	})
}

func newMigrations(all []migrations.Migration) []Migration {
	out := []Migration{}
	for _, m := range all {
		out = append(out, Migration{Version: m.Version, Name: m.Name, Checksum: m.Checksum})
	}
	return out
}

// PlanMigrations returns the SQL that [Admin.Migrate] would run, and creates nothing on the servers. It waits for nothing but
// the servers, and works without a log or tables. Errors: a *[ConfigError].
func (a Admin) PlanMigrations(ctx context.Context) (Schemas, error) {
	return a.eachSchema(func(s *config.Schema, out *Schema) (err error) {
		out.SQL, err = s.Plan(ctx)
		return err
	})
}

// Migrate creates the schemas or upgrades them to the version that this binary knows, each in one transaction. On PostgreSQL
// it takes a user who may create a schema and roles. Several processes may call it at once: it waits for the others. Errors: a
// *[ConfigError].
func (a Admin) Migrate(ctx context.Context) (Schemas, error) {
	before, err := a.Migrations(ctx)
	if err != nil {
		return before, err
	}
	if _, err := a.eachSchema(func(s *config.Schema, _ *Schema) error { return s.Up(ctx) }); err != nil {
		return before, err
	}
	after, err := a.Migrations(ctx)
	if err != nil {
		return after, err
	}
	if after.Log != nil {
		after.Log.Done = before.Log.Missing
	}
	if after.Tables != nil {
		after.Tables.Done = before.Tables.Missing
	}
	return after, nil
}

// eachSchema calls do with the schemas that there are.
func (a Admin) eachSchema(do func(*config.Schema, *Schema) error) (all Schemas, err error) {
	settings := a.ledger.settings
	tables, err := settings.TablesSchema()
	if err != nil {
		return all, err
	}
	if !settings.Log.Local() || tables == nil {
		log, err := settings.LogSchema(a.ledger.options())
		if err != nil {
			return all, err
		}
		all.Log = &Schema{Address: settings.LogName()}
		done := a.ledger.await(a.ledger.logName() + ", or another administrator who upgrades it")
		err = do(log, all.Log)
		done()
		if err != nil {
			return all, err
		}
	}
	if tables != nil {
		all.Tables = &Schema{Address: settings.Tables.String()}
		defer a.ledger.await("the server of the tables at " + settings.Tables.String() + ", or another administrator who upgrades it")()
		err = do(tables, all.Tables)
	}
	return all, err
}
