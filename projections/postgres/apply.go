package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
