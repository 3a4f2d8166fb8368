package render

import (
	_ "embed" // for the page
	"io"
	"iter"
	"slices"

	"github.com/gxpledger/gxpledger/domain/trace"
)

//go:embed report.html
var reportPage string

// Report is a document of rows in sections: what gaps, diff, history, audit, search and the files of an export are handed over
// as. The same rows are the page and the CSV.
type Report struct {
	Source
	Name    string // what it is
	Facts   []Fact // of all of it
	Columns []ReportColumn
	Group   int // how many of the first columns a page shows once, as a heading of the rows that have them in common
	Rows    []ReportRow
	Empty   string // what the page says where there are no rows
	Notes   []string
	States  bool // explain the states of a matrix
}

// ReportColumn is a column of a report.
type ReportColumn struct {
	Name  string // in a CSV; stable
	Title string
	Form  Form
	Width ColumnWidth // on a page
}

// ColumnWidth is how wide a page shows a column.
type ColumnWidth string

// The widths. The zero value shares what is left.
const (
	Narrow ColumnWidth = "narrow"
	Medium ColumnWidth = "medium"
	Wide   ColumnWidth = "wide"
)

// Form is how a page shows the cells of a column.
type Form int

// The forms.
const (
	Plain      Form = iota
	StateForm       // a state of a matrix
	DiffForm        // a unified diff, below the row
	NumberForm      // leans to the right
	DataForm        // not at all: it is for programs
)

// ReportRow is a row of a report. Rows of a section follow each other.
type ReportRow struct {
	Section                  string // heading of the page, first cell of the CSV
	RepositoryID, Repository string
	Cells                    []string // of Columns
}

// ReportCSV writes one record for each row, which says itself which state of which repository it is of.
func ReportCSV(w io.Writer, r Report) error { return writeCSV(w, r.columns(), r.records()) }

func (r Report) columns() []string {
	names := append(HeadColumns(), "section")
	for _, c := range r.Columns {
		names = append(names, c.Name)
	}
	return append(names, sourceColumns()...)
}

func (r Report) records() iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for _, row := range r.Rows {
			if !yield(slices.Concat(HeadCells(r.Shown, row.RepositoryID, row.Repository), []string{row.Section}, row.Cells, r.cells())) {
				return
			}
		}
	}
}

type reportView struct {
	Head     headView
	Sections []sectionView
	Empty    string
	Notes    []string
	States   []stateView
}

type sectionView struct {
	ID      int
	Title   string
	Columns []ReportColumn // that are not empty in every row
	Span    int            // of columns
	Rows    []reportRowView
	Count   int
}

type reportRowView struct {
	Heading []string // of the rows from here on; none when the last one still holds
	Cells   []reportCellView
	Diff    string
}

type reportCellView struct {
	Text  string
	Form  Form
	State stateView
}

// ReportHTML writes one page that needs nothing else.
func ReportHTML(w io.Writer, r Report) error {
	v := reportView{Head: headOf(r.Name, r.Source, r.Facts), Notes: r.Notes}
	if len(r.Rows) == 0 {
		v.Empty = r.Empty
	}
	if r.States {
		for _, s := range trace.States() {
			v.States = append(v.States, stateOf(s))
		}
	}
	for rows := r.Rows; len(rows) > 0; {
		n := 1
		for n < len(rows) && rows[n].Section == rows[0].Section {
			n++
		}
		v.Sections = append(v.Sections, r.section(len(v.Sections)+1, rows[:n]))
		rows = rows[n:]
	}
	return writePage(w, reportPage, v)
}

func (r Report) section(id int, rows []ReportRow) sectionView {
	s := sectionView{ID: id, Title: rows[0].Section, Count: len(rows)}
	several := len(r.Shown.Scans) > 1
	if several {
		s.Columns = append(s.Columns, ReportColumn{Title: "Repository", Width: Narrow})
	}
	diff := slices.IndexFunc(r.Columns, func(c ReportColumn) bool { return c.Form == DiffForm })
	var at []int
	for j, c := range r.Columns {
		shown := j >= r.Group && c.Form != DiffForm && c.Form != DataForm
		if shown && slices.ContainsFunc(rows, func(row ReportRow) bool { return row.Cells[j] != "" }) {
			s.Columns, at = append(s.Columns, c), append(at, j)
		}
	}
	s.Span = max(1, len(s.Columns))
	for i, row := range rows {
		var view reportRowView
		if i == 0 || !slices.Equal(row.Cells[:r.Group], rows[i-1].Cells[:r.Group]) {
			view.Heading = r.heading(row)
		}
		if several {
			view.Cells = append(view.Cells, reportCellView{Text: row.Repository})
		}
		empty := true
		for _, j := range at {
			view.Cells = append(view.Cells, r.cell(j, row.Cells[j]))
			empty = empty && row.Cells[j] == ""
		}
		if empty && len(view.Heading) > 0 { // it says all
			view.Cells = nil
		}
		if diff >= 0 {
			view.Diff = row.Cells[diff]
		}
		s.Rows = append(s.Rows, view)
	}
	return s
}

// heading is what the first columns of a row say.
func (r Report) heading(row ReportRow) []string {
	var out []string
	for j, c := range r.Columns[:r.Group] {
		if row.Cells[j] != "" && c.Form != DataForm {
			out = append(out, c.Title+": "+row.Cells[j])
		}
	}
	return out
}

func (r Report) cell(column int, text string) reportCellView {
	c := reportCellView{Text: text, Form: r.Columns[column].Form}
	if c.Form == StateForm {
		c.State = stateOf(trace.State(text))
	}
	return c
}
