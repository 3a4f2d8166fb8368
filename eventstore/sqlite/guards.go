package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/eventstore"
)

var _ eventstore.GuardChecker = (*Log)(nil)

// CheckGuards implements [eventstore.GuardChecker]: the tables, indexes and triggers are the ones that the migrations make.
func (l *Log) CheckGuards(ctx context.Context, report func(eventstore.Fault)) (err error) {
	if err := l.usable(ctx); err != nil {
		return err
	}
	conn, err := l.readers.Conn(ctx)
	if err == nil {
		err = errors.Join(checkSchema(ctx, conn, report), conn.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot check guards of log %s: %w", l.path, l.fault(err))
	}
	return nil
}
