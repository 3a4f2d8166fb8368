package cli

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"github.com/sirupsen/logrus"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// app is what all commands share: the global flags, and how to open the log and the tables.
//
//	writing   prepareHome, openLog, openTables, newRecorder, newRunner
//	reading   openView: the log, and the tables brought up to date
//	showing   screen for people, document and line for programs (when json is set), progress while it takes long
type app struct {
	system  System
	home    string
	log     logURL    // where the log is, when it is not in the home
	db      tablesURL // where the tables are, when they are not in the home
	json    bool
	colour  render.ColourMode
	verbose bool
	lease   lease // how long a process that died keeps others from writing tables
}

func newApp(s System) *app {
	a := &app{system: s, home: ".gxpledger", colour: render.ColourAuto}
	if home, ok := s.Env("GXPLEDGER_HOME"); ok && home != "" {
		a.home = home
	}
	if url, ok := s.Env("GXPLEDGER_LOG"); ok {
		a.log.text = url
	}
	if url, ok := s.Env("GXPLEDGER_DB"); ok {
		a.db.text = url
	}
	if text, ok := s.Env("GXPLEDGER_LEASE"); ok {
		a.lease.text = text
	}
	return a
}

// screen is where a command shows its result to a person.
func (a *app) screen() *render.Screen {
	return render.NewScreen(a.system.Stdout, render.Detect(a.system.Stdout, a.colour, a.system.Env))
}

// notes is where a command says what is not its result.
func (a *app) notes() *render.Screen {
	return render.NewScreen(a.system.Stderr, render.Detect(a.system.Stderr, a.colour, a.system.Env))
}

// progress tells a person at a terminal what takes so long.
func (a *app) progress() *render.Progress {
	return render.NewProgress(a.system.Stderr, render.Detect(a.system.Stderr, a.colour, a.system.Env), a.system.Now)
}

// logger logs to standard error when --verbose is given. Its text form quotes whatever could act on a terminal.
func (a *app) logger() *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
	if a.verbose {
		logger.SetOutput(hidingWriter{hidingWriter{a.system.Stderr, &a.log}, &a.db.logURL})
		logger.SetLevel(logrus.DebugLevel)
	}
	return logger
}

// path returns the path of a file of the home.
func (a *app) path(name string) string { return filepath.Join(a.home, name) }

// The files of a home.
const (
	logFile    = "log.db"
	tablesFile = "tables.db"
	spoolDir   = "spool"
)

// prepareHome makes the home, for its owner alone, and keeps git from adding it to a repository.
func (a *app) prepareHome() error {
	const ownerOnly = 0o700
	if err := os.MkdirAll(a.home, ownerOnly); err != nil {
		return failed(err, "the folder %s cannot be made (%v): choose another with --home", a.home, err)
	}
	ignore, err := os.OpenFile(a.path(".gitignore"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		_, err = ignore.WriteString("*\n")
		err = errors.Join(err, ignore.Close())
	}
	if err != nil {
		return failed(err, "the folder %s cannot be written (%v): choose another with --home", a.home, err)
	}
	return nil
}

// recorderConfig is the default one, with the spool of the home.
func (a *app) recorderConfig() eventstore.RecorderConfig {
	logger := a.logger()
	config := eventstore.DefaultRecorderConfig(a.system.Now, a.path(spoolDir))
	config.Observe = func(t eventstore.Trouble) {
		logger.WithFields(logrus.Fields{"attempt": t.Attempt, "round": t.Round, "wait": t.Wait}).Warn(t.Err)
	}
	return config
}

// newRecorder returns a recorder on log that keeps in the spool what the log does not take.
func (a *app) newRecorder(log eventstore.RecorderLog) (*eventstore.Recorder, error) {
	return eventstore.NewRecorder(log, a.recorderConfig())
}

// newRunner returns a runner of all projections from log to db.
func (a *app) newRunner(log eventstore.Log, db projections.Database) (*projections.Runner, error) {
	logger := a.logger()
	config := a.runnerConfig()
	config.Observe = func(p projections.Progress) {
		logger.WithFields(logrus.Fields{"projection": p.Projection, "build": p.Number, "position": p.Position}).Debug("page written")
	}
	return projections.NewRunner(log, db, tables.All(), config)
}

// view is what a reading command looks at: the log, and one state of the tables, brought up to its head. Close it.
//
// A command that shows another point in time differs in nothing but this: openViewAt makes the view of a past.
type view struct {
	log     eventstore.Log
	tables  tablesDB
	dialect query.Dialect // how the tables want to be asked
	runner  *projections.Runner
	query   *query.Reader // sees the same state in all its calls
	tx      *sql.Tx
	past    *query.Shown // which past it is; nil for the present
	needs   []string     // the projections whose tables are shown; nil for all
}

// openView opens what a scan has made. The log is only read. Tables that lag behind it are brought up to date, since a scan
// may have been killed before it did that; others are only read too, so that a home that cannot be written can be shown.
func (a *app) openView(ctx context.Context, needs []string) (_ *view, err error) {
	v, err := a.openStill(ctx, a.openLogToRead)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	v.needs = needs
	if err := a.bring(ctx, v.runner, 0, needs); err != nil {
		return nil, err
	}
	if err := v.begin(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// begin makes all queries of the view see the same state.
func (v *view) begin(ctx context.Context) (err error) {
	if v.tx, err = v.tables.Query().BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return err
	}
	v.query = query.NewReader(v.tx, v.dialect)
	return nil
}

func (v *view) close() error {
	var errs []error
	if v.tx != nil {
		if err := v.tx.Rollback(); !errors.Is(err, sql.ErrTxDone) { // done when the context ended
			errs = append(errs, err)
		}
	}
	if v.tables != nil {
		errs = append(errs, v.tables.Close())
	}
	if v.log != nil {
		errs = append(errs, v.log.Close())
	}
	return errors.Join(errs...)
}

// processName names this process to others that wait for it.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

// defaultActor is who runs this process, as the operating system knows: user@host.
func defaultActor() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
