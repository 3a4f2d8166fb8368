package config

import (
	"context"
	"errors"
	"time"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/query"
	tablesqlite "github.com/gxpledger/gxpledger/projections/sqlite"
)

// Export is tables that are filled once and then kept for any SQL tool. Close frees what it holds, and removes an export
// that was not kept.
type Export interface {
	TablesDB
	// WriteOrigin adds the table about, which says what the tables are. It may be called once.
	WriteOrigin(ctx context.Context, origin projections.Origin) error
	// Publish ends the export: it is complete when Publish returns nil.
	Publish(ctx context.Context) error
}

// ExportOptions say how to export tables.
type ExportOptions struct {
	Now     func() time.Time // the engine's clock; required
	Replace bool             // whether an earlier export at the same place is replaced
}

// ErrExportExists says that something is where an export was to be. An [*Error] wraps it.
var ErrExportExists = errors.New("export exists already")

// CreateExport begins an export to the schema that an address names, in which nobody sees it until it is kept. The
// caller closes it. Errors are those of [Settings.Check] and an [*Error], which may wrap [ErrExportExists].
func CreateExport(ctx context.Context, address Address, options ExportOptions) (Export, error) {
	driver, err := pick(Tables, address, tablesDrivers())
	if err != nil {
		return nil, err
	}
	if driver.export == nil {
		return nil, &Error{Setting: Tables, Err: ErrInvalid, Problem: "no address of an export", Remedy: "want " + TablesForms()}
	}
	export, err := driver.export(ctx, address, options)
	if err != nil {
		return nil, driver.unusable(ctx, Tables, address, err)
	}
	return export, nil
}

// DialectOf returns the SQL dialect of tables at an address.
func DialectOf(tables Address) query.Dialect { return Settings{Tables: tables}.Dialect() }

// exportFile is an export to a SQLite file.
type exportFile struct{ *tablesqlite.DB }

// Publish closes the file, which is complete then.
func (f exportFile) Publish(context.Context) error { return f.Close() }

// CreateExportFile begins an export to an empty SQLite file. Until it is kept, a crash leaves a file that is useless: fill
// it beside its place. The caller closes it.
func CreateExportFile(ctx context.Context, path string, now func() time.Time) (Export, error) {
	db, err := tablesqlite.OpenExport(ctx, path, tablesqlite.Options{Now: now})
	if err != nil {
		return nil, err
	}
	return exportFile{db}, nil
}

// IsExportFile reports whether the SQLite file at path is an export. It changes nothing.
func IsExportFile(ctx context.Context, path string) (bool, error) {
	return tablesqlite.IsExport(ctx, path)
}
