package databasetest

import (
	"errors"
	"iter"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/projections"
)

var errUnread = errors.New("log cannot be read")

// parts yields rows of a table, n to a part, and then fails with err unless that is nil.
func parts(rows []int, n int, err error) iter.Seq2[[]projections.Op, error] {
	return func(yield func([]projections.Op, error) bool) {
		for at := 0; at < len(rows); at += n {
			var part projections.Rows
			for _, line := range rows[at:min(at+n, len(rows))] {
				part.Insert("log_lines", "today", line, "said")
			}
			if !yield(part.Ops(), nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// A page that does not fit in memory is whole or absent, too, whether its build is being filled or shown (I1, I5).
func (a Adapter) testPartsOfAPageCommitTogether(t *testing.T) {
	db := a.open(t, a.New(t))
	b := begin(t, db)
	next := 0
	write := func(more iter.Seq2[[]projections.Op, error]) error {
		to := projections.Checkpoint{Log: uuid.Max, Position: b.at.Position + 1, Event: uuid.Max, Version: 1}
		var first projections.Rows
		first.Insert("log_lines", "today", 1000*next, "said")
		err := db.WritePage(t.Context(), projections.Page{
			Lease: b.lease, From: b.at, To: to, Tables: library().Tables, Ops: first.Ops(), More: more,
		})
		if err == nil {
			b.at = to
			next++
		}
		return err
	}
	lines := func(from, n int) []int {
		list := make([]int, n)
		for i := range list {
			list[i] = from + i
		}
		return list
	}
	rows := 0
	check := func(when string) {
		t.Helper()
		if got := len(b.rows(2)); got != rows {
			t.Fatalf("%s: %d rows, want %d", when, got, rows)
		}
	}
	for _, state := range []string{"filling", "shown"} {
		if err := write(parts(lines(1000*next+1, 20), 7, errUnread)); !errors.Is(err, errUnread) {
			t.Errorf("%s: error is %v, want that of the parts", state, err)
		}
		check(state + ", a part cannot be read")
		must(t, write(parts(lines(1000*next+1, 20), 7, nil)))
		rows += 21
		check(state)
		if state == "filling" {
			b.show()
			continue
		}
		if err := write(parts(append(lines(1000*next+1, 20), 5), 7, nil)); !errors.Is(err, projections.ErrRefused) {
			t.Errorf("%s: error is %v, want ErrRefused for a row that is there", state, err)
		}
		check(state + ", a part is refused")
	}
}
