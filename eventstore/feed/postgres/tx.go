package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// Tx is a transaction of pgx, for a [feed.OwnCursor] of a consumer whose rows are on PostgreSQL.
func Tx(tx pgx.Tx) feed.Tx { return pgxTx{tx} }

type pgxTx struct{ tx pgx.Tx }

func (t pgxTx) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, statement, args...)
	return tag.RowsAffected(), err
}

func (t pgxTx) QueryRow(ctx context.Context, dest []any, query string, args ...any) error {
	return t.tx.QueryRow(ctx, query, args...).Scan(dest...) // pgx.ErrNoRows wraps sql.ErrNoRows
}
