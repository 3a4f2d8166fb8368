package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/gxpledger/gxpledger/internal/sqlitefault"
	"github.com/gxpledger/gxpledger/migrations"
	"github.com/gxpledger/gxpledger/projections"
)

var (
	_ projections.Database = (*DB)(nil)
	_ projections.Snapshot = (*snapshot)(nil)
)

// DefaultBusyTries stands for a zero [Options.BusyTries], and BusyTry is how long one of them takes.
const (
	DefaultBusyTries = 200
	BusyTry          = 50 * time.Millisecond
)

// Options say how to open the tables.
type Options struct {
	// Now is the engine's clock: it decides when a lease has run out. Required.
	Now func() time.Time
	// BusyTries is how often the write lock is asked for, BusyTry each, before a write gives up with ErrTransient.
	// 0 means DefaultBusyTries, which is ten seconds.
	BusyTries int

	driver string // a test's, instead of SQLite's
}

func (o Options) withDefaults() Options {
	if o.BusyTries == 0 {
		o.BusyTries = DefaultBusyTries
	}
	o.driver = cmp.Or(o.driver, "sqlite")
	return o
}

func (o Options) validate() error {
	var faults []error
	if o.Now == nil {
		faults = append(faults, errors.New("field Now is required"))
	}
	if o.BusyTries < 1 {
		faults = append(faults, fmt.Errorf("field BusyTries: %d, want at least 1", o.BusyTries))
	}
	return errors.Join(faults...)
}

// DB is the tables in one file. It is safe for concurrent use.
type DB struct {
	options Options
	path    string
	read    *sql.DB
	live    *writer // for builds that readers see: every rule is checked
	bulk    *writer // for builds that nobody reads yet
	// turn holds one token. Whoever has it may write, so that the writers of this process queue in order of arrival
	// and do not poll against each other.
	turn   chan struct{}
	remove func() error // removes the file of a scratch database, or checks that of one that is shared with nobody
	mu     sync.Mutex   // guards plans
	plans  map[projections.Ref]*plan
}

// Open opens the tables at path, and makes or migrates them if that is needed.
func Open(ctx context.Context, path string, options Options) (*DB, error) {
	return open(ctx, path, options, durable())
}

// OpenUnwritable opens tables that are there already in a file or folder that this process may not write, such as an
// archive. Every write answers [projections.ErrReadOnly].
//
// Where not even the files can be made that SQLite shares with others, it reads without them, and Close says when
// somebody else has written meanwhile: what was read may then be wrong.
func OpenUnwritable(ctx context.Context, path string, options Options) (*DB, error) {
	only := readOnly()
	db, err := open(ctx, path, options, mode{writer: only, reader: only})
	if !errors.Is(err, projections.ErrReadOnly) {
		return db, err
	}
	if _, shared := os.Stat(path + "-wal"); shared == nil {
		return nil, err // it holds what the file does not
	}
	before, missing := os.Stat(path)
	if missing != nil {
		return nil, err
	}
	only += "&immutable=1"
	if db, err = open(ctx, path, options, mode{writer: only, reader: only}); err == nil {
		db.remove = func() error { return unchanged(path, before) }
	}
	return db, err
}

// unchanged returns an error unless the file is as it was before.
func unchanged(path string, before os.FileInfo) error {
	after, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
		return fmt.Errorf("%w: %s was written while it was read, so what was shown may be wrong: try again", projections.ErrTransient, path)
	}
	return nil
}

// OpenScratch opens new tables in a temporary file in dir ("" for the system's place) that Close removes. Their
// journal is in memory and they are never synced: a crash leaves them useless, which suits a replay that is thrown away.
func OpenScratch(ctx context.Context, dir string, options Options) (*DB, error) {
	folder, err := os.MkdirTemp(dir, "gxpledger-scratch-")
	if err != nil {
		return nil, fmt.Errorf("cannot open scratch tables: %w", err)
	}
	remove := func() error { return os.RemoveAll(folder) }
	db, err := open(ctx, filepath.Join(folder, "tables.db"), options, scratch())
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	db.remove = remove
	return db, nil
}

// OpenReadOnly opens the tables at path for queries. It works while other processes write and rebuild, and never makes
// or changes anything. A query sees one state of all tables, a transaction the same one throughout. The caller closes it.
func OpenReadOnly(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, readOnly()))
	if err != nil {
		return nil, fmt.Errorf("cannot open tables %s: %w", path, err)
	}
	if err := db.PingContext(ctx); err != nil {
		if _, missing := os.Stat(path); errors.Is(missing, fs.ErrNotExist) {
			err = missing
		}
		return nil, errors.Join(fmt.Errorf("cannot open tables %s: %w", path, explain(err, path)), db.Close())
	}
	return db, nil
}

// makePrivate makes an empty file that only its owner may read, unless there is one. SQLite gives the files that it
// lays beside a database the rights of the database.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

func open(ctx context.Context, path string, options Options, mode mode) (*DB, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("cannot open tables %s: %w: %w", path, projections.ErrInvalid, err)
	}
	err := makePrivate(path)
	if err == nil {
		err = migrate(ctx, path, options, mode)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open tables %s: %w", path, explain(err, path))
	}
	db := &DB{options: options, path: path, turn: make(chan struct{}, 1), plans: map[projections.Ref]*plan{}}
	if db.read, err = sql.Open(options.driver, dsn(path, mode.reader)); err == nil {
		// What a statement would take back is kept in memory: it is a few pages, and a file would cost a write for each.
		db.live, err = openWriter(ctx, options.driver, dsn(path, mode.writer, pragma("foreign_keys", "ON"), pragma("temp_store", "MEMORY")))
	}
	if err == nil {
		// Here it must be files: indexes are sorted in them, whatever their size.
		db.bulk, err = openWriter(ctx, options.driver, dsn(path, mode.writer, pragma("foreign_keys", "OFF")))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open tables %s: %w", path, explain(err, path)), db.Close())
	}
	return db, nil
}

func migrate(ctx context.Context, path string, options Options, mode mode) (err error) {
	set, err := migrations.SQLiteTables()
	if err != nil {
		return err
	}
	handle, err := sql.Open(options.driver, dsn(path, mode.writer, pragma("busy_timeout", "10000")))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	return set.Up(ctx, handle, options.Now)
}

// Path returns where the file is.
func (db *DB) Path() string { return db.path }

// Query returns the handle for reading the tables and the catalogue. It must not be used to write. Close closes it.
func (db *DB) Query() *sql.DB { return db.read }

// Close frees what db holds. Closing twice is harmless.
func (db *DB) Close() error {
	var errs []error
	if db.read != nil { // before the writers: only one that may write can leave everything in one file behind
		errs = append(errs, db.read.Close())
	}
	for _, w := range []*writer{db.bulk, db.live} {
		if w != nil {
			errs = append(errs, w.close())
		}
	}
	if db.remove != nil {
		errs = append(errs, db.remove())
	}
	return errors.Join(errs...)
}

// pageSize is that of a new file: filling tables touches fewer and larger pages than with SQLite's default of 4 KiB.
const pageSize = "_pragma=page_size(16384)"

// mode is the settings of a file: one list for connections that write, one for those that read.
type mode struct{ writer, reader string }

// The write lock is asked for in short tries (busy_timeout), so that a cancelled context is noticed and so that a writer
// that comes back finds the gap between two pages of a rebuild in another process.
//
// The size of a page counts for a new file only, and until the journal mode is set. The driver sets _pragma values in the
// order of their names, and _journal_mode behind them.
func durable() mode {
	return mode{
		writer: pageSize + "&_journal_mode=WAL&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(50)" +
			"&_pragma=cache_size(-32768)&_pragma=wal_autocheckpoint(2000)&_pragma=journal_size_limit(67108864)&_dqs=0",
		reader: readOnly(),
	}
}

// A scratch file is written by one process, once, and read by it alone.
func scratch() mode {
	return mode{
		writer: pageSize + "&_journal_mode=MEMORY&_pragma=synchronous(OFF)&_pragma=busy_timeout(50)" +
			"&_pragma=cache_size(-32768)&_dqs=0",
		reader: readOnly(),
	}
}

func readOnly() string {
	return "mode=ro&_query_only=1&_pragma=busy_timeout(10000)&_pragma=cache_size(-16384)&_dqs=0"
}

func pragma(name, value string) string { return "_pragma=" + name + "(" + value + ")" }

func dsn(path string, settings ...string) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + strings.Join(settings, "&")
}

// translate turns what SQLite says into the errors of package projections. It leaves alone what it does not know.
func translate(err error) error {
	class := sqlitefault.ClassOf(err)
	if err == nil || errors.Is(err, projections.ErrRefused) || class == sqlitefault.Other {
		return err
	}
	switch { // what the operating system says is the cause of what SQLite says
	case sqlitefault.IsDiskFull(err):
		return projections.Transient(fmt.Errorf("%w, make room and try again: %w", projections.ErrDiskFull, err))
	case sqlitefault.IsShortOfFiles(err):
		return projections.Transient(err)
	}
	switch class {
	case sqlitefault.Busy:
		return fmt.Errorf("%w: another connection keeps the tables locked: %w", projections.ErrTransient, err)
	case sqlitefault.Constraint, sqlitefault.TooLarge:
		return fmt.Errorf("%w: %w", projections.ErrRefused, err)
	case sqlitefault.Corrupt, sqlitefault.NotDatabase:
		return fmt.Errorf("%w: %w", projections.ErrDamaged, err)
	case sqlitefault.ReadOnly, sqlitefault.CantOpen:
		return fmt.Errorf("%w: %w", projections.ErrReadOnly, err)
	case sqlitefault.Disk:
		return fmt.Errorf("disk cannot be read or written, check it: %w", err)
	case sqlitefault.Other, sqlitefault.Short, sqlitefault.DiskFull:
	}
	return err
}

// explain is translate with why a file of the tables at path cannot be used.
func explain(err error, path string) error { return translate(sqlitefault.Explain(err, path, true)) }
