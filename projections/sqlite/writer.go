package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/internal/sqlitetx"
	"github.com/gxpledger/gxpledger/projections"
)

// writer is one connection that writes. Its user holds the turn of the DB.
type writer struct {
	db   *sql.DB
	conn *sql.Conn
	// statements are prepared on the driver's connection, below database/sql, which would cost as much again for each
	// row as SQLite itself.
	statements map[string]statement
}

// statement is what the driver prepares.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
}

// maxStatements bounds the cache. A projection has a handful for each table; builds come and go.
const maxStatements = 500

func openWriter(ctx context.Context, driverName, dsn string) (*writer, error) {
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &writer{db: db, conn: conn, statements: map[string]statement{}}, nil
}

func (w *writer) close() error {
	return errors.Join(w.forget(), ignoreDone(w.conn.Close()), w.db.Close())
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

// forget closes every prepared statement.
func (w *writer) forget() error {
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	clear(w.statements)
	return errors.Join(errs...)
}

// raw calls use with the driver's connection.
func (w *writer) raw(use func(c driver.ConnPrepareContext) error) error {
	return w.conn.Raw(func(c any) error {
		prepare, ok := c.(driver.ConnPrepareContext)
		if !ok {
			return fmt.Errorf("driver connection %T cannot prepare", c)
		}
		return use(prepare)
	})
}

// prepare returns the statement for query, from the cache if it is there. REQUIRES: called within raw.
func (w *writer) prepare(ctx context.Context, c driver.ConnPrepareContext, query string) (statement, error) {
	if s, ok := w.statements[query]; ok {
		return s, nil
	}
	if len(w.statements) >= maxStatements {
		if err := w.forget(); err != nil {
			return nil, err
		}
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver statement %T cannot execute", prepared), prepared.Close())
	}
	w.statements[query] = s
	return s, nil
}

// write runs body in a transaction of w that has the write lock from its start. An error of body, of the commit or of
// ctx takes everything back. ctx can end the waiting for the lock; body gets one that does not end, since a cancelled
// statement would end the transaction behind our back, and each cancellable one costs a goroutine.
func (db *DB) write(ctx context.Context, w *writer, body func(ctx context.Context, tx *sql.Conn) error) error {
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	tx := sqlitetx.On(w.conn)
	tries := 1
	tx.Again = func(err error) bool {
		tries++
		return tries <= db.options.BusyTries && errors.Is(translate(err), projections.ErrTransient)
	}
	return explain(tx.Write(ctx, func(ctx context.Context) error { return body(ctx, w.conn) }), db.path)
}
