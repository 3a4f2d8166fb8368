package relay_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// fakeCursors is a store of cursors in memory whose leases do not expire.
type fakeCursors struct {
	mu      sync.Mutex
	token   uint64
	cursors map[string]*feed.HeldCursor
	tokens  map[string]uint64
}

func (f *fakeCursors) Create(_ context.Context, c feed.Cursor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cursors[c.Name] != nil {
		return feed.ErrCursorExists
	}
	f.cursors[c.Name] = &feed.HeldCursor{Cursor: c}
	return nil
}

func (f *fakeCursors) Acquire(_ context.Context, name, holder string, ttl time.Duration) (feed.Lease, feed.Cursor, error) {
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
	if f.tokens == nil {
		f.tokens = map[string]uint64{}
	}
	f.tokens[name], c.Holder, c.Expires = f.token, holder, time.Now().Add(ttl)
	return feed.Lease{Cursor: name, Holder: holder, Token: f.token, Expires: c.Expires}, c.Cursor, nil
}

func (f *fakeCursors) check(lease feed.Lease) error {
	switch {
	case f.cursors[lease.Cursor] == nil:
		return feed.ErrNoCursor
	case f.tokens[lease.Cursor] != lease.Token:
		return feed.ErrLeaseLost
	}
	return nil
}

func (f *fakeCursors) Renew(_ context.Context, lease feed.Lease, ttl time.Duration) (feed.Lease, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lease.Expires = time.Now().Add(ttl)
	return lease, f.check(lease)
}

func (f *fakeCursors) Release(_ context.Context, lease feed.Lease) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.check(lease) == nil {
		f.cursors[lease.Cursor].Holder, f.tokens[lease.Cursor] = "", 0
	}
	return nil
}

func (f *fakeCursors) Save(_ context.Context, lease feed.Lease, c feed.Cursor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(lease); err != nil {
		return err
	}
	f.cursors[lease.Cursor].Cursor = c
	return nil
}

func (f *fakeCursors) Remove(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cursors[name] == nil {
		return feed.ErrNoCursor
	}
	delete(f.cursors, name)
	return nil
}

func (f *fakeCursors) List(context.Context) ([]feed.HeldCursor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []feed.HeldCursor
	for _, name := range slices.Sorted(maps.Keys(f.cursors)) {
		out = append(out, *f.cursors[name])
	}
	return out, nil
}

// takeOver gives the lease of a cursor to nobody, as if it had expired and another had taken it.
func (f *fakeCursors) takeOver(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token++
	f.tokens[name] = f.token
}

func (*fakeCursors) Close() error { return nil }
