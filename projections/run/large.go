package run

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// errLog marks an error of the log while a large batch was read again.
var errLog = errors.New("cannot read log")

// again reads the batch of a large page once more. t must be where the batch begins.
func (r *Runner) again(ctx context.Context, t *target, pg page) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		n := 0
		for record, err := range r.Log.Read(ctx, t.checkpoint.Position, eventstore.Filter{}) {
			if err != nil {
				yield(record, fmt.Errorf("%w: %w", errLog, err))
				return
			}
			first, last := n == 0, n == pg.large-1
			if record.Meta.Index != n || record.Meta.Size != pg.large ||
				first && record.ID != pg.records[0].ID || last && record.ID != pg.last().ID {
				yield(record, fmt.Errorf("%w: %w: position %d is not event %d of the batch that was there before",
					errLog, eventstore.ErrCorrupt, record.Position, n))
				return
			}
			if !yield(record, nil) || last {
				return
			}
			n++
		}
		yield(eventstore.Record{}, fmt.Errorf("%w: %w: it ends inside the batch after position %d", errLog, eventstore.ErrCorrupt, t.checkpoint.Position))
	}
}

// large yields what the batch of a large page means to t, in parts that are no larger than a page. What went wrong, with the
// log or with an event, is left in fault too. The observer is told after each part.
func (r *Runner) large(ctx context.Context, t *target, pg page, fault *error) iter.Seq2[[]projections.Op, error] {
	return func(yield func([]projections.Op, error) bool) {
		*fault = nil
		part, bytes := page{}, 0
		for record, err := range r.again(ctx, t, pg) {
			if err != nil {
				*fault = err
				yield(nil, err)
				return
			}
			part.records = append(part.records, record)
			bytes += len(record.Data)
			if len(part.records) < r.config.PageEvents && bytes < r.config.PageBytes && !record.EndsBatch() {
				continue
			}
			ops, err := r.prepare.decodePage(part, t.handles).apply(applying{t.projection, t.handles, t.skips}, len(part.records))
			*fault = err
			if !yield(ops, err) || err != nil {
				return
			}
			r.observe(t) // it is no further, and not stalled either
			part, bytes = page{records: part.records[:0]}, 0
		}
	}
}

// held returns pg with all its records. A large one is read into memory: that is for finding the event that is at fault.
func (r *Runner) held(ctx context.Context, t *target, pg page) (page, error) {
	if pg.large == 0 {
		return pg, nil
	}
	whole := page{ends: []int{pg.large}}
	for record, err := range r.again(ctx, t, pg) {
		if err != nil {
			return page{}, err
		}
		whole.records = append(whole.records, record)
	}
	return whole, nil
}
