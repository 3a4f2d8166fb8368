package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gxpledger/gxpledger/internal/pg"
)

// observer connects those who read. Their transactions see one state of all tables.
type observer struct {
	driver.Connector

	schema pg.Schema
}

// Connect implements [driver.Connector].
func (o observer) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := pg.Try(ctx, o.Connector.Connect)
	if err != nil {
		return nil, err
	}
	c, ok := conn.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver connection %T is not that of pgx", conn), conn.Close())
	}
	return observing{c, o.schema}, nil
}

// observing is a connection of somebody who reads.
type observing struct {
	*stdlib.Conn

	schema pg.Schema
}

// QueryContext implements [driver.QueryerContext]. Its error says which right is missing.
func (c observing) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(ctx, query, args)
	return rows, c.schema.Explain(ctx, c.Conn.Conn(), err)
}

// BeginTx begins a transaction that is REPEATABLE READ and READ ONLY, whatever was asked for. It locks the views before it
// looks at anything: what it sees is decided by the first statement after that, and no view can be pointed to other tables
// until it ends.
func (c observing) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	options := driver.TxOptions{Isolation: driver.IsolationLevel(sql.LevelRepeatableRead), ReadOnly: true}
	for {
		views, err := c.views(ctx)
		if err != nil {
			return nil, c.schema.Explain(ctx, c.Conn.Conn(), err)
		}
		tx, err := c.Conn.BeginTx(ctx, options)
		if err != nil || len(views) == 0 {
			return tx, err
		}
		_, err = c.Conn.Conn().Exec(ctx, "LOCK TABLE "+strings.Join(views, ", ")+" IN ACCESS SHARE MODE")
		if err == nil {
			return tx, nil
		}
		err = errors.Join(err, tx.Rollback())
		if !pg.HasCode(err, pg.CodeUndefinedTable) { // a view that went meanwhile, with a new version of its projection
			return nil, c.schema.Explain(ctx, c.Conn.Conn(), err)
		}
	}
}

// views returns the views that readers use, quoted.
func (c observing) views(ctx context.Context) ([]string, error) {
	rows, err := c.Conn.Conn().Query(ctx, "SELECT DISTINCT table_name FROM catalogue ORDER BY 1")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var name string
		err := row.Scan(&name)
		return quote(name), err
	})
}
