package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	logpostgres "github.com/gxpledger/gxpledger/eventstore/postgres"
	logsqlite "github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/projections"
)

// checkLog refuses a --log that cannot be, before any command begins.
func (a *app) checkLog(*cobra.Command, []string) error {
	return errors.Join(a.log.check(), a.db.check(), a.lease.check())
}

// openLog opens the log for appending. It is made when there is none, but on PostgreSQL, where migrate up does that. The
// caller closes it.
func (a *app) openLog(ctx context.Context) (eventstore.Log, error) {
	if !a.log.local() {
		return a.openOnServer(ctx, toWrite)
	}
	if err := a.refuseNewLog(); err != nil {
		return nil, err
	}
	log, err := logsqlite.Open(ctx, a.path(logFile), logsqlite.Options{Now: a.system.Now})
	if err != nil {
		return nil, err
	}
	return log, nil
}

// openLogToRead opens the log and changes nothing of it. The caller closes it.
func (a *app) openLogToRead(ctx context.Context) (eventstore.Log, error) {
	return a.openStillLog(ctx, toRead)
}

// openLogToVerify opens the log as openLogToRead does, but also one that contradicts itself.
func (a *app) openLogToVerify(ctx context.Context) (eventstore.Log, error) {
	return a.openStillLog(ctx, toVerify)
}

func (a *app) openStillLog(ctx context.Context, why purpose) (eventstore.Log, error) {
	if err := a.needLog(); err != nil {
		return nil, err
	}
	if !a.log.local() {
		return a.openOnServer(ctx, why)
	}
	log, err := logsqlite.OpenReadOnly(ctx, a.path(logFile), logsqlite.Options{Now: a.system.Now})
	if err != nil {
		return nil, err
	}
	return log, nil
}

// purpose says what a log is opened for.
type purpose int

const (
	toWrite purpose = iota
	toRead
	toVerify
)

// needLog says what to do when there is no log. Whether there is one on a server shows when it is opened.
func (a *app) needLog() error {
	if !a.log.local() {
		return nil
	}
	if err := a.refuseNewLog(); err != nil {
		return err
	}
	if _, err := os.Stat(a.path(logFile)); errors.Is(err, fs.ErrNotExist) {
		return failed(err, "there is no log in %s: record something with gxpledger scan, or name another folder with --home", a.home)
	}
	return nil
}

// refuseNewLog keeps a log that was lost from being replaced by an empty one: tables without a log mean that there was
// one. It looks for the tables first, since another process that begins here makes the log first.
func (a *app) refuseNewLog() error {
	if !a.db.local() {
		return nil // the tables themselves know their log
	}
	if _, err := os.Stat(a.path(tablesFile)); err != nil {
		return nil //nolint:nilerr // no tables, or none that can be seen: nothing speaks against a new log
	}
	if _, err := os.Stat(a.path(logFile)); errors.Is(err, fs.ErrNotExist) {
		return failed(err, "%s is missing, and %s was made from a log: restore it from a backup, name its URL with --log if it is on a server, "+
			"or begin a new one in another folder with --home", a.path(logFile), a.path(tablesFile))
	}
	return nil
}

// openOnServer opens a log that is not in the home.
func (a *app) openOnServer(ctx context.Context, why purpose) (log eventstore.Log, err error) {
	defer a.waitFor("the server of the log at " + a.log.String())()
	logger := a.logger()
	observe := func(err error) { logger.Warn(err) }
	if a.log.kind() == logKurrent {
		open := kurrent.OpenReadOnly
		if why == toWrite {
			open = kurrent.Open
		}
		log, err = open(ctx, a.log.text, kurrent.Options{Now: a.system.Now, CacheDir: a.home, Observe: observe})
	} else {
		log, err = logpostgres.Open(ctx, a.log.text, logpostgres.Options{Now: a.system.Now, Observe: observe, Inspect: why == toVerify})
	}
	if err != nil {
		return nil, a.unopened(ctx, err)
	}
	return log, nil
}

// waitFor tells somebody at a terminal what is waited for, once it takes long and until done is called.
func (a *app) waitFor(what string) (done func()) {
	const pace = time.Second
	progress, tick, stop := a.progress(), time.NewTicker(pace), make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for {
			select {
			case <-tick.C:
				progress.Say("waiting for " + what)
			case <-stop:
				return
			}
		}
	})
	return func() {
		tick.Stop()
		close(stop)
		telling.Wait()
		progress.Done()
	}
}

// unopened says of a log on a server that it could not be used, and where it should be.
func (a *app) unopened(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return a.log.hideIn(err)
	}
	todo := ""
	switch {
	case errors.Is(err, eventstore.ErrNotFound):
		return failed(a.log.hideIn(err), "there is no log at %s: record something with gxpledger scan, or see that streamPrefix is the one that "+
			"the log was begun with; what gxpledger serve serves is read through the log behind it", a.log.String())
	case errors.Is(err, eventstore.ErrTransient):
		todo = ": see that the server runs and can be reached, and try again"
	case errors.Is(err, kurrent.ErrRefused):
		todo = ": give the address a user who may read $all and write; a log that gxpledger serve serves is written through the log behind it"
	}
	why := strings.TrimPrefix(a.log.hide(oneLine(err.Error())), "open log at "+kurrent.Redact(a.log.text)+": ") // once is enough
	return failed(a.log.hideIn(err), "the log at %s cannot be used: %s%s", a.log.String(), why, todo)
}

// ownTables refuses tables that were made from another log (I14). That a scan finds them out before it records anything
// keeps a forgotten --log from beginning a second history.
func (a *app) ownTables(ctx context.Context, log eventstore.Log) (err error) {
	if _, err := os.Stat(a.path(tablesFile)); err != nil && a.db.local() {
		return nil // there are none that could be of another log
	}
	db, err := a.openTables(ctx)
	if err != nil {
		return nil // what is wrong with the tables keeps no scan from being recorded
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	runner, err := a.newRunner(log, db)
	if err != nil {
		return err
	}
	if err := runner.Check(ctx); errors.Is(err, projections.ErrLogMismatch) {
		return a.anotherLog(err)
	}
	return nil
}

// anotherLog is the sentence on tables that were made from another log.
func (a *app) anotherLog(err error) error {
	mismatch, ok := errors.AsType[*projections.MismatchError](err)
	if !ok {
		return err
	}
	own := "give this log a home of its own with --home"
	if !a.db.local() {
		own = "give this log tables of its own with another schema in --db"
	}
	return failed(err, "the tables in %s are not of this log (%v); open their log with --log, %s, "+
		"or, if this log is the right one, run gxpledger projections rebuild --all --adopt-log --reason TEXT", a.tablesName(), mismatch, own)
}
