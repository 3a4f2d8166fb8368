package query

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/projections"
)

// Querier runs queries: *sql.DB, *sql.Tx and *sql.Conn do.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Dialect is the form of placeholders and times that a database takes.
type Dialect int

// The dialects.
const (
	SQLite   Dialect = iota + 1 // ?; times as text of projections.TimestampLayout
	Postgres                    // $1; times as they are
)

// Reader reads the tables of one database. Several calls see one state of them when its Querier is one transaction that sees
// one snapshot. It is safe for concurrent use when its Querier is.
type Reader struct {
	db      Querier
	dialect Dialect
}

// NewReader returns a reader of the tables that db finds by their names.
func NewReader(db Querier, dialect Dialect) *Reader { return &Reader{db: db, dialect: dialect} }

// bind writes the placeholders of a query as the dialect wants them. Queries hold no question mark but placeholders.
func (r *Reader) bind(query string) string {
	if r.dialect != Postgres {
		return query
	}
	var out strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// moment is a time as a query takes it.
func (r *Reader) moment(t time.Time) any {
	if r.dialect == Postgres {
		return t.UTC()
	}
	return t.UTC().Format(projections.TimestampLayout)
}

// column is one column of a result: the SQL that names it and where its value goes. into is called once for a result, and
// the row that it is given is used again for the next row.
type column[T any] struct {
	sql  string
	into func(*T) any
}

// load reads every row of "SELECT columns rest". rest is written in this package, values come as args alone.
func load[T any](ctx context.Context, r *Reader, columns []column[T], rest string, args ...any) ([]T, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.sql
	}
	rows, err := r.db.QueryContext(ctx, r.bind("SELECT "+strings.Join(names, ", ")+" "+rest), args...)
	if err != nil {
		return nil, fmt.Errorf("cannot read tables: %w", err)
	}
	defer func() { _ = rows.Close() }() // an error of reading is that of rows.Err
	out := []T{}
	var row, zero T
	into := make([]any, len(columns))
	for i, c := range columns {
		into[i] = c.into(&row)
	}
	for rows.Next() {
		row = zero
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("cannot read tables: %w", err)
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read tables: %w", err)
	}
	return out, nil
}

// where collects conditions that must all hold.
type where struct {
	conditions []string
	args       []any
}

// and adds a condition, with the values of its placeholders.
func (w *where) and(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

// is adds "column = value" unless value is the zero of its type.
func is[T comparable](w *where, column string, value T) {
	var zero T
	if value != zero {
		w.and(column+" = ?", value)
	}
}

// in adds "column IN values" unless there are none.
func in[T ~string](w *where, column string, values []T) {
	if len(values) == 0 {
		return
	}
	w.and(column + " IN (" + strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ") + ")")
	for _, v := range values {
		w.args = append(w.args, string(v))
	}
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}
