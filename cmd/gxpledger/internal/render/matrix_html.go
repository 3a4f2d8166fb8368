package render

import (
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

//go:embed matrix.html
var matrixPage string

//go:embed matrix.css
var matrixStyle string

// matrixView is what the page shows. Texts pass Text in the template, since a browser turns text around as a
// terminal does; the template escapes what is markup.
type matrixView struct {
	Policy  string // of the page: nothing is loaded and nothing runs
	Style   template.CSS
	Shown   query.Shown
	Several bool     // repositories
	Title   string   // what the page is of
	Left    []string // what is said of repositories that are not named
	Levels  []levelView
	States  []stateView
	Rows    []rowView
	Count   int64 // of artifacts
}

// levelView is a row of the summary.
type levelView struct {
	Name   string
	Counts []int64 // in the order of States
}

type stateView struct{ Name, Word, Meaning string }

type rowView struct {
	Number     int
	Repository string
	Cells      [4]*trace.Artifact
	State      stateView
	Why        string
}

// MatrixHTML writes one page that needs nothing else.
func MatrixHTML(w io.Writer, d Matrix) error {
	page, err := template.New("matrix").Funcs(template.FuncMap{
		"text": Text, "time": ExactTime, "short": Short, "state": stateOf,
		"tree": func(s query.ShownScan) string { return TreeWords(s, s.Commit) }, "since": SinceWords,
	}).Parse(matrixPage)
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	if err := page.Execute(w, viewOf(d)); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

func viewOf(d Matrix) matrixView {
	sum := sha256.Sum256([]byte(matrixStyle))
	v := matrixView{
		Policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'",
			base64.StdEncoding.EncodeToString(sum[:])),
		Style: template.CSS(matrixStyle), //nolint:gosec // ours, embedded
		Shown: d.AsOf, Several: len(d.AsOf.Scans) > 1, Count: d.Summary.Artifacts,
	}
	named, left := NamedInHead(d.AsOf)
	for i, s := range named {
		v.Title += map[bool]string{true: " of ", false: ", "}[i == 0] + s.Repository
		if s.Scan > 0 {
			v.Title += fmt.Sprintf(" scan %d", s.Scan)
		}
	}
	if more := len(d.AsOf.Scans) - len(named); more > 0 {
		v.Title += fmt.Sprintf(" and %d more", more)
		left = left[1:] // all are in the list
	}
	v.Left = left
	for _, s := range trace.States() {
		v.States = append(v.States, stateOf(s))
	}
	for _, l := range []struct {
		name   string
		counts trace.StateCounts
	}{
		{"Requirements", d.Summary.Requirements},
		{"User stories", d.Summary.Stories},
		{"Specs", d.Summary.Specs},
		{"Evidence", d.Summary.Evidence},
		{"All", d.Summary.States},
	} {
		row := levelView{Name: l.name}
		for _, s := range trace.States() {
			row.Counts = append(row.Counts, l.counts[s])
		}
		v.Levels = append(v.Levels, row)
	}
	for n, r := range d.Rows {
		row := rowView{Number: n + 1, Repository: r.Repository, State: stateOf(r.State), Why: why(r)}
		for level := range trace.LevelEvidence + 1 {
			row.Cells[level] = r.Artifact(level)
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

func stateOf(state trace.State) stateView {
	return stateView{Name: string(state), Word: state.Words(), Meaning: map[trace.State]string{
		trace.StateFailed:     "Valid evidence says that tests failed, and none says that they passed.",
		trace.StateOrphaned:   "It names a parent that is not there, or leads to none at all.",
		trace.StateWrongKind:  "It names a parent at another level.",
		trace.StateMissing:    "Nothing of the next level leads to it.",
		trace.StateDuplicate:  "Another artifact of its kind has the same id.",
		trace.StateUnverified: "There is evidence, and none of it is valid.",
		trace.StateSuspect:    "Something that it leads to was changed by a later scan than it was itself.",
		trace.StateTransitive: "All is well here, but something above or below is not.",
		trace.StateCovered:    "All is well here, above and below.",
	}[state]}
}
