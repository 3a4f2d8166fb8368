package cli

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	logpostgres "github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/migrations"
)

// writerRole is the role of PostgreSQL with the rights to run the engine, and no other.
const writerRole = logpostgres.DefaultWriter

// postgresMigrator looks after a log on PostgreSQL.
type postgresMigrator struct{ app *app }

func (m postgresMigrator) status(ctx context.Context) (migrateDocument, error) {
	found, err := logpostgres.Status(ctx, m.app.log.text, logpostgres.Place{})
	if err != nil {
		return migrateDocument{}, m.app.unopened(ctx, err)
	}
	return migrateDocument{
		Log: m.app.logName(), Applied: stepsOf(found.Applied), Missing: stepsOf(found.Missing),
		Owner: found.Owner, WriterReady: &found.Granted,
	}, nil
}

func (m postgresMigrator) plan(ctx context.Context) (string, error) {
	plan, err := logpostgres.Plan(ctx, m.app.log.text, logpostgres.Place{})
	if err != nil {
		return "", m.app.unopened(ctx, err)
	}
	return plan, nil
}

func (m postgresMigrator) up(ctx context.Context) error {
	if err := logpostgres.Up(ctx, m.app.log.text, logpostgres.Place{}); err != nil {
		return m.app.unopened(ctx, err)
	}
	return nil
}

// sqliteMigrator looks after the SQLite log of the home.
type sqliteMigrator struct{ app *app }

func (m sqliteMigrator) status(ctx context.Context) (migrateDocument, error) {
	set, err := migrations.SQLiteLog()
	if err != nil {
		return migrateDocument{}, err
	}
	missing, err := m.missing(ctx, set)
	if err != nil {
		return migrateDocument{}, err
	}
	all := set.Migrations()
	return migrateDocument{
		Log: m.app.logName(), Applied: stepsOf(all[:len(all)-len(missing)]), Missing: stepsOf(missing),
	}, nil
}

// missing reads what the file lacks, which is all when there is none, and changes nothing.
func (m sqliteMigrator) missing(ctx context.Context, set migrations.Set) (_ []migrations.Migration, err error) {
	path, err := filepath.Abs(m.app.path(logFile))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return set.Migrations(), nil
	}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	missing, err := set.Missing(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", m.app.logName(), err)
	}
	return missing, nil
}

func (m sqliteMigrator) plan(ctx context.Context) (string, error) {
	set, err := migrations.SQLiteLog()
	if err != nil {
		return "", err
	}
	missing, err := m.missing(ctx, set)
	if err != nil {
		return "", err
	}
	var plan strings.Builder
	for _, step := range missing {
		plan.WriteString(step.SQL)
	}
	return plan.String(), nil
}

// up opens the log for writing, which migrates it.
func (m sqliteMigrator) up(ctx context.Context) error {
	if err := m.app.prepareHome(); err != nil {
		return err
	}
	log, err := m.app.openLog(ctx)
	if err != nil {
		return err
	}
	return log.Close()
}

// kurrentMigrator looks after a log on an EventStoreDB, which has no form that could be old: it is there, or is begun.
type kurrentMigrator struct{ app *app }

func (m kurrentMigrator) status(context.Context) (migrateDocument, error) {
	return migrateDocument{Log: m.app.logName(), Applied: []migrationStep{}, Missing: []migrationStep{}}, nil
}

func (kurrentMigrator) plan(context.Context) (string, error) { return "", nil }

// up opens the log for writing, which begins it.
func (m kurrentMigrator) up(ctx context.Context) error {
	log, err := m.app.openLog(ctx)
	if err != nil {
		return err
	}
	return log.Close()
}
