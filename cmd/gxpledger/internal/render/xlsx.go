package render

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// longestSheetText is how many characters (of UTF-16) a cell of a spreadsheet holds. What is cut says so.
const longestSheetText = 32_767

// MatrixXLSX writes a workbook: the records of [MatrixCSV] as one sheet, and what they are of as another. Every cell is text
// that passes [Cell]: there are no formulas.
func MatrixXLSX(w io.Writer, d Matrix) (err error) {
	book := excelize.NewFile()
	defer func() { err = errors.Join(err, book.Close()) }()
	if err := book.SetSheetName("Sheet1", "Matrix"); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	if err := writeSheet(book, "Matrix", matrixColumns(), matrixRecords(d)); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	if _, err := book.NewSheet("About"); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	if err := writeSheet(book, "About", []string{"what", "text"}, aboutMatrix(d)); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	if _, err := book.WriteTo(w); err != nil {
		return fmt.Errorf("write workbook: %w", err)
	}
	return nil
}

// writeSheet fills a sheet, row by row, below a line of names that stays in sight.
func writeSheet(book *excelize.File, name string, columns []string, records iter.Seq[[]string]) error {
	sheet, err := book.NewStreamWriter(name)
	if err != nil {
		return err
	}
	bold, err := book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return err
	}
	if err := sheet.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	head := make([]any, len(columns))
	for i, c := range columns {
		head[i] = excelize.Cell{StyleID: bold, Value: sheetText(c)}
	}
	if err := sheet.SetRow("A1", head); err != nil {
		return err
	}
	row := 1
	for record := range records {
		row++
		cells := make([]any, len(record))
		for i, c := range record {
			cells[i] = sheetText(c)
		}
		if err := sheet.SetRow(fmt.Sprintf("A%d", row), cells); err != nil {
			return err
		}
	}
	return sheet.Flush()
}

// sheetText is a text as a cell of a workbook may hold it.
func sheetText(s string) string {
	s = Cell(s)
	if len(s) <= longestSheetText { // no text has more characters than bytes
		return s
	}
	const cut = " (cut)"
	units := 0
	for i, r := range s {
		if units += utf16.RuneLen(r); units > longestSheetText-len(cut) {
			return s[:i] + cut
		}
	}
	return s
}

func aboutMatrix(d Matrix) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		yields := func(what, text string) bool { return yield([]string{what, text}) }
		for _, f := range aboutFacts(d) {
			if !yields(f.Name, f.Text) {
				return
			}
		}
		for _, s := range trace.States() {
			if !yields("State "+s.Words(), stateOf(s).Meaning) {
				return
			}
		}
	}
}

func aboutFacts(d Matrix) []Fact {
	facts := []Fact{}
	for _, s := range d.Shown.Scans {
		text := s.Repository + ": " + ScanWords(s)
		if since := SinceWords(s); since != "" {
			text += "; " + since
		}
		if !s.RetiredAt.IsZero() {
			text += "; retired at " + ExactTime(s.RetiredAt)
		}
		facts = append(facts, Fact{"Repository", text})
	}
	if n := d.Shown.RetiredLeftOut; n > 0 {
		facts = append(facts, Fact{"Left out", CountOf(n, "retired repository", "retired repositories")})
	}
	asOf := d.Shown.Given
	if asOf == "" {
		asOf = "the last completed scan of each repository when this was made"
	}
	filter := FilterWords(d.Filters)
	if filter == "" {
		filter = "none"
	}
	facts = append(facts, Fact{"As of", asOf}, Fact{"Position", fmt.Sprint(uint64(d.Shown.Position))},
		Fact{"Recorded", ExactTime(d.Shown.RecordedAt)}, Fact{"Filter", filter}, Fact{"Log", d.LogID},
		Fact{"Made by", d.Program}, Fact{"Summary", MatrixSummary(d.Summary)})
	for _, r := range d.Summary.Risks {
		facts = append(facts, Fact{"Requirements of risk " + riskWord(r.Risk), fmt.Sprintf("%d, of which %d covered", r.Total, r.States[trace.StateCovered])})
	}
	return facts
}
