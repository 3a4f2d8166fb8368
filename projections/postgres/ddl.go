package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/projections"
)

// Names in this file are identifiers that Projection.Validate let through: lower case letters, digits, underscores, short
// enough that the server cuts none. They are quoted all the same, since some are words of SQL.

// physical names the table of a build.
func physical(table string, build int) string { return fmt.Sprintf("%s__b%d", table, build) }

func quote(name string) string { return `"` + name + `"` }

// literal writes a text as SQL. REQUIRES: standard_conforming_strings, which is on unless somebody insists, and no NUL.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

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

// typeOf is the type of a column in PostgreSQL. JSON is json, not jsonb: it stays byte for byte as it was given.
func typeOf(t projections.ColumnType) string {
	switch t {
	case projections.Text:
		return "text"
	case projections.Integer:
		return "bigint"
	case projections.Boolean:
		return "boolean"
	case projections.Timestamp:
		return "timestamptz"
	case projections.JSON:
		return "json"
	}
	return ""
}

// part is something that stands around the rows of a table: the name by which it is found again, and how it is made.
type part struct {
	name string
	make string
}

// forms makes the statements for the tables of one build.
type forms struct {
	schema string // where the tables go
	home   string // of the functions and the account of builds
	build  int
}

func (f forms) in(relation string) string { return quote(f.schema) + "." + quote(relation) }

func (f forms) table(t projections.Table) string { return f.in(physical(t.Name, f.build)) }

// create makes a table without anything around it, which is how it is filled fastest. Until it has its key, whole rows
// identify themselves to logical replication: without that, the server refuses to change a table that it publishes.
func (f forms) create(t projections.Table) string {
	parts := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		parts[i] = quote(c.Name) + " " + typeOf(c.Type)
		if c.Type == projections.Text {
			parts[i] += ` COLLATE pg_catalog."C"` // bytewise, as everywhere
		}
		if !c.Null {
			parts[i] += " NOT NULL"
		}
	}
	return fmt.Sprintf("CREATE TABLE %[1]s (\n    %[2]s\n);\nALTER TABLE %[1]s REPLICA IDENTITY FULL", f.table(t), strings.Join(parts, ",\n    "))
}

// comments says on a table or view what it and its columns mean.
func (f forms) comments(kind, relation string, t projections.Table) []string {
	out := []string{fmt.Sprintf("COMMENT ON %s %s IS %s", kind, f.in(relation), literal(t.Doc))}
	for _, c := range t.Columns {
		out = append(out, fmt.Sprintf("COMMENT ON COLUMN %s.%s IS %s", f.in(relation), quote(c.Name), literal(c.Doc)))
	}
	return out
}

// key is the index over the key of a table. It becomes the primary key when the build is finished.
func (f forms) key(t projections.Table) part {
	name := physical(t.Name, f.build) + "_key"
	return part{name, fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s (%s)", quote(name), f.table(t), list(t.Key))}
}

// primary makes the index over the key the primary key.
func (f forms) primary(t projections.Table) part {
	name := physical(t.Name, f.build) + "_pkey"
	return part{name, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s PRIMARY KEY USING INDEX %s", f.table(t), quote(name), quote(f.key(t).name))}
}

func (f forms) index(t projections.Table, ordinal int) part {
	index := t.Indexes[ordinal]
	name := fmt.Sprintf("%s_i%d", physical(t.Name, f.build), ordinal+1)
	what := "(" + list(index.Columns) + ")"
	unique := ""
	switch {
	case index.Words:
		what = "USING gin (" + f.words(index) + ")"
	case index.Unique:
		unique = "UNIQUE "
	}
	return part{name, fmt.Sprintf("CREATE %sINDEX %s ON %s %s", unique, quote(name), f.table(t), what)}
}

// words is what a full-text index is over, as a query must write it too.
func (f forms) words(index projections.Index) string {
	texts := make([]string, len(index.Columns))
	for i, c := range index.Columns {
		column, member, nested := strings.Cut(c, ".")
		texts[i] = quote(column)
		if nested {
			texts[i] += " ->> " + literal(member)
		}
	}
	return quote(f.home) + ".words(" + strings.Join(texts, ", ") + ")"
}

// rules are the CHECK constraints of a table: one pass over the rows for all of them. They go by the name of the first.
func (f forms) rules(t projections.Table) []part {
	name := func(n int) string { return fmt.Sprintf("%s_c%d", physical(t.Name, f.build), n) }
	var all []string
	add := func(condition string) {
		all = append(all, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s)", quote(name(len(all)+1)), condition))
	}
	for _, c := range t.Columns {
		if len(c.OneOf) > 0 {
			values := make([]string, len(c.OneOf))
			for i, v := range c.OneOf {
				values[i] = literal(v)
			}
			add(quote(c.Name) + " IN (" + strings.Join(values, ", ") + ")")
		}
		if c.AtLeast != nil {
			add(quote(c.Name) + " >= " + strconv.FormatInt(*c.AtLeast, 10))
		}
		if c.Type == projections.Timestamp {
			// What the other databases hold, which write a time as text with a year of four digits.
			add(quote(c.Name) + " >= '0001-01-01 00:00:00Z BC' AND " + quote(c.Name) + " < '10000-01-01 00:00:00Z'")
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []part{{name(1), "ALTER TABLE " + f.table(t) + " " + strings.Join(all, ", ")}}
}

func (f forms) foreign(t projections.Table, ordinal int) part {
	key := t.Foreign[ordinal]
	name := fmt.Sprintf("%s_f%d", physical(t.Name, f.build), ordinal+1)
	return part{name, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s) DEFERRABLE INITIALLY DEFERRED",
		f.table(t), quote(name), list(key.Columns), f.in(physical(key.Table, f.build)), list(key.Targets))}
}

// guards make an append-only table refuse UPDATE, DELETE and TRUNCATE (I10), also where a superuser switches triggers off for
// a session.
func (f forms) guards(t projections.Table) []part {
	if !t.AppendOnly {
		return nil
	}
	name := physical(t.Name, f.build) + "_refuses"
	return []part{{name, fmt.Sprintf("CREATE TRIGGER %s BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s.refuse();\n"+
		"ALTER TABLE %[2]s ENABLE ALWAYS TRIGGER %[1]s", quote(name), f.table(t), quote(f.home))}}
}

// around is what a table lacks once it is filled, but for its references.
func (f forms) around(t projections.Table) []part {
	parts := append([]part{f.key(t), f.primary(t)}, f.rules(t)...)
	for i := range t.Indexes {
		parts = append(parts, f.index(t, i))
	}
	return append(parts, f.guards(t)...)
}

func (f forms) references(t projections.Table) []part {
	parts := make([]part, len(t.Foreign))
	for i := range t.Foreign {
		parts[i] = f.foreign(t, i)
	}
	return parts
}

// view makes what readers use. It names the state of the build as the reader's snapshot has it: see the function shown.
func (f forms) view(t projections.Table, projection string) string {
	return fmt.Sprintf("VIEW %s AS SELECT %s FROM %s WHERE %s.shown((SELECT b.state FROM %[4]s.projection_builds b WHERE b.projection = %s AND b.build = %d), %s)",
		f.in(t.Name), list(columnNames(t)), f.table(t), quote(f.home), literal(projection), f.build, literal(t.Name))
}
