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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
	"github.com/gxpledger/gxpledger/internal/durable"
	"github.com/gxpledger/gxpledger/internal/sqlitefault"
	"github.com/gxpledger/gxpledger/migrations"
)

// Log is a log in a SQLite file. It is safe for concurrent use.
type Log struct {
	path    string
	options Options
	id      uuid.UUID
	sizes   sizes

	readers *sql.DB   // several connections, unable to write
	reading *prepared // what readers are asked all the time
	writers *sql.DB   // the one connection of writer
	aside   *sql.DB   // one connection for snapshots and checkpoints; used in the writer's turn or by checkpoints
	writer  *writer   // nil when the log was opened for reading
	queue   queue     // of appends

	codec *contents.Codec
	alone os.FileInfo // the file when it was opened, if it is read without the files that others share; else nil

	unmoved    atomic.Int64  // about how many bytes were written since the last checkpoint
	grown      chan struct{} // wakes checkpoints
	background sync.WaitGroup

	closing  sync.Once
	closed   chan struct{} // closed by Close
	closeErr error         // of the first Close

	mu      sync.Mutex    // guards changed
	changed chan struct{} // closed and replaced by each append of this handle
}

var (
	_ eventstore.Log             = (*Log)(nil)
	_ eventstore.OrderedAppender = (*Log)(nil)
)

func newLog(path string, options Options) (*Log, error) {
	codec, err := contents.NewCodec()
	if err != nil {
		return nil, err
	}
	return &Log{
		path: path, options: options, sizes: defaultSizes(), codec: codec,
		grown: make(chan struct{}, 1), closed: make(chan struct{}), changed: make(chan struct{}),
	}, nil
}

// ID implements [eventstore.Log].
func (l *Log) ID() uuid.UUID { return l.id }

// Features implements [eventstore.Log].
func (l *Log) Features() eventstore.Features {
	return eventstore.Features{Name: "SQLite", Durable: true, DensePositions: true, SharedByProcess: true, OrderedTimes: true, UniqueIDs: true}
}

// Close implements [eventstore.Log]. It waits for the append that is running, and returns what the first Close did.
func (l *Log) Close() error {
	l.closing.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	close(l.closed)
	if l.writer != nil {
		l.writer.turn <- struct{}{} // never given back
	}
	l.background.Wait()
	faults := []error{l.codec.Close()}
	if l.writer != nil {
		faults = append(faults, l.writer.close())
	}
	for _, db := range []*sql.DB{l.readers, l.writers, l.aside} {
		if db != nil {
			faults = append(faults, db.Close())
		}
	}
	return errors.Join(append(faults, l.unchanged())...)
}

func (l *Log) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// usable returns why nothing can be asked of l any more, or within ctx.
func (l *Log) usable(ctx context.Context) error {
	if l.isClosed() {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

// pageSize is that of a new file, in bytes. Appends touch fewer and larger pages than with the default of 4 KiB.
const pageSize = 16 << 10

// DefaultBusyTimeout stands for a zero [Options.BusyTimeout].
const DefaultBusyTimeout = 10 * time.Second

// Options are the settings of a log. The zero value of each but Now stands for its default.
type Options struct {
	// Now is the engine's clock, read once for each append. Required.
	Now func() time.Time
	// Poll is how often a subscription looks for what other processes appended; appends of this process wake it at
	// once. Defaults to 100 ms.
	Poll time.Duration
	// BusyTimeout is how long an append waits for other processes before it answers ErrTransient. Defaults to DefaultBusyTimeout.
	BusyTimeout time.Duration
	// CheckpointBytes is the size of the write-ahead log from which it is moved into the file. Defaults to 16 MiB.
	CheckpointBytes int64

	driver string // a test's, instead of SQLite's
}

func (o Options) withDefaults() Options {
	if o.Poll == 0 {
		o.Poll = 100 * time.Millisecond
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = DefaultBusyTimeout
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = 16 << 20
	}
	return o
}

func (o Options) validate() error {
	var faults []error
	if o.Now == nil {
		faults = append(faults, errors.New("the clock Now is required"))
	}
	if o.Poll < 0 || o.BusyTimeout < 0 || o.CheckpointBytes < 0 {
		faults = append(faults, errors.New("none of Poll, BusyTimeout and CheckpointBytes may be negative"))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: options: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return nil
}

// Open opens the log at path for reading and appending, and makes it when there is no file, readable by the owner
// alone. The folder must exist. Several processes may open the same file, also a new one, at the same time.
//
// A file of a newer gxpledger, a changed one or another kind of file is refused, untouched: see package migrations.
func Open(ctx context.Context, path string, options Options) (*Log, error) {
	l, err := open(ctx, path, options, (*Log).prepareToWrite)
	if err != nil {
		return nil, fmt.Errorf("cannot open log %s: %w", path, translate(sqlitefault.Explain(err, path, true)))
	}
	return l, nil
}

// OpenReadOnly opens the log at path for reading, also while others append to it. It changes nothing and makes nothing:
// a missing file is an error that wraps fs.ErrNotExist, and Append and SaveSnapshot answer [ErrReadOnly].
func OpenReadOnly(ctx context.Context, path string, options Options) (*Log, error) {
	l, err := open(ctx, path, options, (*Log).prepareToRead)
	if err != nil {
		return nil, fmt.Errorf("cannot open log %s for reading: %w", path, translate(sqlitefault.Explain(err, path, false)))
	}
	return l, nil
}

// ErrReadOnly says that the log was opened for reading. Nothing was written. Errors that wrap it wrap
// [eventstore.ErrInvalid] too.
var ErrReadOnly = errors.New("log was opened for reading only")

func open(ctx context.Context, path string, options Options, prepare func(*Log, context.Context) error) (*Log, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, err
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l, err := newLog(full, options)
	if err != nil {
		return nil, err
	}
	if err := prepare(l, ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Log) prepareToRead(ctx context.Context) error {
	if _, err := os.Stat(l.path); err != nil {
		return err
	}
	set, err := migrations.SQLiteLog()
	if err != nil {
		return err
	}
	if l.readers, err = connect(l.path, l.options, "mode=ro", "_pragma=query_only(1)"); err != nil {
		return err
	}
	missing, err := set.Missing(ctx, l.readers)
	if isUnshared(err) {
		if err := l.readAlone(err); err != nil {
			return err
		}
		missing, err = set.Missing(ctx, l.readers)
	}
	if err != nil {
		return err
	}
	if n := len(missing); n > 0 {
		return incomplete(n, len(set.Migrations()))
	}
	return l.readID(ctx)
}

// incomplete says what a file is that lacks n of all migrations.
func incomplete(n, all int) error {
	if n == all {
		return errors.New("it is a database that holds no log: another process is creating the log, or the file was emptied or replaced, " +
			"as by a copy without the file that ends in -wal; try again, and if it stays so, restore the log from a backup or check which file is meant")
	}
	return fmt.Errorf("it lacks %d of %d migrations: an older gxpledger wrote it, and the next command that records something upgrades it; "+
		"if it was upgraded before, an older copy has replaced it, restore the log from a backup or check which file is meant", n, all)
}

// readAlone connects without the files that SQLite shares with others, for a folder in which they cannot be made, such as
// an archive. Close says when somebody else has written meanwhile.
func (l *Log) readAlone(cause error) error {
	if _, err := os.Stat(l.path + "-wal"); err == nil {
		return cause // it holds what the file does not
	}
	before, err := os.Stat(l.path)
	if err != nil {
		return err
	}
	if err := l.readers.Close(); err != nil {
		return err
	}
	l.alone = before
	l.readers, err = connect(l.path, l.options, "mode=ro", "immutable=1", "_pragma=query_only(1)")
	return err
}

// unchanged returns an error if the file was written while it was read alone.
func (l *Log) unchanged() error {
	if l.alone == nil {
		return nil
	}
	after, err := os.Stat(l.path)
	if err != nil {
		return err
	}
	if !after.ModTime().Equal(l.alone.ModTime()) || after.Size() != l.alone.Size() {
		return fmt.Errorf("%w: %s was written while it was read, so what was read may be wrong: read it again", eventstore.ErrTransient, l.path)
	}
	return nil
}

func (l *Log) prepareToWrite(ctx context.Context) error {
	if err := create(l.path); err != nil {
		return err
	}
	var err error
	// The page size counts for a new file only, and until the journal mode is set: the driver sets _pragma values in the
	// order of their names, and _journal_mode behind them. The automatic checkpoint would run inside some append's commit. What a
	// statement would take back, should it fail, stays in memory instead of a file.
	if l.writers, err = connect(l.path, l.options, "mode=rw", "_pragma=page_size("+strconv.Itoa(pageSize)+")", "_journal_mode=WAL",
		"_pragma=synchronous(FULL)", "_pragma=wal_autocheckpoint(0)", "_pragma=journal_size_limit(67108864)",
		"_pragma=temp_store(MEMORY)"); err != nil {
		return err
	}
	l.writers.SetMaxOpenConns(1)
	if err := l.awaitWAL(ctx); err != nil {
		return err
	}
	if l.readers, err = connect(l.path, l.options, "mode=rw", "_pragma=query_only(1)"); err != nil {
		return err
	}
	// Snapshots and checkpoints need not wait for the disk at each commit.
	if l.aside, err = connect(l.path, l.options, "mode=rw", "_pragma=synchronous(NORMAL)",
		"_pragma=wal_autocheckpoint(0)"); err != nil {
		return err
	}
	l.aside.SetMaxOpenConns(1)
	return l.prepareSchema(ctx)
}

// create makes an empty file for the owner alone. An existing file is not even opened: closing it again would drop the
// locks that this process holds on it.
func create(path string) error {
	f, err := durable.Create(path, nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func connect(path string, options Options, parameters ...string) (*sql.DB, error) {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // file:///C:/...
	}
	busy := "_busy_timeout=" + strconv.FormatInt(options.BusyTimeout.Milliseconds(), 10)
	dsn := url.URL{Scheme: "file", Path: slashed, RawQuery: strings.Join(append(parameters, busy), "&")}
	return sql.Open(cmp.Or(options.driver, "sqlite"), dsn.String())
}

// awaitWAL connects for the first time. Turning a new file to WAL mode answers SQLITE_BUSY at once while another process
// does the same, whatever the busy timeout.
func (l *Log) awaitWAL(ctx context.Context) error {
	enough := time.NewTimer(l.options.BusyTimeout)
	defer enough.Stop()
	for {
		err := l.writers.PingContext(ctx)
		if !isBusy(err) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-enough.C:
			return fmt.Errorf("%w: %w", errBusyNew, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errBusyNew = errors.New("another process keeps the file locked")

func (l *Log) prepareSchema(ctx context.Context) error {
	set, err := migrations.SQLiteLog()
	if err != nil {
		return err
	}
	if err := set.Up(ctx, l.writers, l.options.Now); err != nil {
		return err
	}
	// One of several processes that open a new file gives it its id; the others find it.
	id := uuid.New()
	if _, err := l.writers.ExecContext(ctx,
		"INSERT INTO log (one, id, created_at) SELECT 1, ?, ? WHERE NOT EXISTS (SELECT 1 FROM log)",
		id[:], l.options.Now().UnixMicro()); err != nil {
		return err
	}
	if err := l.readID(ctx); err != nil {
		return err
	}
	if l.writer, err = newWriter(ctx, l.writers); err != nil {
		return err
	}
	l.background.Go(func() { l.checkpoints(context.WithoutCancel(ctx)) })
	return nil
}

func (l *Log) readID(ctx context.Context) error {
	l.reading = newPrepared(l.readers)
	var id []byte
	if err := l.readers.QueryRowContext(ctx, "SELECT id FROM log").Scan(&id); err != nil {
		return fmt.Errorf("cannot read id: %w", err)
	}
	var err error
	l.id, err = uuid.FromBytes(id)
	return err
}

func isBusy(err error) bool { return sqlitefault.ClassOf(err) == sqlitefault.Busy }

// isUnshared reports whether a file could not be read because the files beside it could not be made.
func isUnshared(err error) bool {
	class := sqlitefault.ClassOf(err)
	return class == sqlitefault.ReadOnly || class == sqlitefault.CantOpen
}
