package render_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

func TestCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                          "",
		"REQ-001":                   "REQ-001",
		"=1+1":                      "'=1+1",
		"+1":                        "'+1",
		"-1":                        "'-1",
		"@SUM(A1)":                  "'@SUM(A1)",
		"\t=1":                      `'\t=1`,
		"\r=1":                      `'\r=1`,
		"\n=1":                      `'\n=1`,
		"\uff1d1":                   "'\uff1d1",
		"\uff0b1":                   "'\uff0b1",
		"\uff0d1":                   "'\uff0d1",
		"\uff20A1":                  "'\uff20A1",
		" =1":                       " =1", // text to every spreadsheet
		"'=1":                       "'=1",
		"a=b":                       "a=b",
		"\u200b=1":                  `\u200b=1`,
		"=cmd|' /C calc'!A0\x1b[2J": `'=cmd|' /C calc'!A0\x1b[2J`,
	} {
		if got := render.Cell(s); got != want {
			t.Errorf("Cell(%q) = %q, want %q", s, got, want)
		}
	}
}

// TestPropertyCSVIsSafeAndReadsBack draws texts that begin as formulas do and hold what CSV is made of.
func TestPropertyCSVIsSafeAndReadsBack(t *testing.T) {
	t.Parallel()
	text := rapid.Custom(func(t *rapid.T) string {
		parts := []string{
			"=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\"", ",", ";", "'", "a", " ", "\x1b[2J", "\u202e",
			"\xff", "\u00a0", "DDE(",
		}
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 6).Draw(t, "parts"), "") + rapid.String().Draw(t, "rest")
	})
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.SliceOfN(text, 3, 3), 1, 4).Draw(t, "records")
		var out bytes.Buffer
		w := render.NewCSV(&out)
		for _, r := range records {
			w.Record(r...)
		}
		if w.Err() != nil {
			t.Fatal(w.Err())
		}
		if !harmless(strings.ReplaceAll(out.String(), "\n", "")) {
			t.Fatalf("CSV holds what acts on a terminal: %q", out.String())
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if strings.Count(line, `"`)%2 != 0 || line[0] != '"' || line[len(line)-1] != '"' {
				t.Fatalf("line %q is not quoted", line)
			}
		}
		back, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(back) != len(records) {
			t.Fatalf("reads back as %d records, %v; want %d", len(back), err, len(records))
		}
		for i, r := range back {
			for j, cell := range r {
				text := render.Text(records[i][j])
				fields, plain := strings.Split(cell, ";"), strings.Split(text, ";") // as a spreadsheet with that separator splits it
				if len(fields) != len(plain) {
					t.Fatalf("cell %q is not the text %q", cell, text)
				}
				for k, field := range fields {
					if k > 0 {
						field = strings.TrimLeft(field, ` "`)
					}
					if beginsFormula(field) {
						t.Fatalf("field %q of cell %q begins a formula", field, cell)
					}
					if field = fields[k]; field != plain[k] && field != "'"+plain[k] {
						t.Fatalf("cell %q is not the text %q", cell, text)
					}
				}
			}
		}
	})
}

func TestACSVKeepsItsFirstError(t *testing.T) {
	t.Parallel()
	w := render.NewCSV(failing{})
	w.Record("a")
	w.Record("b")
	if !errors.Is(w.Err(), io.ErrClosedPipe) {
		t.Errorf("error %v", w.Err())
	}
}

// beginsFormula is written apart from the code: it narrows the first character and looks at it.
func beginsFormula(cell string) bool {
	first, _ := utf8.DecodeRuneInString(cell)
	if first >= 0xff01 && first <= 0xff5e {
		first -= 0xff01 - '!'
	}
	return strings.ContainsRune("=+-@\t\r\n", first)
}
