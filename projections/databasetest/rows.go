package databasetest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
)

func (a Adapter) testValues(t *testing.T) {
	b := begin(t, a.open(t, a.New(t)))
	bought := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.FixedZone("", 3600))
	must(t, b.write(func(r *projections.Rows) {
		r.Insert("books", "é\x01'; --\\", 7, "", true, bought, json.RawMessage(`{"b": 1.0,  "a":"\u0041", "a":[]}`))
		r.Insert("books", "a", int64(-1)<<63, nil, nil, nil, nil)
		r.Insert("books", "B", int64(1)<<62, "B", false, time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), []byte("null"))
		r.Insert("books", "\U0001F600", 0, "\uFFFD", false, time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), []byte(`""`))
	}))
	want := [][]any{
		{"B", int64(1) << 62, "B", false, "0000-01-01T00:00:00.000000Z", json.RawMessage("null")},
		{"a", int64(-1) << 63, nil, nil, nil, nil},
		{"é\x01'; --\\", int64(7), "", true, "2026-05-04T02:02:01.123456Z", json.RawMessage(`{"b": 1.0,  "a":"\u0041", "a":[]}`)},
		{"\U0001F600", int64(0), "\uFFFD", false, "9999-12-31T23:59:59.999999Z", json.RawMessage(`""`)},
	}
	compareRows(t, "filling", b.rows(0), want)
	b.show()
	must(t, b.write(func(r *projections.Rows) {
		r.Upsert("books", "é\x01'; --\\", 7, "", true, bought, json.RawMessage(`{"b": 1.0,  "a":"\u0041", "a":[]}`))
		r.Update("books", []any{"a", int64(-1) << 63}, []string{"order", "lent", "bought", "meta"}, nil, nil, nil, nil)
	}))
	compareRows(t, "live", b.rows(0), want)
}

func compareRows(t *testing.T, what string, got, want [][]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range want {
		x, err := projections.AppendRow(nil, got[i])
		must(t, err)
		y, err := projections.AppendRow(nil, want[i])
		must(t, err)
		if string(x) != string(y) {
			t.Errorf("%s: row %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// misfits are operations that do not fit the tables of the library, each behind one that does.
func misfits() map[string]func(*projections.Rows) {
	return map[string]func(*projections.Rows){
		"no such table":           func(r *projections.Rows) { r.Insert("nothing", 1) },
		"too few values":          func(r *projections.Rows) { r.Insert("loans", 1) },
		"text for a number":       func(r *projections.Rows) { r.Insert("loans", "1", nil, nil) },
		"a number for a text":     func(r *projections.Rows) { r.Insert("log_lines", 1, 1, "x") },
		"text for JSON":           func(r *projections.Rows) { r.Insert("books", "z", 1, nil, nil, nil, "{}") },
		"text that is not UTF-8":  func(r *projections.Rows) { r.Insert("log_lines", "\xff", 1, "x") },
		"text with a NUL":         func(r *projections.Rows) { r.Insert("log_lines", "a\x00", 1, "x") },
		"JSON that is not UTF-8":  func(r *projections.Rows) { r.Insert("books", "z", 1, nil, nil, nil, []byte("\"\xff\"")) },
		"NULL where none may be":  func(r *projections.Rows) { r.Insert("log_lines", "day", 1, nil) },
		"a word of no closed set": func(r *projections.Rows) { r.Insert("members", 1, "away", nil, nil) },
		"a number below the first": func(r *projections.Rows) {
			r.Insert("members", 0, "in", nil, nil)
		},
		"a year that has no text": func(r *projections.Rows) {
			r.Insert("books", "z", 1, nil, nil, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), nil)
		},
		"a key that the page has": func(r *projections.Rows) { r.Insert("books", "b", 2, nil, nil, nil, nil) },
		"an upsert of what only grows": func(r *projections.Rows) {
			r.Upsert("log_lines", "day", 1, "x")
		},
		"an update of what only grows": func(r *projections.Rows) { r.Update("log_lines", []any{"day", 1}, []string{"said"}, "x") },
		"a delete of what only grows":  func(r *projections.Rows) { r.Delete("log_lines", "day") },
		"an update of no row":          func(r *projections.Rows) { r.Update("books", []any{"none", 1}, []string{"order"}, "x") },
		"an update of the key":         func(r *projections.Rows) { r.Update("books", []any{"a", 1}, []string{"number"}, 2) },
		"an update by half a key":      func(r *projections.Rows) { r.Update("books", []any{"a"}, []string{"order"}, "x") },
		"an update of nothing":         func(r *projections.Rows) { r.Update("books", []any{"a", 1}, nil) },
		"a delete of everything":       func(r *projections.Rows) { r.Delete("books") },
		"a delete by too long a key":   func(r *projections.Rows) { r.Delete("books", "a", 1, 2) },
	}
}

func (a Adapter) testMisfits(t *testing.T) {
	filling := begin(t, a.open(t, a.New(t)))
	live := begin(t, a.open(t, a.New(t)))
	for _, b := range []*building{filling, live} {
		must(t, b.write(func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil) }))
	}
	live.show()
	for what, b := range map[string]*building{"filling": filling, "live": live} {
		for name, add := range misfits() {
			if name == "a key that the page has" && what == "filling" {
				continue // which is refused at the latest when the build is finished
			}
			err := b.write(func(r *projections.Rows) {
				r.Insert("books", "b", 2, nil, nil, nil, nil)
				add(r)
				r.Insert("books", "c", 3, nil, nil, nil, nil)
			})
			var op *projections.OpError
			if !errors.Is(err, projections.ErrRefused) || !errors.As(err, &op) || op.Index != 1 {
				t.Errorf("%s, %s: error is %v, want a refusal of operation 1", what, name, err)
			}
			if got := len(b.rows(0)); got != 1 {
				t.Errorf("%s, %s: %d books, want 1: the page was taken back", what, name, got)
			}
		}
	}
}

// breach is operations that break a rule of a table.
type breach struct {
	add     func(*projections.Rows)
	op      int  // which operation is to blame; -1 when nobody can tell
	passing bool // at the end of the page nothing is broken any more
}

// breaches break a rule after a book, a line and a member are there.
func breaches() map[string]breach {
	return map[string]breach{
		"a key that is there": {op: 1, add: func(r *projections.Rows) {
			r.Delete("loans", 7)
			r.Insert("books", "a", 1, nil, nil, nil, nil)
		}},
		"a unique value again":    {add: func(r *projections.Rows) { r.Insert("books", "a", 2, "first", nil, nil, nil) }},
		"a child without parent":  {op: -1, add: func(r *projections.Rows) { r.Insert("loans", 1, "none", 1) }},
		"a line that was written": {add: func(r *projections.Rows) { r.Insert("log_lines", "day", 1, "other") }},
		"a parent with children": {op: -1, add: func(r *projections.Rows) {
			r.Insert("loans", 2, "a", 1)
			r.Delete("books", "a", 1)
		}},
		"a value that is freed too late": {passing: true, add: func(r *projections.Rows) {
			r.Insert("books", "b", 1, "first", nil, nil, nil)
			r.Update("books", []any{"a", 1}, []string{"order"}, "second")
		}},
		"a row that goes again": {add: func(r *projections.Rows) {
			r.Insert("members", 1, "in", nil, nil)
			r.Delete("members", 1)
		}},
		"a row that was never there": {add: func(r *projections.Rows) {
			r.Update("members", []any{2}, []string{"name"}, "x")
			r.Delete("members", 2)
		}},
	}
}

func (a Adapter) testRules(t *testing.T) {
	for name, breach := range breaches() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t, a.open(t, a.New(t)))
			first := func(r *projections.Rows) {
				r.Insert("books", "a", 1, "first", nil, nil, nil)
				r.Insert("log_lines", "day", 1, "said")
				r.Insert("members", 1, "in", nil, nil)
			}
			must(t, b.write(first))
			b.show()
			err := b.write(breach.add)
			var op *projections.OpError
			if !errors.Is(err, projections.ErrRefused) || errors.As(err, &op) != (breach.op >= 0) || op != nil && op.Index != breach.op {
				t.Errorf("live: error is %v, want ErrRefused of operation %d", err, breach.op)
			}

			filling := begin(t, b.db) // without rules for the moment, but not without rules
			must(t, filling.write(first))
			err = filling.write(breach.add)
			if err == nil {
				err = filling.db.FinishBuild(t.Context(), filling.lease, library())
			}
			if breach.passing {
				return
			}
			if !errors.Is(err, projections.ErrRefused) {
				t.Errorf("filling: error is %v, want ErrRefused at the latest when it is finished", err)
			}
			if err := projections.ActivateBuild(t.Context(), filling.db, filling.lease, projections.Activation{}); !errors.Is(err, projections.ErrInvalid) {
				t.Errorf("an unfinished build was activated: %v", err)
			}
		})
	}
}

// Others than the engine are held to the rules too.
func (a Adapter) testClosedSets(t *testing.T) {
	address := a.New(t)
	b := begin(t, a.open(t, address))
	b.show()
	handle := a.admin(t, address)
	if _, err := handle.ExecContext(t.Context(), "INSERT INTO members__b1 (id, state) VALUES (1, 'in')"); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO members__b1 (id, state) VALUES (2, 'away')", "INSERT INTO members__b1 (id, state) VALUES (0, 'in')",
		"UPDATE members__b1 SET state = ''", "INSERT INTO members__b1 (id) VALUES (3)", "INSERT INTO members__b1 (id, state) VALUES (1, 'out')",
		"INSERT INTO loans__b1 (id, shelf, number) VALUES (1, 'none', 1)",
	} {
		if _, err := handle.ExecContext(t.Context(), statement); err == nil && statement[12] != 'l' {
			t.Errorf("%s: was not refused", statement)
		}
	}
}

func (a Adapter) testBrokenReference(t *testing.T) {
	b := begin(t, a.open(t, a.New(t)))
	b.show()
	must(t, b.write(func(r *projections.Rows) {
		r.Insert("loans", 1, "a", 1)
		r.Insert("books", "a", 1, nil, nil, nil, nil)
	}))
}

func (a Adapter) testAppendOnly(t *testing.T) { // I10
	address := a.New(t)
	b := begin(t, a.open(t, address))
	must(t, b.write(func(r *projections.Rows) { r.Insert("log_lines", "day", 1, "said") }))
	b.show()
	handle := a.admin(t, address)
	for _, statement := range a.Attacks {
		if _, err := handle.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: was not refused", statement)
		}
	}
	if got := b.rows(2); len(got) != 1 || got[0][2] != "said" {
		t.Errorf("the lines are %v", got)
	}
}
