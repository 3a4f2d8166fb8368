package sqlite

import (
	"context"
	"iter"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Subscribe implements [eventstore.Subscriber]. An append of this handle wakes it at once, one of another handle or
// process is found by looking every Options.Poll.
func (l *Log) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		poll := time.NewTicker(l.options.Poll)
		defer poll.Stop()
		for at := after; ; {
			changed := l.changes() // before looking, so that no append falls between
			head, err := l.Head(ctx)
			if err != nil {
				yield(eventstore.Record{}, err)
				return
			}
			for r, err := range l.read(ctx, upwards(at, head), filter) {
				if !yield(r, err) || err != nil {
					return
				}
			}
			at = max(at, head)
			select {
			case <-changed:
			case <-poll.C:
			case <-ctx.Done():
			case <-l.closed:
			}
		}
	}
}

// changes returns what the next append of this handle closes.
func (l *Log) changes() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
