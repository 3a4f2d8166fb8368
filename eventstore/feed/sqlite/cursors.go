package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/internal/durable"
	"github.com/gxpledger/gxpledger/internal/sqlitetx"
)

// clock is what the clock of the database shows, in microseconds, to the millisecond.
const clock = "CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000"

// row is a cursor as it is stored.
type row struct {
	cursor  feed.Cursor
	token   int64
	holder  string
	expires int64
	now     int64 // when the row was read
}

const columns = "name, log, position, event, state, updated_at, token, holder, expires_at, " + clock

func (r *row) scan(scan func(...any) error) error {
	var log, event []byte
	var position, updated int64
	err := scan(&r.cursor.Name, &log, &position, &event, &r.cursor.State, &updated, &r.token, &r.holder, &r.expires, &r.now)
	if err != nil {
		return err
	}
	var faults [2]error
	r.cursor.LogID, faults[0] = uuid.FromBytes(log)
	r.cursor.EventID, faults[1] = uuid.FromBytes(event)
	r.cursor.Position = eventstore.Position(position) //nolint:gosec // a CHECK keeps it from being negative
	r.cursor.UpdatedAt = time.UnixMicro(updated).UTC()
	return errors.Join(faults[:]...)
}

// held returns a *LeaseHeldError while somebody holds r.
func (r *row) held() error {
	if r.holder == "" || r.expires <= r.now {
		return nil
	}
	return &feed.LeaseHeldError{Cursor: r.cursor.Name, Holder: r.holder, Expires: time.UnixMicro(r.expires).UTC()}
}

// find reads the row of a cursor.
func find(ctx context.Context, conn *sql.Conn, name string) (r row, err error) {
	err = r.scan(conn.QueryRowContext(ctx, "SELECT "+columns+" FROM cursors WHERE name = ?", name).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, fmt.Errorf("cursor %q: %w", name, feed.ErrNoCursor)
	}
	return r, err
}

// leased reads the row of a cursor that a lease may move. A lease that expired and that nobody took over may.
func leased(ctx context.Context, conn *sql.Conn, lease feed.Lease) (row, error) {
	r, err := find(ctx, conn, lease.Cursor)
	if err == nil && (r.holder == "" || uint64(r.token) != lease.Token) { //nolint:gosec // a CHECK keeps it from being negative
		err = fmt.Errorf("cursor %q: %w", lease.Cursor, feed.ErrLeaseLost)
	}
	return r, err
}

// write runs work in a transaction that is on the disk when write returns nil. After an error nothing of it is there, unless the
// outcome of the commit itself is unknown.
func (c *Cursors) write(ctx context.Context, what string, work func(context.Context, *sql.Conn) error) error {
	err := c.connected(ctx, func(conn *sql.Conn) error {
		return sqlitetx.On(conn).Write(ctx, func(ctx context.Context) error {
			if err := work(ctx, conn); err != nil {
				return err
			}
			return c.present()
		})
	})
	if err != nil {
		return fmt.Errorf("cannot %s: %w", what, translate(err))
	}
	return nil
}

func (c *Cursors) connected(ctx context.Context, do func(*sql.Conn) error) error {
	if c.closed.Load() {
		return eventstore.ErrClosed
	}
	if err := c.present(); err != nil {
		return err
	}
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	err = do(conn)
	return errors.Join(err, conn.Close())
}

// Create implements [feed.Cursors].
func (c *Cursors) Create(ctx context.Context, cursor feed.Cursor) error {
	if err := cursor.Validate(); err != nil {
		return err
	}
	return c.write(ctx, "create the cursor", func(ctx context.Context, conn *sql.Conn) error {
		_, err := find(ctx, conn, cursor.Name)
		if err == nil {
			return fmt.Errorf("cursor %q: %w", cursor.Name, feed.ErrCursorExists)
		}
		if !errors.Is(err, feed.ErrNoCursor) {
			return err
		}
		_, err = conn.ExecContext(ctx, "INSERT INTO cursors (name, log, position, event, state, updated_at) VALUES (?, ?, ?, ?, ?, "+clock+")",
			cursor.Name, cursor.LogID[:], int64(cursor.Position), cursor.EventID[:], cursor.State) //nolint:gosec // validated
		return err
	})
}

// Acquire implements [feed.Cursors].
func (c *Cursors) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (lease feed.Lease, cursor feed.Cursor, err error) {
	if err := feed.CheckLease(name, holder, ttl); err != nil {
		return feed.Lease{}, feed.Cursor{}, err
	}
	err = c.write(ctx, "take the lease", func(ctx context.Context, conn *sql.Conn) error {
		r, err := find(ctx, conn, name)
		if err != nil {
			return err
		}
		if err := r.held(); err != nil {
			return err
		}
		if err := conn.QueryRowContext(ctx, "UPDATE tokens SET last = last + 1 RETURNING last").Scan(&r.token); err != nil {
			return err
		}
		r.expires = r.now + ttl.Microseconds()
		_, err = conn.ExecContext(ctx, "UPDATE cursors SET token = ?, holder = ?, expires_at = ? WHERE name = ?", r.token, holder, r.expires, name)
		cursor = r.cursor
		lease = feed.Lease{Cursor: name, Holder: holder, Token: uint64(r.token), Expires: time.UnixMicro(r.expires).UTC()} //nolint:gosec // grows from 0
		return err
	})
	if err != nil {
		return feed.Lease{}, feed.Cursor{}, err
	}
	return lease, cursor, nil
}

// Renew implements [feed.Cursors]. A lease that expired and that nobody took over is renewed.
func (c *Cursors) Renew(ctx context.Context, lease feed.Lease, ttl time.Duration) (feed.Lease, error) {
	if err := feed.CheckLease(lease.Cursor, lease.Holder, ttl); err != nil {
		return feed.Lease{}, err
	}
	err := c.write(ctx, "renew the lease", func(ctx context.Context, conn *sql.Conn) error {
		r, err := leased(ctx, conn, lease)
		if err != nil {
			return err
		}
		expires := r.now + ttl.Microseconds()
		lease.Expires = time.UnixMicro(expires).UTC()
		_, err = conn.ExecContext(ctx, "UPDATE cursors SET expires_at = ? WHERE name = ?", expires, lease.Cursor)
		return err
	})
	if err != nil {
		return feed.Lease{}, err
	}
	return lease, nil
}

// Release implements [feed.Cursors].
func (c *Cursors) Release(ctx context.Context, lease feed.Lease) error {
	return c.write(ctx, "release the lease", func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "UPDATE cursors SET holder = '', expires_at = 0 WHERE name = ? AND token = ?",
			lease.Cursor, int64(lease.Token)) //nolint:gosec // the store gave it
		return err
	})
}

// Save implements [feed.Cursors]. A lease that expired and that nobody took over may save.
func (c *Cursors) Save(ctx context.Context, lease feed.Lease, cursor feed.Cursor) error {
	if err := feed.CheckSave(lease, cursor); err != nil {
		return err
	}
	return c.write(ctx, "save the cursor", func(ctx context.Context, conn *sql.Conn) error {
		r, err := leased(ctx, conn, lease)
		if err != nil {
			return err
		}
		if r.cursor.LogID != cursor.LogID {
			return fmt.Errorf("cursor %q: %w: of log %s, not %s", cursor.Name, feed.ErrOtherLog, r.cursor.LogID, cursor.LogID)
		}
		_, err = conn.ExecContext(ctx, "UPDATE cursors SET position = ?, event = ?, state = ?, updated_at = "+clock+" WHERE name = ?",
			int64(cursor.Position), cursor.EventID[:], cursor.State, cursor.Name) //nolint:gosec // validated
		return err
	})
}

// Copy writes the store to a new file, in one read transaction and flushed to disk. The copy needs no other file. Errors: one that wraps
// [fs.ErrExist] where there is a file, of which nothing is changed, and those of files.
func (c *Cursors) Copy(ctx context.Context, into string) error {
	file, err := durable.Create(into, nil)
	if err != nil {
		return fmt.Errorf("cannot copy the cursors: %w", err)
	}
	err = errors.Join(file.Close(), c.connected(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "VACUUM INTO ?", into)
		return err
	}))
	if err == nil {
		err = flush(into)
	}
	if err != nil {
		return fmt.Errorf("cannot copy the cursors: %w", errors.Join(translate(err), os.Remove(into)))
	}
	return nil
}

func flush(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // it was just made
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// Remove implements [feed.Cursors].
func (c *Cursors) Remove(ctx context.Context, name string) error {
	return c.write(ctx, "remove the cursor", func(ctx context.Context, conn *sql.Conn) error {
		r, err := find(ctx, conn, name)
		if err != nil {
			return err
		}
		if err := r.held(); err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx, "DELETE FROM cursors WHERE name = ?", name)
		return err
	})
}

// List implements [feed.Cursors].
func (c *Cursors) List(ctx context.Context) (list []feed.HeldCursor, err error) {
	err = c.connected(ctx, func(conn *sql.Conn) (err error) {
		list, err = all(ctx, conn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the cursors: %w", translate(err))
	}
	return list, nil
}

func all(ctx context.Context, conn *sql.Conn) (list []feed.HeldCursor, err error) {
	rows, err := conn.QueryContext(ctx, "SELECT "+columns+" FROM cursors ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r row
		if err := r.scan(rows.Scan); err != nil {
			return nil, err
		}
		held := feed.HeldCursor{Cursor: r.cursor}
		if r.held() != nil {
			held.Holder, held.Expires = r.holder, time.UnixMicro(r.expires).UTC()
		}
		list = append(list, held)
	}
	return list, rows.Err()
}
