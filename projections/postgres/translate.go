package postgres

import (
	"context"
	"errors"

	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/projections"
)

// translate gives errors of the driver and the server the meaning that package projections defines. It is the only place
// that does. An error that it does not know stays what it is.
func translate(ctx context.Context, err error) error {
	translated := pg.Translate(ctx, err, func(class pg.Class) error {
		switch class {
		case pg.DiskFull:
			return projections.ErrDiskFull
		case pg.TooManyConnections:
			return projections.ErrTooManyConnections
		case pg.Transient:
			return projections.ErrTransient
		case pg.Replica, pg.Forbidden:
			return projections.ErrReadOnly
		case pg.Damaged:
			return projections.ErrDamaged
		case pg.TooLarge, pg.Unstorable, pg.Violation:
			return projections.ErrRefused
		case pg.Other:
		}
		return nil
	})
	if !errors.Is(translated, projections.ErrTransient) &&
		(errors.Is(translated, projections.ErrDiskFull) || errors.Is(translated, projections.ErrTooManyConnections)) {
		return projections.Transient(translated)
	}
	return translated
}
