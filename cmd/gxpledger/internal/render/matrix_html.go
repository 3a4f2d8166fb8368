package render

import (
	_ "embed" // for the page
	"fmt"
	"io"

	"github.com/gxpledger/gxpledger/domain/trace"
)

//go:embed matrix.html
var matrixPage string

type matrixView struct {
	Head    headView
	Several bool // repositories
	Levels  []countView
	Risks   []countView
	Keys    []countView // without Counts
	States  []stateView
	Rows    []rowView
	Alone   []rowView // of an artifact that leads to nothing and that nothing leads to: such rows are many, and short
	All     int       // rows
	Count   int64     // of artifacts
}

// countView is a row of a summary.
type countView struct {
	Name   string
	Total  int64
	Counts []int64 // in the order of States
}

type stateView struct{ Name, Word, Meaning string }

type rowView struct {
	Number     int
	Repository string
	Cells      [4]cellView
	Lone       cellView // the only cell that is not empty, of a row of Alone
	State      stateView
	Spanned    bool // a cell of it, or of a row above it, spans others: such rows cannot be kept whole
}

// cellView is a cell of the page. It spans the rows that have it in common; a Span of 0 is of one above it.
type cellView struct {
	Span     int
	Artifact *trace.Artifact // nil where the row has nothing at this level
	Again    bool            // it goes on: what it says was written before
	Path     string          // unless it is the name
	Of, Why  []string
}

// MatrixHTML writes one page that needs nothing else.
func MatrixHTML(w io.Writer, d Matrix) error { return writePage(w, matrixPage, viewOf(d)) }

func viewOf(d Matrix) matrixView {
	v := matrixView{Head: headOf("Traceability matrix", d.Source, nil), Several: len(d.Shown.Scans) > 1, Count: d.Summary.Artifacts}
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
		v.Levels = append(v.Levels, countsOf(l.name, l.counts))
	}
	for _, r := range d.Summary.Risks {
		v.Risks = append(v.Risks, countsOf(riskWord(r.Risk), r.States))
	}
	v.Keys = keysOf(d.Artifacts)
	v.All = len(d.Rows)
	for n, r := range d.Rows {
		row, filled := rowView{Number: n + 1, Repository: r.Repository, State: stateOf(r.State)}, 0
		for level := range trace.LevelEvidence + 1 {
			a := r.Artifact(level)
			row.Cells[level] = cellOf(level, a)
			if a != nil {
				filled++
				row.Lone = row.Cells[level]
			}
		}
		if filled == 1 && r.Requirement == nil {
			v.Alone = append(v.Alone, row)
		} else {
			v.Rows = append(v.Rows, row)
		}
	}
	mergeCells(v.Rows)
	return v
}

func riskWord(risk string) string {
	if risk == "" {
		return "not given"
	}
	return Spaced(risk)
}

func countsOf(name string, counts trace.StateCounts) countView {
	out := countView{Name: name}
	for _, s := range trace.States() {
		out.Counts = append(out.Counts, counts[s])
		out.Total += counts[s]
	}
	return out
}

// keysOf counts the evidence that each key verified, in the order in which they occur.
func keysOf(artifacts []*trace.Artifact) []countView {
	var out []countView
	at := map[string]int{}
	for _, a := range artifacts {
		if a.Fingerprint == "" {
			continue
		}
		i, known := at[a.Fingerprint]
		if !known {
			i = len(out)
			at[a.Fingerprint] = i
			out = append(out, countView{Name: a.Fingerprint})
		}
		out[i].Total++
	}
	return out
}

func cellOf(level trace.Level, a *trace.Artifact) cellView {
	c := cellView{Span: 1, Artifact: a}
	if a == nil {
		return c
	}
	if c.Path = a.Key(); c.Path == a.Name() {
		c.Path = ""
	}
	switch level {
	case trace.LevelRequirement:
		c.Of = append(c.Of, "Risk: "+orNotGiven(a.Risk))
	case trace.LevelSpec:
		c.Of = append(c.Of, "Tier: "+orNotGiven(a.Tier))
	case trace.LevelEvidence:
		of := TestTotals(a.Passed, a.Failed, a.Skipped)
		if a.Fingerprint != "" {
			of += "; key: " + Short(a.Fingerprint)
		}
		c.Of = append(c.Of, of)
	case trace.LevelStory:
	}
	for _, r := range a.Reasons {
		c.Why = append(c.Why, r.State.Words()+": "+r.Text)
	}
	return c
}

func orNotGiven(word string) string {
	if word == "" {
		return "not given"
	}
	return word
}

// TestTotals says how many tests evidence claims; results that are not known are no zeros.
func TestTotals(passed, failed, skipped *int64) string {
	if passed == nil || failed == nil || skipped == nil {
		return "Tests: unknown"
	}
	return fmt.Sprintf("Tests: %d passed, %d failed, %d skipped", *passed, *failed, *skipped)
}

// longestSpan is how many rows a cell spans. It is then written again, so that a page of a printout does not begin with nothing.
const longestSpan = 12

// mergeCells lets a cell span the rows below it that have the same artifact, and the same ones at each level above it.
func mergeCells(rows []rowView) {
	var above [4]*cellView // the last cell of each level that is written
	for i := range rows {
		same := i > 0 && rows[i].Repository == rows[i-1].Repository
		for level := range rows[i].Cells {
			c := &rows[i].Cells[level]
			same = same && above[level].Artifact == c.Artifact
			switch {
			case same && c.Artifact != nil && above[level].Span < longestSpan:
				above[level].Span++
				c.Span = 0
				rows[i].Spanned, rows[i-1].Spanned = true, true
				continue
			case same && c.Artifact != nil:
				c.Of, c.Why, c.Path, c.Again = nil, nil, "", true
			}
			above[level] = c
		}
	}
}

func stateOf(state trace.State) stateView {
	return stateView{Name: string(state), Word: state.Words(), Meaning: map[trace.State]string{
		trace.StateFailed:     "Evidence says that tests failed, whatever other evidence says.",
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
