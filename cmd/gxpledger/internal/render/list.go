package render

import "strings"

// List is a table for people whose empty columns are left out.
type List struct{ Table }

// NewList begins a list. A title that ends in > is of numbers.
func NewList(titles ...string) *List {
	l := &List{}
	for _, title := range titles {
		column := Column{Title: title}
		if number, ok := strings.CutSuffix(title, ">"); ok {
			column = Column{Title: number, Align: Right}
		}
		l.Columns = append(l.Columns, column)
	}
	return l
}

// List writes l without the columns that are empty in every row.
func (s *Screen) List(l *List) {
	var kept Table
	var at []int
	for j, column := range l.Columns {
		if l.holds(j) {
			kept.Columns, at = append(kept.Columns, column), append(at, j)
		}
	}
	for _, row := range l.Rows {
		cells := make([]any, len(at))
		for i, j := range at {
			cells[i] = row[j]
		}
		kept.Add(cells...)
	}
	s.Table(kept)
}

func (l *List) holds(column int) bool {
	for _, row := range l.Rows {
		if cell := row[column]; cell != nil && cell != "" {
			return true
		}
	}
	return false
}
