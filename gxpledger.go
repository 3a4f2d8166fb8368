// Package gxpledger records the compliance artifacts of git repositories in an append-only log, and shows what was true at any
// point in time.
//
// # Open
//
// A [Ledger] is a log of events, and tables that are built from the log. [Open] opens the ledger that a [Config] names: SQLite
// files in one folder by default, or a log and tables on servers.
//
//	ledger, err := gxpledger.Open(ctx, gxpledger.Config{Home: "ledger"})
//	if err != nil {
//		return err
//	}
//	defer ledger.Close()
//
// # Record
//
// [Ledger.Scan] reads one revision of a repository and appends what it finds as one batch of events, all or nothing. A scan
// that breaks a policy fails: the log records the reason and nothing else.
//
//	result, err := ledger.Scan(ctx, gxpledger.ScanRequest{Repository: "../product", Ref: "v1.4", Reason: "release"})
//	if refused, ok := errors.AsType[*domain.RefusedError](err); ok {
//		fmt.Println(refused.Violations)
//	}
//
// # Read
//
// [Ledger.View] shows what the scans recorded, now or at a point in time. The methods of a [View] return artifacts, their
// history, the traceability matrix, gaps, the difference of two scans, and the audit trail. [View.Shown] says which scans the
// answers are about.
//
//	view, err := ledger.View(ctx, gxpledger.AsOf("scan:17")) // or ViewOptions{} for now
//	if err != nil {
//		return err
//	}
//	defer view.Close()
//	gaps, err := view.Gaps(ctx, query.Scope{})
//
// # Follow
//
// [Ledger.Follow] yields the events after a position, and then each new one. Store the position with what the program makes of
// the events, and continue from there after a restart.
//
//	for record, err := range ledger.Follow(ctx, position) {
//		if err != nil {
//			return err
//		}
//		event, err := eventstore.Decode(record)
//		// ...
//	}
//
// # Verify and administer
//
// [Ledger.Verify] checks the log, the contents and the tables. [Ledger.Admin] has the operations of administrators: rebuild and
// pause projections, copy the log, retire repositories, each recorded in the log with its actor and reason, and upgrade schemas.
// [Ledger.Export] writes the tables as of a point in time for other tools.
//
// # Other packages
//
// Package domain has the events, eventstore the records and positions of the log, projections/query and domain/trace what views
// return. Each method says what it waits for and which errors it returns; match them with [errors.Is] and [errors.As].
package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// Config says where a ledger is and how to use it. The zero value is a ledger in the folder .gxpledger of the current
// folder.
type Config struct {
	// Home is the folder of the SQLite files and of the spool. Defaults to .gxpledger.
	Home string
	// Log is the address of the log, postgres://USER@HOST/DATABASE or esdb://USER:PASSWORD@HOST. Defaults to a SQLite file
	// in the home.
	Log string
	// Tables is the address of the tables, postgres://USER@HOST/DATABASE?schema=NAME. Defaults to a SQLite file in the home.
	Tables string
	// Lease is for how long a process that died keeps others from writing the tables, from 100 ms to 10 minutes. Defaults
	// to 10 seconds.
	Lease time.Duration
	// RolePrefix begins the names of the roles on PostgreSQL, such as "lims_" for lims_gxp_writer, where several products share
	// a server. Everybody who uses the log or the tables gives the same. Defaults to nothing.
	RolePrefix string
	// Application is the application_name of connections to PostgreSQL, by which administrators know who holds a lock; an address
	// that has one goes before it. Defaults to gxpledger.
	Application string
	// Blocked is told which session of a PostgreSQL server holds a lock that is waited for, once that is known: after a second. It must
	// not block. Nil for nobody, and then the server is not asked.
	Blocked func(who string)
	// Wait bounds the time that the log spends in all on waiting for an EventStoreDB that cannot answer, as during an
	// election of its leader; that a scan tries again to append to a log that does not answer; and that a call waits for other
	// processes that write the tables. What was recorded stays so, and the tables follow. Defaults to 30 seconds.
	Wait time.Duration
	// Patience is how long the tables may make no progress after a scan was recorded. Defaults to a minute.
	Patience time.Duration
	// Actor is the actor of requests that name nobody. Defaults to the user of this process, user@host.
	Actor string
	// Now is the engine's clock. Defaults to the wall clock.
	Now func() time.Time
	// Lagging is told, as soon as a method finds out, of projections whose tables are not up to date: with a
	// *[projections.PausedError] of one that is needed and that an administrator paused, with a *[projections.EventError] of
	// one that stopped at an event and is not needed, with a *[projections.LeaseHeldError] of one that another process writes
	// and that is not needed. It must not block. Nil for nobody.
	Lagging func(error)
	// Appending is told before each append to the log. It must not block. Nil for nobody.
	Appending func()
	// Observe is told of problems that cost time and lose nothing, such as a connection that was lost and made again. It
	// must not block. Nil for nobody.
	Observe func(error)
	// Projected is told of each page of events that was written to the tables. It is called from several goroutines and must
	// not block. Nil for nobody.
	Projected func(run.Progress)
	// Waiting is told how much of Wait is spent and why, and "" once the wait is over. It must not block. Nil for nobody.
	Waiting func(spent, wait time.Duration, why string)
	// Awaiting is called before what may take long because of others, with what it is for people: a server that is asked for
	// the first time, an append to a log that others write, a process that writes the tables. What it returns is called once
	// that is over. Nil for nobody.
	Awaiting func(what string) (done func())
	// Retrying is told of each thing that a projection, or the log, failed to do and that is tried again; "" for the log. It is
	// called from several goroutines and must not block. Nil for nobody.
	Retrying func(projection string, err error)
	// OpenedLog is used in place of the log at Log. Close does not close it.
	OpenedLog eventstore.Log
	// OpenedCursors is used in place of the store of cursors of the home or of the server of the log. Close does not close it.
	OpenedCursors feed.Cursors
}

// Ledger is a log and its tables. It is safe for concurrent use. Close it.
//
// The log is opened by the method that needs it first and stays open until Close. The tables are opened for each call and each
// [View], and closed with it.
type Ledger struct {
	config   Config
	settings config.Settings

	use    chan struct{} // holds one value while somebody uses what is below
	closed bool
	append eventstore.Log // opened to append
	read   eventstore.Log // opened to read
}

// ConfigError says which setting cannot be used, why, and what to do about it.
type ConfigError = config.Error

// Errors of a ledger, beside those of the packages eventstore and projections.
var (
	// ErrInvalid: a setting or request cannot be used. The text says which and what to change.
	ErrInvalid = config.ErrInvalid
	// ErrNoLog: there is no log yet. Record a scan first.
	ErrNoLog = config.ErrNoLog
	// ErrLogLost: there are tables, but not the log that they were made from. Restore the log from a backup.
	ErrLogLost = config.ErrLogLost
	// ErrHomeReplaced: files of the home were deleted or replaced while they were in use. Check what is there, and open it again.
	ErrHomeReplaced = config.ErrHomeReplaced
	// ErrClosed: the ledger was closed.
	ErrClosed = eventstore.ErrClosed
)

// Open checks c and returns its ledger. It refuses a home that may be part of a repository (I13): one that leads
// through a symbolic link that git tracks and, where c names none, one that git tracks. It waits for no server.
//
// Errors: a *[ConfigError].
func Open(ctx context.Context, c Config) (*Ledger, error) {
	l := &Ledger{config: c, use: make(chan struct{}, 1), settings: config.Settings{
		Home: c.Home, Log: config.Address(c.Log), Tables: config.Address(c.Tables), Lease: c.Lease, RolePrefix: c.RolePrefix,
	}}
	if l.config.Now == nil {
		l.config.Now = time.Now // the one place where the wall clock enters a library
	}
	if l.config.Actor == "" {
		l.config.Actor = DefaultActor()
	}
	if err := errors.Join(l.settings.Check(), l.settings.CheckHome(ctx)); err != nil {
		return nil, fmt.Errorf("cannot open ledger: %w", err)
	}
	return l, nil
}

// acquire waits until nobody else opens or closes something. The caller receives from l.use when it is done.
func (l *Ledger) acquire(ctx context.Context) error {
	select {
	case l.use <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if l.closed {
		<-l.use
		return ErrClosed
	}
	return nil
}

// Close closes the log. It waits for a call that opens it, for nothing else: close views first.
func (l *Ledger) Close() error {
	l.use <- struct{}{}
	defer func() { <-l.use }()
	var errs []error
	for _, log := range []eventstore.Log{l.read, l.append} {
		if log != nil {
			errs = append(errs, log.Close())
		}
	}
	l.closed, l.read, l.append = true, nil, nil
	return errors.Join(errs...)
}

// Log returns the log, opened to be read. It waits for a server at most as long as [Config.Wait] and the limits of the log
// say. Closing it does nothing: the ledger closes it. Errors: a *[ConfigError], which may wrap [ErrNoLog] or [ErrLogLost],
// [ErrClosed], and those of package eventstore.
func (l *Ledger) Log(ctx context.Context) (eventstore.Log, error) {
	log, err := l.openLog(ctx, config.ToRead)
	if err != nil {
		return nil, err
	}
	return share(log), nil
}

// share returns log with a Close that does nothing, since its ledger closes it. What else a log may be is kept.
func share(log eventstore.Log) eventstore.Log {
	shared := sharedLog{log}
	checker, checks := log.(eventstore.IntegrityChecker)
	if !checks {
		return shared
	}
	if ender, ok := log.(logEnder); ok {
		return struct {
			sharedLog
			eventstore.IntegrityChecker
			logEnder
		}{shared, checker, ender}
	}
	return struct {
		sharedLog
		eventstore.IntegrityChecker
	}{shared, checker}
}

// sharedLog is a log that its ledger closes.
type sharedLog struct{ eventstore.Log }

// Close does nothing.
func (sharedLog) Close() error { return nil }

// Enqueue implements [eventstore.OrderedAppender] as far as the log does.
func (s sharedLog) Enqueue(ctx context.Context, batch eventstore.Batch) (wait func() (eventstore.Appended, error)) {
	return eventstore.Enqueue(ctx, s.Log, batch)
}

// logEnder is what the log of several nodes is, see [projections.Pipeline.Belongs].
type logEnder interface {
	EndsBefore(ctx context.Context, at eventstore.Position) (bool, error)
}

func (l *Ledger) openLog(ctx context.Context, access config.Access) (eventstore.Log, error) {
	if err := l.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { <-l.use }()
	if l.config.OpenedLog != nil {
		return l.config.OpenedLog, nil
	}
	handle := &l.append
	if access != config.ToAppend && l.append == nil {
		handle = &l.read
	}
	if *handle != nil {
		return *handle, nil
	}
	log, err := l.openNewLog(ctx, access)
	if err != nil {
		return nil, err
	}
	*handle = log
	return log, nil
}

// openNewLog opens the log once more. The caller closes it.
func (l *Ledger) openNewLog(ctx context.Context, access config.Access) (eventstore.Log, error) {
	defer l.await(l.logName())()
	return l.settings.OpenLog(ctx, access, l.options())
}

func (l *Ledger) options() config.Options {
	return config.Options{Application: l.config.Application, Blocked: l.config.Blocked, Now: l.config.Now, Observe: l.config.Observe, Wait: l.config.Wait, Waiting: l.config.Waiting}
}

// openTables opens the tables. The caller closes them.
func (l *Ledger) openTables(ctx context.Context) (config.TablesDB, error) {
	if l.settings.Tables.Local() {
		defer l.await("the tables in " + l.settings.TablesName())()
	} else {
		defer l.await("the server of the tables at " + l.settings.Tables.String())()
	}
	return l.settings.OpenTables(ctx, l.options())
}

// newRecorder returns a recorder on log that keeps in the spool what the log does not take.
func (l *Ledger) newRecorder(log recorder.Log) (*recorder.Recorder, error) {
	c := recorder.DefaultConfig(l.config.Now, l.settings.SpoolFolder())
	c.Log.Address = l.settings.SpooledLogName()
	c.Wait = cmp.Or(l.config.Wait, config.DefaultWait)
	c.Observe = func(r recorder.Retry) {
		l.observe(fmt.Errorf("attempt %d, waiting %s: %w", r.Attempt, r.Wait, r.Err))
		l.retrying("", r.Err)
	}
	if whole, ok := log.(eventstore.Log); ok {
		c.Identify = func(ctx context.Context, r domain.Repository) (domain.Repository, error) {
			return l.identifySpooled(ctx, whole, r)
		}
	}
	if named, ok := log.(interface{ ID() uuid.UUID }); ok {
		c.Log.ID = named.ID()
	}
	return recorder.New(appending{log, l}, c)
}

// appending is a log that tells of each append.
type appending struct {
	recorder.Log

	ledger *Ledger
}

// Append implements [eventstore.Appender].
func (a appending) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	if tell := a.ledger.config.Appending; tell != nil {
		tell()
	}
	defer a.ledger.await(a.ledger.logName() + " to record, which another process may be writing")()
	return a.Log.Append(ctx, b)
}

// newRunner returns a runner of projections from log to db.
func (l *Ledger) newRunner(log eventstore.Log, db projections.Database, set []projections.Projection, observe func(run.Progress), retrying ...func(run.Retry)) (*run.Runner, error) {
	c := run.DefaultConfig(l.config.Now, eventstore.Decode, processName())
	c.LeaseTTL = cmp.Or(l.config.Lease, c.LeaseTTL)
	c.Wait = cmp.Or(l.config.Wait, config.DefaultWait)
	c.Waiting = func(held *projections.LeaseHeldError) func() {
		return l.await(fmt.Sprintf("the process %s, which writes the tables of %s (unless it says otherwise, until %s)",
			held.Holder, held.Projection, held.Until.UTC().Format(time.RFC3339)))
	}
	c.Activating = func(ref projections.Ref) func() {
		return l.await(fmt.Sprintf("queries of the tables of %s, to show readers build %d; they keep the former until then", ref.Projection, ref.Number))
	}
	c.Retrying = func(r run.Retry) {
		l.observe(fmt.Errorf("projection %s, waiting %s: %w", r.Projection, r.Wait, r.Err))
		l.retrying(r.Projection, r.Err)
		for _, tell := range retrying {
			tell(r)
		}
	}
	c.Observe = func(p run.Progress) {
		for _, tell := range []func(run.Progress){l.config.Projected, observe} {
			if tell != nil {
				tell(p)
			}
		}
	}
	if set == nil {
		set = tables.All()
	}
	return run.NewRunner(log, db, set, c)
}

// await tells that something is waited for, until done is called.
func (l *Ledger) await(what string) (done func()) {
	if l.config.Awaiting == nil {
		return func() {}
	}
	return l.config.Awaiting(what)
}

// logName names the log to people who wait for it.
func (l *Ledger) logName() string {
	if l.settings.Log.Local() {
		return "the log in " + l.settings.LogName()
	}
	return "the server of the log at " + l.settings.LogName()
}

func (l *Ledger) retrying(projection string, err error) {
	if l.config.Retrying != nil {
		l.config.Retrying(projection, err)
	}
}

func (l *Ledger) observe(err error) {
	if l.config.Observe != nil {
		l.config.Observe(err)
	}
}

// processName names this process to others that wait for it.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

// DefaultActor is who runs this process, as the operating system knows: user@host.
func DefaultActor() string {
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
