package server

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxWaiting bounds how many password checks of one peer wait: more than a service has subscriptions that log in at once.
const maxWaiting = 1024

// errBusy says that a peer has too many password checks waiting.
var errBusy = errors.New("too many password checks of this client are waiting")

// turns lets one caller through at a time. Peers take turns, whatever each of them asks for, so that one that guesses passwords does not
// keep others from logging in. The zero value is ready to use.
type turns struct {
	mu      sync.Mutex // guards all below
	busy    bool
	waiting map[string][]chan struct{} // by peer; closed when it is the caller's turn
	order   []string                   // the peers that wait, the next one first
}

// acquire waits until it is the turn of a peer. It ends with ctx: who has gone needs no turn. Call release after it returned nil.
func (t *turns) acquire(ctx context.Context, peer string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn, now, err := t.enqueue(peer)
	if err != nil || now {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		t.abandon(peer, turn)
		return ctx.Err()
	}
}

// enqueue returns what is closed when it is the turn of a peer, unless that is now.
func (t *turns) enqueue(peer string) (turn chan struct{}, now bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.busy {
		t.busy = true
		return nil, true, nil
	}
	if len(t.waiting[peer]) >= maxWaiting {
		return nil, false, errBusy
	}
	if t.waiting == nil {
		t.waiting = map[string][]chan struct{}{}
	}
	if len(t.waiting[peer]) == 0 {
		t.order = append(t.order, peer)
	}
	turn = make(chan struct{})
	t.waiting[peer] = append(t.waiting[peer], turn)
	return turn, false, nil
}

// abandon gives up waiting, or the turn if that came meanwhile.
func (t *turns) abandon(peer string, turn chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.waiting[peer], turn)
	if at < 0 {
		t.next()
		return
	}
	t.waiting[peer] = slices.Delete(t.waiting[peer], at, at+1)
	if len(t.waiting[peer]) == 0 {
		delete(t.waiting, peer)
		t.order = slices.DeleteFunc(t.order, func(p string) bool { return p == peer })
	}
}

func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next()
}

// next passes the turn on. mu is held.
func (t *turns) next() {
	if len(t.order) == 0 {
		t.busy = false
		return
	}
	peer := t.order[0]
	t.order = t.order[1:]
	turn := t.waiting[peer][0]
	if t.waiting[peer] = t.waiting[peer][1:]; len(t.waiting[peer]) > 0 {
		t.order = append(t.order, peer)
	} else {
		delete(t.waiting, peer)
	}
	close(turn)
}
