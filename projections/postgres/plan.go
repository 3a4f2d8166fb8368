package postgres

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gxpledger/gxpledger/projections"
)

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
