package postgres

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/projections"
)

// pairs is a table with a key of two columns, so that deletes have prefixes.
func pairs() projections.Table {
	return projections.Table{
		Name: "pairs", Key: []string{"a", "b"},
		Columns: []projections.Column{
			{Name: "a", Type: projections.Integer},
			{Name: "b", Type: projections.Text},
			{Name: "x", Type: projections.Integer},
			{Name: "y", Type: projections.Text, Null: true},
			{Name: "z", Type: projections.Boolean},
		},
	}
}

// memory is a table in memory: rows by the text of their key.
type memory map[string][]any

func textOf(values []any) string {
	bound, err := bindAll(pairs().Columns, values)
	if err != nil {
		panic(err)
	}
	text, _ := keyText(bound)
	return text
}

// one does an operation as the contract describes it.
func (m memory) one(op projections.Op) error {
	switch op.Kind {
	case projections.OpInsert:
		if m[textOf(op.Row[:2])] != nil {
			return errSameKey
		}
		m[textOf(op.Row[:2])] = slices.Clone(op.Row)
	case projections.OpUpsert:
		m[textOf(op.Row[:2])] = slices.Clone(op.Row)
	case projections.OpUpdate:
		row := m[textOf(op.Key)]
		if row == nil {
			return errNoRow
		}
		for i, name := range op.Set {
			row[slices.IndexFunc(pairs().Columns, func(c projections.Column) bool { return c.Name == name })] = op.To[i]
		}
	case projections.OpDelete:
		maps.DeleteFunc(m, func(_ string, row []any) bool { return textOf(row[:len(op.Key)]) == textOf(op.Key) })
	}
	return nil
}

// all does the result of operations, in the order that effect describes.
func (m memory) all(e effect) error {
	for _, key := range e.absent {
		if m[textOf(key)] != nil {
			return errSameKey
		}
	}
	for _, key := range e.present {
		if m[textOf(key)] == nil {
			return errNoRow
		}
	}
	for _, prefixes := range e.deletes {
		for _, prefix := range prefixes {
			maps.DeleteFunc(m, func(_ string, row []any) bool { return textOf(row[:len(prefix)]) == textOf(prefix) })
		}
	}
	for _, row := range e.inserts {
		if m[textOf(row[:2])] != nil {
			return errSameKey
		}
		m[textOf(row[:2])] = slices.Clone(row)
	}
	for _, row := range e.upserts {
		m[textOf(row[:2])] = slices.Clone(row)
	}
	for _, u := range e.updates {
		for _, row := range u.rows {
			there := m[textOf(row[:2])]
			if there == nil {
				return errNoRow
			}
			for i, c := range u.columns {
				there[c] = row[2+i]
			}
		}
	}
	return nil
}

func (m memory) clone() memory {
	out := memory{}
	for text, row := range m {
		out[text] = slices.Clone(row)
	}
	return out
}

// drawOp draws an operation on few keys, so that many meet.
func drawOp(t *rapid.T) projections.Op {
	a, b := int64(rapid.IntRange(1, 2).Draw(t, "a")), rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "b")
	x, y := int64(rapid.IntRange(0, 9).Draw(t, "x")), rapid.SampledFrom([]any{nil, "u", "v"}).Draw(t, "y")
	z := rapid.Bool().Draw(t, "z")
	op := projections.Op{Kind: projections.OpKind(rapid.IntRange(1, 4).Draw(t, "kind")), Table: "pairs"}
	switch op.Kind {
	case projections.OpInsert, projections.OpUpsert:
		op.Row = []any{a, b, x, y, z}
	case projections.OpUpdate:
		sets := [][]string{{"x"}, {"y"}, {"z", "x"}, {"x", "y", "z"}}
		op.Key, op.Set = []any{a, b}, rapid.SampledFrom(sets).Draw(t, "set")
		for _, name := range op.Set {
			op.To = append(op.To, map[string]any{"x": x, "y": y, "z": z}[name])
		}
	case projections.OpDelete:
		op.Key = []any{a, b}[:rapid.IntRange(1, 2).Draw(t, "prefix")]
	}
	return op
}

// What operations come to together, they come to one after the other; and they are refused together exactly when one of
// them would be refused.
func TestFoldedOperationsAreTheOperations(t *testing.T) {
	t.Parallel()
	var db DB
	db.options.Schema = "x"
	db.sql = newStatements("x")
	rapid.Check(t, func(rt *rapid.T) {
		before := memory{}
		for range rapid.IntRange(0, 4).Draw(rt, "rows before") {
			_ = before.one(projections.Op{Kind: projections.OpUpsert, Row: []any{
				int64(rapid.IntRange(1, 2).Draw(rt, "a")), rapid.SampledFrom([]string{"", "p", "q"}).Draw(rt, "b"), int64(-1), nil, false,
			}})
		}
		for range 20 {
			ops := rapid.SliceOfN(rapid.Custom(drawOp), 0, 12).Draw(rt, "ops")
			compareFold(rt, db.newPlan(projections.Ref{Number: 1}, []projections.Table{pairs()}), before, ops)
		}
	})
}

func compareFold(t *rapid.T, p *plan, before memory, ops []projections.Op) {
	naive, refusal := before.clone(), error(nil)
	for _, op := range ops {
		if refusal = naive.one(op); refusal != nil {
			break
		}
	}
	folded := before.clone()
	effects, err := p.fold(ops)
	for _, e := range effects {
		if err == nil {
			err = folded.all(e)
		}
	}
	switch {
	case (err == nil) != (refusal == nil) || err != nil && !errors.Is(err, projections.ErrRefused):
		t.Fatalf("together: %v; one after the other: %v", err, refusal)
	case err == nil && fmt.Sprint(folded) != fmt.Sprint(naive):
		t.Fatalf("together: %v; one after the other: %v", folded, naive)
	}
}
