package gxpledger

import (
	"context"
	"iter"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
)

// Follow yields every event after a position, 0 for all, and new ones as they are recorded, until ctx ends or the loop
// breaks. The position must be one that the log gave, see [eventstore.Record]: store that of the last record whose
// [eventstore.Record.EndsBatch] is true, in the transaction that handles the batch, and continue from there after a restart.
//
// [eventstore.Decode] returns the event of a record. At the head of the log, Follow waits for the next event. It reconnects
// after a lost connection or an election. A slow loop loses nothing: Follow reads from the log at the loop's pace.
//
// Errors, each as the last value: [ErrNoLog], [ErrLogLost], [ErrClosed], that of ctx, one that wraps [ErrHomeReplaced] where the file
// of the log was deleted or replaced, and those of package eventstore, such as [eventstore.ErrCorrupt].
func (l *Ledger) Follow(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		log, err := l.openLog(ctx, config.ToRead)
		if err != nil {
			yield(eventstore.Record{}, err)
			return
		}
		more := true
		err = l.WhileHome(ctx, func(ctx context.Context) error {
			for r, err := range log.Subscribe(ctx, after, eventstore.Filter{}) {
				if err != nil {
					return err
				}
				if more = yield(r, nil); !more {
					break
				}
			}
			return nil
		})
		if err != nil && more {
			yield(eventstore.Record{}, err)
		}
	}
}
