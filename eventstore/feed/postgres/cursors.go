package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// statements are those of a store, with the name of its schema.
type statements struct {
	find, create, token, acquire, renew, release, save, remove, list string
}

const (
	columns = "name, log, position, event, state, updated_at, token, holder, expires_at, pg_catalog.clock_timestamp()"
	now     = "pg_catalog.clock_timestamp()"
	span    = "$2 * interval '1 microsecond'"
)

func newStatements(schema string) statements {
	cursors := pgx.Identifier{schema, "cursors"}.Sanitize()
	in := func(sql string) string {
		return strings.NewReplacer("@cursors", cursors, "@tokens", pgx.Identifier{schema, "tokens"}.Sanitize(), "@columns", columns,
			"@now", now, "@span", span).Replace(sql)
	}
	return statements{
		find:    in("SELECT @columns FROM @cursors WHERE name = $1 FOR UPDATE"),
		create:  in("INSERT INTO @cursors (name, log, position, event, state, updated_at) VALUES ($1, $2, $3, $4, $5, @now) ON CONFLICT DO NOTHING"),
		token:   in("UPDATE @tokens SET last = last + 1 RETURNING last"),
		acquire: in("UPDATE @cursors SET token = $3, holder = $4, expires_at = @now + @span WHERE name = $1 RETURNING expires_at"),
		renew:   in("UPDATE @cursors SET expires_at = @now + @span WHERE name = $1 RETURNING expires_at"),
		release: in("UPDATE @cursors SET holder = '', expires_at = '-infinity' WHERE name = $1 AND token = $2"),
		save:    in("UPDATE @cursors SET position = $2, event = $3, state = $4, updated_at = @now WHERE name = $1"),
		remove:  in("DELETE FROM @cursors WHERE name = $1"),
		list:    in("SELECT @columns FROM @cursors ORDER BY name"),
	}
}

// row is a cursor as it is stored.
type row struct {
	cursor  feed.Cursor
	token   uint64
	holder  string
	expires *time.Time // nil for long ago
	now     time.Time  // when the row was read
}

func (r *row) scan(from pgx.Row) error {
	var position, token int64
	var expires instant
	err := from.Scan(&r.cursor.Name, &r.cursor.LogID, &position, &r.cursor.EventID, &r.cursor.State, &r.cursor.UpdatedAt,
		&token, &r.holder, &expires, &r.now)
	r.cursor.Position, r.token = eventstore.Position(position), uint64(token) //nolint:gosec // a CHECK keeps them from being negative
	r.cursor.UpdatedAt = r.cursor.UpdatedAt.UTC()
	r.expires = expires.at
	return err
}

// held returns a *LeaseHeldError while somebody holds r.
func (r *row) held() error {
	if r.holder == "" || r.expires == nil || !r.now.Before(*r.expires) {
		return nil
	}
	return &feed.LeaseHeldError{Cursor: r.cursor.Name, Holder: r.holder, Expires: *r.expires}
}

// find reads and locks the row of a cursor.
func (c *Cursors) find(ctx context.Context, tx pgx.Tx, name string) (r row, err error) {
	err = r.scan(tx.QueryRow(ctx, c.sql.find, name))
	if errors.Is(err, pgx.ErrNoRows) {
		return row{}, fmt.Errorf("cursor %q: %w", name, feed.ErrNoCursor)
	}
	return r, err
}

// leased reads and locks the row of a cursor that a lease may move. A lease that expired and that nobody took over may.
func (c *Cursors) leased(ctx context.Context, tx pgx.Tx, lease feed.Lease) (row, error) {
	r, err := c.find(ctx, tx, lease.Cursor)
	if err == nil && (r.holder == "" || r.token != lease.Token) {
		err = fmt.Errorf("cursor %q: %w", lease.Cursor, feed.ErrLeaseLost)
	}
	return r, err
}

// Create implements [feed.Cursors].
func (c *Cursors) Create(ctx context.Context, cursor feed.Cursor) error {
	if err := cursor.Validate(); err != nil {
		return err
	}
	return c.write(ctx, "create the cursor", func(ctx context.Context, tx pgx.Tx) error {
		done, err := tx.Exec(ctx, c.sql.create, cursor.Name, cursor.LogID, int64(cursor.Position), cursor.EventID, cursor.State) //nolint:gosec // validated
		if err == nil && done.RowsAffected() == 0 {
			err = fmt.Errorf("cursor %q: %w", cursor.Name, feed.ErrCursorExists)
		}
		return err
	})
}

// Acquire implements [feed.Cursors].
func (c *Cursors) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (lease feed.Lease, cursor feed.Cursor, err error) {
	if err := feed.CheckLease(name, holder, ttl); err != nil {
		return feed.Lease{}, feed.Cursor{}, err
	}
	err = c.write(ctx, "take the lease", func(ctx context.Context, tx pgx.Tx) error {
		r, err := c.find(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := r.held(); err != nil {
			return err
		}
		var token int64
		if err := tx.QueryRow(ctx, c.sql.token).Scan(&token); err != nil {
			return err
		}
		cursor = r.cursor
		lease = feed.Lease{Cursor: name, Holder: holder, Token: uint64(token)} //nolint:gosec // grows from 0
		err = tx.QueryRow(ctx, c.sql.acquire, name, ttl.Microseconds(), token, holder).Scan(&lease.Expires)
		return err
	})
	if err != nil {
		return feed.Lease{}, feed.Cursor{}, err
	}
	lease.Expires = lease.Expires.UTC()
	return lease, cursor, nil
}

// Renew implements [feed.Cursors]. A lease that expired and that nobody took over is renewed.
func (c *Cursors) Renew(ctx context.Context, lease feed.Lease, ttl time.Duration) (feed.Lease, error) {
	if err := feed.CheckLease(lease.Cursor, lease.Holder, ttl); err != nil {
		return feed.Lease{}, err
	}
	err := c.write(ctx, "renew the lease", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := c.leased(ctx, tx, lease); err != nil {
			return err
		}
		return tx.QueryRow(ctx, c.sql.renew, lease.Cursor, ttl.Microseconds()).Scan(&lease.Expires)
	})
	if err != nil {
		return feed.Lease{}, err
	}
	lease.Expires = lease.Expires.UTC()
	return lease, nil
}

// Release implements [feed.Cursors].
func (c *Cursors) Release(ctx context.Context, lease feed.Lease) error {
	return c.write(ctx, "release the lease", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, c.sql.release, lease.Cursor, int64(lease.Token)) //nolint:gosec // the store gave it
		return err
	})
}

// Save implements [feed.Cursors]. A lease that expired and that nobody took over may save.
func (c *Cursors) Save(ctx context.Context, lease feed.Lease, cursor feed.Cursor) error {
	if err := feed.CheckSave(lease, cursor); err != nil {
		return err
	}
	return c.write(ctx, "save the cursor", func(ctx context.Context, tx pgx.Tx) error {
		r, err := c.leased(ctx, tx, lease)
		if err != nil {
			return err
		}
		if r.cursor.LogID != cursor.LogID {
			return fmt.Errorf("cursor %q: %w: of log %s, not %s", cursor.Name, feed.ErrOtherLog, r.cursor.LogID, cursor.LogID)
		}
		_, err = tx.Exec(ctx, c.sql.save, cursor.Name, int64(cursor.Position), cursor.EventID, cursor.State) //nolint:gosec // validated
		return err
	})
}

// Remove implements [feed.Cursors].
func (c *Cursors) Remove(ctx context.Context, name string) error {
	return c.write(ctx, "remove the cursor", func(ctx context.Context, tx pgx.Tx) error {
		r, err := c.find(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := r.held(); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, c.sql.remove, name)
		return err
	})
}

// List implements [feed.Cursors].
func (c *Cursors) List(ctx context.Context) (list []feed.HeldCursor, err error) {
	err = c.run(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, c.sql.list)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(from pgx.CollectableRow) (feed.HeldCursor, error) {
			var r row
			err := r.scan(from)
			held := feed.HeldCursor{Cursor: r.cursor}
			if r.held() != nil {
				held.Holder, held.Expires = r.holder, *r.expires
			}
			return held, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the cursors: %w", err)
	}
	return list, nil
}
