package tables

import (
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

// join concatenates groups of columns.
func join(groups ...[]projections.Column) []projections.Column {
	var all []projections.Column
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// names returns the names of columns, in order.
func names(columns []projections.Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	return out
}

// reference is the foreign key that the columns repository_id and column make to the artifacts of table.
func reference(column, table string) projections.ForeignKey {
	return projections.ForeignKey{
		Columns: []string{"repository_id", column}, Table: table, Targets: []string{"repository_id", "number"},
	}
}

func index(columns ...string) projections.Index { return projections.Index{Columns: columns} }

// words is an index for full-text search over texts together.
func words(columns ...string) projections.Index {
	return projections.Index{Columns: columns, Words: true}
}

// Columns that many tables have.

func repositoryColumn() projections.Column {
	return text("repository_id", "UUID of the repository.")
}

func numberColumn() projections.Column {
	return from(1, integer("number", "The artifact's own number in its repository: 1, 2, 3 in order of first appearance, never given to another."))
}

func scanColumn() projections.Column {
	return text("scan_id", "UUID of the scan that recorded this.")
}

func positionColumn() projections.Column {
	return from(1, integer("position", "Position in the log of the event that this row was last written from."))
}
