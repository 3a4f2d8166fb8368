package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/projections"
)

var (
	errAppendOnly = fmt.Errorf("%w: the table is append-only", projections.ErrRefused)
	errShape      = fmt.Errorf("%w: the operation does not fit the table", projections.ErrRefused)
	errNoRow      = fmt.Errorf("%w: there is no row with the key of the update", projections.ErrRefused)
	errSameKey    = fmt.Errorf("%w: there is a row with the key of the insert", projections.ErrRefused)
	errNoTable    = fmt.Errorf("%w: the projection has no such table", projections.ErrRefused)
)

// effect is what operations on one table come to, all in all. Done in the order of its fields, it leaves the rows that the
// operations leave when they are done one after the other, and is refused when one of them would be.
type effect struct {
	table   *tablePlan
	absent  [][]any         // keys of which the table must have no row before
	present [][]any         // keys of which it must have one
	deletes [][][]any       // prefixes of keys, by their length less one
	inserts [][]any         // rows whose key is new by then
	upserts [][]any         // rows whose key may be there
	updates []*columnUpdate // of rows that must be there
}

// columnUpdate sets the same columns of several rows.
type columnUpdate struct {
	columns []int   // in order
	rows    [][]any // each a key and the values of columns
}

// presence is what is known of a row.
type presence int

const (
	unknown presence = iota
	absent
	present
)

// change is what a page does to one row.
type change struct {
	key  []any
	text string   // of the key
	ends []int    // of the prefixes in that text
	step int      // the last operation that touched it, from 1
	need presence // what must have been so before the page
	now  presence
	// cleared: whatever row there was, a delete of the page has taken it away before the row that is there now.
	cleared bool
	row     []any // now present: whole, or the columns in set
	set     []int // columns that are set of a row of which the rest is not known; nil when row is whole
}

// folder folds operations on one table. It knows nothing of the rows that are there.
type folder struct {
	table   *tablePlan
	changes map[string]*change
	order   []*change
	deleted []map[string]int // by the length of the prefix less one: its last delete
	effect  effect
}

func newFolder(t *tablePlan) *folder {
	n := len(t.Key)
	f := &folder{table: t, changes: map[string]*change{}, deleted: make([]map[string]int, n)}
	f.effect = effect{table: t, deletes: make([][][]any, n)}
	return f
}

// add folds the operation that is number step. It fails with what is wrong with the operation, as far as that shows without
// the rows that are there.
func (f *folder) add(op projections.Op, step int) error {
	if f.table.AppendOnly && op.Kind != projections.OpInsert {
		return errAppendOnly
	}
	switch op.Kind {
	case projections.OpInsert, projections.OpUpsert:
		return f.put(op, step)
	case projections.OpUpdate:
		return f.update(op, step)
	case projections.OpDelete:
		return f.remove(op, step)
	default:
		return fmt.Errorf("%w: unknown kind %d", errShape, op.Kind)
	}
}

func (f *folder) put(op projections.Op, step int) error {
	t := f.table
	if len(op.Row) != len(t.Columns) {
		return fmt.Errorf("%w: a row of %d values for %d columns", errShape, len(op.Row), len(t.Columns))
	}
	row, err := bindAll(t.Columns, op.Row)
	if err != nil {
		return err
	}
	c := f.at(row[:len(t.Key):len(t.Key)])
	if op.Kind == projections.OpInsert {
		switch c.now {
		case present:
			return errSameKey
		case unknown:
			c.need = absent
		case absent:
		}
	}
	c.step, c.now, c.row, c.set = step, present, row, nil
	return nil
}

func (f *folder) update(op projections.Op, step int) error {
	t := f.table
	if len(op.Key) != len(t.Key) || len(op.Set) == 0 || len(op.Set) != len(op.To) {
		return fmt.Errorf("%w: want the whole key and a value for each of the columns", errShape)
	}
	columns, at := make([]projections.Column, len(op.Set)), make([]int, len(op.Set))
	for i, name := range op.Set {
		j, ok := t.at[name]
		if !ok || j < len(t.Key) || slices.Contains(op.Set[:i], name) {
			return fmt.Errorf("%w: column %q cannot be set", errShape, name)
		}
		columns[i], at[i] = t.Columns[j], j
	}
	to, err := bindAll(columns, op.To)
	if err != nil {
		return err
	}
	key, err := bindAll(t.Columns, op.Key)
	if err != nil {
		return err
	}
	c := f.at(key)
	switch c.now {
	case absent:
		return errNoRow
	case unknown:
		c.need, c.now = present, present
		c.row, c.set = make([]any, len(t.Columns)), []int{}
	case present:
	}
	c.step = step
	for i, j := range at {
		c.row[j] = to[i]
		if c.set != nil && !slices.Contains(c.set, j) {
			c.set = append(c.set, j)
		}
	}
	return nil
}

func (f *folder) remove(op projections.Op, step int) error {
	n := len(op.Key)
	if n == 0 || n > len(f.table.Key) {
		return fmt.Errorf("%w: a prefix of %d values for a key of %d", errShape, n, len(f.table.Key))
	}
	prefix, err := bindAll(f.table.Columns, op.Key)
	if err != nil {
		return err
	}
	text, _ := keyText(prefix)
	if f.deleted[n-1] == nil {
		f.deleted[n-1] = map[string]int{}
	}
	if f.deleted[n-1][text] == 0 {
		f.effect.deletes[n-1] = append(f.effect.deletes[n-1], prefix)
	}
	f.deleted[n-1][text] = step // changes learn of it when they are looked at again
	return nil
}

// at returns the change of the row with that key, up to date.
func (f *folder) at(key []any) *change {
	text, ends := keyText(key)
	c, ok := f.changes[text]
	if !ok {
		c = &change{key: key, text: text, ends: ends}
		f.changes[text] = c
		f.order = append(f.order, c)
	}
	f.refresh(c)
	return c
}

// refresh has c learn of the deletes since it was touched last.
func (f *folder) refresh(c *change) {
	for i, end := range c.ends {
		if last := f.deleted[i][c.text[:end]]; last > c.step {
			c.step, c.now, c.cleared, c.row, c.set = last, absent, true, nil, nil
		}
	}
}

// finish returns the result of all.
func (f *folder) finish() effect {
	groups := map[string]*columnUpdate{}
	for _, c := range f.order {
		f.refresh(c)
		f.conclude(c, groups)
	}
	return f.effect
}

func (f *folder) conclude(c *change, groups map[string]*columnUpdate) {
	whole := c.now == present && c.set == nil
	inserted := whole && (c.cleared || c.need == absent)
	switch {
	case c.need == absent && (c.cleared || !whole): // nothing else would notice
		f.effect.absent = append(f.effect.absent, c.key)
	case c.need == present && c.set == nil:
		f.effect.present = append(f.effect.present, c.key)
	}
	switch {
	case inserted:
		f.effect.inserts = append(f.effect.inserts, c.row)
	case whole:
		f.effect.upserts = append(f.effect.upserts, c.row)
	case c.now == present:
		f.group(c, groups)
	}
}

// group puts the update of a row to those of the same columns.
func (f *folder) group(c *change, groups map[string]*columnUpdate) {
	slices.Sort(c.set)
	var name strings.Builder
	row := slices.Clone(c.key)
	for _, i := range c.set {
		fmt.Fprintf(&name, "%d,", i)
		row = append(row, c.row[i])
	}
	g, ok := groups[name.String()]
	if !ok {
		g = &columnUpdate{columns: c.set}
		groups[name.String()] = g
		f.effect.updates = append(f.effect.updates, g)
	}
	g.rows = append(g.rows, row)
}

// fold returns what ops come to: for most tables one effect each, in any order, since references are checked at the end of the
// page. Of a table with a unique index beside its key, every operation is an effect of its own, in order: two of its rows may
// change places only by way of a third, and what that is depends on the order.
func (p *plan) fold(ops []projections.Op) ([]effect, error) {
	var effects []effect
	folders := map[string]*folder{}
	var order []*folder
	for i, op := range ops {
		t, ok := p.tables[op.Table]
		if !ok {
			return nil, &projections.OpError{Index: i, Table: op.Table, Err: errNoTable}
		}
		f := folders[op.Table]
		if f == nil || t.ordered {
			f = newFolder(t)
			folders[op.Table] = f
			order = append(order, f)
		}
		if err := f.add(op, i+1); err != nil {
			return nil, &projections.OpError{Index: i, Table: op.Table, Err: err}
		}
	}
	for _, f := range order {
		effects = append(effects, f.finish())
	}
	return effects, nil
}
