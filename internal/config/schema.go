package config

import (
	"context"
	"strings"

	logpostgres "github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/migrations"
	tablespostgres "github.com/gxpledger/gxpledger/projections/postgres"
)

// The roles that migrations create on PostgreSQL, behind [Settings.RolePrefix].
const (
	LogWriter    = logpostgres.DefaultWriter    // appends to the log and reads it
	TablesWriter = tablespostgres.DefaultWriter // writes the tables and reads them
	TablesReader = tablespostgres.DefaultReader // reads the tables
)

// migrator is how the schema of a log or of tables is created and upgraded.
type migrator struct {
	status func(context.Context, Settings) (migrations.Status, error) // nil where there are no migrations
	plan   func(context.Context, Settings) (string, error)            // nil for the SQL of those that are missing
	up     func(context.Context, Settings, Options) error
}

// Schema creates and upgrades what the log or the tables are kept in. Errors are an [*Error]; of the log in the home,
// those of package migrations.
type Schema struct {
	migrator

	settings Settings
	options  Options
	located  func(context.Context, error) error // says where the schema is
}

// LogSchema returns the schema of the log. That of an EventStoreDB has no migrations: Up creates the log.
func (s Settings) LogSchema(options Options) (*Schema, error) {
	driver, err := pick(Log, s.Log, logDrivers())
	if err != nil {
		return nil, err
	}
	located := func(ctx context.Context, err error) error { return driver.unusable(ctx, Log, s.Log, err) }
	return &Schema{driver.migrator, s, options, located}, nil
}

// TablesSchema returns the schema of the tables; nil for those in the home, which are created and upgraded when they are
// opened.
func (s Settings) TablesSchema() (*Schema, error) {
	driver, err := pick(Tables, s.Tables, tablesDrivers())
	if err != nil || driver.up == nil {
		return nil, err
	}
	located := func(ctx context.Context, err error) error { return driver.unusable(ctx, Tables, s.Tables, err) }
	return &Schema{driver.migrator, s, Options{}, located}, nil
}

// Status reads how far the schema is. It changes nothing, and works without a log or tables.
func (s *Schema) Status(ctx context.Context) (migrations.Status, error) {
	if s.status == nil {
		return migrations.Status{}, nil
	}
	status, err := s.status(ctx, s.settings)
	return status, s.located(ctx, err)
}

// Plan returns the SQL that Up would run now, "" when there is nothing to do. It changes nothing.
func (s *Schema) Plan(ctx context.Context) (string, error) {
	if s.plan != nil {
		plan, err := s.plan(ctx, s.settings)
		return plan, s.located(ctx, err)
	}
	status, err := s.Status(ctx)
	var plan strings.Builder
	for _, step := range status.Missing {
		plan.WriteString(step.SQL)
	}
	return plan.String(), err
}

// Up creates the schema, or upgrades it to the version that this binary knows.
func (s *Schema) Up(ctx context.Context) error {
	return s.located(ctx, s.up(ctx, s.settings, s.options))
}

// createLog creates or upgrades a log by opening it.
func createLog(ctx context.Context, s Settings, options Options) error {
	if s.Log.Local() {
		if err := s.CreateHome(); err != nil {
			return err
		}
	}
	log, err := s.OpenLog(ctx, ToAppend, options)
	if err != nil {
		return err
	}
	return log.Close()
}
