package kurrent

import (
	"context"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

// turns lets one at a time have what a name stands for. It is safe for concurrent use.
type turns struct {
	closed <-chan struct{} // ends all waiting

	mu    sync.Mutex // guards all below
	queue map[string]*turn
}

// turn is what is waited for.
type turn struct {
	token chan struct{} // has one while nobody has the turn
	users int           // who have it or wait for it; guarded by turns.mu
}

func newTurns(closed <-chan struct{}) *turns {
	return &turns{closed: closed, queue: map[string]*turn{}}
}

// take waits for the turn of name. The caller must call done.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	w := t.join(name)
	select {
	case <-w.token:
		return func() {
			w.token <- struct{}{}
			t.leave(name, w)
		}, nil
	case <-t.closed:
		err = eventstore.ErrClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	t.leave(name, w)
	return nil, err
}

func (t *turns) join(name string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, ok := t.queue[name]
	if !ok {
		w = &turn{token: make(chan struct{}, 1)}
		w.token <- struct{}{}
		t.queue[name] = w
	}
	w.users++
	return w
}

func (t *turns) leave(name string, w *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.users--; w.users == 0 {
		delete(t.queue, name)
	}
}
