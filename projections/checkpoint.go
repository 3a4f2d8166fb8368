package projections

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// belongs returns a *MismatchError unless the checkpoint of b is a place in this log (I14).
func (r *Runner) belongs(ctx context.Context, ref Ref, at Checkpoint) error {
	if at.Position == 0 {
		return nil // nothing was folded yet, of any log
	}
	head, err := r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	mismatch := &MismatchError{Ref: ref, Checkpoint: at, Log: r.log.ID(), Head: head}
	if at.Log != r.log.ID() || at.Position > head {
		return mismatch
	}
	if mismatch.Found, err = r.eventAt(ctx, at.Position); err != nil {
		return err
	}
	if mismatch.Found != at.Event {
		return mismatch
	}
	return nil
}

// eventAt returns the id of the event at position at, zero when there is none.
func (r *Runner) eventAt(ctx context.Context, at eventstore.Position) (eventstore.EventID, error) {
	for record, err := range r.log.Read(ctx, at-1, eventstore.Filter{}) {
		if err != nil {
			return uuid.Nil, fmt.Errorf("read position %d: %w", at, err)
		}
		if record.Position == at {
			return record.ID, nil
		}
		break
	}
	return uuid.Nil, nil
}
