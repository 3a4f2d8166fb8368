package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/migrations"
)

// migrateDocument is the output of migrate status --json and migrate up --json.
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

// planDocument is the output of migrate plan --json.
type planDocument struct {
	Log string `json:"log"`
	SQL string `json:"sql"` // empty when there is nothing to do
}

// migrator looks after the form of one log.
type migrator interface {
	// status changes nothing, and does not ask for a log.
	status(ctx context.Context) (migrateDocument, error)
	// plan returns the SQL that up would run now, "" when there is nothing to do. It changes nothing.
	plan(ctx context.Context) (string, error)
	// up makes the log, or brings it to the form that this binary knows.
	up(ctx context.Context) error
}

// migrator returns the one of the log that is chosen.
func (a *app) migrator() migrator {
	switch a.log.kind() {
	case logPostgres:
		return postgresMigrator{a}
	case logKurrent:
		return kurrentMigrator{a}
	case logInHome, logNowhere:
	}
	return sqliteMigrator{a}
}

func newMigrate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make a log, or bring it to the form that this gxpledger knows",
		Long: "A log is made by numbered migrations, which only go forward and are remembered in it with their SHA-256. A SQLite log is\n" +
			"migrated whenever it is opened for writing. A log on PostgreSQL is migrated by migrate up alone, as a user who may\n" +
			"create a schema and roles: the role " + writerRole + ", which it makes, is all that the user of every other command needs.\n" +
			"A log on an EventStoreDB has none: migrate up begins it, as any command that records does.",
		Example: "  gxpledger migrate plan --log postgres://ADMIN@HOST/DATABASE\n  gxpledger migrate up --log postgres://ADMIN@HOST/DATABASE",
		RunE:    chooseCommand,
	}
	cmd.AddCommand(newMigrateStatus(a), newMigrateUp(a), newMigratePlan(a))
	return cmd
}

func newMigrateStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show which migrations a log holds and lacks",
		Long:    "Shows which migrations a log holds and lacks. Nothing is changed.",
		Example: "  gxpledger migrate status\n  gxpledger migrate status --log postgres://USER@HOST/DATABASE --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := a.migrator().status(cmd.Context())
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
		Short: "Apply the migrations that a log lacks",
		Long: "Makes the log where there is none, and applies what it lacks, all of it or nothing, in one transaction. Several processes\n" +
			"may run it at once. A log that lacks nothing is left as it is.",
		Example: "  gxpledger migrate up --log postgres://ADMIN@HOST/DATABASE",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.migrateUp(cmd.Context()) },
	}
}

func (a *app) migrateUp(ctx context.Context) error {
	m := a.migrator()
	before, err := m.status(ctx)
	if err != nil {
		return err
	}
	if err := m.up(ctx); err != nil {
		return err
	}
	document, err := m.status(ctx)
	if err != nil {
		return err
	}
	document.Done = before.Missing
	return a.showMigrations(document)
}

func newMigratePlan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Print the SQL that migrate up would run",
		Long:  "Prints the SQL that migrate up would run now, for a reviewer, or for psql. Nothing is changed.",
		Example: "  gxpledger migrate plan --log postgres://ADMIN@HOST/DATABASE > review.sql\n" +
			"  psql -v ON_ERROR_STOP=1 -f review.sql postgres://ADMIN@HOST/DATABASE",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.showPlan(cmd.Context()) },
	}
}

func (a *app) showPlan(ctx context.Context) error {
	sql, err := a.migrator().plan(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.document(planDocument{Log: a.logName(), SQL: sql})
	}
	if sql == "" {
		a.notes().Line("The log lacks no migration: there is nothing to do.")
		return nil
	}
	if _, err := io.WriteString(a.system.Stdout, sql); err != nil { // as it is, for psql: nothing of it comes from outside
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// logName names the log to people, without passwords.
func (a *app) logName() string {
	if a.log.local() {
		return a.path(logFile)
	}
	return a.log.String()
}

func (a *app) showMigrations(d migrateDocument) error {
	if a.json {
		return a.document(d)
	}
	screen := a.screen()
	field(screen, "Log", "%s", d.Log)
	if d.Owner != "" {
		field(screen, "Owner", "%s", d.Owner)
	}
	if d.WriterReady != nil {
		field(screen, "Writer", "%s", writerState(*d.WriterReady))
	}
	screen.Blank()
	if len(d.Applied)+len(d.Missing) == 0 {
		screen.Line("A log on an EventStoreDB has no migrations: it is begun by the first command that records, or by migrate up.")
		return screen.Err()
	}
	t := columns("Migration>", "Name", "State", "Checksum")
	for _, m := range d.Applied {
		t.Add(m.Version, m.Name, good("applied", "applied"), m.Checksum)
	}
	for _, m := range d.Missing {
		t.Add(m.Version, m.Name, good("missing", "applied"), m.Checksum)
	}
	t.show(screen)
	switch {
	case len(d.Missing) > 0:
		screen.Blank()
		screen.Line("Next        gxpledger migrate up")
	case len(d.Done) > 0:
		screen.Blank()
		screen.Line("%s", render.Good.Of(render.Count(len(d.Done), "migration")+" applied."))
	}
	return screen.Err()
}

func writerState(ready bool) render.Styled { //revive:disable-line:flag-parameter // a fact of the server, not a switch
	if ready {
		return render.Good.Of("role " + writerRole + " has its rights: grant it to the user that runs gxpledger")
	}
	return render.Bad.Of("role " + writerRole + " is not there or has no rights")
}

func stepsOf(all []migrations.Migration) []migrationStep {
	out := make([]migrationStep, len(all))
	for i, m := range all {
		out[i] = migrationStep{Version: m.Version, Name: m.Name, Checksum: m.Checksum}
	}
	return out
}
