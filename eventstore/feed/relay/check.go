package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// ender is a log of several nodes, of which the one that is asked may be behind: EndsBefore is what most of them say.
type ender interface {
	EndsBefore(ctx context.Context, at eventstore.Position) (bool, error)
}

// CheckCursor returns an error that wraps [feed.ErrOtherLog] unless a cursor belongs to a log: the log has the cursor's log id, and the
// event of the cursor is at its position (I14).
func CheckCursor(ctx context.Context, log Log, c feed.Cursor) error {
	if c.LogID != log.ID() && c.LogID != uuid.Nil {
		return fmt.Errorf("%w: cursor %q is of log %s, and this is log %s", feed.ErrOtherLog, c.Name, c.LogID, log.ID())
	}
	if c.Position == 0 {
		return nil
	}
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the head of the log: %w", err)
	}
	if nodes, ok := log.(ender); ok && c.Position > head {
		ends, err := nodes.EndsBefore(ctx, c.Position)
		if err != nil {
			return fmt.Errorf("cannot check whether the log ends before position %d: %w", c.Position, err)
		}
		if !ends {
			head = c.Position
		}
	}
	if c.Position > head {
		return fmt.Errorf("%w: cursor %q has position %d, and the log ends at %d: it was truncated or restored", feed.ErrOtherLog, c.Name, c.Position, head)
	}
	found, err := log.At(ctx, c.Position)
	switch {
	case errors.Is(err, eventstore.ErrNotFound):
		return fmt.Errorf("%w: no event of the log is at position %d of cursor %q", feed.ErrOtherLog, c.Position, c.Name)
	case err != nil:
		return fmt.Errorf("cannot read position %d: %w", c.Position, err)
	case found.ID != c.EventID:
		return fmt.Errorf("%w: event %s is at position %d, and cursor %q was saved after event %s", feed.ErrOtherLog, found.ID, c.Position, c.Name, c.EventID)
	}
	return nil
}
