package postgres

import (
	"context"
	"errors"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/pg"
)

// translate gives errors of the driver and the server the meaning that package eventstore defines. It is the only place
// that does. An error that it does not know stays what it is.
func translate(ctx context.Context, err error) error {
	var unread *loadError
	if ctx.Err() == nil && errors.As(err, &unread) {
		return err // of the caller's files, not of the server
	}
	translated := pg.Translate(ctx, err, func(class pg.Class) error {
		switch class {
		case pg.DiskFull:
			return eventstore.ErrDiskFull
		case pg.TooManyConnections:
			return eventstore.ErrTooManyConnections
		case pg.Transient, pg.Replica: // of a replica, the address may lead to the primary with another try
			return eventstore.ErrTransient
		case pg.Damaged:
			return eventstore.ErrCorrupt
		case pg.TooLarge:
			return eventstore.ErrTooLarge
		case pg.Unstorable:
			return eventstore.ErrInvalid
		case pg.Other, pg.Forbidden, pg.Violation:
		}
		return nil
	})
	if errors.Is(translated, eventstore.ErrDiskFull) || errors.Is(translated, eventstore.ErrTooManyConnections) {
		return eventstore.Transient(translated)
	}
	return translated
}
