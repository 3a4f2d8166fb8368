package render

import (
	"io"
	"iter"
	"strings"
)

// CSV writes records for spreadsheets. Every cell is quoted and passes [Cell], so that it is no true copy: JSON is. It
// keeps the first error of the writer and then writes no more. A CSV is not safe for concurrent use.
type CSV struct {
	w   io.Writer
	err error
}

// NewCSV returns a CSV that writes to w.
func NewCSV(w io.Writer) *CSV { return &CSV{w: w} }

// Record writes one record, on one line.
func (c *CSV) Record(cells ...string) {
	if c.err != nil {
		return
	}
	quoted := make([]string, len(cells))
	for i, cell := range cells {
		quoted[i] = `"` + strings.ReplaceAll(Cell(cell), `"`, `""`) + `"`
	}
	_, c.err = io.WriteString(c.w, strings.Join(quoted, ",")+"\n")
}

// Err returns the first error of the writer.
func (c *CSV) Err() error { return c.err }

// Cell returns s as a spreadsheet may hold it. What a spreadsheet could take for a formula begins with an apostrophe: text
// that begins with = + - @, their full-width or small forms, a tab or a line end. Where a semicolon separates fields, quotes within a field
// do not hold: behind each semicolon that a formula follows there is an apostrophe too. Then it passes [Text].
func Cell(s string) string {
	const formula = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
	parts := strings.Split(s, ";")
	for i, part := range parts {
		begin := part
		if i > 0 {
			begin = strings.TrimLeft(part, ` "`)
		}
		if strings.IndexAny(begin, formula) == 0 {
			parts[i] = "'" + part
		}
	}
	return Text(strings.Join(parts, ";"))
}

// writeCSV writes a line of column names and then the records.
func writeCSV(w io.Writer, columns []string, records iter.Seq[[]string]) error {
	csv := NewCSV(w)
	csv.Record(columns...)
	for record := range records {
		csv.Record(record...)
	}
	return csv.Err()
}
