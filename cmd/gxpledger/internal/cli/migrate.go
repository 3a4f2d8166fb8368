package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/internal/config"
)

func newMigrate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Create or upgrade the schemas of the log and the tables",
		Long: "Create or upgrade the schemas of the log and the tables by numbered migrations, which only go forward and are recorded\n" +
			"in the schema with their SHA-256. A SQLite log is migrated whenever it is opened for writing. A log on PostgreSQL is\n" +
			"migrated by migrate up alone, as a user who may create a schema and roles; every other command needs no more than the\n" +
			"role " + config.LogWriter + ", which migrate up creates. A log on an EventStoreDB has no migrations: migrate up creates it, as the\n" +
			"first scan would. With --db, migrate up also creates the schema of the tables, with the roles " + config.TablesWriter + "\n" +
			"and " + config.TablesReader + "; a log in the home is then left as it is. --role-prefix begins the names of all roles.",
		Example: "  gxpledger migrate plan --log postgres://ADMIN@HOST/DATABASE\n" +
			"  gxpledger migrate up --log postgres://ADMIN@HOST/DATABASE --db postgres://ADMIN@HOST/DATABASE",
		RunE: chooseCommand,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "status",
		Short: "Show applied and missing migrations",
		Long: "Show the applied and the missing migrations of the log and, with --db, of the tables, and on PostgreSQL what is wrong with\n" +
			"rights, with the SQL that ends it. Nothing is changed.",
		Example: "  gxpledger migrate status\n  gxpledger migrate status --log postgres://USER@HOST/DATABASE --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.showMigrations(a.ledger.Admin().Migrations(cmd.Context()))
		},
	}, &cobra.Command{
		Use:   "up",
		Short: "Apply the missing migrations",
		Long: "Apply the missing migrations in one transaction, and create the log where there is none. On PostgreSQL, also give the\n" +
			"roles the rights that they lack, and take none away. Several processes may run it at once. With --db, do the same for the\n" +
			"tables.",
		Example: "  gxpledger migrate up --log postgres://ADMIN@HOST/DATABASE",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.showMigrations(a.ledger.Admin().Migrate(cmd.Context()))
		},
	}, &cobra.Command{
		Use:   "plan",
		Short: "Print the SQL that migrate up would run",
		Long: "Print the SQL that migrate up would run now, to be reviewed or run by psql. Nothing is changed. With both --log and --db\n" +
			"on servers it has two parts, each headed by its address.",
		Example: "  gxpledger migrate plan --log postgres://ADMIN@HOST/DATABASE > review.sql\n" +
			"  psql -v ON_ERROR_STOP=1 -f review.sql postgres://ADMIN@HOST/DATABASE",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.showPlan(cmd.Context()) },
	})
	return cmd
}

func (a *app) showPlan(ctx context.Context) error {
	plan, err := a.ledger.Admin().PlanMigrations(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return render.Document(a.system.Stdout, plan)
	}
	text := ""
	if s := plan.Log; s != nil {
		text = s.SQL
	}
	if s := plan.Tables; s != nil {
		if text != "" {
			text = "-- The log at " + plan.Log.Address + "\n" + text
		}
		if s.SQL != "" {
			text += "-- The tables at " + s.Address + "\n" + s.SQL
		}
	}
	if text == "" {
		a.notes().Line("No migration is missing: there is nothing to do.")
		return nil
	}
	if _, err := io.WriteString(a.system.Stdout, text); err != nil { // unescaped, for psql: all of it is ours
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

func (a *app) showMigrations(schemas gxpledger.Schemas, err error) error {
	if err != nil {
		return err
	}
	return a.answer(schemas, func(screen *render.Screen) {
		if s := schemas.Log; s != nil {
			showSchema(screen, "Log", *s, a.settings.RolePrefix+config.LogWriter, "")
		}
		if schemas.Log != nil && schemas.Tables != nil {
			screen.Blank()
		}
		if s := schemas.Tables; s != nil {
			showSchema(screen, "Tables", *s, a.settings.RolePrefix+config.TablesWriter, a.settings.RolePrefix+config.TablesReader)
		}
	})
}

func showSchema(screen *render.Screen, what string, s gxpledger.Schema, writer, reader string) {
	screen.Field(what, "%s", s.Address)
	if s.Name != "" {
		screen.Field("Schema", "%s", s.Name)
	}
	if s.Owner != "" {
		screen.Field("Owner", "%s", s.Owner)
	}
	if s.WriterReady != nil {
		screen.Field("Writer", "%s", roleState(writer, *s.WriterReady, "the user that runs gxpledger"))
	}
	if s.ReaderReady != nil {
		screen.Field("Reader", "%s", roleState(reader, *s.ReaderReady, "people and tools that query"))
	}
	screen.Blank()
	if len(s.Applied)+len(s.Missing) == 0 {
		screen.Line("A log on an EventStoreDB has no migrations: the first scan creates it, or migrate up.")
		return
	}
	t := render.NewList("Migration>", "Name", "State", "Checksum")
	for _, m := range s.Applied {
		t.Add(m.Version, m.Name, render.Good.Of("applied"), m.Checksum)
	}
	for _, m := range s.Missing {
		t.Add(m.Version, m.Name, render.Bad.Of("missing"), m.Checksum)
	}
	screen.List(t)
	showAccess(screen, s.Access)
	switch {
	case len(s.Missing) > 0:
		screen.Blank()
		screen.Line("Next        gxpledger migrate up")
	case len(s.Done) > 0:
		screen.Blank()
		screen.Line("%s", render.Good.Of(render.Count(len(s.Done), "migration")+" applied."))
	}
}

// showAccess shows what is wrong with rights, with the SQL that ends it.
func showAccess(screen *render.Screen, all []gxpledger.AccessProblem) {
	if len(all) == 0 {
		return
	}
	screen.Blank()
	for _, p := range all {
		screen.Line("%s %s", render.Bad.Of("access:"), p.Text)
		screen.Line("    %s", p.SQL)
	}
	if slices.ContainsFunc(all, func(p gxpledger.AccessProblem) bool { return p.ByMigrate }) {
		screen.Line("%s", "gxpledger migrate up gives back the rights that roles lack.")
	}
}

func roleState(role string, ready bool, whom string) render.Styled { //revive:disable-line:flag-parameter // a fact of the server, not a switch
	if ready {
		return render.Good.Of("role " + role + " has its rights: grant it to " + whom)
	}
	return render.Bad.Of("role " + role + " does not exist or lacks rights: run migrate up as a user who may create roles, or create it first")
}
