package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/internal/wholefile"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/query"
	tablesqlite "github.com/gxpledger/gxpledger/projections/sqlite"
)

// Export is tables that are filled once and then published for any SQL tool. Close frees what it holds, and removes an export
// that was not published.
type Export interface {
	TablesDB
	// WriteOrigin adds the table about, which says what the tables are. It may be called once.
	WriteOrigin(ctx context.Context, origin projections.Origin) error
	// Publish ends the export: it is in its place and complete when Publish returns nil.
	Publish(ctx context.Context) error
}

// ExportOptions say how to export tables.
type ExportOptions struct {
	Now     func() time.Time // the engine's clock; required
	Replace bool             // whether an earlier export at the same place is replaced
	// RolePrefix begins the name of the role that reads an export on PostgreSQL, see [Settings.RolePrefix].
	RolePrefix string
}

// ErrExportExists says that something is where an export was to be. An [*Error] wraps it.
var ErrExportExists = errors.New("export exists already")

// CreateExport begins an export to a SQLite file, or to the schema that an address names. Nobody sees it there until it is
// published. The caller closes it. It replaces an earlier export where options say so, and nothing else.
//
// Errors: an [*Error], which may wrap [ErrInvalid] or [ErrExportExists].
func CreateExport(ctx context.Context, into string, options ExportOptions) (Export, error) {
	if !IsAddress(into) {
		return createExportFile(ctx, into, options)
	}
	address := Address(into)
	driver, err := pick(Tables, address, tablesDrivers())
	if err == nil && driver.export == nil {
		err = &Error{Err: ErrInvalid, Problem: "no address of an export", Remedy: "want " + TablesForms()}
	}
	var export Export
	if err == nil {
		if export, err = driver.export(ctx, address, options); err == nil {
			return export, nil
		}
		err = driver.unusable(ctx, Tables, address, err)
	}
	if wrong, ok := errors.AsType[*Error](err); ok {
		about := *wrong
		about.Setting = ExportTarget
		if errors.Is(err, ErrInvalid) {
			about.Remedy += ", or the path of a file"
		}
		return nil, &about
	}
	return nil, err
}

// IsAddress reports whether the target of an export is an address. Other targets are files.
func IsAddress(into string) bool { return strings.Contains(into, "://") }

// ExportDialect returns the SQL dialect of an export.
func ExportDialect(into string) query.Dialect {
	if !IsAddress(into) {
		return query.SQLite
	}
	return Settings{Tables: Address(into)}.Dialect()
}

// ExportName names the target of an export to people, without passwords.
func ExportName(into string) string {
	if !IsAddress(into) {
		return into
	}
	return Address(into).String()
}

// exportFile is an export to a SQLite file, which is beside its place until it is published.
type exportFile struct {
	*tablesqlite.DB

	file    *wholefile.File
	path    string
	replace bool
}

// Publish closes the file and puts it in its place.
func (f exportFile) Publish(context.Context) error {
	err := f.DB.Close()
	if err == nil {
		err = f.file.Keep(f.replace)
	}
	if errors.Is(err, fs.ErrExist) {
		return exportExists(f.path)
	}
	return err
}

// Close closes the file and removes it, unless it was published.
func (f exportFile) Close() error { return errors.Join(f.DB.Close(), f.file.Discard()) }

func createExportFile(ctx context.Context, path string, options ExportOptions) (Export, error) {
	if err := checkExportFile(ctx, path, options.Replace); err != nil {
		return nil, err
	}
	file, err := wholefile.New(path)
	if err != nil {
		return nil, notAFile(err)
	}
	db, err := tablesqlite.OpenExport(ctx, file.Temporary, tablesqlite.Options{Now: options.Now})
	if err != nil {
		return nil, errors.Join(err, file.Discard())
	}
	return exportFile{db, file, path, options.Replace}, nil
}

// checkExportFile refuses a path where something is, unless replace is set and it is nothing that would be missed: a database
// that is no export may be a log, which is the record itself.
func checkExportFile(ctx context.Context, path string, replace bool) error { //revive:disable-line:flag-parameter // what the caller asked for
	refuse := func(err error, remedy, format string, args ...any) error {
		return &Error{Setting: ExportTarget, Err: err, Problem: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	for _, beside := range []string{"-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(path + beside); err == nil {
			return refuse(nil, "name another file", "%s exists, so a database at %s is in use or was not closed", path+beside, path)
		}
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return refuse(err, "name another file", "the file %s cannot be created (%v)", path, err)
	case info.IsDir():
		return refuse(ErrInvalid, "name a file in it, such as "+filepath.Join(path, "audit.db"), "%s is a folder", path)
	case !replace:
		return exportExists(path)
	}
	if err := wholefile.CheckPlain(path); err != nil {
		return notAFile(err)
	}
	if !wholefile.IsDatabase(path) {
		return nil
	}
	if export, err := tablesqlite.IsExport(ctx, path); err != nil || !export {
		return refuse(err, "name another file", "%s is a database that gxpledger replay did not create, and is not replaced", path)
	}
	return nil
}

func notAFile(err error) error {
	return &Error{Setting: ExportTarget, Err: err, Problem: err.Error(), Remedy: "name another file"}
}

func exportExists(path string) error {
	return &Error{Setting: ExportTarget, Err: errors.Join(ErrExportExists, fs.ErrExist), Problem: path + " exists already", Remedy: "name another file"}
}
