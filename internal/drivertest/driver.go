// Package drivertest has a driver for SQLite that fails chosen calls, and one and a tracer for pgx that cancel contexts at
// them, so that a test can find out what an adapter makes of it.
package drivertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"

	"modernc.org/sqlite"
)

// Name is what the driver is registered under.
const Name = "sqlite-cancelling"

func init() { //nolint:gochecknoinits // a driver is registered once in a process
	sql.Register(Name, &wrapped{&sqlite.Driver{}})
}

// Sweep calls use with a context again and again, which is cancelled at the first call of the driver, at the second and so
// on, until use gets through without. At each it is cancelled just before the call, and just after it, when the driver
// carried it out and says that it was cancelled. After each, it calls check. Of the rows of a query, the first are calls.
func Sweep(t *testing.T, use func(ctx context.Context) error, check func(t *testing.T, at int)) {
	t.Helper()
	for _, late := range []bool{true, false} {
		for at := 1; ; at++ {
			if at > mostCalls {
				t.Fatalf("more than %d calls of the driver", mostCalls)
			}
			ctx, cancel := context.WithCancel(t.Context())
			p := &plan{at: at, late: late, cancel: cancel}
			err := use(context.WithValue(ctx, key{}, p))
			cancel()
			check(t, at)
			if int(p.calls.Load()) < at {
				if err != nil {
					t.Fatalf("without a cancelled call: %v", err)
				}
				if at == 1 {
					t.Fatal("the driver was not called")
				}
				if p.traced.Load() {
					return // pgx looks at the context ahead of each query: before one is after the last
				}
				break
			}
		}
	}
}

// mostCalls bounds a sweep, which would not end if each of its rounds made the next one longer.
const mostCalls = 1000

// Methods returns the names of the exported methods of v whose first parameter is a context: those that Sweep is for.
func Methods(v any) []string {
	var names []string
	for m := range reflect.TypeOf(v).Methods() {
		if m.Type.NumIn() > 1 && m.Type.In(1) == reflect.TypeFor[context.Context]() {
			names = append(names, m.Name)
		}
	}
	return names
}

type key struct{}

// plan says what happens at which call.
type plan struct {
	at     int
	late   bool
	fault  *Fault       // instead of a cancelled context
	traced atomic.Bool  // by pgx
	calls  atomic.Int64 // a pool that connects may go on when the call that wanted the connection has ended
	cancel context.CancelFunc
	before func(call int)
}

// Before returns a context with which before is called ahead of every call of the driver, from 1.
func Before(ctx context.Context, before func(call int)) context.Context {
	return context.WithValue(ctx, key{}, &plan{before: before})
}

// cut makes a call of the driver, and cancels ctx or fails it where it is planned.
func cut[T any](ctx context.Context, call func(ctx context.Context) (T, error), undo func(T)) (T, error) {
	p, ok := ctx.Value(key{}).(*plan)
	if !ok {
		return call(ctx)
	}
	n := int(p.calls.Add(1))
	if p.before != nil {
		p.before(n)
	}
	if p.fault != nil {
		return fail(ctx, p.fault, p.fault.meets(n, p.at), call, undo)
	}
	if n != p.at {
		return call(ctx)
	}
	if !p.late {
		p.cancel()
		return call(ctx)
	}
	done, err := call(context.WithoutCancel(ctx))
	p.cancel()
	if ctx.Err() != nil {
		if err == nil {
			undo(done)
		}
		var none T
		return none, ctx.Err()
	}
	return done, err
}

type wrapped struct{ *sqlite.Driver }

// OpenConnector makes connecting a call of whoever wants the connection.
func (d *wrapped) OpenConnector(name string) (driver.Connector, error) {
	return &connector{d, name}, nil
}

type connector struct {
	driver *wrapped
	name   string
}

func (c *connector) Driver() driver.Driver { return c.driver }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	connect := func(context.Context) (driver.Conn, error) { return c.driver.Open(c.name) }
	if p, ok := ctx.Value(key{}).(*plan); !ok || p.fault == nil {
		return connect(ctx) // it cannot be cancelled
	}
	return cut(ctx, connect, func(made driver.Conn) { _ = made.Close() })
}

// Open implements [driver.Driver].
func (d *wrapped) Open(name string) (driver.Conn, error) {
	c, err := d.Driver.Open(name)
	if err != nil {
		return nil, err
	}
	made, ok := c.(inner)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver makes connections of type %T", c), c.Close())
	}
	return &conn{made}, nil
}

type inner interface { //nolint:interfacebloat // all that database/sql asks a connection for
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type conn struct{ inner }

// BeginTx leaves the transaction open where it says that it was cancelled, as the driver may.
func (c *conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	return cut(ctx, func(ctx context.Context) (driver.Tx, error) { return c.inner.BeginTx(ctx, options) }, func(driver.Tx) {})
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := cut(ctx, func(ctx context.Context) (driver.Stmt, error) { return c.inner.PrepareContext(ctx, query) },
		func(s driver.Stmt) { _ = s.Close() })
	if err != nil {
		return nil, err
	}
	made, ok := s.(innerStatement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver makes statements of type %T", s), s.Close())
	}
	return &statement{made}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return cut(ctx, func(ctx context.Context) (driver.Result, error) { return c.inner.ExecContext(ctx, query, args) }, func(driver.Result) {})
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return rowsOf(ctx, func(ctx context.Context) (driver.Rows, error) { return c.inner.QueryContext(ctx, query, args) })
}

type innerStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type statement struct{ innerStatement }

func (s *statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return cut(ctx, func(ctx context.Context) (driver.Result, error) { return s.innerStatement.ExecContext(ctx, args) }, func(driver.Result) {})
}

func (s *statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return rowsOf(ctx, func(ctx context.Context) (driver.Rows, error) { return s.innerStatement.QueryContext(ctx, args) })
}

func rowsOf(ctx context.Context, query func(ctx context.Context) (driver.Rows, error)) (driver.Rows, error) {
	found, err := cut(ctx, query, func(r driver.Rows) { _ = r.Close() })
	if err != nil {
		return nil, err
	}
	return &rows{Rows: found, ctx: ctx}, nil
}

// rows are cancelled between rows, too.
type rows struct {
	driver.Rows

	ctx  context.Context //nolint:containedctx // that of the query
	read int
}

// fewRows is how many rows of a query are calls that are cancelled. Those behind are like them.
const fewRows = 3

func (r *rows) Next(into []driver.Value) error {
	if r.read++; r.read > fewRows {
		return r.Rows.Next(into)
	}
	_, err := cut(r.ctx, func(context.Context) (struct{}, error) { return struct{}{}, r.Rows.Next(into) }, func(struct{}) {})
	return err
}

// Close is a call that always closes: a driver may say that it failed, and does not keep what it was to close.
func (r *rows) Close() error {
	if p, ok := r.ctx.Value(key{}).(*plan); !ok || p.fault == nil {
		return r.Rows.Close()
	}
	closed := false
	_, err := cut(r.ctx, func(context.Context) (struct{}, error) { closed = true; return struct{}{}, r.Rows.Close() }, func(struct{}) {})
	if !closed {
		err = errors.Join(err, r.Rows.Close())
	}
	return err
}
