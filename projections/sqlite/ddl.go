package sqlite

import (
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/projections"
)

// Names in this file are identifiers that Projection.Validate let through: lower case letters, digits, underscores.
// They are quoted all the same, since some are words of SQL.

// physical names the table of a build.
func physical(table string, build int) string { return fmt.Sprintf("%s__b%d", table, build) }

func quote(name string) string { return `"` + name + `"` }

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

func columnNames(t projections.Table) []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// rowidKey reports whether the key is one integer, which SQLite keeps as the row's own number, at no cost.
func rowidKey(t projections.Table) bool {
	return len(t.Key) == 1 && t.Columns[0].Type == projections.Integer
}

// createTable returns the statement that makes the table of a build. The key is a unique index that is made later,
// unless it is the row's number: filling in rows is then twice as fast.
func createTable(t projections.Table, build int) string {
	parts := make([]string, 0, len(t.Columns)+len(t.Foreign))
	for _, c := range t.Columns {
		parts = append(parts, columnDefinition(c))
	}
	if rowidKey(t) {
		parts[0] += " PRIMARY KEY"
	}
	for _, f := range t.Foreign {
		parts = append(parts, fmt.Sprintf("FOREIGN KEY (%s) REFERENCES %s (%s) DEFERRABLE INITIALLY DEFERRED",
			list(f.Columns), quote(physical(f.Table, build)), list(f.Targets)))
	}
	return fmt.Sprintf("CREATE TABLE %s (\n    %s\n) STRICT", quote(physical(t.Name, build)), strings.Join(parts, ",\n    "))
}

func columnDefinition(c projections.Column) string {
	name := quote(c.Name)
	definition := name + " TEXT"
	if c.Type == projections.Integer || c.Type == projections.Boolean {
		definition = name + " INTEGER"
	}
	if !c.Null {
		definition += " NOT NULL"
	}
	switch c.Type {
	case projections.Boolean:
		definition += " CHECK (" + name + " IN (0, 1))"
	case projections.Timestamp:
		definition += " CHECK (length(" + name + ") = 27)"
	case projections.Text, projections.Integer, projections.JSON:
	}
	if len(c.OneOf) > 0 {
		definition += " CHECK (" + name + " IN ('" + strings.Join(c.OneOf, "', '") + "'))" // words of the definition, without quotes
	}
	if c.AtLeast != nil {
		definition += fmt.Sprintf(" CHECK (%s >= %d)", name, *c.AtLeast)
	}
	return definition
}

// createKey returns the statement that makes the key of a table, "" when the table has it already.
func createKey(t projections.Table, build int) string {
	if rowidKey(t) {
		return ""
	}
	name := physical(t.Name, build)
	return fmt.Sprintf("CREATE UNIQUE INDEX IF NOT EXISTS %s ON %s (%s)", quote(name+"_key"), quote(name), list(t.Key))
}

// view returns the statement that makes what readers use.
func view(name, physical string, columns []string) string {
	return fmt.Sprintf("CREATE VIEW %s AS SELECT %s FROM %s", quote(name), list(columns), quote(physical))
}
