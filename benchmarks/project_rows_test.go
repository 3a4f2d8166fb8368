package benchmarks_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// row is a row of the table that everybody makes: twelve columns, the number is the key.
type row struct {
	number                                             int64
	repository, path, gxpID, title, risk, status, hash string
	version                                            int64
	fields                                             string // JSON, byte for byte as in the event
	recordedAt                                         time.Time
	moved                                              bool
}

// rowOf is the projection.
func rowOf(number int64, repository string, at time.Time, a domain.ArtifactParsed) row {
	return row{
		number: number, repository: repository, path: a.Path, gxpID: a.GxPID, title: a.Title, risk: a.Risk.Normal,
		status: a.Status.Normal, hash: a.Content.SHA256, version: int64(a.Version), fields: string(a.Fields), recordedAt: at,
		moved: a.MovedFrom != nil,
	}
}

// values returns the columns in order, the time as at.
func (r *row) values(at any) []any {
	return []any{
		r.number, r.repository, r.path, r.gxpID, r.title, r.risk, r.status, r.hash, r.version, r.fields, at, r.moved,
	}
}

const (
	rowColumns = "number, repository, path, gxp_id, title, risk, status, sha256, version, fields, recorded_at, moved"

	// upsertRow sets all that is not the key, as whoever may see an event twice must. Both databases take it.
	upsertRow = "INSERT INTO requirements (" + rowColumns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (number) DO UPDATE SET " +
		"repository = excluded.repository, path = excluded.path, gxp_id = excluded.gxp_id, title = excluded.title, risk = excluded.risk, " +
		"status = excluded.status, sha256 = excluded.sha256, version = excluded.version, fields = excluded.fields, " +
		"recorded_at = excluded.recorded_at, moved = excluded.moved"
)

// columnNames is rowColumns one by one.
func columnNames() []string { return strings.Split(rowColumns, ", ") }

// indexes are made after the rows by who can, and before them by who upserts. The third index is the key.
func indexes() []string {
	return []string{"CREATE INDEX requirements_gxp_id ON requirements (gxp_id)", "CREATE INDEX requirements_path ON requirements (path)"}
}

// query looks at the table.
type query struct {
	db *sql.DB
	// read returns rows of rowColumns in the order of the key, the time as text in projections.TimestampLayout.
	read string
	// indexes returns how many indexes the table has, its key among them.
	indexes string
}

// indexed returns an error unless the table has its three indexes.
func (q query) indexed(ctx context.Context) error {
	var n int
	if err := q.db.QueryRowContext(ctx, q.indexes).Scan(&n); err != nil {
		return fmt.Errorf("count indexes: %w", err)
	}
	if n != 3 {
		return fmt.Errorf("%w: it has %d indexes, want 3", errRows, n)
	}
	return nil
}

func (q query) rows(ctx context.Context) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		rows, err := q.db.QueryContext(ctx, q.read)
		if err != nil {
			yield(row{}, err)
			return
		}
		defer func() { _ = rows.Close() }() // all was read
		for rows.Next() {
			r, err := scanRow(rows)
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(row{}, err)
		}
	}
}

func scanRow(rows *sql.Rows) (r row, err error) {
	var at string
	if err := rows.Scan(&r.number, &r.repository, &r.path, &r.gxpID, &r.title, &r.risk, &r.status, &r.hash, &r.version,
		&r.fields, &at, &r.moved); err != nil {
		return row{}, err
	}
	r.recordedAt, err = time.Parse(projections.TimestampLayout, at)
	return r, err
}

// errRows says that a table does not hold what the events say: whoever was timed did something else than the others.
var errRows = errors.New("table is wrong")

// check compares rows, in the order of their key, with those that the story becomes.
func (s *story) check(rows iter.Seq2[row, error]) error {
	n := 0
	for got, err := range rows {
		if err != nil {
			return fmt.Errorf("read row %d: %w", n+1, err)
		}
		n++
		if n > s.n {
			return fmt.Errorf("%w: more than %d rows", errRows, s.n)
		}
		if want := s.row(n); got != want {
			return fmt.Errorf("%w: row %d is\n%v, want\n%v", errRows, n, got.values(got.recordedAt), want.values(want.recordedAt))
		}
	}
	if n != s.n {
		return fmt.Errorf("%w: %d rows, want %d", errRows, n, s.n)
	}
	return nil
}

func TestTheCheckFindsWhatATableLacks(t *testing.T) {
	t.Parallel()
	s := &story{n: 3, batch: 2, samples: []sample{{row: row{title: "a"}}, {row: row{title: "b"}}}}
	table := func(change func([]row) []row) iter.Seq2[row, error] {
		return func(yield func(row, error) bool) {
			for _, r := range change([]row{s.row(1), s.row(2), s.row(3)}) {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func([]row) []row
		want   error
	}{
		{"the table", func(rows []row) []row { return rows }, nil},
		{"a missing row", func(rows []row) []row { return rows[:2] }, errRows},
		{"a row too many", func(rows []row) []row { return append(rows, rows[2]) }, errRows},
		{"another value", func(rows []row) []row { rows[1].title = "c"; return rows }, errRows},
		{"another time", func(rows []row) []row { rows[2].recordedAt = rows[0].recordedAt; return rows }, errRows},
		{"a row twice", func(rows []row) []row { rows[1] = rows[0]; return rows }, errRows},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := s.check(table(c.change)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
