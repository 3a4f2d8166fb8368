package kurrent

import (
	"context"
	"slices"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

// contentRoom is how many bytes of contents a log holds at one time, written and read together. One content may be larger: it
// is held alone.
const contentRoom = 32 << 20

// room bounds what is held at one time, and serves those who wait in order. It is safe for concurrent use.
type room struct {
	closed <-chan struct{} // ends all waiting

	mu      sync.Mutex // guards all below
	size    int64
	held    int64
	waiting []*waiter
}

// waiter is one who waits.
type waiter struct {
	size  int64
	ready chan struct{}
}

func newRoom(size int64, closed <-chan struct{}) *room { return &room{size: size, closed: closed} }

// take waits until there is room for size bytes, or for all that the room has where size is more. The caller must give them back.
func (r *room) take(ctx context.Context, size int64) error {
	w := &waiter{size: size, ready: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, w)
	r.admit()
	r.mu.Unlock()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-r.closed:
		err = eventstore.ErrClosed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.waiting, w); i >= 0 {
		r.waiting = slices.Delete(r.waiting, i, i+1)
	} else {
		r.held -= w.size // it was admitted meanwhile
	}
	r.admit()
	return err
}

// hold changes what is held by size bytes, and waits for nobody: what was taken turns out to be larger or smaller, or is given back.
func (r *room) hold(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += size
	r.admit()
}

// admit needs mu.
func (r *room) admit() {
	for len(r.waiting) > 0 && (r.held == 0 || r.held+r.waiting[0].size <= r.size) {
		r.held += r.waiting[0].size
		close(r.waiting[0].ready)
		r.waiting = slices.Delete(r.waiting, 0, 1)
	}
}
