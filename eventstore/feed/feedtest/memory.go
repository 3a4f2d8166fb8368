// Package feedtest checks stores of cursors, and has one in memory for tests.
package feedtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// Cursors is a store of cursors in memory. It is safe for concurrent use, and empty once the process ends.
type Cursors struct {
	mu     sync.Mutex
	now    func() time.Time
	token  uint64
	rows   map[string]row
	closed bool
}

type row struct {
	cursor feed.Cursor
	lease  feed.Lease // the last; no holder when it was released
}

var _ feed.Cursors = (*Cursors)(nil)

// NewCursors returns an empty store that goes by the clock of the process.
func NewCursors() *Cursors {
	return &Cursors{now: time.Now, rows: map[string]row{}}
}

// enter locks the store.
func (c *Cursors) enter(ctx context.Context) (leave func(), err error) {
	c.mu.Lock()
	if err := ctx.Err(); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	if c.closed {
		c.mu.Unlock()
		return nil, eventstore.ErrClosed
	}
	return c.mu.Unlock, nil
}

func (c *Cursors) find(name string) (row, error) {
	r, ok := c.rows[name]
	if !ok {
		return row{}, fmt.Errorf("cursor %q: %w", name, feed.ErrNoCursor)
	}
	r.cursor.State = slices.Clone(r.cursor.State)
	return r, nil
}

func (c *Cursors) held(r row) error {
	if r.lease.Holder == "" || !c.now().Before(r.lease.Expires) {
		return nil
	}
	return &feed.LeaseHeldError{Cursor: r.cursor.Name, Holder: r.lease.Holder, Expires: r.lease.Expires}
}

func (c *Cursors) leased(lease feed.Lease) (row, error) {
	r, err := c.find(lease.Cursor)
	if err == nil && (r.lease.Holder == "" || r.lease.Token != lease.Token) {
		err = fmt.Errorf("cursor %q: %w", lease.Cursor, feed.ErrLeaseLost)
	}
	return r, err
}

// Create implements [feed.Cursors].
func (c *Cursors) Create(ctx context.Context, cursor feed.Cursor) error {
	if err := cursor.Validate(); err != nil {
		return err
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := c.rows[cursor.Name]; ok {
		return fmt.Errorf("cursor %q: %w", cursor.Name, feed.ErrCursorExists)
	}
	c.keep(row{cursor: cursor})
	return nil
}

// keep stores a row as saved now.
func (c *Cursors) keep(r row) {
	r.cursor.State = slices.Clone(r.cursor.State)
	r.cursor.UpdatedAt = c.now().UTC()
	c.rows[r.cursor.Name] = r
}

// Acquire implements [feed.Cursors].
func (c *Cursors) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (feed.Lease, feed.Cursor, error) {
	if err := feed.CheckLease(name, holder, ttl); err != nil {
		return feed.Lease{}, feed.Cursor{}, err
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return feed.Lease{}, feed.Cursor{}, err
	}
	defer leave()
	r, err := c.find(name)
	if err == nil {
		err = c.held(r)
	}
	if err != nil {
		return feed.Lease{}, feed.Cursor{}, err
	}
	c.token++
	r.lease = feed.Lease{Cursor: name, Holder: holder, Token: c.token, Expires: c.now().Add(ttl).UTC()}
	c.rows[name] = r
	r.cursor.State = slices.Clone(r.cursor.State)
	return r.lease, r.cursor, nil
}

// Renew implements [feed.Cursors].
func (c *Cursors) Renew(ctx context.Context, lease feed.Lease, ttl time.Duration) (feed.Lease, error) {
	if err := feed.CheckLease(lease.Cursor, lease.Holder, ttl); err != nil {
		return feed.Lease{}, err
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return feed.Lease{}, err
	}
	defer leave()
	r, err := c.leased(lease)
	if err != nil {
		return feed.Lease{}, err
	}
	r.lease.Expires = c.now().Add(ttl).UTC()
	c.rows[lease.Cursor] = r
	return r.lease, nil
}

// Release implements [feed.Cursors].
func (c *Cursors) Release(ctx context.Context, lease feed.Lease) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if r, err := c.leased(lease); err == nil {
		r.lease.Holder = ""
		c.rows[lease.Cursor] = r
	}
	return nil
}

// Save implements [feed.Cursors].
func (c *Cursors) Save(ctx context.Context, lease feed.Lease, cursor feed.Cursor) error {
	if err := feed.CheckSave(lease, cursor); err != nil {
		return err
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r, err := c.leased(lease)
	if err != nil {
		return err
	}
	if r.cursor.LogID != cursor.LogID {
		return fmt.Errorf("cursor %q: %w: of log %s, not %s", cursor.Name, feed.ErrOtherLog, r.cursor.LogID, cursor.LogID)
	}
	r.cursor = cursor
	c.keep(r)
	return nil
}

// Remove implements [feed.Cursors].
func (c *Cursors) Remove(ctx context.Context, name string) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r, err := c.find(name)
	if err == nil {
		err = c.held(r)
	}
	if err != nil {
		return err
	}
	delete(c.rows, name)
	return nil
}

// List implements [feed.Cursors].
func (c *Cursors) List(ctx context.Context) ([]feed.HeldCursor, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []feed.HeldCursor
	for _, name := range slices.Sorted(maps.Keys(c.rows)) {
		r, err := c.find(name)
		if err != nil {
			return nil, err
		}
		held := feed.HeldCursor{Cursor: r.cursor}
		if c.held(r) != nil {
			held.Holder, held.Expires = r.lease.Holder, r.lease.Expires
		}
		list = append(list, held)
	}
	return list, nil
}

// Close implements [feed.Cursors].
func (c *Cursors) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}
