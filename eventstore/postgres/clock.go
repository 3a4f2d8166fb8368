package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

var _ eventstore.Clock = (*Log)(nil)

// Time implements [eventstore.Clock]: what the clock of the server shows.
func (l *Log) Time(ctx context.Context) (now time.Time, err error) {
	err = l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp()").Scan(&now)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot read the clock of the server: %w", err)
	}
	return now, nil
}
