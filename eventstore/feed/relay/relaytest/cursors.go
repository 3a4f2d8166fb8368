// Package relaytest has what tests of relays share.
package relaytest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// Cursors is a store of cursors in memory whose leases do not expire. It is safe for concurrent use.
type Cursors struct {
	mu      sync.Mutex
	token   uint64
	cursors map[string]*feed.HeldCursor
	tokens  map[string]uint64
}

// NewCursors returns an empty store.
func NewCursors() *Cursors {
	return &Cursors{cursors: map[string]*feed.HeldCursor{}, tokens: map[string]uint64{}}
}

// Create implements [feed.Cursors].
func (f *Cursors) Create(_ context.Context, c feed.Cursor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cursors[c.Name] != nil {
		return feed.ErrCursorExists
	}
	f.cursors[c.Name] = &feed.HeldCursor{Cursor: c}
	return nil
}

// Acquire implements [feed.Cursors].
func (f *Cursors) Acquire(_ context.Context, name, holder string, ttl time.Duration) (feed.Lease, feed.Cursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cursors[name]
	switch {
	case c == nil:
		return feed.Lease{}, feed.Cursor{}, feed.ErrNoCursor
	case c.Holder != "":
		return feed.Lease{}, feed.Cursor{}, &feed.LeaseHeldError{Cursor: name, Holder: c.Holder, Expires: c.Expires}
	}
	f.token++
	f.tokens[name], c.Holder, c.Expires = f.token, holder, time.Now().Add(ttl)
	return feed.Lease{Cursor: name, Holder: holder, Token: f.token, Expires: c.Expires}, c.Cursor, nil
}

func (f *Cursors) check(lease feed.Lease) error {
	switch {
	case f.cursors[lease.Cursor] == nil:
		return feed.ErrNoCursor
	case f.tokens[lease.Cursor] != lease.Token:
		return feed.ErrLeaseLost
	}
	return nil
}

// Renew implements [feed.Cursors].
func (f *Cursors) Renew(_ context.Context, lease feed.Lease, ttl time.Duration) (feed.Lease, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lease.Expires = time.Now().Add(ttl)
	return lease, f.check(lease)
}

// Release implements [feed.Cursors].
func (f *Cursors) Release(_ context.Context, lease feed.Lease) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.check(lease) == nil {
		f.cursors[lease.Cursor].Holder, f.tokens[lease.Cursor] = "", 0
	}
	return nil
}

// Save implements [feed.Cursors].
func (f *Cursors) Save(_ context.Context, lease feed.Lease, c feed.Cursor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(lease); err != nil {
		return err
	}
	c.UpdatedAt = time.Now()
	f.cursors[lease.Cursor].Cursor = c
	return nil
}

// Remove implements [feed.Cursors].
func (f *Cursors) Remove(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cursors[name] == nil {
		return feed.ErrNoCursor
	}
	if c := f.cursors[name]; c.Holder != "" {
		return &feed.LeaseHeldError{Cursor: name, Holder: c.Holder, Expires: c.Expires}
	}
	delete(f.cursors, name)
	return nil
}

// List implements [feed.Cursors].
func (f *Cursors) List(context.Context) ([]feed.HeldCursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []feed.HeldCursor
	for _, name := range slices.Sorted(maps.Keys(f.cursors)) {
		out = append(out, *f.cursors[name])
	}
	return out, nil
}

// TakeOver gives the lease of a cursor to nobody, as if it had expired and another had taken it.
func (f *Cursors) TakeOver(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token++
	f.tokens[name] = f.token
}

// Close implements [feed.Cursors].
func (*Cursors) Close() error { return nil }
