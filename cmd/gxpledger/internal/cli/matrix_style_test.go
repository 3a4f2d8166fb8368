package cli_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// styleRule is one rule of a style sheet.
type styleRule struct {
	media        string // the @media that it stands in; "" for none
	selectors    []string
	declarations map[string]string
}

// readStyle reads a style sheet of rules and of @media blocks of rules, which is all that ours holds.
func readStyle(t *testing.T, path string) []styleRule {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rules []styleRule
	media := ""
	for _, part := range regexp.MustCompile(`([^{}]*)([{}])`).FindAllStringSubmatch(string(text), -1) {
		before := strings.TrimSpace(part[1])
		switch {
		case part[2] == "{" && strings.HasPrefix(before, "@media"):
			media = before
		case part[2] == "{":
			rules = append(rules, styleRule{media: media, declarations: map[string]string{}})
			for s := range strings.SplitSeq(before, ",") {
				rules[len(rules)-1].selectors = append(rules[len(rules)-1].selectors, strings.TrimSpace(s))
			}
		case before == "" && media != "" && strings.Contains(part[0], "}"):
			media = ""
		default:
			for d := range strings.SplitSeq(before, ";") {
				if name, value, ok := strings.Cut(d, ":"); ok {
					rules[len(rules)-1].declarations[strings.TrimSpace(name)] = strings.TrimSpace(value)
				}
			}
		}
	}
	return rules
}

// declared returns what the last rule for a selector outside of other media says of a property.
func declared(rules []styleRule, media, selector, property string) string {
	value := ""
	for _, r := range rules {
		if r.media != "" && (media == "" || !strings.Contains(r.media, media)) || !slices.Contains(r.selectors, selector) {
			continue
		}
		if v, ok := r.declarations[property]; ok {
			value = v
		}
	}
	return value
}

func ems(t *testing.T, value string) float64 {
	t.Helper()
	number, ok := strings.CutSuffix(value, "em")
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil {
		t.Fatalf("the width %q is not in em, so that it does not follow the size of the text", value)
	}
	return n
}

// TestNoColumnOfTheMatrixPageCollapses holds what keeps words whole in a browser. Where text may break anywhere, a browser
// takes a letter for the least width of its column, unless the widths of the table are fixed. (The page was looked at in
// Chromium, at 500, 1000 and 1400 pixels and on A4, with ids of 200 characters and with Thai, Japanese and Arabic titles.)
func TestNoColumnOfTheMatrixPageCollapses(t *testing.T) {
	t.Parallel()
	rules := readStyle(t, "../render/document.css")
	for _, r := range rules {
		for _, property := range []string{"overflow-wrap", "word-break", "line-break", "word-wrap", "hyphens"} {
			for _, selector := range r.selectors {
				if _, ok := r.declarations[property]; ok && selector != "dd" && selector != "table.matrix td" && selector != "table.report td" {
					t.Errorf("%s sets %s: only dd and the cells of the fixed table may break anywhere", selector, property)
				}
			}
		}
		for _, property := range []string{"width", "max-width"} {
			if v := r.declarations[property]; strings.HasSuffix(v, "%") && v != "100%" {
				t.Errorf("%v sets %s: %s: a share is too narrow on some screen", r.selectors, property, v)
			}
		}
	}
	for _, want := range [][3]string{
		{"table.matrix", "table-layout", "fixed"},
		{"dl", "grid-template-columns", "max-content minmax(0, 1fr)"},
		{"thead th", "white-space", "nowrap"},
		{".number", "white-space", "nowrap"},
		{".state", "white-space", "nowrap"},
	} {
		if got := declared(rules, "", want[0], want[1]); got != want[2] {
			t.Errorf("%s sets %s: %q, want %q", want[0], want[1], got, want[2])
		}
	}
	checkColumns(t, rules)
}

// checkColumns checks that each column, at the least width of the table, holds its heading and the longest state in bold.
func checkColumns(t *testing.T, rules []styleRule) {
	t.Helper()
	page, err := os.ReadFile("../render/matrix.html")
	if err != nil {
		t.Fatal(err)
	}
	tables := regexp.MustCompile(`(?s)<colgroup>(.*?)</colgroup>\s*<thead>(.*?)</thead>`).FindAllStringSubmatch(string(page), -1)
	if len(tables) != 2 {
		t.Fatalf("%d tables of fixed columns, want the matrix and the artifacts without a link", len(tables))
	}
	for _, table := range tables {
		checkTable(t, rules, table[1], table[2])
	}
}

func checkTable(t *testing.T, rules []styleRule, columnGroup, head string) {
	t.Helper()
	columns := regexp.MustCompile(`<col class="(\w+)">`).FindAllStringSubmatch(columnGroup, -1)
	headings := regexp.MustCompile(`<th scope="col"[^>]*>([^<]*)</th>`).FindAllStringSubmatch(head, -1)
	if len(columns) == 0 || len(columns) != len(headings) {
		t.Fatalf("%d columns, %d headings", len(columns), len(headings))
	}
	const letter, padding = 0.6, 0.95 // em, of bold text and of both sides of a cell
	for _, on := range []struct {
		medium string
		least  float64
	}{
		{"screen", ems(t, declared(rules, "", "table.matrix", "min-width"))},
		{"print", (297 - 2*12) / 25.4 * 72 / 8},   // A4 across without margins, in letters of 8pt
		{"print", (279.4 - 2*12) / 25.4 * 72 / 8}, // Letter
	} {
		medium, least := on.medium, on.least
		rest, free := least, 0
		for _, c := range columns {
			if width := declared(rules, medium, "col."+c[1], "width"); width == "" || width == "auto" {
				free++
			} else {
				rest -= ems(t, width)
			}
		}
		for i, c := range columns {
			width := rest / float64(free)
			if given := declared(rules, medium, "col."+c[1], "width"); given != "" && given != "auto" {
				width = ems(t, given)
			}
			longest := map[bool]string{true: "200000", false: "unverified"}[c[1] == "number"]
			if heading := headings[i][1]; len(heading) > len(longest) {
				longest = heading
			}
			if need := float64(len(longest))*letter + padding; width < need {
				t.Errorf("on the %s the column %s is %.1fem wide, and %q needs %.1f", medium, headings[i][1], width, longest, need)
			}
		}
	}
}
