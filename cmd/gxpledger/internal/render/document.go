package render

import (
	"crypto/sha256"
	_ "embed" // for the pages
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

//go:embed document.html
var documentParts string

//go:embed document.css
var documentStyle string

// Source is what a document that is handed over says of itself: of which state of the record it is (I16), out of which log,
// made by what, when and with which filter.
//
// The document as JSON, from which others are made by programs, has the state and the filter.
type Source struct {
	Shown   query.Shown `json:"as_of"`
	Filters []Filter    `json:"filter,omitempty"` // in force; none when everything is shown
	LogID   string      `json:"-"`
	Program string      `json:"-"` // name, version and commit
}

// Filter is a filter that was given.
type Filter struct {
	Name  string `json:"name"` // of the flag or argument, such as risk
	Value string `json:"value"`
}

// FilterWords says which filters are in force; "" for none.
func FilterWords(filters []Filter) string {
	parts := make([]string, len(filters))
	for i, f := range filters {
		parts[i] = f.Name + ": " + Word(f.Value)
	}
	return strings.Join(parts, ", ")
}

// sourceColumns end every CSV and sheet. The names are stable.
func sourceColumns() []string { return []string{"filter", "log_id", "program"} }

func (s Source) cells() []string { return []string{FilterWords(s.Filters), s.LogID, s.Program} }

// headView is what the top of a page shows. Texts pass Text in the template, since a browser turns text around as a terminal
// does; the template escapes what is markup.
type headView struct {
	Source
	Policy string // of the page: nothing is loaded and nothing runs
	Style  template.CSS
	Name   string   // what the page is
	Title  string   // and what it is of
	Left   []string // what is said of repositories that are not named
	Filter string
	Facts  []Fact
}

// Fact is a line of a list.
type Fact struct{ Name, Text string }

func headOf(name string, s Source, facts []Fact) headView {
	sum := sha256.Sum256([]byte(documentStyle))
	v := headView{
		Source: s, Name: name, Filter: FilterWords(s.Filters), Facts: facts,
		Policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'",
			base64.StdEncoding.EncodeToString(sum[:])),
		Style: template.CSS(documentStyle), //nolint:gosec // ours, embedded
	}
	named, left := NamedInHead(s.Shown)
	for i, o := range named {
		v.Title += map[bool]string{true: " of ", false: ", "}[i == 0] + o.Repository
		if o.Scan > 0 {
			v.Title += fmt.Sprintf(" scan %d", o.Scan)
		}
	}
	if more := len(s.Shown.Scans) - len(named); more > 0 {
		v.Title += fmt.Sprintf(" and %d more", more)
		left = left[1:] // all are in the list
	}
	v.Left = left
	return v
}

// writePage writes one page that needs nothing else.
func writePage(w io.Writer, page string, view any) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"text": Text, "time": ExactTime, "short": Short, "state": stateOf, "lines": diffLines,
		"kind": func(a *trace.Artifact) string { return Spaced(a.Kind) },
		"tree": func(s query.ShownScan) string { return TreeWords(s, s.Commit) }, "since": SinceWords,
	}).Parse(documentParts)
	if err == nil {
		t, err = t.Parse(page)
	}
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	if err := t.Execute(w, view); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// diffLine is a line of a unified diff, with the class that colours it.
type diffLine struct{ Class, Text string }

func diffLines(diff string) []diffLine {
	var out []diffLine
	for line := range strings.SplitSeq(strings.TrimSuffix(diff, "\n"), "\n") {
		class := "same"
		switch {
		case strings.HasPrefix(line, "@@"):
			class = "hunk"
		case strings.HasPrefix(line, "+"):
			class = "plus"
		case strings.HasPrefix(line, "-"):
			class = "minus"
		}
		out = append(out, diffLine{class, line})
	}
	return out
}
