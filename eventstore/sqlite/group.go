package sqlite

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/commitgroup"
)

// Appends of a handle wait in a queue. Whoever gets the writer writes what waits as one transaction, with one flush, and answers all: a
// batch that is refused leaves nothing in it and is in nobody's way.

// request is one batch in the queue.
type request struct {
	readyBatch

	ctx      context.Context //nolint:containedctx // of the caller, who waits for done
	appended eventstore.Appended
	err      error
	done     chan struct{} // closed once the two above are set
}

func (r *request) answer(appended eventstore.Appended, err error) {
	r.appended, r.err = appended, err
	close(r.done)
}

func (r *request) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// queue holds what waits for the writer, in order. It is safe for concurrent use.
type queue struct {
	mu      sync.Mutex // guards waiting
	waiting []*request
}

func (q *queue) add(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, r)
}

// remove reports whether r still waited. Now nothing of it will be written.
func (q *queue) remove(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting, r)
	if at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	return at >= 0
}

// all returns what waits, which goes on to wait.
func (q *queue) all() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.waiting)
}

// take takes the next group: in order, as far as there is room.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	var room commitgroup.Room
	n := 0
	for n < len(q.waiting) && room.Take(q.waiting[n].size, q.waiting[n].inMemory) {
		n++
	}
	group := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return group
}

// await returns the answer to r, and writes groups for all while it has the writer's turn. Until r is taken into a group, its caller may
// leave; from then on it gets a definite answer.
func (l *Log) await(r *request) (eventstore.Appended, error) {
	left := func(err error) {
		if l.queue.remove(r) {
			r.answer(eventstore.Appended{}, eventstore.NotWritten(err))
		}
		<-r.done
	}
	for {
		select {
		case <-r.done:
			return r.appended, r.err
		case l.writer.turn <- struct{}{}:
			if !r.isDone() {
				l.writeGroup(r)
			}
			<-l.writer.turn
		case <-r.ctx.Done():
			left(context.Cause(r.ctx))
		case <-l.closed:
			left(eventstore.ErrClosed)
		}
	}
}

// writeGroup writes the next group, in the writer's turn. The caller of leader, which waits, does so: the context of leader alone can
// end the waiting for other processes.
func (l *Log) writeGroup(leader *request) {
	waiting := l.queue.all()
	err := l.commit(leader.ctx, l.queue.take)
	if err == nil {
		return
	}
	if leader.ctx.Err() != nil {
		waiting = []*request{leader}
	}
	for _, r := range waiting { // those who came later begin to wait now
		if l.queue.remove(r) {
			r.answer(eventstore.Appended{}, err)
		}
	}
}

// commit takes a group once it has the lock, writes it as one transaction, and answers it. Its error is that there was no lock to be had.
// A group that fails in the middle of a batch is taken back, and each batch is judged by itself.
func (l *Log) commit(ctx context.Context, take func() []*request) error {
	var group []*request
	locked := false
	committing, err := l.writer.transact(ctx, func(ctx context.Context) error {
		locked = true
		group = take()
		return l.writeAll(ctx, group)
	})
	switch {
	case !locked:
		return eventstore.NotWritten(err)
	case errors.Is(err, errNothingNew):
		err = nil
	case err != nil && !committing && len(group) > 1:
		var unlocked error // of those after the first that got no lock: each would wait as long
		for _, r := range group {
			if unlocked == nil && l.isClosed() {
				unlocked = eventstore.NotWritten(eventstore.ErrClosed)
			}
			err := unlocked
			if err == nil {
				err = l.commit(r.ctx, func() []*request { return []*request{r} }) //nolint:contextcheck // who waits for this one alone may leave
			}
			if err != nil {
				r.answer(eventstore.Appended{}, err)
				if r.ctx.Err() == nil {
					unlocked = err
				}
			}
		}
		return nil
	case err != nil && !committing:
		err = eventstore.NotWritten(err)
	}
	l.answerAll(group, err)
	return nil
}

// errNothingNew ends a transaction in which there is nothing to commit.
var errNothingNew = errors.New("nothing new was written")

// writeAll places a group, inside the transaction. What becomes of each batch stands in its request; an error is that of all.
func (l *Log) writeAll(ctx context.Context, group []*request) error {
	isNew := false
	for _, r := range group {
		if r.appended, r.err = (eventstore.Appended{}), r.ctx.Err(); r.err != nil {
			continue
		}
		var err error
		r.appended, r.err, err = l.writer.append(ctx, &r.readyBatch, l.options.Now())
		if late, ok := errors.AsType[*lateRefusalError](err); ok && len(group) == 1 {
			r.err = late.refusal
			return errNothingNew // what it left is taken back
		}
		if err != nil {
			return err
		}
		isNew = isNew || r.isNew()
	}
	if !isNew {
		return errNothingNew
	}
	if len(group) == 1 {
		return group[0].ctx.Err() // nobody else is kept from an answer
	}
	return nil
}

// isNew reports whether r was written, rather than refused or found.
func (r *request) isNew() bool { return r.err == nil && !r.appended.Repeated }

// answerAll answers a group that was committed, or failed with err when it was. What was refused is not in the log then either, but
// what it was refused for may not be there.
func (l *Log) answerAll(group []*request, err error) {
	var size int64
	for _, r := range group {
		if err == nil && r.isNew() {
			size += r.bytes()
		}
	}
	if size > 0 {
		l.announce()
		l.wrote(4*pageSize + size)
	}
	for _, r := range group {
		switch {
		case err == nil:
			r.answer(r.appended, eventstore.NotWritten(r.err))
		case r.err != nil:
			r.answer(eventstore.Appended{}, eventstore.NotWritten(err))
		default:
			r.answer(eventstore.Appended{}, err)
		}
	}
}
