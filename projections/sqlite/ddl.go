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

func createIndex(t projections.Table, build, ordinal int) string {
	index := t.Indexes[ordinal]
	unique := ""
	if index.Unique {
		unique = "UNIQUE "
	}
	name := physical(t.Name, build)
	return fmt.Sprintf("CREATE %sINDEX IF NOT EXISTS %s ON %s (%s)",
		unique, quote(fmt.Sprintf("%s_i%d", name, ordinal+1)), quote(name), list(index.Columns))
}

// createGuards returns the triggers that make an append-only table refuse UPDATE and DELETE (I10), and the INSERT OR
// REPLACE that would delete without firing a DELETE trigger.
func createGuards(t projections.Table, build int) []string {
	if !t.AppendOnly {
		return nil
	}
	name := physical(t.Name, build)
	refuse := func(event, when string) string {
		return fmt.Sprintf("CREATE TRIGGER IF NOT EXISTS %s BEFORE %s ON %s %s\nBEGIN SELECT RAISE(ABORT, '%s is append-only'); END",
			quote(name+"_no_"+strings.ToLower(event)), event, quote(name), when, t.Name)
	}
	same := make([]string, len(t.Key))
	for i, k := range t.Key {
		same[i] = quote(k) + " = NEW." + quote(k)
	}
	held := fmt.Sprintf("WHEN EXISTS (SELECT 1 FROM %s WHERE %s)", quote(name), strings.Join(same, " AND "))
	return []string{refuse("UPDATE", ""), refuse("DELETE", ""), refuse("INSERT", held)}
}

// view returns the statement that makes what readers use.
func view(name, physical string, columns []string) string {
	return fmt.Sprintf("CREATE VIEW %s AS SELECT %s FROM %s", quote(name), list(columns), quote(physical))
}

func typeName(t projections.ColumnType) string {
	switch t {
	case projections.Text:
		return "text"
	case projections.Integer:
		return "integer"
	case projections.Boolean:
		return "boolean"
	case projections.Timestamp:
		return "timestamp"
	case projections.JSON:
		return "json"
	}
	return ""
}

func insertSQL(t projections.Table, build int) string {
	return fmt.Sprintf("INSERT INTO %s VALUES (%s)", quote(physical(t.Name, build)),
		strings.TrimSuffix(strings.Repeat("?, ", len(t.Columns)), ", "))
}

func upsertSQL(t projections.Table, build int) string {
	rest := columnNames(t)[len(t.Key):]
	action := "NOTHING"
	if len(rest) > 0 {
		sets := make([]string, len(rest))
		for i, c := range rest {
			sets[i] = quote(c) + " = excluded." + quote(c)
		}
		action = "UPDATE SET " + strings.Join(sets, ", ")
	}
	return insertSQL(t, build) + fmt.Sprintf(" ON CONFLICT (%s) DO %s", list(t.Key), action)
}

func updateSQL(t projections.Table, build int, set []string) string {
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s", quote(physical(t.Name, build)), equals(set, ", "), equals(t.Key, " AND "))
}

func deleteSQL(t projections.Table, build, prefix int) string {
	return fmt.Sprintf("DELETE FROM %s WHERE %s", quote(physical(t.Name, build)), equals(t.Key[:prefix], " AND "))
}

func equals(names []string, between string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = quote(n) + " = ?"
	}
	return strings.Join(parts, between)
}
