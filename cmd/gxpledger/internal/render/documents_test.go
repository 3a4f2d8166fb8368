package render_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// hostileText draws texts that try to be markup, formulas or commands of a terminal.
func hostileText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := []string{
			"=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "<script>", "</td>", "\"", "'", "&", "{{", "a", " ", "\x1b[2J", "\u202e", "\xff", "\x00",
			"<!--", "]]>", "\ufffe",
		}
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 5).Draw(t, "parts"), "") + rapid.String().Draw(t, "rest")
	})
}

var pageTag = regexp.MustCompile(`<(/?[a-zA-Z!][a-zA-Z0-9]*)`)

// tagsOf counts the tags of a page by name.
func tagsOf(page string) map[string]int {
	out := map[string]int{}
	for _, m := range pageTag.FindAllStringSubmatch(page, -1) {
		out[m[1]]++
	}
	return out
}

// TestAReportIsOnlyText compares the page of hostile cells with that of harmless ones: both have the same tags. The CSV reads back
// without a formula.
func TestAReportIsOnlyText(t *testing.T) {
	t.Parallel()
	hostile := render.Report{Name: "Report", Group: 1, Columns: []render.ReportColumn{
		{Name: "heading", Title: "Heading"},
		{Name: "one", Title: "One"},
		{Name: "two", Title: "Two", Form: render.NumberForm},
		{Name: "diff", Title: "Diff", Form: render.DiffForm},
		{Name: "data", Form: render.DataForm},
	}}
	tame := hostile
	for i := range 150 {
		var cells, plain []string
		for j := range hostile.Columns {
			cell := hostileText().Example(10*i + j)
			cells, plain = append(cells, cell), append(plain, strings.Map(func(r rune) rune {
				if r == '\n' || strings.ContainsRune("+-@", r) { // which decide how a diff is coloured
					return r
				}
				return 'x'
			}, cell))
		}
		cells[0] += strconv.Itoa(i)
		plain[0] += strconv.Itoa(i)
		hostile.Rows = append(hostile.Rows, render.ReportRow{Section: "S<b>", Repository: cells[1], Cells: cells})
		tame.Rows = append(tame.Rows, render.ReportRow{Section: "S<b>", Repository: plain[1], Cells: plain})
	}
	page, plain := reportPage(t, hostile), reportPage(t, tame)
	if got, want := fmt.Sprint(tagsOf(page)), fmt.Sprint(tagsOf(plain)); got != want {
		t.Errorf("tags %s, want %s", got, want)
	}
	if !harmless(strings.ReplaceAll(page, "\n", "")) {
		t.Errorf("the page holds what acts on a reader: %q", page)
	}
	var table bytes.Buffer
	if err := render.ReportCSV(&table, hostile); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(records) != 1+len(hostile.Rows) {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, record := range records {
		for _, cell := range record {
			if beginsFormula(cell) {
				t.Errorf("the cell %q begins a formula", cell)
			}
		}
	}
}

func reportPage(t *testing.T, r render.Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := render.ReportHTML(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// matrixOf is a matrix of one requirement with so many specs below its only story.
func matrixOf(title string, specs int) render.Matrix {
	artifacts := []trace.Artifact{
		{Cell: trace.Cell{Kind: domain.KindRequirement, Number: 1, GxPID: "REQ-1", Path: "r", Title: title}, Risk: "HIGH", RiskNormal: "high", Repository: title},
		{Cell: trace.Cell{Kind: domain.KindUserStory, Number: 2, GxPID: "US-1", Path: "u"}, Repository: title},
		{Cell: trace.Cell{Kind: domain.KindEvidenceJWS, Number: 3, GxPID: "EV-1", Path: "e"}, Repository: title, Fingerprint: strings.Repeat("ab", 32)},
	}
	links := []trace.Link{{Number: 2, Edge: "parent_id", Target: "REQ-1", State: trace.LinkResolved, ToNumber: 1}}
	for i := range specs {
		number := int64(10 + i)
		artifacts = append(artifacts, trace.Artifact{Repository: title, Cell: trace.Cell{Kind: domain.KindSpec, Number: number, GxPID: fmt.Sprint("SPEC-", i), Path: fmt.Sprint("s", i)}})
		links = append(links, trace.Link{Number: number, Edge: "parent_id", Target: "US-1", State: trace.LinkResolved, ToNumber: 2})
	}
	m, _ := trace.New(artifacts, links).Matrix()
	return render.Matrix{Source: render.Source{LogID: "LOG", Program: "gxpledger 1", Filters: []render.Filter{{Name: "risk", Value: title}}}, Matrix: m}
}

func TestTheMatrixPageWritesOnceWhatRowsHaveInCommon(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := render.MatrixHTML(&out, matrixOf("Title", 14)); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	for part, want := range map[string]int{
		`rowspan="12"`: 2, `rowspan="2"`: 2, `<bdi class="id">REQ-1</bdi>`: 2, "continued": 2, `<bdi class="id">SPEC-13</bdi>`: 1,
		"Risk: HIGH": 1, `<th scope="row"><bdi>high</bdi></th><td class="number">1</td>`: 1, strings.Repeat("ab", 32): 1,
		"Tests: unknown; key: abababababab": 1, "<dt>Log</dt><dd>LOG</dd>": 1, "<dt>Made by</dt><dd>gxpledger 1</dd>": 1,
		"<strong>risk: Title</strong>": 1, `<h2 id="signoff">`: 1, "Artifacts without a link": 1, "15 rows from requirement": 1,
	} {
		if got := strings.Count(page, part); got != want {
			t.Errorf("the page holds %q %d times, want %d", part, got, want)
		}
	}
}

// TestAWorkbookHoldsNoFormula reads a workbook of many hostile texts back.
func TestAWorkbookHoldsNoFormula(t *testing.T) {
	t.Parallel()
	const specs = 200
	matrix := matrixOf("=cmd|' /C calc'!A0", specs)
	titles := map[string]bool{}
	for i := range matrix.Artifacts {
		a := matrix.Artifacts[i]
		a.Title = hostileText().Example(i)
		if a.Kind == domain.KindSpec && a.Number == 10 {
			a.Title = "=" + strings.Repeat("\U0001f600", 20_000)
		}
		if a.Kind != domain.KindEvidenceJWS { // of which the sheet has no title
			titles[render.Cell(a.Title)] = true
		}
	}
	var out bytes.Buffer
	if err := render.MatrixXLSX(&out, matrix); err != nil {
		t.Fatal(err)
	}
	parts, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"} {
		if sheet, err := fs.ReadFile(parts, name); err != nil || bytes.Contains(sheet, []byte("<f")) || !bytes.Contains(sheet, []byte("<c ")) {
			t.Errorf("%s holds a formula or no cell, %v", name, err)
		}
	}
	book, err := excelize.OpenReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	for _, sheet := range []string{"Matrix", "About"} {
		rows, err := book.GetRows(sheet)
		if err != nil || len(rows) < 2 {
			t.Fatalf("%s: %d rows, %v", sheet, len(rows), err)
		}
		for i, row := range rows {
			for j, cell := range row {
				if beginsFormula(cell) {
					t.Errorf("row %d, column %d of %s is %q", i+1, j+1, sheet, cell)
				}
				delete(titles, cell)
				if whole, cut := strings.CutSuffix(cell, " (cut)"); cut {
					for title := range titles {
						if strings.HasPrefix(title, whole) {
							delete(titles, title)
						}
					}
				}
			}
		}
	}
	delete(titles, "")
	if len(titles) > 0 {
		t.Errorf("no cell holds %v", titles)
	}
}

func TestTextDiffsShowLinesAndSayWhatTheyLeaveOut(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("line\n", render.MaxDiffSize/5+1)
	var many, others strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "a%d\n", i)
		fmt.Fprintf(&others, "b%d\n", i)
	}
	for name, c := range map[string]struct{ before, after, unified, note string }{
		"a line":       {"one\ntwo\n", "one\nthree\n", "@@ -1,2 +1,2 @@\n one\n-two\n+three\n", ""},
		"a blank":      {"one\n", "one \n", "@@ -1 +1 @@\n-one\n+one \n", ""},
		"no line end":  {"one", "one\n", "@@ -1 +1 @@\n-one\n\\ No newline at end of file\n+one\n", ""},
		"all":          {"one\n", "", "@@ -1 +0,0 @@\n-one\n", ""},
		"binary":       {"one\x00", "two", "", "binary: not compared line by line; 4 bytes before, 3 bytes after"},
		"no UTF-8":     {"one", "two\xff", "", "binary: not compared line by line; 3 bytes before, 4 bytes after"},
		"too large":    {big, "x", "", "too large to compare line by line"},
		"many changes": {many.String(), others.String(), "@@ -1,2000 +1,2000 @@\n-a0\n", "more of the diff: see gxpledger content old and new"},
		"a long line":  {strings.Repeat("x", 500) + "\n", "", strings.Repeat("x", 199) + "... (501 characters)", ""},
	} {
		got := render.NewTextDiff("old", "new", []byte(c.before), []byte(c.after))
		if exact := strings.HasPrefix(name, "a ") && name != "a long line"; exact && got.Unified != c.unified || !strings.Contains(got.Unified, c.unified) ||
			c.unified == "" && got.Unified != "" || !strings.Contains(got.Note, c.note) || c.note == "" && got.Note != "" {
			t.Errorf("%s: %q, %q", name, got.Unified, got.Note)
		}
		if lines := strings.Count(got.Unified, "\n"); lines > 410 {
			t.Errorf("%s: %d lines", name, lines)
		}
	}
}

// A diff applied to what was gives what is, as long as it is whole.
func TestPropertyATextDiffLeadsFromBeforeToAfter(t *testing.T) {
	t.Parallel()
	line := rapid.SampledFrom([]string{"a", "b", "c", "", "+d", "-e", "@@"})
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return strings.Join(rapid.SliceOfN(line, 0, 12).Draw(t, name), "\n") }
		before, after := text("before"), text("after")
		d := render.NewTextDiff("o", "n", []byte(before), []byte(after))
		if d.Note != "" || (d.Unified == "") != (before == after) {
			t.Fatalf("%q, %q of %q and %q", d.Unified, d.Note, before, after)
		}
		var removed, added int
		for l := range strings.SplitSeq(d.Unified, "\n") {
			switch {
			case strings.HasPrefix(l, "-"):
				removed++
			case strings.HasPrefix(l, "+"):
				added++
			}
		}
		count := func(s string) int {
			return strings.Count(s, "\n") + map[bool]int{true: 1}[s != "" && !strings.HasSuffix(s, "\n")]
		}
		if count(after)-count(before) != added-removed {
			t.Fatalf("%q has %d lines added and %d removed, from %q to %q", d.Unified, added, removed, before, after)
		}
	})
}
