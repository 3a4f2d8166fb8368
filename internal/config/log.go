package config

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	logpostgres "github.com/gxpledger/gxpledger/eventstore/postgres"
	logsqlite "github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/migrations"
)

// Options say how to use the log and the tables.
type Options struct {
	// Application names this program to a PostgreSQL server. Defaults to gxpledger.
	Application string
	// Blocked is told which session of a PostgreSQL server holds a lock that is waited for. It must not block. Nil for nobody.
	Blocked func(who string)
	// Now is the engine's clock. Required.
	Now func() time.Time
	// Observe is told of errors that cost time and lose nothing. It must not block. Nil for nobody.
	Observe func(error)
	// Wait bounds the time that a log spends in all on waiting for an EventStoreDB that cannot answer, and that a call waits for
	// locks of other processes, which also has shorter limits. Defaults to [DefaultWait].
	Wait time.Duration
	// Waiting is told how much of Wait is spent and why, and "" once the wait is over. It must not block. Nil for nobody.
	Waiting func(spent, wait time.Duration, why string)
}

// atMost returns the limit of one call, unless Wait is shorter.
func (o Options) atMost(limit time.Duration) time.Duration {
	return min(limit, cmp.Or(o.Wait, DefaultWait))
}

// DefaultWait stands for a zero [Options.Wait].
const DefaultWait = kurrent.DefaultWait

// Access says what a log is opened for.
type Access int

const (
	// ToAppend opens the log for appending. It is created when there is none, except on PostgreSQL, where [Schema.Up]
	// creates it.
	ToAppend Access = iota
	// ToRead opens a log that exists, and changes nothing.
	ToRead
	// ToVerify is ToRead for a log that may contradict itself.
	ToVerify
)

// logDriver is one kind of log.
type logDriver struct {
	server
	migrator

	open func(context.Context, Settings, Access, Options) (eventstore.Log, error)
}

// logDrivers are the kinds of logs. A new one is an entry here; what it can do, its Features say once it is open.
func logDrivers() []logDriver {
	return []logDriver{
		{
			open: func(ctx context.Context, s Settings, access Access, o Options) (eventstore.Log, error) {
				options := logsqlite.Options{Now: o.Now, BusyTimeout: o.atMost(logsqlite.DefaultBusyTimeout)}
				if access == ToAppend {
					return logsqlite.Open(ctx, s.LogFile(), options)
				}
				return logsqlite.OpenReadOnly(ctx, s.LogFile(), options)
			},
			migrator: migrator{
				status: func(ctx context.Context, s Settings) (migrations.Status, error) {
					return logsqlite.Status(ctx, s.LogFile())
				},
				up: createLog,
			},
		},
		{
			server: server{
				schemes: []string{"postgres", "postgresql"}, form: "postgres://USER@HOST/DATABASE",
				remedies: []remedy{{eventstore.ErrTransient, unreachable}},
			},
			open: func(ctx context.Context, s Settings, access Access, o Options) (eventstore.Log, error) {
				return logpostgres.Open(ctx, string(s.Log), logpostgres.Options{
					Now: o.Now, Observe: o.Observe, Inspect: access == ToVerify, AppendTimeout: o.atMost(logpostgres.DefaultAppendTimeout),
					Writer: s.logNamespace().Writer, Application: o.Application, Blocked: o.Blocked,
				})
			},
			migrator: migrator{
				status: func(ctx context.Context, s Settings) (migrations.Status, error) {
					return logpostgres.Status(ctx, string(s.Log), s.logNamespace())
				},
				plan: func(ctx context.Context, s Settings) (string, error) {
					return logpostgres.Plan(ctx, string(s.Log), s.logNamespace())
				},
				up: func(ctx context.Context, s Settings, _ Options) error {
					return logpostgres.Up(ctx, string(s.Log), s.logNamespace())
				},
			},
		},
		{
			server: server{
				schemes: []string{"esdb", "esdb+discover"}, form: "esdb://USER:" + "PASSWORD@HOST", // gosec would take the whole for a secret
				check: kurrent.Check, redact: kurrent.Redact,
				misnamed: map[string]string{
					"kurrentdb": "esdb", "kurrentdb+discover": "esdb+discover", "kdb": "esdb", "kdb+discover": "esdb+discover",
				},
				remedies: []remedy{
					{eventstore.ErrNotFound, "record a scan first, or check that streamPrefix is the one that the log was created with; " +
						"a log that gxpledger serve serves is read through the log behind it"},
					{eventstore.ErrTransient, unreachable},
					{kurrent.ErrRefused, "give the address a user who may read $all and write; a log that gxpledger serve serves is written through the log behind it"},
				},
			},
			open: func(ctx context.Context, s Settings, access Access, o Options) (eventstore.Log, error) {
				options := kurrent.Options{Now: o.Now, CacheDir: s.HomeFolder(), Observe: o.Observe, Wait: o.Wait}
				if o.Waiting != nil {
					options.Waiting = func(spent, wait time.Duration, why string) { o.Waiting(spent, wait, s.Log.Redact(why)) }
				}
				if access == ToAppend {
					return kurrent.Open(ctx, string(s.Log), options)
				}
				return kurrent.OpenReadOnly(ctx, string(s.Log), options)
			},
			migrator: migrator{up: createLog},
		},
	}
}

// LogForms are the addresses that a log can be at, for people.
func LogForms() string { return forms(logDrivers()) }

// OpenLog opens the log. The caller closes it.
//
// Errors: an [*Error], which may wrap [ErrNoLog] or [ErrLogLost]; of a log in the home, those of eventstore/sqlite.
func (s Settings) OpenLog(ctx context.Context, access Access, options Options) (eventstore.Log, error) {
	driver, err := pick(Log, s.Log, logDrivers())
	if err != nil {
		return nil, err
	}
	if access == ToAppend {
		err = s.refuseNewLog()
	} else {
		err = s.RequireLog()
	}
	if err != nil {
		return nil, err
	}
	log, err := driver.open(ctx, s, access, options)
	if err != nil {
		return nil, driver.unusable(ctx, Log, s.Log, err)
	}
	return log, nil
}

// RequireLog reports a home that has no log, with an [*Error] that wraps [ErrNoLog] or [ErrLogLost]. Whether there is a
// log on a server shows when it is opened.
func (s Settings) RequireLog() error {
	if !s.Log.Local() {
		return nil
	}
	if err := s.refuseNewLog(); err != nil {
		return err
	}
	if _, err := os.Stat(s.LogFile()); errors.Is(err, fs.ErrNotExist) {
		return &Error{
			Setting: Home, Err: ErrNoLog, Problem: "there is no log in " + s.HomeFolder(),
			Remedy: "record a scan first, or choose another home folder",
		}
	}
	return nil
}

// refuseNewLog keeps a log that was lost from being replaced by an empty one: tables without a log mean that there was
// one. It looks for the tables first, since another process that starts in the same home creates the log first.
func (s Settings) refuseNewLog() error {
	if !s.Log.Local() || !s.Tables.Local() {
		return nil // tables on a server know their log themselves
	}
	if _, err := os.Stat(s.TablesFile()); err != nil {
		return nil //nolint:nilerr // no tables, or none that can be seen: nothing speaks against a new log
	}
	is := ""
	switch info, err := os.Stat(s.LogFile()); {
	case errors.Is(err, fs.ErrNotExist):
		is = "missing"
	case err == nil && info.Mode().IsRegular() && info.Size() == 0: // a log has pages before there are tables
		is = "empty"
	}
	if is != "" {
		return &Error{
			Setting: Home, Err: ErrLogLost, Problem: s.LogFile() + " is " + is + ", and " + s.TablesFile() + " was made from a log",
			Remedy: "restore it from a backup, set the address of the log if it is on a server, or start a new one in another home folder",
		}
	}
	return nil
}
