package esdbserver

import (
	"context"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

// tail tells subscriptions that the log has grown: one reader follows it for all, and each of them reads what is new at its own pace. It
// is safe for concurrent use.
type tail struct {
	log       eventstore.Subscriber
	mu        sync.Mutex // guards all below
	followers int
	running   *tailRun // nil while nobody follows
}

// tailRun is one subscription to the log.
type tailRun struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards all below
	head    eventstore.Position
	err     error         // why it ended
	changed chan struct{} // closed with the next change
}

// join follows the log from head on. Call leave when that is over.
func (t *tail) join(ctx context.Context, head eventstore.Position) *tailRun {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.followers++
	if t.running == nil || t.running.failed() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		t.running = &tailRun{cancel: cancel, done: make(chan struct{}), head: head, changed: make(chan struct{})}
		go t.running.follow(ctx, t.log.Subscribe(ctx, head, eventstore.Filter{}))
	}
	return t.running
}

// leave ends the subscription to the log with its last follower.
func (t *tail) leave(r *tailRun) {
	t.mu.Lock()
	t.followers--
	last := t.followers == 0
	if last {
		r, t.running = t.running, nil
	}
	t.mu.Unlock()
	if last {
		r.cancel()
		<-r.done
	}
}

func (r *tailRun) follow(ctx context.Context, found records) {
	defer close(r.done)
	defer r.cancel()
	for record, err := range found {
		if err == nil {
			err = ctx.Err()
		}
		r.tell(record.Position, err)
		if err != nil {
			return
		}
	}
}

func (r *tailRun) tell(head eventstore.Position, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head, r.err = max(r.head, head), err
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *tailRun) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err != nil
}

// beyond waits until the log is longer than seen, and returns its end.
func (r *tailRun) beyond(ctx context.Context, seen eventstore.Position) (eventstore.Position, error) {
	for {
		r.mu.Lock()
		head, err, changed := r.head, r.err, r.changed
		r.mu.Unlock()
		switch {
		case head > seen:
			return head, nil
		case err != nil:
			return 0, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
