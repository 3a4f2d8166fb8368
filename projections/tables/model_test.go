package tables_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/projections"
)

// model is a database as naive as can be, and strict: it applies operations to maps and refuses what the contract of
// projections.Rows or the definition of a table forbids.
type model struct {
	tables map[string]*modelTable
	order  []string
}

type modelTable struct {
	projections.Table
	at   map[string]int   // place of a column
	rows map[string][]any // by the text of the key
}

func newModel(all ...projections.Projection) *model {
	m := &model{tables: map[string]*modelTable{}}
	for _, p := range all {
		for _, t := range p.Tables {
			m.tables[t.Name] = &modelTable{Table: t, at: map[string]int{}, rows: map[string][]any{}}
			for i, c := range t.Columns {
				m.tables[t.Name].at[c.Name] = i
			}
			m.order = append(m.order, t.Name)
		}
	}
	return m
}

// write applies the operations of a page.
func (m *model) write(ops []projections.Op) error {
	for _, op := range ops {
		t := m.tables[op.Table]
		if t == nil {
			return fmt.Errorf("no table %q", op.Table)
		}
		if err := t.apply(op); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

func (t *modelTable) apply(op projections.Op) error {
	if t.AppendOnly && op.Kind != projections.OpInsert {
		return fmt.Errorf("operation %d on an append-only table", op.Kind)
	}
	switch op.Kind {
	case projections.OpInsert, projections.OpUpsert:
		if err := t.checkRow(op.Row); err != nil {
			return err
		}
		key := keyOf(op.Row[:len(t.Key)])
		if _, held := t.rows[key]; held && op.Kind == projections.OpInsert {
			return fmt.Errorf("insert: key %s is there", key)
		}
		t.rows[key] = slices.Clone(op.Row)
	case projections.OpUpdate:
		return t.update(op)
	case projections.OpDelete:
		if len(op.Key) == 0 || len(op.Key) > len(t.Key) {
			return fmt.Errorf("delete by %d values of a key of %d", len(op.Key), len(t.Key))
		}
		for key, row := range t.rows {
			if keyOf(row[:len(op.Key)]) == keyOf(op.Key) {
				delete(t.rows, key)
			}
		}
	default:
		return fmt.Errorf("operation %d", op.Kind)
	}
	return nil
}

func (t *modelTable) update(op projections.Op) error {
	row, held := t.rows[keyOf(op.Key)]
	if len(op.Key) != len(t.Key) || !held {
		return fmt.Errorf("update: no row %s", keyOf(op.Key))
	}
	if err := t.check(op.Set, op.To); err != nil {
		return err
	}
	for i, name := range op.Set {
		if t.at[name] < len(t.Key) {
			return fmt.Errorf("update sets %q", name)
		}
		row[t.at[name]] = op.To[i]
	}
	return nil
}

// checkRow reports the first value that its column does not hold.
func (t *modelTable) checkRow(row []any) error {
	if len(row) != len(t.Columns) {
		return fmt.Errorf("%d values for %d columns", len(row), len(t.Columns))
	}
	for i, c := range t.Columns {
		if err := holds(c, row[i]); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return nil
}

// check reports the first value that its column does not hold.
func (t *modelTable) check(columns []string, values []any) error {
	if len(columns) != len(values) {
		return fmt.Errorf("%d values for %d columns", len(values), len(columns))
	}
	for i, name := range columns {
		at, known := t.at[name]
		if !known {
			return fmt.Errorf("no column %q", name)
		}
		if err := holds(t.Columns[at], values[i]); err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
	}
	return nil
}

func holds(c projections.Column, value any) error {
	fits := false
	switch v := value.(type) {
	case nil:
		fits = c.Null
	case string:
		fits = c.Type == projections.Text
		if strings.ContainsRune(v, 0) {
			return fmt.Errorf("%q holds a NUL", v)
		}
		if v == "" && c.Null {
			return fmt.Errorf("empty text where NULL is meant")
		}
	case int, int64:
		fits = c.Type == projections.Integer
	case bool:
		fits = c.Type == projections.Boolean
	case time.Time:
		fits = c.Type == projections.Timestamp
	case json.RawMessage:
		return holds(c, []byte(v))
	case []byte:
		fits = c.Type == projections.JSON && json.Valid(v)
	}
	if !fits {
		return fmt.Errorf("%T %v does not fit", value, value)
	}
	return nil
}

// endPage reports the first foreign key of a projection that leads nowhere.
func (m *model) endPage(p projections.Projection) error {
	for _, table := range p.Tables {
		name, t := table.Name, m.tables[table.Name]
		for _, f := range t.Foreign {
			for _, row := range t.rows {
				key := t.pick(row, f.Columns)
				if slices.Contains(key, nil) {
					continue
				}
				parent := m.tables[f.Table]
				if !slices.Equal(parent.Key, f.Targets) {
					return fmt.Errorf("%s: reference to %v of %s, whose key is %v", name, f.Targets, f.Table, parent.Key)
				}
				if _, held := parent.rows[keyOf(key)]; !held {
					return fmt.Errorf("%s: row %s: no %s in %s", name, keyOf(row[:len(t.Key)]), keyOf(key), f.Table)
				}
			}
		}
	}
	return nil
}

// pick returns the values of columns.
func (t *modelTable) pick(row []any, columns []string) []any {
	out := make([]any, len(columns))
	for i, c := range columns {
		at, known := t.at[c]
		if !known {
			panic(fmt.Sprintf("test asks for column %q, which %s lacks", c, t.Name))
		}
		out[i] = row[at]
	}
	return out
}

// sorted returns the rows by key, numbers before texts and by size.
func (t *modelTable) sorted() [][]any {
	rows := make([][]any, 0, len(t.rows))
	for _, row := range t.rows {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b []any) int {
		for i := range t.Key {
			if c := compare(a[i], b[i]); c != 0 {
				return c
			}
		}
		return 0
	})
	return rows
}

func compare(a, b any) int {
	x, xNumber := number(a)
	y, yNumber := number(b)
	if xNumber && yNumber {
		return int(x - y)
	}
	return strings.Compare(show(a), show(b))
}

func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	}
	return 0, false
}

// dump is the whole content, the same for equal content.
func (m *model) dump() string {
	var out strings.Builder
	for _, name := range m.order {
		t := m.tables[name]
		for _, row := range t.sorted() {
			fmt.Fprintf(&out, "%s", name)
			for i, c := range t.Columns {
				fmt.Fprintf(&out, " %s=%s", c.Name, show(row[i]))
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func keyOf(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = show(v)
	}
	return strings.Join(texts, "/")
}

// show is a value as tests write it: NULL is "-".
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case time.Time:
		return v.UTC().Format("2006-01-02T15:04:05.000000Z")
	case []byte:
		return string(v)
	case json.RawMessage:
		return string(v)
	}
	return fmt.Sprint(v)
}
