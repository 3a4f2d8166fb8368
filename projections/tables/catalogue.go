package tables

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
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
		c.printf("\n# Projection %s, version %d\n\nReads the events %s.\n", p.Name, p.Version, codes(storedNames(p.Handles)))
		for _, t := range p.Tables {
			c.table(t)
		}
	}
	c.printf("%s", catalogueTail)
	return c.err
}

const catalogueHead = `# Tables

Generated from the definitions in ` + "`projections/tables`" + `; do not edit. To update it:
` + "`UPDATE_GOLDEN=1 go test ./projections/tables`" + `.

Names of tables and columns are a stable contract. Each table is a view over the active build of its projection, the same in
SQLite and PostgreSQL. What is absent is NULL, never an empty text. A character NUL is shown as U+FFFD. Text that comes from a
repository is as its author wrote it, hostile if the author was: neutralise it before it reaches a terminal, a spreadsheet or a
page. ` + "`audit_log.summary`" + ` alone is neutral already. Times are UTC, to the microsecond.

| type | SQLite | PostgreSQL |
|---|---|---|
| text | TEXT, compared bytewise | text COLLATE "C" |
| integer | INTEGER | bigint |
| boolean | INTEGER, 0 or 1 | boolean |
| timestamp | TEXT, as 2026-01-02T03:04:05.000000Z | timestamptz |
| json | TEXT | json, byte for byte as it was given |

The databases keep these rules too, against everybody: keys, foreign keys (checked at the end of each page), what may be NULL,
the smallest numbers and the closed sets of words below, and that append-only tables only grow. What a column means can be read
in each database, in the table ` + "`catalogue`" + `; in PostgreSQL also as comments, and how far the tables are in
` + "`catalogue_builds`" + `.

| table | projection | holds |
|---|---|---|
`

const catalogueTail = `
# Searching words

PostgreSQL has full-text indexes over titles and descriptions. A query uses one when it says ` + "`words`" + ` of the same columns:

    SELECT gxp_id, title FROM requirements
    WHERE words(title, fields ->> 'description') @@ websearch_to_tsquery('simple', 'audit trail');

Words are compared as they are, in lower case, whatever their language; of a long text the first 100,000 characters count. SQLite
reads every row, which takes a moment for ten thousand artifacts:

    SELECT gxp_id, title FROM requirements
    WHERE title || ' ' || coalesce(fields ->> 'description', '') LIKE '%audit trail%';
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
| ` + "`ADMIN_...`" + ` | an admin action; the rest of the name is the action in capitals |
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
		c.printf("| `%s` | %s | %s | %s |\n", col.Name, col.Type, note(t, col), strings.ReplaceAll(meaning(col), "|", `\|`))
	}
	c.printf("\nPrimary key: %s.\n", codes(t.Key))
	for _, f := range t.Foreign {
		c.printf("Foreign key: %s to %s of `%s`.\n", codes(f.Columns), codes(f.Targets), f.Table)
	}
	for _, i := range t.Indexes {
		if i.Words {
			c.printf("Full-text index in PostgreSQL: %s.\n", codes(i.Columns))
			continue
		}
		c.printf("Index: %s%s.\n", codes(i.Columns), map[bool]string{true: ", unique"}[i.Unique])
	}
}

// note says what a column may hold.
func note(t projections.Table, c projections.Column) string {
	var notes []string
	if slices.Contains(t.Key, c.Name) {
		notes = append(notes, "key")
	}
	if c.AtLeast != nil {
		notes = append(notes, fmt.Sprintf("from %d", *c.AtLeast))
	}
	if c.Null {
		notes = append(notes, "or NULL")
	}
	return strings.Join(notes, ", ")
}

// meaning is what a column means, with all that it may hold where that is a closed set.
func meaning(c projections.Column) string {
	if len(c.OneOf) == 0 {
		return c.Doc
	}
	return c.Doc + " One of " + codes(c.OneOf) + "."
}

func codes(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

// storedNames returns the newest stored name of each event.
func storedNames(events []domain.Event) []string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = eventstore.TypeOf(e)
	}
	return names
}
