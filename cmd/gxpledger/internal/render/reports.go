package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// GapGroup is a kind of gap with its words.
type GapGroup struct{ Gap, One, Many string }

// GapGroups are the kinds of gaps, in the order in which they are shown.
func GapGroups() []GapGroup {
	return []GapGroup{
		{trace.GapBrokenLink, "broken link", "broken links"},
		{trace.GapNoStory, "requirement without a user story", "requirements without a user story"},
		{trace.GapNoSpec, "user story without a spec", "user stories without a spec"},
		{trace.GapNoEvidence, "spec without valid evidence", "specs without valid evidence"},
	}
}

// GapsReport is gaps as a document.
func GapsReport(s Source, gaps trace.Gaps) Report {
	r := Report{
		Source: s, Name: "Gaps in traceability", Empty: "There is no gap and no finding in the completed scans.", States: true,
		Columns: []ReportColumn{
			{Name: "gap", Form: DataForm},
			{Name: "state", Title: "State", Form: StateForm, Width: Narrow},
			{Name: "kind", Title: "Kind", Width: Narrow},
			{Name: "id", Title: "ID", Width: Medium},
			{Name: "title", Title: "Title"},
			{Name: "risk", Title: "Risk", Width: Narrow},
			{Name: "link", Title: "Link", Width: Narrow},
			{Name: "to", Title: "To", Width: Medium},
			{Name: "why", Title: "Why"},
			{Name: "path", Title: "Path"},
		},
	}
	for _, c := range CoverageRows(gaps.Coverage) {
		r.Facts = append(r.Facts, Fact{"Coverage", fmt.Sprintf("%d of %d %s", c.Covered.Covered, c.Covered.Total, c.What)})
	}
	if gaps.Unknown > 0 {
		r.Notes = append(r.Notes, UnknownWords(gaps.Unknown))
	}
	for _, group := range GapGroups() {
		for _, g := range gaps.Gaps {
			if g.Gap == group.Gap {
				r.Rows = append(r.Rows, gapRow(strings.ToUpper(group.Many[:1])+group.Many[1:], g))
			}
		}
	}
	for _, g := range gaps.Findings {
		r.Rows = append(r.Rows, gapRow("Findings, not gaps", g))
	}
	return r
}

// UnknownWords says that something is listed because it may be of the risk or tier that was asked for.
func UnknownWords(n int64) string {
	return fmt.Sprintf("%s listed because the risk or tier is not known.", Verb(int(n), "1 of them is", fmt.Sprintf("%d of them are", n)))
}

func gapRow(section string, g trace.Gap) ReportRow {
	return ReportRow{section, g.RepositoryID, g.Repository, []string{
		g.Gap, string(g.State), Spaced(g.Kind), g.Name(), g.Title, GapRisk(g), g.Edge, g.Target, cmp.Or(GapEvidence(g), g.Text), g.Key(),
	}}
}

// GapRisk names the risks that bear on a gap.
func GapRisk(g trace.Gap) string { return strings.Join(g.Risks, ", ") }

// GapEvidence says what there is instead of valid evidence.
func GapEvidence(g trace.Gap) string {
	if g.Gap != trace.GapNoEvidence {
		return ""
	}
	if len(g.Evidence) == 0 {
		return "none"
	}
	var order []string
	counts := map[string]int{}
	for _, e := range g.Evidence {
		what := trace.EvidenceWord(e.State, e.Reason, e.Detail)
		if counts[what] == 0 {
			order = append(order, what)
		}
		counts[what]++
	}
	for i, what := range order {
		order[i] = fmt.Sprintf("%d %s", counts[what], what)
	}
	return strings.Join(order, ", ")
}

// CoverageRow is how much of something is covered.
type CoverageRow struct {
	What    string
	Covered trace.Covered
}

// CoverageRows are the rows of a coverage.
func CoverageRows(c trace.Coverage) []CoverageRow {
	return []CoverageRow{
		{"resolved links", c.Links},
		{"requirements with a user story", c.Requirements},
		{"user stories with a spec", c.Stories},
		{"specs with valid evidence", c.Specs},
	}
}

// changeColumns are the columns of what says how artifacts changed.
func changeColumns() []ReportColumn {
	return []ReportColumn{
		{Name: "area", Title: "Area", Width: Narrow},
		{Name: "field", Title: "Field", Width: Medium},
		{Name: "op", Title: "Change", Width: Narrow},
		{Name: "old", Title: "Old value"},
		{Name: "new", Title: "New value"},
		{Name: "text_diff", Title: "Text", Form: DiffForm},
	}
}

// changeCells are the cells of changeColumns, one row for each change, and one without a change for none.
func changeCells(changes []trace.Change, texts TextDiffs) [][]string {
	if len(changes) == 0 {
		return [][]string{make([]string, len(changeColumns()))}
	}
	var rows [][]string
	for _, c := range changes {
		text := ""
		if d, ok := texts.of(c); ok {
			text = strings.TrimSuffix(d.Unified+d.Note, "\n")
		}
		rows = append(rows, []string{c.Area, c.Path, c.Op, fullValue(c, c.Old), fullValue(c, c.New), text})
	}
	return rows
}

// fullValue is a value of a change as text, whole.
func fullValue(c trace.Change, raw []byte) string {
	switch c.Area {
	case trace.AreaLink, trace.AreaEvidence:
		return changeValue(c, raw)
	}
	return trace.Text(raw)
}

// DiffReport is a diff as a document.
func DiffReport(s Source, d query.Diff, texts TextDiffs, from, to string) Report {
	r := Report{
		Source: s, Name: "Differences between two points in time", Facts: []Fact{{"From", from}, {"To", to}}, Empty: "No differences.", Group: 6,
		Columns: slices.Concat([]ReportColumn{
			{Name: "what", Title: "What", Width: Narrow},
			{Name: "kind", Title: "Kind", Width: Narrow},
			{Name: "id", Title: "ID", Width: Narrow},
			{Name: "title", Title: "Title"},
			{Name: "path", Title: "Path"},
			{Name: "note", Title: "Note"},
		}, changeColumns()),
	}
	for _, a := range d.Artifacts {
		var notes []string
		if a.MovedFrom != "" {
			notes = append(notes, "from "+a.MovedFrom)
		}
		if a.Evidence != "" {
			notes = append(notes, a.Evidence)
		}
		if len(a.Replaces) > 0 {
			notes = append(notes, "replaces "+strings.Join(a.Replaces, ", "))
		}
		key := trace.Cell{Path: a.Path, Ordinal: a.Ordinal}
		for _, change := range changeCells(a.Changes, texts) {
			r.Rows = append(r.Rows, ReportRow{"Artifacts", d.RepositoryID, d.Repository, slices.Concat(
				[]string{a.What, Spaced(a.Kind), a.Name(), a.Title, key.Key(), strings.Join(notes, "; ")}, change)})
		}
	}
	for _, l := range d.Links {
		key := trace.Cell{Path: l.Path, Ordinal: l.Ordinal}
		r.Rows = append(r.Rows, ReportRow{"Links", d.RepositoryID, d.Repository, []string{
			l.What, Spaced(l.Kind), nameOf(l), "", key.Key(), "", trace.AreaLink, l.Edge + " " + l.Target, "", string(l.Before), string(l.After), "",
		}})
	}
	return r
}

// HistoryReport is the history of an artifact as a document: a section for each entry.
func HistoryReport(s Source, h query.History, texts TextDiffs) Report {
	r := Report{
		Source: s, Name: "History of an artifact", Empty: "Nothing was recorded.", Group: 8,
		Columns: slices.Concat([]ReportColumn{
			{Name: "what", Title: "What", Width: Narrow},
			{Name: "kind", Form: DataForm},
			{Name: "id", Form: DataForm},
			{Name: "actor", Title: "Recorded by", Width: Narrow},
			{Name: "entry_recorded_at", Title: "Recorded at", Width: Narrow},
			{Name: "entry_position", Title: "Position", Form: NumberForm, Width: Narrow},
			{Name: "reason", Title: "Reason"},
			{Name: "claimed", Title: "Claimed by git"},
		}, changeColumns()),
	}
	for i, l := range h.Artifacts {
		presence := "present"
		if !l.Present {
			presence = "removed"
		}
		name := fmt.Sprintf("%s %s", Spaced(l.Kind), l.Name)
		r.Facts = append(r.Facts, Fact{"Artifact", fmt.Sprintf("%s at %s, %s", name, (&trace.Cell{Path: l.Path, Ordinal: l.Ordinal}).Key(), presence)})
		if len(h.Artifacts) > 1 {
			name = fmt.Sprintf("%s (%d of %d)", name, i+1, len(h.Artifacts))
		}
		for _, e := range l.Entries {
			who := e.Actor
			if e.ActorFrom != "" {
				who += " (" + e.ActorFrom + ")"
			}
			for _, change := range changeCells(e.Changes, texts) {
				r.Rows = append(r.Rows, ReportRow{name + ": " + entryWords(e), h.RepositoryID, h.Repository, slices.Concat([]string{
					e.What, Spaced(l.Kind), l.Name, who, ExactTime(e.RecordedAt), fmt.Sprint(e.Position), e.Reason, Claimed(e.Claims),
				}, change)})
			}
		}
	}
	return r
}

// AuditReport is the audit trail as a document.
func AuditReport(s Source, rows []query.Audit, note string) Report {
	r := Report{
		Source: s, Name: "Audit trail", Empty: cmp.Or(note, "The audit trail is empty."),
		Columns: []ReportColumn{
			{Name: "sequence", Title: "Sequence", Form: NumberForm, Width: Narrow},
			{Name: "event_recorded_at", Title: "Recorded at", Width: Wide},
			{Name: "actor", Title: "Actor", Width: Narrow},
			{Name: "action", Title: "Action", Width: Medium},
			{Name: "outcome", Title: "Outcome", Width: Narrow},
			{Name: "resource_type", Form: DataForm},
			{Name: "resource_id", Form: DataForm},
			{Name: "gxp_id", Form: DataForm},
			{Name: "summary", Title: "Summary"},
			{Name: "reason", Title: "Reason", Width: Medium},
			{Name: "payload_sha256", Form: DataForm},
			{Name: "event_id", Form: DataForm},
		},
	}
	for _, a := range rows {
		r.Rows = append(r.Rows, ReportRow{"Events", a.RepositoryID, a.Repository, []string{
			fmt.Sprint(a.Sequence), ExactTime(a.RecordedAt), a.Actor, a.Action, a.Outcome, a.ResourceType, a.ResourceID, a.GxPID, a.Summary, a.Reason,
			a.PayloadHash, a.EventID,
		}})
	}
	return r
}

// SearchReport is what a search found as a document.
func SearchReport(s Source, found gxpledger.Found, note string) Report {
	r := Report{
		Source: s, Name: "Search in files", Empty: note,
		Facts: []Fact{{"Searched", CountOf(found.Files, "file", "files")}},
		Columns: []ReportColumn{
			{Name: "kind", Title: "Kind", Width: Narrow},
			{Name: "id", Title: "ID", Width: Medium},
			{Name: "path", Title: "Path"},
			{Name: "line", Title: "Line", Form: NumberForm, Width: Narrow},
			{Name: "text", Title: "Text"},
			{Name: "content_sha256", Form: DataForm},
		},
		Notes: SearchNotes(found),
	}
	for _, m := range found.Matches {
		line := ""
		if m.Line > 0 {
			line = strconv.Itoa(m.Line)
		}
		r.Rows = append(r.Rows, ReportRow{"Matches", m.RepositoryID, m.Repository, []string{
			Spaced(m.Kind), FileID(m.File), m.Path, line, MatchText(m), m.ContentSHA256,
		}})
	}
	return r
}

// FileID names the artifacts of a file: the first of several, and how many others there are.
func FileID(f query.File) string {
	switch n := len(f.GxPIDs); n {
	case 0:
		return ""
	case 1:
		return f.GxPIDs[0]
	default:
		return fmt.Sprintf("%s and %d more", f.GxPIDs[0], n-1)
	}
}

// MatchText is the line that was found.
func MatchText(m gxpledger.Match) string {
	if m.Line == 0 {
		return "(no text: found in the bytes)"
	}
	return strings.TrimSpace(m.Text)
}

// SearchNotes say what is not listed, and what is not known.
func SearchNotes(found gxpledger.Found) []string {
	var notes []string
	if found.More > 0 {
		notes = append(notes, fmt.Sprintf("%s more, counted and not listed: --limit lists them.", CountOf(found.More, "match", "matches")))
	}
	if n := len(found.Unread); n > 0 {
		notes = append(notes, fmt.Sprintf("Not known for %s, whose bytes were not kept since it was too large, such as %s.", CountOf(n, "file", "files"), found.Unread[0].Path))
	}
	return notes
}
