package render

import "strings"

// narrowest is how far a column is cut to make a table fit.
const narrowest = 10

// Column is a column of a [Table].
type Column struct {
	Title string
	Align Align
}

// Align is the side that a column's cells lean to.
type Align int

// The sides.
const (
	Left Align = iota
	Right
)

// Table is a table for people. Cells are what [Screen.Line] accepts.
type Table struct {
	Columns []Column
	Rows    [][]any
}

// Add appends a row.
func (t *Table) Add(cells ...any) { t.Rows = append(t.Rows, cells) }

// Table writes t with its columns aligned by what they look like. On a terminal it cuts the widest cells until a row
// fits; elsewhere it cuts nothing. A table without rows is not written at all.
func (s *Screen) Table(t Table) {
	if len(t.Rows) == 0 {
		return
	}
	texts := t.texts()
	widths := fit(columnWidths(texts, len(t.Columns)), s.term.Width)
	for i, row := range texts {
		var line strings.Builder
		for j, column := range t.Columns {
			cell := Truncate(row[j], widths[j])
			gap := strings.Repeat(" ", max(0, widths[j]-Width(cell)))
			painted := s.paint(t.style(i, j), cell)
			if column.Align == Right {
				painted = gap + painted
			} else {
				painted += gap
			}
			if j > 0 {
				line.WriteString("  ")
			}
			line.WriteString(painted)
		}
		s.write(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// texts returns the neutralised cells, the titles first. Rows are filled up to the number of columns.
func (t *Table) texts() [][]string {
	out := make([][]string, 0, 1+len(t.Rows))
	titles := make([]string, len(t.Columns))
	for j, column := range t.Columns {
		titles[j] = Text(column.Title)
	}
	out = append(out, titles)
	for _, row := range t.Rows {
		texts := make([]string, len(t.Columns))
		for j := range min(len(row), len(texts)) {
			texts[j] = plainText(row[j])
		}
		out = append(out, texts)
	}
	return out
}

// style returns how the cell of line i, counted with the titles, is to be shown.
func (t *Table) style(i, j int) Style {
	if i == 0 {
		return Strong
	}
	if row := t.Rows[i-1]; j < len(row) {
		if styled, ok := row[j].(Styled); ok {
			return styled.style
		}
	}
	return ""
}

func columnWidths(texts [][]string, columns int) []int {
	widths := make([]int, columns)
	for _, row := range texts {
		for j, cell := range row {
			widths[j] = max(widths[j], Width(cell))
		}
	}
	return widths
}

// fit narrows the widest columns until all fit into width with two blanks between them, or cannot be narrowed further.
func fit(widths []int, width int) []int {
	if width <= 0 || len(widths) == 0 {
		return widths
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := 0
		for j, w := range widths {
			if w > widths[widest] {
				widest = j
			}
		}
		if widths[widest] <= narrowest {
			break
		}
		widths[widest]--
	}
	return widths
}
