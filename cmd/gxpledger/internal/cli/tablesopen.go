package cli

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/projections"
	tablespostgres "github.com/gxpledger/gxpledger/projections/postgres"
	tablesqlite "github.com/gxpledger/gxpledger/projections/sqlite"
)

// tablesDB is what commands need of the tables, whatever keeps them.
type tablesDB interface {
	projections.Database
	// Query returns a handle to query the views with. A transaction that it begins sees one state of all tables.
	Query() *sql.DB
	Close() error
}

// dialect is how the tables want to be asked.
func (a *app) dialect() query.Dialect {
	if a.db.local() {
		return query.SQLite
	}
	return query.Postgres
}

// openTables opens the tables for writing. Those of the home are made when there are none, others by migrate up. Tables that
// this user may not write are opened all the same, to be read. The caller closes them.
func (a *app) openTables(ctx context.Context) (tablesDB, error) {
	if !a.db.local() {
		return a.openServerTables(ctx)
	}
	if !a.log.local() { // nothing else has made the home
		if err := a.prepareHome(); err != nil {
			return nil, err
		}
	}
	options := tablesqlite.Options{Now: a.system.Now}
	db, err := tablesqlite.Open(ctx, a.path(tablesFile), options)
	if errors.Is(err, projections.ErrReadOnly) {
		if unwritable, failure := tablesqlite.OpenUnwritable(ctx, a.path(tablesFile), options); failure == nil {
			return unwritable, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// openServerTables opens tables that are not in the home.
func (a *app) openServerTables(ctx context.Context) (tablesDB, error) {
	defer a.waitFor("the server of the tables at " + a.db.String())()
	url, place := a.db.place()
	options := tablespostgres.Options{Now: a.system.Now, Place: place}
	db, err := tablespostgres.Open(ctx, url, options)
	if errors.Is(err, projections.ErrReadOnly) {
		if unwritable, failure := tablespostgres.OpenUnwritable(ctx, url, options); failure == nil {
			return unwritable, nil
		}
	}
	if err != nil {
		return nil, a.unopenedTables(ctx, err)
	}
	return db, nil
}

// unopenedTables says of tables on a server that they could not be used, and where they should be.
func (a *app) unopenedTables(ctx context.Context, err error) error {
	hidden := a.db.hideIn(err)
	if ctx.Err() != nil {
		return hidden
	}
	todo := ""
	if errors.Is(err, projections.ErrTransient) {
		todo = ": see that the server runs and can be reached, and try again"
	}
	why := strings.TrimPrefix(oneLine(hidden.Error()), "open tables: ")
	return failed(hidden, "the tables at %s cannot be used: %s%s", a.db.String(), why, todo)
}

// tablesName names the tables to people, without passwords.
func (a *app) tablesName() string {
	if a.db.local() {
		return a.home
	}
	return "schema " + a.db.schema() + " at " + a.db.String()
}
