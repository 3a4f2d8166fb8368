package config

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/migrations"
	"github.com/gxpledger/gxpledger/projections"
	tablespostgres "github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/query"
	tablesqlite "github.com/gxpledger/gxpledger/projections/sqlite"
)

// TablesDB are open tables.
type TablesDB interface {
	projections.Database
	// Query returns a handle to query the views with. A transaction that it begins sees one state of all tables.
	Query() *sql.DB
	Close() error
}

// tablesDriver is one kind of tables.
type tablesDriver struct {
	server
	migrator // empty for tables that are created and upgraded when they are opened

	dialect query.Dialect
	// open opens the tables, toRead for a user who may not write them.
	open, toRead func(context.Context, Settings, Options) (TablesDB, error)
	// export begins an export at an address; nil for files.
	export func(context.Context, Address, ExportOptions) (Export, error)
}

// tablesDrivers are the kinds of tables. A new one is an entry here.
func tablesDrivers() []tablesDriver {
	return []tablesDriver{
		{
			dialect: query.SQLite,
			open: func(ctx context.Context, s Settings, o Options) (TablesDB, error) {
				return tablesqlite.Open(ctx, s.TablesFile(), tablesqlite.Options{
					Now: o.Now, BusyTries: max(1, int(o.atMost(tablesqlite.DefaultBusyTries*tablesqlite.BusyTry)/tablesqlite.BusyTry)),
				})
			},
			toRead: func(ctx context.Context, s Settings, o Options) (TablesDB, error) {
				return tablesqlite.OpenUnwritable(ctx, s.TablesFile(), tablesqlite.Options{Now: o.Now})
			},
		},
		{
			server: server{
				schemes: []string{"postgres", "postgresql"}, form: "postgres://USER@HOST/DATABASE?schema=NAME",
				remedies: []remedy{{projections.ErrTransient, unreachable}},
			},
			dialect: query.Postgres, export: exportToPostgres,
			open: func(ctx context.Context, s Settings, o Options) (TablesDB, error) {
				address, namespace := s.tablesNamespace()
				return tablespostgres.Open(ctx, address, tablespostgres.Options{
					Now: o.Now, Namespace: namespace, Patience: o.atMost(tablespostgres.DefaultPatience), Application: o.Application, Blocked: o.Blocked,
				})
			},
			toRead: func(ctx context.Context, s Settings, o Options) (TablesDB, error) {
				address, namespace := s.tablesNamespace()
				return tablespostgres.OpenUnwritable(ctx, address, tablespostgres.Options{Now: o.Now, Namespace: namespace, Application: o.Application, Blocked: o.Blocked})
			},
			migrator: migrator{
				status: func(ctx context.Context, s Settings) (migrations.Status, error) {
					address, namespace := s.tablesNamespace()
					return tablespostgres.Status(ctx, address, namespace)
				},
				plan: func(ctx context.Context, s Settings) (string, error) {
					address, namespace := s.tablesNamespace()
					return tablespostgres.Plan(ctx, address, namespace)
				},
				up: func(ctx context.Context, s Settings, _ Options) error {
					address, namespace := s.tablesNamespace()
					return tablespostgres.Up(ctx, address, namespace)
				},
			},
		},
	}
}

// TablesForms are the addresses that tables can be at, for people.
func TablesForms() string { return forms(tablesDrivers()) }

// OpenTables opens the tables for writing. Those in the home are created when there are none, others by
// [Schema.Up]. Tables that this user may not write are opened all the same, for reading. The caller closes
// them.
//
// Errors: an [*Error]; of tables in the home, also those of projections/sqlite.
func (s Settings) OpenTables(ctx context.Context, options Options) (TablesDB, error) {
	driver, err := pick(Tables, s.Tables, tablesDrivers())
	if err != nil {
		return nil, err
	}
	if s.Tables.Local() && !s.Log.Local() { // nothing else has created the home
		if err := s.CreateHome(); err != nil {
			return nil, err
		}
	}
	db, err := driver.open(ctx, s, options)
	if errors.Is(err, projections.ErrReadOnly) {
		if readable, failure := driver.toRead(ctx, s, options); failure == nil {
			return readable, nil
		}
	}
	if err != nil {
		return nil, driver.unusable(ctx, Tables, s.Tables, err)
	}
	return db, nil
}

// Dialect returns the SQL dialect of the tables.
func (s Settings) Dialect() query.Dialect {
	driver, err := pick(Tables, s.Tables, tablesDrivers())
	if err != nil {
		return query.SQLite // nothing can be opened
	}
	return driver.dialect
}

// FindTables returns nil if there may be tables already: opening those in the home creates them.
func (s Settings) FindTables() error {
	if !s.Tables.Local() {
		return nil
	}
	_, err := os.Stat(s.TablesFile())
	return err
}

// OpenScratchTables creates empty tables in a temporary SQLite file, which Close removes.
func OpenScratchTables(ctx context.Context, now func() time.Time) (TablesDB, error) {
	db, err := tablesqlite.OpenScratch(ctx, "", tablesqlite.Options{Now: now})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// schemaParameter is the parameter of the address of tables that names their schema. It is ours, not the server's.
const schemaParameter = "schema"

// namespace returns the address of the server, and where the tables are in its database. What is not ours stays as it is
// written: a server reads an address with stricter rules than a browser.
func (a Address) namespace() (string, tablespostgres.Namespace) {
	var namespace tablespostgres.Namespace
	address, parameters, _ := strings.Cut(string(a), "?")
	var others []string
	for parameter := range strings.SplitSeq(parameters, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if name != schemaParameter {
			others = append(others, parameter)
		} else if schema, err := url.QueryUnescape(value); err == nil {
			namespace.Schema = schema
		}
	}
	if rest := strings.Join(others, "&"); rest != "" {
		address += "?" + rest
	}
	return address, namespace
}

func exportToPostgres(ctx context.Context, at Address, options ExportOptions) (Export, error) {
	address, namespace := at.namespace()
	if namespace.Schema == "" {
		return nil, &Error{
			Setting: Tables, Err: ErrInvalid,
			Problem: "the address names no schema", Remedy: "want " + TablesForms() + ", with the name of a schema that does not exist yet",
		}
	}
	namespace = withRoles(namespace, options.RolePrefix)
	export, err := tablespostgres.CreateExport(ctx, address, tablespostgres.Options{Now: options.Now, Namespace: namespace}, options.Replace)
	if errors.Is(err, tablespostgres.ErrSchemaExists) {
		return nil, &Error{
			Setting: Tables, Err: errors.Join(ErrExportExists, at.RedactError(err)),
			Problem: "the schema " + namespace.Schema + " at " + at.String() + " exists already", Remedy: "name another schema",
		}
	}
	if err != nil {
		return nil, err
	}
	return export, nil
}
