// Package sqlite keeps cursors in a file of their own, which several processes may use at the same time. An answer that a cursor was
// saved means that it is on the disk.
//
// Open never makes a file, and a file that vanished or was replaced while the store is open is an error: an empty store would look
// like one in which no cursor was ever created.
package sqlite

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
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/internal/durable"
	"github.com/gxpledger/gxpledger/internal/sqlitefault"
	"github.com/gxpledger/gxpledger/migrations"
)

// FileName is the name of the file beside an embedded log.
const FileName = "cursors.db"

// busyTimeout is how long a call waits for other processes before it answers ErrTransient.
const busyTimeout = 10 * time.Second

// Cursors is a store of cursors in a file. It is safe for concurrent use.
type Cursors struct {
	path   string
	file   os.FileInfo // that was opened
	db     *sql.DB     // one connection
	closed atomic.Bool
}

var _ feed.Cursors = (*Cursors)(nil)

// Open opens the store at path, and upgrades it to the form that this binary knows. It waits up to ten seconds for other processes.
//
// Errors: [feed.ErrNoStore] when there is no file or the file holds no store, those of package migrations for a file of another
// kind or of a newer binary, [eventstore.ErrTransient] when other processes kept the file locked.
func Open(ctx context.Context, path string) (*Cursors, error) { return open(ctx, path, refuseEmpty) }

// Create makes the store at path, readable by the owner alone, and opens it. A store that is there is opened as it is. The folder must
// exist. Errors are those of [Open], and that a file cannot be created.
func Create(ctx context.Context, path string) (*Cursors, error) {
	f, err := durable.Create(path, nil)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("cannot create the store of cursors %s: %w", path, err)
	}
	return open(ctx, path, func([]migrations.Migration, migrations.Set) error { return nil })
}

// refuseEmpty refuses a database that holds no store.
func refuseEmpty(missing []migrations.Migration, set migrations.Set) error {
	if len(missing) == set.Version() {
		return fmt.Errorf("%w: the file is empty", feed.ErrNoStore)
	}
	return nil
}

func open(ctx context.Context, path string, check func([]migrations.Migration, migrations.Set) error) (*Cursors, error) {
	c, err := connect(path)
	if err == nil {
		if err = c.prepare(ctx, check); err != nil {
			err = errors.Join(err, c.db.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the store of cursors %s: %w", path, translate(sqlitefault.Explain(err, path, true)))
	}
	return c, nil
}

func connect(path string) (*Cursors, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", feed.ErrNoStore, err)
	}
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(full)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // file:///C:/...
	}
	dsn := url.URL{Scheme: "file", Path: slashed, RawQuery: fmt.Sprintf(
		"mode=rw&_journal_mode=WAL&_pragma=synchronous(FULL)&_busy_timeout=%d", busyTimeout.Milliseconds())}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &Cursors{path: full, file: file, db: db}, nil
}

func (c *Cursors) prepare(ctx context.Context, check func([]migrations.Migration, migrations.Set) error) error {
	set, err := migrations.SQLiteCursors()
	if err != nil {
		return err
	}
	if err := c.ping(ctx); err != nil {
		return err
	}
	missing, err := set.Missing(ctx, c.db)
	if err != nil {
		return err
	}
	if err := check(missing, set); err != nil {
		return err
	}
	var now int64
	if err := c.db.QueryRowContext(ctx, "SELECT "+clock).Scan(&now); err != nil {
		return err
	}
	return set.Up(ctx, c.db, func() time.Time { return time.UnixMicro(now).UTC() })
}

// ping connects for the first time. Turning a new file to WAL mode answers SQLITE_BUSY at once while another process does the same,
// whatever the busy timeout.
func (c *Cursors) ping(ctx context.Context) error {
	const pause = 5 * time.Millisecond
	for tries := busyTimeout / pause; ; tries-- {
		err := c.db.PingContext(ctx)
		if tries == 0 || sqlitefault.ClassOf(err) != sqlitefault.Busy {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements [feed.Cursors]. Closing twice is harmless.
func (c *Cursors) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.db.Close()
}

// present returns an error unless the file that was opened is still the one at its path.
func (c *Cursors) present() error {
	now, err := os.Stat(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s was removed while it was open", feed.ErrNoStore, c.path)
	case err != nil:
		return err
	case !os.SameFile(now, c.file):
		return fmt.Errorf("%w: %s was replaced while it was open", feed.ErrNoStore, c.path)
	default:
		return nil
	}
}

// translate gives errors of SQLite the meaning that package eventstore defines.
func translate(err error) error {
	switch sqlitefault.ClassOf(err) { //nolint:exhaustive // the others stay what they are
	case sqlitefault.Busy, sqlitefault.Short:
		return eventstore.Transient(err)
	case sqlitefault.DiskFull:
		return eventstore.Transient(fmt.Errorf("%w: %w", eventstore.ErrDiskFull, err))
	case sqlitefault.Corrupt, sqlitefault.NotDatabase:
		return fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	default:
		return err
	}
}
