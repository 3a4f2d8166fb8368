package tables

import (
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Constructors of columns that hold a value in every row.

func text(name, doc string) projections.Column {
	return projections.Column{Name: name, Type: projections.Text, Doc: doc}
}

func integer(name, doc string) projections.Column {
	return projections.Column{Name: name, Type: projections.Integer, Doc: doc}
}

func boolean(name, doc string) projections.Column {
	return projections.Column{Name: name, Type: projections.Boolean, Doc: doc}
}

func timestamp(name, doc string) projections.Column {
	return projections.Column{Name: name, Type: projections.Timestamp, Doc: doc}
}

func jsonColumn(name, doc string) projections.Column {
	return projections.Column{Name: name, Type: projections.JSON, Doc: doc}
}

// null makes a column one that may be NULL.
func null(c projections.Column) projections.Column {
	c.Null = true
	return c
}

// from makes a column one that holds no number below least.
func from(least int64, c projections.Column) projections.Column {
	c.AtLeast = &least
	return c
}

// oneOf makes a column one that holds nothing but words.
func oneOf[T ~string](c projections.Column, words ...T) projections.Column {
	for _, w := range words {
		c.OneOf = append(c.OneOf, string(w))
	}
	return c
}

// kind makes a column one that holds kinds of artifact: all of them unless some are given.
func kind(c projections.Column, kinds ...domain.Kind) projections.Column {
	if len(kinds) == 0 {
		kinds = domain.Kinds()
	}
	return oneOf(c, kinds...)
}

// column is a column and the value that it has in a row made of an S.
type column[S any] struct {
	projections.Column

	value func(*S) any
}

// table is a table whose rows are made of an S each: one list of columns gives its definition, its documentation and the values
// of its rows.
type table[S any] struct {
	projections.Table

	columns []column[S]
}

func newTable[S any](t projections.Table, groups ...[]column[S]) table[S] {
	columns := slices.Concat(groups...)
	for _, c := range columns {
		t.Columns = append(t.Columns, c.Column)
	}
	return table[S]{Table: t, columns: columns}
}

// row returns the values of a row, in the order of the columns.
func (t *table[S]) row(s *S) []any {
	row := make([]any, len(t.columns))
	for i := range t.columns {
		row[i] = t.columns[i].value(s)
	}
	return row
}

func (t *table[S]) insert(rows *projections.Rows, s *S) { rows.Insert(t.Name, t.row(s)...) }

// change is some columns of a table, which are updated together.
type change[S any] struct {
	table   string
	names   []string
	columns []column[S]
}

// change returns the change of the columns with these names, which t must have.
func (t *table[S]) change(names ...string) change[S] {
	c := change[S]{table: t.Name, names: names}
	for _, name := range names {
		i := slices.IndexFunc(t.columns, func(c column[S]) bool { return c.Name == name })
		c.columns = append(c.columns, t.columns[i])
	}
	return c
}

// update sets the columns of the row with that key to their values in a row made of s.
func (c *change[S]) update(rows *projections.Rows, key []any, s *S) {
	to := make([]any, len(c.columns))
	for i := range c.columns {
		to[i] = c.columns[i].value(s)
	}
	rows.Update(c.table, key, c.names, to...)
}

// reference is the foreign key that the columns repository_id and column make to the artifacts of table.
func reference(column, table string) projections.ForeignKey {
	return projections.ForeignKey{
		Columns: []string{"repository_id", column}, Table: table, Targets: []string{"repository_id", "number"},
	}
}

func index(columns ...string) projections.Index { return projections.Index{Columns: columns} }

// Columns that many tables have.

func repositoryColumn() projections.Column {
	return text("repository_id", "UUID of the repository.")
}

func numberColumn() projections.Column {
	return from(1, integer("number", "The artifact's own number in its repository: 1, 2, 3 in order of first appearance, never given to another."))
}

func positionColumn() projections.Column {
	return from(1, integer("position", "Position in the log of the event that this row was last written from."))
}
