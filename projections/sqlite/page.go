package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/internal/sqlitetx"
	"github.com/gxpledger/gxpledger/projections"
)

// plan is how the rows of one build are written.
type plan struct {
	build  int
	tables map[string]*tablePlan
}

// tablePlan is how the rows of one table are written.
type tablePlan struct {
	table   projections.Table
	insert  string
	upsert  string
	updates []updatePlan // one for each set of columns that was ever set: a handful
	deletes []string     // by the length of the prefix, less one
	// keyed reports that the index over the key exists. A table that is being filled has none until an operation must
	// find a row by its key. REQUIRES: the turn.
	keyed bool
}

// updatePlan is how a set of columns is updated.
type updatePlan struct {
	set     []string
	columns []projections.Column
	query   string
}

func newPlan(build int, tables []projections.Table, keyed bool) *plan { //revive:disable-line:flag-parameter // the state of a fresh build, not a switch
	p := &plan{build: build, tables: make(map[string]*tablePlan, len(tables))}
	for _, t := range tables {
		tp := &tablePlan{
			table: t, insert: insertSQL(t, build), upsert: upsertSQL(t, build), keyed: keyed || rowidKey(t),
		}
		for n := range t.Key {
			tp.deletes = append(tp.deletes, deleteSQL(t, build, n+1))
		}
		p.tables[t.Name] = tp
	}
	return p
}

func insertSQL(t projections.Table, build int) string {
	return fmt.Sprintf("INSERT INTO %s VALUES (%s)", quote(physical(t.Name, build)),
		strings.TrimSuffix(strings.Repeat("?, ", len(t.Columns)), ", "))
}

func upsertSQL(t projections.Table, build int) string {
	rest := columnNames(t)[len(t.Key):]
	action := "NOTHING"
	if len(rest) > 0 {
		sets := make([]string, len(rest))
		for i, c := range rest {
			sets[i] = quote(c) + " = excluded." + quote(c)
		}
		action = "UPDATE SET " + strings.Join(sets, ", ")
	}
	return insertSQL(t, build) + fmt.Sprintf(" ON CONFLICT (%s) DO %s", list(t.Key), action)
}

func updateSQL(t projections.Table, build int, set []string) string {
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s", quote(physical(t.Name, build)), equals(set, ", "), equals(t.Key, " AND "))
}

func deleteSQL(t projections.Table, build, prefix int) string {
	return fmt.Sprintf("DELETE FROM %s WHERE %s", quote(physical(t.Name, build)), equals(t.Key[:prefix], " AND "))
}

func equals(names []string, between string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = quote(n) + " = ?"
	}
	return strings.Join(parts, between)
}

// plan returns the plan of a build, made at its first page. REQUIRES: the turn.
func (db *DB) plan(ref projections.Ref, state projections.BuildState, tables []projections.Table) *plan {
	db.mu.Lock()
	defer db.mu.Unlock()
	p, ok := db.plans[ref]
	if !ok {
		p = newPlan(ref.Number, tables, state != projections.BuildFilling)
		db.plans[ref] = p
	}
	return p
}

// forgetPlan makes the next page plan again: the build got its keys, lost its transaction, or is gone.
func (db *DB) forgetPlan(ref projections.Ref) {
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.plans, ref)
}

// WritePage implements [projections.Database].
func (db *DB) WritePage(ctx context.Context, page projections.Page) error {
	w := db.live
	// Rows of a build that nobody reads may break a reference for the moment; FinishBuild checks them all. Which kind
	// the build is cannot change while we hold its lease, and is checked again below.
	state, err := db.stateOf(ctx, page.Lease.Ref)
	if err == nil && state == projections.BuildFilling {
		w = db.bulk
	}
	if err == nil {
		err = db.write(ctx, w, func(inside context.Context, tx *sql.Conn) error {
			return db.writePage(inside, ctx, w, page)
		})
	}
	if err != nil {
		db.forgetPlan(page.Lease.Ref)
		return fmt.Errorf("cannot write page of %s build %d up to position %d: %w", page.Lease.Projection, page.Lease.Number, page.To.Position, err)
	}
	return nil
}

func (db *DB) stateOf(ctx context.Context, ref projections.Ref) (projections.BuildState, error) {
	var state projections.BuildState
	err := db.read.QueryRowContext(ctx, "SELECT state FROM projection_builds WHERE projection = ? AND build = ?",
		ref.Projection, ref.Number).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%w: %w", projections.ErrLeaseLost, projections.ErrNoBuild)
	}
	return state, translate(err)
}

// writePage runs inside the transaction; outer is the context that may be cancelled.
func (db *DB) writePage(inside, outer context.Context, w *writer, page projections.Page) error {
	_, s, err := db.load(inside, w.conn, page.Lease.Projection, page.Lease.Number)
	if err == nil {
		err = s.Write(page.Lease, page.From.Point())
	}
	if err != nil {
		return err
	}
	p := db.plan(page.Lease.Ref, s.Builds[0].State, page.Tables)
	err = w.raw(func(c driver.ConnPrepareContext) error {
		a := applier{w: w, conn: c, plan: p}
		before := 0
		for ops, err := range page.Parts() {
			if err != nil {
				return err
			}
			for i, op := range ops {
				if i%256 == 0 && outer.Err() != nil {
					return outer.Err()
				}
				if err := a.apply(inside, op); err != nil {
					return &projections.OpError{Index: before + i, Table: op.Table, Err: err}
				}
			}
			before += len(ops)
		}
		return nil
	})
	if err != nil {
		return refused(err)
	}
	return db.moveCheckpoint(inside, w.conn, page)
}

// refused keeps an OpError only where the rows are at fault, not the disk.
func refused(err error) error {
	var op *projections.OpError
	if !errors.As(err, &op) {
		return err
	}
	if cause := translate(op.Err); !errors.Is(cause, projections.ErrRefused) {
		return fmt.Errorf("table %s: %w", op.Table, cause)
	}
	return err
}

// moveCheckpoint is where fencing is proved: one row must be the lease's and at the expected place.
func (db *DB) moveCheckpoint(ctx context.Context, tx *sql.Conn, page projections.Page) error {
	now := db.options.Now()
	result, err := tx.ExecContext(ctx, `
UPDATE projection_builds
SET log = ?, position = ?, event = ?, stream = nullif(?, ''), revision = ?, updated_at = ?, expires_at = ?,
    fault_position = NULL, fault_event = NULL, fault_type = NULL, fault_text = NULL, fault_at = NULL
WHERE projection = ? AND build = ? AND token = ? AND version = ? AND log = ? AND position = ? AND event = ? AND state <> 'retired'
    AND cancelled_by IS NULL`,
		page.To.Log.String(), int64(page.To.Position), page.To.Event.String(), //nolint:gosec // positions stay far below 2^63
		string(page.To.Stream), int64(page.To.Revision), stamp(now), stamp(now.Add(page.Lease.TTL)), //nolint:gosec // see above
		page.Lease.Projection, page.Lease.Number, int64(page.Lease.Token), //nolint:gosec // tokens stay far below 2^63
		page.To.Version, page.From.Log.String(), int64(page.From.Position), page.From.Event.String()) //nolint:gosec // see above
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%w: the checkpoint update found %d rows: %w", projections.ErrMoved, n, err)
	}
	return nil
}

// applier turns operations into statements.
type applier struct {
	w    *writer
	conn driver.ConnPrepareContext
	plan *plan
	binder
	args []driver.NamedValue // reused
}

var (
	errAppendOnly = fmt.Errorf("%w: the table is append-only", projections.ErrRefused)
	errShape      = fmt.Errorf("%w: the operation does not fit the table", projections.ErrRefused)
	errNoRow      = fmt.Errorf("%w: there is no row with the key of the update", projections.ErrRefused)
)

func (a *applier) apply(ctx context.Context, op projections.Op) error {
	t, ok := a.plan.tables[op.Table]
	if !ok {
		return fmt.Errorf("%w: the projection has no such table", projections.ErrRefused)
	}
	query, err := a.statement(t, op)
	if err != nil {
		return err
	}
	if op.Kind != projections.OpInsert && !t.keyed {
		if err := a.run(ctx, createKey(t.table, a.plan.build)); err != nil {
			return err
		}
		t.keyed = true
	}
	s, err := a.w.prepare(ctx, a.conn, query)
	if err != nil {
		return err
	}
	result, err := s.ExecContext(ctx, a.args)
	if err != nil {
		return err
	}
	if op.Kind != projections.OpUpdate {
		return nil
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errNoRow, err)
	}
	return nil
}

// run executes a statement that is not worth keeping.
func (a *applier) run(ctx context.Context, query string) error {
	s, err := a.conn.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	run, ok := s.(statement)
	if !ok {
		return errors.Join(fmt.Errorf("driver statement %T cannot execute", s), s.Close())
	}
	_, err = run.ExecContext(ctx, nil)
	return errors.Join(err, s.Close())
}

// statement returns the SQL of op and puts its values into a.args.
func (a *applier) statement(t *tablePlan, op projections.Op) (string, error) {
	a.args = a.args[:0]
	if t.table.AppendOnly && op.Kind != projections.OpInsert {
		return "", errAppendOnly
	}
	switch op.Kind {
	case projections.OpInsert, projections.OpUpsert:
		if len(op.Row) != len(t.table.Columns) {
			return "", fmt.Errorf("%w: a row of %d values for %d columns", errShape, len(op.Row), len(t.table.Columns))
		}
		if err := a.bindAll(t.table.Columns, op.Row); err != nil {
			return "", err
		}
		if op.Kind == projections.OpUpsert {
			return t.upsert, nil
		}
		return t.insert, nil
	case projections.OpUpdate:
		return a.update(t, op)
	case projections.OpDelete:
		if n := len(op.Key); n == 0 || n > len(t.table.Key) {
			return "", fmt.Errorf("%w: a prefix of %d values for a key of %d", errShape, n, len(t.table.Key))
		}
		return t.deletes[len(op.Key)-1], a.bindAll(t.table.Columns[:len(op.Key)], op.Key)
	default:
		return "", fmt.Errorf("%w: unknown kind %d", errShape, op.Kind)
	}
}

func (a *applier) update(t *tablePlan, op projections.Op) (string, error) {
	if len(op.Key) != len(t.table.Key) || len(op.Set) == 0 || len(op.Set) != len(op.To) {
		return "", fmt.Errorf("%w: want the whole key and a value for each of the columns", errShape)
	}
	p, err := t.update(op.Set, a.plan.build)
	if err != nil {
		return "", err
	}
	if err := a.bindAll(p.columns, op.To); err != nil {
		return "", err
	}
	return p.query, a.bindAll(t.table.Columns[:len(op.Key)], op.Key)
}

// update returns how the columns set are updated.
func (t *tablePlan) update(set []string, build int) (updatePlan, error) {
	for _, p := range t.updates {
		if slices.Equal(p.set, set) {
			return p, nil
		}
	}
	p := updatePlan{set: slices.Clone(set), query: updateSQL(t.table, build, set)}
	for _, name := range set {
		i := slices.IndexFunc(t.table.Columns, func(c projections.Column) bool { return c.Name == name })
		if i < len(t.table.Key) { // the key's columns come first
			return updatePlan{}, fmt.Errorf("%w: column %q cannot be set", errShape, name)
		}
		p.columns = append(p.columns, t.table.Columns[i])
	}
	t.updates = append(t.updates, p)
	return p, nil
}

// bindAll adds values of columns to the arguments.
func (a *applier) bindAll(columns []projections.Column, values []any) error {
	for i, value := range values {
		bound, err := a.bind(columns[i], value)
		if err != nil {
			return err
		}
		a.args = append(a.args, driver.NamedValue{Ordinal: len(a.args) + 1, Value: bound})
	}
	return nil
}

// binder turns values into what SQLite stores.
type binder struct {
	at   time.Time // the last one, which the rows of a batch share
	text driver.Value
}

// bind returns what SQLite stores for a value of column c. A value that does not fit the column is refused: SQLite's own
// checks would let some of them through in another form.
func (b *binder) bind(c projections.Column, value any) (driver.Value, error) {
	if err := c.Check(value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case int:
		return int64(v), nil
	case bool:
		return bit(v), nil
	case time.Time:
		return b.timestamp(v), nil
	case json.RawMessage:
		return string(v), nil
	case []byte:
		return string(v), nil
	default:
		return value, nil // without boxing the text again
	}
}

// bit returns 1 for true, as SQLite does.
func bit(v bool) int64 { //revive:disable-line:flag-parameter // the value itself, not a switch
	if v {
		return 1
	}
	return 0
}

func (b *binder) timestamp(t time.Time) driver.Value {
	if b.text == nil || !t.Equal(b.at) {
		b.at, b.text = t, stamp(t)
	}
	return b.text
}

// column turns what SQLite returned for column c back into a value of its type.
func column(c projections.Column, stored driver.Value) (any, error) {
	switch v := stored.(type) {
	case nil:
		return nil, nil //nolint:nilnil // nil is the value, NULL
	case string:
		switch c.Type {
		case projections.Text, projections.Timestamp:
			return stored, nil // without boxing the text again
		case projections.JSON:
			return json.RawMessage(v), nil
		case projections.Integer, projections.Boolean:
		}
	case int64:
		switch c.Type {
		case projections.Integer:
			return stored, nil
		case projections.Boolean:
			return v != 0, nil
		case projections.Text, projections.Timestamp, projections.JSON:
		}
	}
	return nil, fmt.Errorf("column %s: holds a %T, which is not a value of its type", c.Name, stored)
}

// writer is one connection that writes. Its user holds the turn of the DB.
type writer struct {
	db   *sql.DB
	conn *sql.Conn // nil when it was dropped
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
	w := &writer{db: db, statements: map[string]statement{}}
	if err := w.connect(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return w, nil
}

// connect connects unless there is a connection.
func (w *writer) connect(ctx context.Context) (err error) {
	if w.conn == nil {
		w.conn, err = w.db.Conn(ctx)
	}
	return err
}

// drop closes the connection, of which the next transaction makes a new one.
func (w *writer) drop() {
	_ = w.forget()
	sqlitetx.Drop(w.conn)
	w.conn = nil
}

func (w *writer) close() error {
	err := w.forget()
	if w.conn != nil {
		err = errors.Join(err, ignoreDone(w.conn.Close()))
	}
	return errors.Join(err, w.db.Close())
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
	if err := w.connect(ctx); err != nil {
		return explain(err, db.path)
	}
	tx := sqlitetx.On(w.conn)
	tx.Drop = w.drop
	tries := 1
	tx.Again = func(err error) bool {
		tries++
		return tries <= db.options.BusyTries && errors.Is(translate(err), projections.ErrTransient)
	}
	return explain(tx.Write(ctx, func(ctx context.Context) error { return body(ctx, w.conn) }), db.path)
}
