package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/migrations"
)

// migrateDocument tells of the log in the output of migrate status --json and migrate up --json.
type migrateDocument struct {
	Log     string          `json:"log"`     // file or address, without passwords
	Applied []migrationStep `json:"applied"` // what the log holds
	Missing []migrationStep `json:"missing"` // what migrate up would add
	Owner   string          `json:"owner,omitempty"`
	// WriterReady tells of PostgreSQL whether the writer role is there and has its rights.
	WriterReady *bool           `json:"writer_ready,omitempty"`
	Done        []migrationStep `json:"done,omitempty"` // what this migrate up added
}

type migrationStep struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Checksum string `json:"checksum"`
}

// migrationsDocument is the output of migrate status --json and migrate up --json.
type migrationsDocument struct {
	*migrateDocument                 // of the log; absent when only the tables are on a server
	Tables           *tablesDocument `json:"tables,omitempty"` // absent when they are in the home
}

// planDocument is the output of migrate plan --json.
type planDocument struct {
	Log    string      `json:"log,omitempty"`
	SQL    string      `json:"sql"`              // empty when there is nothing to do
	Tables *tablesPlan `json:"tables,omitempty"` // absent when they are in the home
}

type tablesPlan struct {
	Address string `json:"address"`
	SQL     string `json:"sql"` // empty when there is nothing to do
}

// tablesDocument tells of tables on a server in the output of migrate status --json and migrate up --json.
type tablesDocument struct {
	Address string          `json:"address"` // without passwords
	Schema  string          `json:"schema"`
	Applied []migrationStep `json:"applied"` // what the schema holds
	Missing []migrationStep `json:"missing"` // what migrate up would add
	Owner   string          `json:"owner,omitempty"`
	// WriterReady and ReaderReady tell whether the roles are there and have their rights.
	WriterReady bool            `json:"writer_ready"`
	ReaderReady bool            `json:"reader_ready"`
	Done        []migrationStep `json:"done,omitempty"` // what this migrate up added
}

// schemas returns the schema of the log, nil when the tables are all that migrations are asked of, since a log in the home
// looks after itself; and that of the tables, nil when they are in the home.
func (a *app) schemas() (log, tables *config.Schema, err error) {
	if tables, err = a.settings.TablesSchema(); err != nil {
		return nil, nil, err
	}
	if a.settings.Log.Local() && tables != nil {
		return nil, tables, nil
	}
	log, err = a.settings.LogSchema(a.options())
	return log, tables, err
}

func newMigrate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make a log and tables on servers, or bring them to the form that this gxpledger knows",
		Long: "A log is made by numbered migrations, which only go forward and are remembered in it with their SHA-256. A SQLite log is\n" +
			"migrated whenever it is opened for writing. A log on PostgreSQL is migrated by migrate up alone, as a user who may\n" +
			"create a schema and roles: the role " + config.LogWriter + ", which it makes, is all that the user of every other command needs.\n" +
			"A log on an EventStoreDB has none: migrate up begins it, as any command that records does. With --db, all of that goes\n" +
			"for the tables too: their schema is made by migrate up, with the roles " + config.TablesWriter + " and " + config.TablesReader + ". A log in the home is then left alone.",
		Example: "  gxpledger migrate plan --log postgres://ADMIN@HOST/DATABASE\n" +
			"  gxpledger migrate up --log postgres://ADMIN@HOST/DATABASE --db postgres://ADMIN@HOST/DATABASE",
		RunE: chooseCommand,
	}
	cmd.AddCommand(newMigrateStatus(a), newMigrateUp(a), newMigratePlan(a))
	return cmd
}

func newMigrateStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show which migrations a log and tables hold and lack",
		Long:    "Shows which migrations a log, and with --db tables, hold and lack. Nothing is changed.",
		Example: "  gxpledger migrate status\n  gxpledger migrate status --log postgres://USER@HOST/DATABASE --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := a.migrations(cmd.Context())
			if err != nil {
				return err
			}
			return a.showMigrations(document)
		},
	}
}

func newMigrateUp(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Apply the migrations that a log and tables lack",
		Long: "Makes the log where there is none, and applies what it lacks, all of it or nothing, in one transaction. Several processes\n" +
			"may run it at once. A log that lacks nothing is left as it is. With --db, the same is done for the tables.",
		Example: "  gxpledger migrate up --log postgres://ADMIN@HOST/DATABASE",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.migrateUp(cmd.Context()) },
	}
}

// migrations tells which migrations there are and which are missing.
func (a *app) migrations(ctx context.Context) (migrationsDocument, error) {
	var all migrationsDocument
	log, tables, err := a.schemas()
	if err != nil {
		return all, err
	}
	if log != nil {
		found, err := log.Status(ctx)
		if err != nil {
			return all, err
		}
		all.migrateDocument = &migrateDocument{
			Log: a.settings.LogName(), Applied: stepsOf(found.Applied), Missing: stepsOf(found.Missing), Owner: found.Owner,
		}
		if found.Writer.Name != "" {
			all.WriterReady = &found.Writer.Ready
		}
	}
	if tables != nil {
		found, err := tables.Status(ctx)
		if err != nil {
			return all, err
		}
		all.Tables = &tablesDocument{
			Address: a.settings.Tables.String(), Schema: found.Schema, Applied: stepsOf(found.Applied), Missing: stepsOf(found.Missing),
			Owner: found.Owner, WriterReady: found.Writer.Ready, ReaderReady: found.Reader.Ready,
		}
	}
	return all, nil
}

func (a *app) migrateUp(ctx context.Context) error {
	before, err := a.migrations(ctx)
	if err != nil {
		return err
	}
	log, tables, err := a.schemas()
	if err != nil {
		return err
	}
	for _, schema := range []*config.Schema{log, tables} {
		if schema == nil {
			continue
		}
		if err := schema.Up(ctx); err != nil {
			return err
		}
	}
	after, err := a.migrations(ctx)
	if err != nil {
		return err
	}
	if after.migrateDocument != nil {
		after.Done = before.Missing
	}
	if after.Tables != nil {
		after.Tables.Done = before.Tables.Missing
	}
	return a.showMigrations(after)
}

func newMigratePlan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Print the SQL that migrate up would run",
		Long: "Prints the SQL that migrate up would run now, for a reviewer, or for psql. Nothing is changed. With --log and --db on\n" +
			"servers it is in two parts, each headed by the address that it is for.",
		Example: "  gxpledger migrate plan --log postgres://ADMIN@HOST/DATABASE > review.sql\n" +
			"  psql -v ON_ERROR_STOP=1 -f review.sql postgres://ADMIN@HOST/DATABASE",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.showPlan(cmd.Context()) },
	}
}

func (a *app) showPlan(ctx context.Context) error {
	plan, err := a.plan(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.document(plan)
	}
	text := plan.SQL
	if plan.Tables != nil {
		if text != "" {
			text = "-- The log at " + plan.Log + "\n" + text
		}
		if plan.Tables.SQL != "" {
			text += "-- The tables at " + plan.Tables.Address + "\n" + plan.Tables.SQL
		}
	}
	if text == "" {
		a.notes().Line("No migration is missing: there is nothing to do.")
		return nil
	}
	if _, err := io.WriteString(a.system.Stdout, text); err != nil { // as it is, for psql: nothing of it comes from outside
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// plan returns the SQL that migrate up would run now.
func (a *app) plan(ctx context.Context) (planDocument, error) {
	var plan planDocument
	log, tables, err := a.schemas()
	if err != nil {
		return plan, err
	}
	if log != nil {
		plan.Log = a.settings.LogName()
		if plan.SQL, err = log.Plan(ctx); err != nil {
			return plan, err
		}
	}
	if tables != nil {
		plan.Tables = &tablesPlan{Address: a.settings.Tables.String()}
		plan.Tables.SQL, err = tables.Plan(ctx)
	}
	return plan, err
}

func (a *app) showMigrations(d migrationsDocument) error {
	if a.json {
		return a.document(d)
	}
	screen := a.screen()
	if d.migrateDocument != nil {
		d.show(screen)
	}
	if d.migrateDocument != nil && d.Tables != nil {
		screen.Blank()
	}
	if d.Tables != nil {
		d.Tables.show(screen)
	}
	return screen.Err()
}

func (d *migrateDocument) show(screen *render.Screen) {
	field(screen, "Log", "%s", d.Log)
	if d.Owner != "" {
		field(screen, "Owner", "%s", d.Owner)
	}
	if d.WriterReady != nil {
		field(screen, "Writer", "%s", roleState(config.LogWriter, *d.WriterReady, "the user that runs gxpledger"))
	}
	screen.Blank()
	if len(d.Applied)+len(d.Missing) == 0 {
		screen.Line("A log on an EventStoreDB has no migrations: it is begun by the first command that records, or by migrate up.")
		return
	}
	showSteps(screen, d.Applied, d.Missing, d.Done)
}

func (d *tablesDocument) show(screen *render.Screen) {
	field(screen, "Tables", "%s", d.Address)
	field(screen, "Schema", "%s", d.Schema)
	if d.Owner != "" {
		field(screen, "Owner", "%s", d.Owner)
	}
	field(screen, "Writer", "%s", roleState(config.TablesWriter, d.WriterReady, "the user that runs gxpledger"))
	field(screen, "Reader", "%s", roleState(config.TablesReader, d.ReaderReady, "people and tools that query"))
	screen.Blank()
	showSteps(screen, d.Applied, d.Missing, d.Done)
}

func showSteps(screen *render.Screen, applied, missing, done []migrationStep) {
	t := columns("Migration>", "Name", "State", "Checksum")
	for _, m := range applied {
		t.Add(m.Version, m.Name, good("applied", "applied"), m.Checksum)
	}
	for _, m := range missing {
		t.Add(m.Version, m.Name, good("missing", "applied"), m.Checksum)
	}
	t.show(screen)
	switch {
	case len(missing) > 0:
		screen.Blank()
		screen.Line("Next        gxpledger migrate up")
	case len(done) > 0:
		screen.Blank()
		screen.Line("%s", render.Good.Of(render.Count(len(done), "migration")+" applied."))
	}
}

func roleState(role string, ready bool, whom string) render.Styled { //revive:disable-line:flag-parameter // a fact of the server, not a switch
	if ready {
		return render.Good.Of("role " + role + " has its rights: grant it to " + whom)
	}
	return render.Bad.Of("role " + role + " is not there or has no rights: run migrate up as a user who may create roles, or create it first")
}

func stepsOf(all []migrations.Migration) []migrationStep {
	out := make([]migrationStep, len(all))
	for i, m := range all {
		out[i] = migrationStep{Version: m.Version, Name: m.Name, Checksum: m.Checksum}
	}
	return out
}
