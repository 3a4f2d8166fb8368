package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/projections"
)

// What is sent at once. A page may be as large as a scan: it goes out in pieces.
const (
	maxRows  = 1000      // of one statement
	maxBytes = 512 << 10 // of one statement, and of what waits to be sent: a server ends what takes longer than 10 s to arrive
)

// writer writes the rows of one page in one transaction.
type writer struct {
	db      *DB
	plan    *plan
	tx      pgx.Tx
	filling bool
	indexed map[*tablePlan]bool // whose index over the key is there

	batch   *pgx.Batch
	checks  []check
	waiting int // bytes in batch
}

// check judges the answer to a statement by the number of its rows.
type check struct {
	want int   // -1 for any
	err  error // when it is another
	mark error // what an error of the server is marked with; nil for nothing
}

// beginPage moves the checkpoint, and looks whether rows may follow.
func (db *DB) beginPage(ctx context.Context, tx pgx.Tx, page projections.Page, p *plan) (*writer, error) {
	state, err := db.move(ctx, tx, page)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, plan: p, tx: tx, filling: state == projections.BuildFilling, indexed: map[*tablePlan]bool{}, batch: &pgx.Batch{}}
	known := !w.filling || p.learned.Load()
	for _, t := range p.tables {
		w.indexed[t] = !w.filling || t.indexed.Load()
	}
	if known {
		return w, nil
	}
	return w, w.learn(ctx)
}

// learn asks which indexes over keys are there already: somebody else may have filled the build so far.
func (w *writer) learn(ctx context.Context) error {
	var keys []part
	for _, t := range w.plan.tables {
		keys = append(keys, t.key)
	}
	there, err := w.db.there(ctx, w.tx, keys)
	for _, t := range w.plan.tables {
		w.indexed[t] = there[t.key.name]
	}
	return err
}

// remember keeps, once the page is committed, what it found out or made.
func (w *writer) remember() {
	for t, indexed := range w.indexed {
		t.indexed.Store(indexed)
	}
	w.plan.learned.Store(true)
}

// write has done what effects say, once it is flushed.
func (w *writer) write(ctx context.Context, effects []effect) error {
	for i := range effects {
		if err := w.effect(ctx, &effects[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) effect(ctx context.Context, n *effect) error {
	if err := w.index(ctx, n); err != nil {
		return err
	}
	t := n.table
	keys := firstColumns(len(t.Key))
	steps := []statement{
		{t.find, keys, n.absent, check{want: 0, err: errSameKey}},
		{t.find, keys, n.present, check{want: -1, err: errNoRow}},
	}
	for i, prefixes := range n.deletes {
		steps = append(steps, statement{t.deletes[i], keys[:i+1], prefixes, check{want: -1}})
	}
	all := firstColumns(len(t.Columns))
	if !w.filling {
		steps = append(steps, statement{t.insert, all, n.inserts, check{want: -1}})
	}
	steps = append(steps, statement{t.upsert, all, n.upserts, check{want: -1}})
	for _, u := range n.updates {
		steps = append(steps, statement{t.update(u.columns), append(slices.Clip(keys), u.columns...), u.rows, check{want: -1, err: errNoRow}})
	}
	for _, s := range steps {
		if err := w.queue(ctx, t, s); err != nil {
			return err
		}
	}
	if w.filling && len(n.inserts) > 0 {
		return w.copy(ctx, t, n.inserts)
	}
	return nil
}

// index makes the index over the key of a table that is being filled, when rows must be found by it.
func (w *writer) index(ctx context.Context, n *effect) error {
	needed := len(n.absent)+len(n.present)+len(n.upserts)+len(n.updates) > 0
	for _, prefixes := range n.deletes {
		needed = needed || len(prefixes) > 0
	}
	if !needed || w.indexed[n.table] {
		return nil
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	if _, err := w.tx.Exec(ctx, n.table.key.make); err != nil {
		return err
	}
	w.indexed[n.table] = true
	return nil
}

// copy adds rows by COPY, which is fastest where nothing is checked.
func (w *writer) copy(ctx context.Context, t *tablePlan, rows [][]any) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	_, err := w.tx.CopyFrom(ctx, t.parts, columnNames(t.Table), pgx.CopyFromRows(rows))
	return err
}

// statement is one that takes rows as arrays. A check with an error and no number wants every row to be found.
type statement struct {
	sql     string
	columns []int
	rows    [][]any
	check   check
}

// queue has a statement sent, for some rows at a time.
func (w *writer) queue(ctx context.Context, t *tablePlan, s statement) error {
	for rows := s.rows; len(rows) > 0; {
		n, size := 0, 0
		for n < len(rows) && n < maxRows && size < maxBytes {
			size += sizeOf(rows[n])
			n++
		}
		c := s.check
		if c.err != nil && c.want < 0 {
			c.want = n
		}
		w.batch.Queue(s.sql, t.arrays(s.columns, rows[:n])...)
		w.checks = append(w.checks, c)
		rows = rows[n:]
		if w.waiting += size; w.waiting < maxBytes {
			continue
		}
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sizeOf is about how many bytes a row takes when it is sent.
func sizeOf(row []any) int {
	n := 12 * len(row)
	for _, value := range row {
		switch v := value.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	return n
}

// flush sends what waits and judges the answers.
func (w *writer) flush(ctx context.Context) (err error) {
	if len(w.checks) == 0 {
		return nil
	}
	results := w.tx.SendBatch(ctx, w.batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	checks := w.checks
	w.batch, w.checks, w.waiting = &pgx.Batch{}, nil, 0
	for _, c := range checks {
		done, err := results.Exec()
		if err != nil && c.mark != nil {
			err = fmt.Errorf("%w: %w", c.mark, err)
		}
		if err != nil {
			return err
		}
		if n := done.RowsAffected(); c.want >= 0 && n != int64(c.want) {
			return c.err
		}
	}
	return nil
}

// errReference marks what the server says of references, which are checked at the end of the page: no operation is known to
// be the cause.
var errReference = errors.New("a row refers to one that is not there")

// flushAndCheck has the server check what it puts off to the end, so that the commit itself can hardly fail, and flushes.
func (w *writer) flushAndCheck(ctx context.Context) error {
	w.batch.Queue("SET CONSTRAINTS ALL IMMEDIATE")
	w.checks = append(w.checks, check{want: -1, mark: errReference})
	return w.flush(ctx)
}

// WritePage implements [projections.Database].
//
// The checkpoint moves first: that is where fencing is proved, and its row keeps every other writer away until the rows are
// committed with it (I5, I8). The operations follow as a few statements for each table. Where the server refuses one, it
// does not say which operation is to blame: then the page is tried again, one operation after the other, and taken back.
func (db *DB) WritePage(ctx context.Context, page projections.Page) error {
	err := db.writePage(ctx, page)
	if err != nil {
		db.forgetPlan(page.Lease.Ref)
		return fmt.Errorf("cannot write page of %s build %d up to position %d: %w", page.Lease.Projection, page.Lease.Number, page.To.Position, err)
	}
	return nil
}

func (db *DB) writePage(ctx context.Context, page projections.Page) error {
	p := db.plan(page.Lease.Ref, page.Tables)
	effects, refusal := p.fold(page.Ops)
	var w *writer
	err := db.write(ctx, func(tx pgx.Tx) (err error) {
		if w, err = db.beginPage(ctx, tx, page, p); err != nil {
			return err
		}
		if refusal != nil {
			return refusal
		}
		if err := w.write(ctx, effects); err != nil {
			return err
		}
		if err := w.writeMore(ctx, page.More); err != nil {
			return err
		}
		if w.filling {
			return w.flush(ctx) // there are no references yet
		}
		return w.flushAndCheck(ctx)
	})
	switch {
	case err == nil:
		w.remember()
		return nil
	case errors.Is(err, projections.ErrRefused) && !errors.Is(err, errReference) && page.More == nil:
		return db.culprit(ctx, page, err)
	default:
		return err
	}
}

// writeMore writes the operations of a page that do not fit in memory together.
func (w *writer) writeMore(ctx context.Context, more iter.Seq2[[]projections.Op, error]) error {
	if more == nil {
		return nil
	}
	for ops, err := range more {
		if err != nil {
			return err
		}
		effects, err := w.plan.fold(ops)
		if err == nil {
			err = w.write(ctx, effects)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// culprit returns the first refusal of page when its operations are done one after the other. Nothing is written.
func (db *DB) culprit(ctx context.Context, page projections.Page, refusal error) error {
	p := db.newPlan(page.Lease.Ref, page.Tables)
	return db.write(ctx, func(tx pgx.Tx) error {
		w, err := db.beginPage(ctx, tx, page, p)
		if err != nil {
			return err
		}
		for i, op := range page.Ops {
			effects, err := p.fold([]projections.Op{op})
			if refused, ok := errors.AsType[*projections.OpError](err); ok {
				err = refused.Err
			}
			if err == nil {
				err = w.write(ctx, effects)
			}
			if err == nil {
				err = w.flush(ctx)
			}
			err = translate(ctx, err)
			if errors.Is(err, projections.ErrRefused) {
				return &projections.OpError{Index: i, Table: op.Table, Err: err}
			}
			if err != nil {
				return err
			}
		}
		// That would be a mistake of folding. The page is not written: nobody knows what it comes to.
		return fmt.Errorf("operations are refused together, and not one after the other: %w", refusal)
	})
}

// move moves the checkpoint and prolongs the lease. It is where fencing is proved: one row must be the lease's and at the
// expected place (I8). The hold is looked for once the row is ours, so that a pause that was answered holds.
func (db *DB) move(ctx context.Context, tx pgx.Tx, page projections.Page) (projections.BuildState, error) {
	lease, from, to := page.Lease, page.From, page.To
	var questions pgx.Batch
	questions.Queue(db.sql.move, lease.Projection, lease.Number,
		to.Log, int64(to.Position), to.Event, db.options.Now(), lease.TTL, //nolint:gosec // positions stay far below 2^63
		int64(lease.Token), to.Version, from.Log, int64(from.Position), from.Event, db.leaseClock(), //nolint:gosec // tokens stay far below 2^63
		string(to.Stream), int64(to.Revision)) //nolint:gosec // no stream has 2^63 events
	questions.Queue(db.sql.loadPause, lease.Projection)
	answers := tx.SendBatch(ctx, &questions)
	var state projections.BuildState
	moved := answers.QueryRow().Scan(&state)
	pause, err := scanPause(answers.QueryRow())
	if err := errors.Join(err, answers.Close()); err != nil {
		return "", err
	}
	switch {
	case errors.Is(moved, pgx.ErrNoRows):
		return "", db.unmoved(ctx, tx, page)
	case moved != nil:
		return "", moved
	case pause != nil && state == projections.BuildActive:
		return "", &projections.PausedError{Projection: lease.Projection, Pause: *pause}
	}
	return state, nil
}

// unmoved says why a checkpoint did not move.
func (db *DB) unmoved(ctx context.Context, tx pgx.Tx, page projections.Page) error {
	_, s, err := db.load(ctx, tx, page.Lease.Projection, page.Lease.Number)
	if err == nil {
		err = s.Write(page.Lease, page.From.Point())
	}
	if err == nil {
		err = fmt.Errorf("%w: the checkpoint update found no row", projections.ErrMoved)
	}
	return err
}

// plan is how the rows of one build are written.
type plan struct {
	tables  map[string]*tablePlan
	learned atomic.Bool // it is known which indexes over keys are there
}

// tablePlan is how the rows of one table are written.
type tablePlan struct {
	projections.Table
	at      map[string]int // of each column
	ordered bool           // operations must be done one after the other
	name    string         // quoted, with its schema
	parts   []string       // unquoted, for COPY
	key     part
	find    string
	insert  string
	upsert  string
	deletes []string // by the length of the prefix less one
	// indexed reports that the index over the key exists. A table that is being filled has none until an operation must
	// find a row by its key.
	indexed atomic.Bool
}

func (db *DB) newPlan(ref projections.Ref, tables []projections.Table) *plan {
	f := db.forms(ref)
	p := &plan{tables: make(map[string]*tablePlan, len(tables))}
	for _, t := range tables {
		tp := &tablePlan{
			Table: t, at: make(map[string]int, len(t.Columns)), name: f.table(t), parts: []string{db.options.Schema, physical(t.Name, ref.Number)},
			key: f.key(t), ordered: slices.ContainsFunc(t.Indexes, func(i projections.Index) bool { return i.Unique }),
		}
		for i, c := range t.Columns {
			tp.at[c.Name] = i
		}
		keys := firstColumns(len(t.Key))
		all := firstColumns(len(t.Columns))
		tp.find = "SELECT FROM " + tp.unnest(keys) + " JOIN " + tp.name + " AS t ON " + tp.same(keys)
		tp.insert = "INSERT INTO " + tp.name + " (" + list(columnNames(t)) + ") SELECT " + list(columnNames(t)) + " FROM " + tp.unnest(all)
		tp.upsert = tp.insert + " ON CONFLICT (" + list(t.Key) + ") DO " + tp.replace()
		for n := range t.Key {
			tp.deletes = append(tp.deletes, "DELETE FROM "+tp.name+" AS t USING "+tp.unnest(keys[:n+1])+" WHERE "+tp.same(keys[:n+1]))
		}
		p.tables[t.Name] = tp
	}
	return p
}

// firstColumns returns the places of the first n columns.
func firstColumns(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// unnest is the rows of parameters, one array for each of columns, as s.
func (t *tablePlan) unnest(columns []int) string {
	arrays, names := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, typeOf(t.Columns[c].Type))
		names[i] = quote(t.Columns[c].Name)
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") AS s (" + strings.Join(names, ", ") + ")"
}

// same says that a row of t and one of s have the same values.
func (t *tablePlan) same(columns []int) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		name := quote(t.Columns[c].Name)
		parts[i] = "t." + name + " = s." + name
	}
	return strings.Join(parts, " AND ")
}

func (t *tablePlan) replace() string {
	rest := columnNames(t.Table)[len(t.Key):]
	if len(rest) == 0 {
		return "NOTHING"
	}
	sets := make([]string, len(rest))
	for i, c := range rest {
		sets[i] = quote(c) + " = excluded." + quote(c)
	}
	return "UPDATE SET " + strings.Join(sets, ", ")
}

func (t *tablePlan) update(columns []int) string {
	sets := make([]string, len(columns))
	for i, c := range columns {
		name := quote(t.Columns[c].Name)
		sets[i] = name + " = s." + name
	}
	keys := firstColumns(len(t.Key))
	return "UPDATE " + t.name + " AS t SET " + strings.Join(sets, ", ") + " FROM " + t.unnest(append(keys, columns...)) + " WHERE " + t.same(keys)
}

// arrays are the parameters for rows of columns.
func (t *tablePlan) arrays(columns []int, rows [][]any) []any {
	out := make([]any, len(columns))
	for i, c := range columns {
		out[i] = array{rows: rows, at: i, kind: t.Columns[c].Type}
	}
	return out
}

// plan returns the plan of a build, made at its first page.
func (db *DB) plan(ref projections.Ref, tables []projections.Table) *plan {
	db.mu.Lock()
	defer db.mu.Unlock()
	p, ok := db.plans[ref]
	if !ok {
		p = db.newPlan(ref, tables)
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
