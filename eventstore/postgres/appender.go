package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/commitgroup"
)

// perEvent is about what an event needs beside its data and type.
const perEvent = 64

// appendAll is the appender: it takes what waits, writes it as one transaction, and answers. It ends when the log closes,
// after it has answered whoever it took a batch from.
func (l *Log) appendAll(ctx context.Context) {
	var waiting []*request
	for {
		if len(waiting) == 0 {
			select {
			case r := <-l.queue:
				waiting = append(waiting, r)
			case <-l.closing:
				return
			}
		}
		waiting = l.gather(waiting)
		group, rest := split(waiting)
		if len(group) > 0 {
			l.resolveGroup(ctx, group)
		}
		waiting = rest
		select {
		case <-l.closing:
			for _, r := range waiting {
				r.answer(eventstore.Appended{}, eventstore.ErrClosed)
			}
			return
		default:
		}
	}
}

// gather adds what waits already. It never waits for more.
func (l *Log) gather(waiting []*request) []*request {
	for len(waiting) < commitgroup.MaxBatches {
		select {
		case r := <-l.queue:
			waiting = append(waiting, r)
		default:
			return waiting
		}
	}
	return waiting
}

// split takes the next group off waiting: in order, at most one batch for each stream, since what becomes of a second one
// depends on the first, and as far as there is room. Batches that nobody waits for are dropped: nothing was written of them.
func split(waiting []*request) (group, rest []*request) {
	streams := make(map[eventstore.StreamID]bool, len(waiting))
	var room commitgroup.Room
	for _, r := range waiting {
		switch {
		case r.gone.Load():
			r.answer(eventstore.Appended{}, errGone)
		case streams[r.batch.Stream], !room.Take(int64(r.size), !r.streamed):
			streams[r.batch.Stream] = true // what comes later to this stream stays behind this
			rest = append(rest, r)
		default:
			streams[r.batch.Stream] = true
			group = append(group, r)
		}
	}
	return group, rest
}

// resolveGroup answers every request of group.
func (l *Log) resolveGroup(ctx context.Context, group []*request) {
	answers, err := l.commitGroup(ctx, group)
	switch {
	case err == nil:
		for i, r := range group {
			r.answer(answers[i].appended, answers[i].err)
		}
		l.announce()
	case final(err), len(group) == 1:
		for _, r := range group {
			r.answer(eventstore.Appended{}, err)
		}
	default:
		// The server refused something in it. Each batch is judged by itself.
		for _, r := range group {
			l.resolveGroup(ctx, []*request{r})
		}
	}
}

// final reports whether trying the batches of a group one by one cannot help.
func final(err error) bool {
	return errors.Is(err, eventstore.ErrTransient) || errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrCorrupt)
}

// commitGroup writes group as one transaction, again while the server does not answer. Trying again is safe, also when
// the outcome is unknown: the lock of the counter row waits for the transaction that may still be running, and then
// its batches are found, or they are not there.
//
// It may take as long as bytes move to or from the server. Connecting, waiting for the lock, waiting for the server and
// the pauses between tries are no progress.
func (l *Log) commitGroup(ctx context.Context, group []*request) ([]answer, error) {
	ctx, moved, stop := l.whileDataMoves(ctx)
	defer stop()
	var answers []answer
	err := l.retry(ctx, func() error {
		var err error
		answers, err = l.commitOnce(ctx, group, moved)
		if errors.Is(err, errPartlyStored) && len(group) == 1 {
			group[0].suspect = true
			answers, err = l.commitOnce(ctx, group, moved)
		}
		if errors.Is(err, errPartlyStored) && len(group) == 1 {
			err = fmt.Errorf("%w: there are rows where none should be: %w", eventstore.ErrCorrupt, err)
		}
		return err
	})
	return answers, err
}

// whileDataMoves returns a context that ends when moved was not called for AppendTimeout, and what is to be called at the
// end.
func (l *Log) whileDataMoves(ctx context.Context) (_ context.Context, moved, stop func()) {
	limit := l.options.AppendTimeout
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("%w: no data sent or received for %s", eventstore.ErrTransient, limit))
	})
	return ctx, func() { stalled.Reset(limit) }, func() {
		stalled.Stop()
		cancel(nil)
	}
}

// announce tells this process and the others that there is something to read.
func (l *Log) announce() {
	l.wake.send()
	signal(l.hint)
}
