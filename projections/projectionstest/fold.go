package projectionstest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// Fold is what [Dump] must return for tables of p that are at position to: the events one by one, and their operations
// one by one on rows in memory. It shares no code with any database and none with the Runner.
func Fold(ctx context.Context, t TB, p projections.Projection, log projections.Log, to eventstore.Position) string {
	t.Helper()
	tables := map[string]*foldedTable{}
	for _, table := range p.Tables {
		tables[table.Name] = &foldedTable{Table: table, rows: map[string][]any{}}
	}
	for record, err := range log.Read(ctx, 0, eventstore.Filter{}) {
		must(t, "fold", err)
		if record.Position > to {
			break
		}
		event, err := eventstore.Decode(record)
		must(t, "fold", err)
		if !p.Wants(event) {
			continue
		}
		var rows projections.Rows
		must(t, "fold", p.Apply([]projections.Event{{Record: record, Event: event}}, &rows))
		for _, op := range rows.Ops() {
			tables[op.Table].apply(op)
		}
	}
	var b strings.Builder
	for _, table := range p.Tables {
		tables[table.Name].dump(&b)
	}
	return b.String()
}

// foldedTable holds rows by the text of their key.
type foldedTable struct {
	projections.Table
	rows map[string][]any
}

func keyText(values []any) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%v\x00", v)
	}
	return b.String()
}

func (f *foldedTable) apply(op projections.Op) {
	switch op.Kind {
	case projections.OpInsert, projections.OpUpsert:
		f.rows[keyText(op.Row[:len(f.Key)])] = slices.Clone(op.Row)
	case projections.OpUpdate:
		row := f.rows[keyText(op.Key)]
		for i, name := range op.Set {
			row[slices.IndexFunc(f.Columns, func(c projections.Column) bool { return c.Name == name })] = op.To[i]
		}
	case projections.OpDelete:
		prefix := keyText(op.Key)
		for key := range f.rows {
			if strings.HasPrefix(key, prefix) {
				delete(f.rows, key)
			}
		}
	}
}

// dump writes the rows as Dump does. The keys of tests are integers and short texts.
func (f *foldedTable) dump(b *strings.Builder) {
	rows := make([][]any, 0, len(f.rows))
	for _, row := range f.rows {
		for i, value := range row {
			row[i] = canonical(value)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(x, y []any) int {
		for i := range f.Key {
			if order := compareKeys(x[i], y[i]); order != 0 {
				return order
			}
		}
		return 0
	})
	for _, row := range rows {
		b.WriteString(f.Name)
		for i, c := range f.Columns {
			fmt.Fprintf(b, " %s=%s", c.Name, plain(row[i]))
		}
		b.WriteByte('\n')
	}
}

// canonical is a value as a database returns it.
func canonical(value any) any {
	switch v := value.(type) {
	case int:
		return int64(v)
	case []byte:
		return json.RawMessage(v)
	case time.Time:
		return v.UTC().Format(projections.TimestampLayout)
	default:
		return value
	}
}

func compareKeys(x, y any) int {
	a, isA := x.(int64)
	b, isB := y.(int64)
	if isA && isB {
		return int(min(max(a-b, -1), 1))
	}
	return strings.Compare(fmt.Sprint(x), fmt.Sprint(y))
}
