package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// app is what all commands share: the global flags, and how to open the log and the tables.
//
//	writing   settings.CreateHome, openLog, openTables, newRecorder, newRunner
//	reading   openView: the log, and the tables brought up to date
//	showing   screen for people, document and line for programs (when json is set), progress while it takes long
type app struct {
	system   System
	args     []string // of the command, see hideAddresses
	settings config.Settings
	wrongEnv error             // why a variable of the environment cannot be used
	ledger   *gxpledger.Ledger // that the settings name
	recorded bool              // the command recorded a scan: whatever fails from then on, it ends with 0
	json     bool
	colour   render.ColourMode
	verbose  bool
	wait     time.Duration // how long a command waits for the log's server in all
	records  *atomic.Bool  // the command may have recorded something
	waiting  *atomic.Bool  // the log says what it waits for
}

func newApp(s System) *app {
	a := &app{system: s, records: &atomic.Bool{}, waiting: &atomic.Bool{}, colour: render.ColourAuto}
	a.settings, a.wrongEnv = config.FromEnvironment(s.Env)
	return a
}

// screen is where a command shows its result to a person.
func (a *app) screen() *render.Screen {
	return render.NewScreen(a.system.Stdout, a.terminal(a.system.Stdout))
}

// notes is where a command says what is not its result.
func (a *app) notes() *render.Screen {
	return render.NewScreen(a.system.Stderr, a.terminal(a.system.Stderr))
}

// progress tells a person at a terminal what takes so long.
func (a *app) progress() *render.Progress {
	return render.NewProgress(a.system.Stderr, a.terminal(a.system.Stderr), a.system.Now)
}

// terminal is what a writer can show.
func (a *app) terminal(w io.Writer) render.Terminal {
	if a.system.Terminal != nil {
		return *a.system.Terminal
	}
	return render.Detect(w, a.colour, a.system.Env)
}

// logger logs to standard error when --verbose is given. Its text form quotes whatever could act on a terminal.
func (a *app) logger() *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
	if a.verbose {
		logger.SetOutput(redactingWriter{a.system.Stderr, &a.settings})
		logger.SetLevel(logrus.DebugLevel)
	}
	return logger
}

// recorderConfig is the default one, with the spool of the home.
func (a *app) recorderConfig() recorder.Config {
	logger := a.logger()
	c := recorder.DefaultConfig(a.system.Now, a.settings.SpoolFolder())
	c.Log.Address = a.settings.SpooledLogName()
	c.Observe = func(t recorder.Retry) {
		logger.WithFields(logrus.Fields{"attempt": t.Attempt, "round": t.Round, "wait": t.Wait}).Warn(t.Err)
	}
	return c
}

// newRecorder returns a recorder on log that keeps in the spool what the log does not take.
func (a *app) newRecorder(log recorder.Log) (*recorder.Recorder, error) {
	c := a.recorderConfig()
	if named, ok := log.(interface{ ID() uuid.UUID }); ok {
		c.Log.ID = named.ID()
	}
	return recorder.New(recording{log, a}, c)
}

// recording is a log that notes that a command may record something.
type recording struct {
	recorder.Log

	app *app
}

// Append implements [eventstore.Appender].
func (r recording) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	r.app.records.Store(true)
	return r.Log.Append(ctx, b)
}

// runnerConfig is the default one, with the lease of the environment.
func (a *app) runnerConfig() run.Config {
	c := run.DefaultConfig(a.system.Now, eventstore.Decode, processName())
	c.LeaseTTL = cmp.Or(a.settings.Lease, c.LeaseTTL)
	return c
}

// processName names this process to others that wait for it.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

func logPage(logger *logrus.Logger, p run.Progress) {
	logger.WithFields(logrus.Fields{"projection": p.Projection, "build": p.Number, "position": p.Position}).Debug("page written")
}

// newRunner returns a runner of all projections from log to db, which calls moved after each page.
func (a *app) newRunner(log eventstore.Log, db projections.Database, moved ...func()) (*run.Runner, error) {
	logger := a.logger()
	c := a.runnerConfig()
	c.Observe = func(p run.Progress) {
		logPage(logger, p)
		for _, tell := range moved {
			tell()
		}
	}
	return run.NewRunner(log, db, tables.All(), c)
}

// view is what a reading command looks at.
type view struct {
	*gxpledger.View

	repository string // that it is limited to, by name or id
}

// openView opens what a command looks at, now or at a point in time. Close it.
func (a *app) openView(ctx context.Context, l looking) (*view, error) {
	progress := a.progress()
	defer progress.Done()
	opened, err := a.ledger.View(ctx, gxpledger.ViewOptions{
		AsOf: l.asOf.String(), Repository: l.repository.name, Projections: l.needs,
		Progress: func(at, of eventstore.Position) {
			progress.Say(fmt.Sprintf("replaying the log: position %d of %d", at, of))
		},
	})
	if err != nil {
		return nil, err
	}
	return &view{View: opened, repository: l.repository.name}, nil
}
