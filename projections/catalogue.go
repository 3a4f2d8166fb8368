package projections

import (
	"fmt"
	"slices"
)

// CatalogueRow is one row that a database stores about the tables of a build, for people and for what drops them.
type CatalogueRow struct {
	Kind    string // "table", "column" or "digest"
	Of      string // the physical table of a column; "" otherwise
	Ordinal int    // from 1
	Name    string
	Form    string // what else the row tells
}

// NewCatalogueRow takes the columns of a row as both databases select them: of a table its physical name as form and whether it
// is append-only as flag, of a column its type, whether it may be NULL, and its place in the key; of a digest none.
func NewCatalogueRow(kind, of string, ordinal int, name, form string, flag bool, key int, doc string) CatalogueRow { //revive:disable-line:flag-parameter,argument-limit // the columns of a row
	row := CatalogueRow{Kind: kind, Of: of, Ordinal: ordinal, Name: name}
	switch kind {
	case "table":
		row.Form = fmt.Sprintf("%s, append-only %t: %s", form, flag, doc)
	case "column":
		row.Form = fmt.Sprintf("%s, null %t, key %d: %s", form, flag, key, doc)
	}
	return row
}

// CheckCatalogue returns a sentence for each row of the catalogue of a build that is not as the program makes it.
func CheckCatalogue(p Projection, physical func(table string) string, stored []CatalogueRow) []string {
	var wanted []CatalogueRow
	for i, t := range p.Tables {
		wanted = append(wanted, NewCatalogueRow("table", "", i+1, t.Name, physical(t.Name), t.AppendOnly, 0, t.Doc),
			NewCatalogueRow("digest", "", i+1, t.Name, "", false, 0, ""))
		for j, c := range t.Columns {
			wanted = append(wanted, NewCatalogueRow("column", physical(t.Name), j+1, c.Name, c.Type.String(), c.Null, slices.Index(t.Key, c.Name)+1, c.Doc))
		}
	}
	var found []string
	for _, row := range stored {
		if !slices.Contains(wanted, row) {
			found = append(found, fmt.Sprintf("catalogue: %s is not what gxpledger stored: %s", row, row.Form))
		}
	}
	for _, row := range wanted {
		if !slices.Contains(stored, row) {
			found = append(found, fmt.Sprintf("catalogue: it lacks %s", row))
		}
	}
	return found
}

// String names the row.
func (r CatalogueRow) String() string {
	if r.Of != "" {
		return fmt.Sprintf("%s %d, %s.%s,", r.Kind, r.Ordinal, r.Of, r.Name)
	}
	return fmt.Sprintf("%s %d, %s,", r.Kind, r.Ordinal, r.Name)
}

// String is the name of the type in the catalogue.
func (t ColumnType) String() string {
	switch t {
	case Text:
		return "text"
	case Integer:
		return "integer"
	case Boolean:
		return "boolean"
	case Timestamp:
		return "timestamp"
	case JSON:
		return "json"
	}
	return ""
}

// AsideName is the name of a table that was found in the place of a view when a build was activated.
func AsideName(name string, build int) string { return fmt.Sprintf("%s__found_b%d", name, build) }
