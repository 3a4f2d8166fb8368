package tables

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/projections"
)

// Catalogue writes a description of every table of every projection as Markdown: its columns, key, foreign keys and
// indexes. docs/tables.md is this for [All]. The error is that of w.
func Catalogue(w io.Writer, all []projections.Projection) error {
	c := &catalogue{w: w}
	c.printf("%s", catalogueHead)
	for _, p := range all {
		for _, t := range p.Tables {
			c.printf("| [`%s`](#%s) | %s | %s |\n", t.Name, t.Name, p.Name, t.Doc)
		}
	}
	for _, p := range all {
		c.printf("\n# Projection %s, version %d\n\nReads the events %s.\n", p.Name, p.Version, codes(p.Handles))
		for _, t := range p.Tables {
			c.table(t)
		}
	}
	c.printf("%s", catalogueTail)
	return c.err
}

const catalogueHead = `# Tables

Generated from the definitions in ` + "`projections/tables`" + `; do not edit. To bring it up to date:
` + "`UPDATE_GOLDEN=1 go test ./projections/tables`" + `.

Names of tables and columns are a stable contract. Each table is a view over the active build of its projection, the same in
SQLite and PostgreSQL. What is absent is NULL, never an empty text. A character NUL is shown as U+FFFD. Text that comes from a
repository is as its author wrote it, hostile if the author was: neutralise it before it reaches a terminal, a spreadsheet or a
page. ` + "`audit_log.summary`" + ` alone is neutral already. Times are UTC, to the microsecond.

| table | projection | holds |
|---|---|---|
`

const catalogueTail = `
# Actions of the audit trail

| action | event |
|---|---|
| ` + "`REPOSITORY_REGISTERED`" + ` | the first scan of a repository completed |
| ` + "`REPOSITORY_RETIRED`" + ` | a repository is scanned no more |
| ` + "`ARTIFACT_INSERTED`" + ` | an artifact is new |
| ` + "`ARTIFACT_MOVED`" + ` | an artifact is new where it is, and the same artifact was removed elsewhere in the same scan |
| ` + "`ARTIFACT_UPDATED`" + ` | an artifact changed |
| ` + "`ARTIFACT_REREAD`" + ` | the bytes of an artifact are as before; another reader or other keys read them |
| ` + "`ARTIFACT_REMOVED`" + ` | an artifact is gone from its place |
| ` + "`ARTIFACT_REJECTED`" + ` | a file could not be parsed |
| ` + "`REJECTION_CLEARED`" + ` | a file that could not be parsed is gone or can be |
| ` + "`SCAN_COMPLETED`" + ` | a scan completed |
| ` + "`SCAN_FAILED`" + ` | a scan failed and changed nothing |
| ` + "`ADMIN_...`" + ` | an administrator acted; the rest is the act in capitals |
`

// catalogue writes Markdown and keeps the first error.
type catalogue struct {
	w   io.Writer
	err error
}

func (c *catalogue) printf(format string, args ...any) {
	if c.err == nil {
		_, c.err = fmt.Fprintf(c.w, format, args...)
	}
}

func (c *catalogue) table(t projections.Table) {
	c.printf("\n## %s\n\n%s\n\n", t.Name, t.Doc)
	if t.AppendOnly {
		c.printf("Append-only: the database refuses UPDATE and DELETE.\n\n")
	}
	c.printf("| column | type | | |\n|---|---|---|---|\n")
	for _, col := range t.Columns {
		c.printf("| `%s` | %s | %s | %s |\n", col.Name, typeName(col.Type), note(t, col), strings.ReplaceAll(col.Doc, "|", `\|`))
	}
	c.printf("\nPrimary key: %s.\n", codes(t.Key))
	for _, f := range t.Foreign {
		c.printf("Foreign key: %s to %s of `%s`.\n", codes(f.Columns), codes(f.Targets), f.Table)
	}
	for _, i := range t.Indexes {
		c.printf("Index: %s%s.\n", codes(i.Columns), map[bool]string{true: ", unique"}[i.Unique])
	}
}

func note(t projections.Table, c projections.Column) string {
	switch {
	case slices.Contains(t.Key, c.Name):
		return "key"
	case c.Null:
		return "or NULL"
	default:
		return ""
	}
}

func codes(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

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
	return "unknown"
}
