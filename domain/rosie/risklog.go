package rosie

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// riskSection finds what is meant as a heading of an entry, rightly written or not.
var riskSection = regexp.MustCompile(`(?m)^##\s+RISK(?:-|[_ ]?[0-9])`)

// riskLog collects the entries of a risk log, each in whichever of the two formats it is written:
//
//	[DATE] RISK-001 | REQ-001 | Risk: HIGH | Impact: ... | Mitigation: ... | Test Coverage: SPEC-001-001
//
//	## RISK-001: title
//	- **Risk Level:** HIGH
//
// In a log that has no such heading, a line that is neither an entry nor a comment is a finding, with its number. In one
// that has, text between the entries is prose.
type riskLog struct {
	file    *draft
	entries []*riskEntry
	block   *riskEntry // the markdown entry that the next lines belong to
	prose   bool       // the log has markdown entries
	fence   string     // what closes the code block that the next lines are in
	dropped int        // entries above the limit
	badLine int        // the first line that could not be read
}

// parseRiskLog reads the log as one artifact for the file, with the findings of all lines, and one for each entry.
func parseRiskLog(src source, limits *Limits) ([]domain.Artifact, error) {
	if err := checkUTF8(src.data); err != nil {
		return nil, err
	}
	log := &riskLog{file: newDraft(src, limits), prose: riskSection.Match(src.data)}
	number := 0
	for raw := range bytes.Lines(withoutBOM(src.data)) {
		number++
		log.line(number, strings.TrimSpace(string(raw)))
	}
	if len(log.entries) == 0 && log.badLine > 0 {
		return nil, malformedAt(log.badLine, 1, "no entry of the risk log can be read: "+
			"expected lines \"[DATE] RISK-001 | REQ-001 | Risk: HIGH | ...\" or headings \"## RISK-001: title\"")
	}
	return log.artifacts(src), nil
}

// line takes one line of the file, without the blanks around it.
func (l *riskLog) line(number int, text string) {
	if l.fenced(text) {
		l.text(number, text)
		return
	}
	if date, columns, ok := riskLine(text); ok {
		l.block = nil
		l.pipe(number, text, date, columns)
		return
	}
	if id, title, ok := riskHeading(text); ok {
		l.block = l.begin(number, text)
		l.block.set("id", id)
		l.block.heading = title
		return
	}
	switch {
	case strings.HasPrefix(text, "##") && riskSection.MatchString(text):
		l.block = nil
		l.malformed(number, "the heading gives no risk id")
	case strings.HasPrefix(text, "#") && !strings.HasPrefix(text, "###"):
		l.block = nil // a comment, or another section
	default:
		l.text(number, text)
	}
}

// fenced reports whether a line belongs to a code block, in which nothing is an entry.
func (l *riskLog) fenced(text string) bool {
	if l.fence != "" {
		if strings.HasPrefix(text, l.fence) {
			l.fence = ""
		}
		return true
	}
	if l.prose && (strings.HasPrefix(text, "```") || strings.HasPrefix(text, "~~~")) {
		l.fence = text[:3]
		return true
	}
	return false
}

// text takes a line that is no entry of its own.
func (l *riskLog) text(number int, text string) {
	switch {
	case l.block != nil:
		l.block.take(text)
	case text != "" && !l.prose && !strings.HasPrefix(text, "#"):
		l.malformed(number, "the line is neither an entry nor a comment")
	}
}

// begin starts an entry and lists it, unless there are too many.
func (l *riskLog) begin(number int, text string) *riskEntry {
	e := newRiskEntry(number, text)
	if len(l.entries) < l.file.limits.Entries {
		l.entries = append(l.entries, e)
	} else {
		l.dropped++
	}
	return e
}

func (l *riskLog) malformed(number int, problem string) {
	if l.badLine == 0 {
		l.badLine = number
	}
	l.file.note(domain.FindingMalformed, number, "%s: expected \"[DATE] RISK-001 | REQ-001 | Risk: HIGH | ...\"", problem)
}

// pipe takes an entry that is one line of columns. A column without a label goes on the one before it.
func (l *riskLog) pipe(number int, text, date string, columns []string) {
	id, rest := riskID(strings.TrimSpace(columns[0]))
	if id == "" || rest != "" {
		l.malformed(number, "no risk id stands behind the date")
		return
	}
	e := l.begin(number, text)
	e.set("date", date)
	e.set("id", id)
	for i, column := range columns[1:] {
		if label, value, ok := riskLabel(column); ok {
			e.set(label, value)
		} else if i == 0 {
			e.set("req", column)
		} else {
			e.extend(" | ", column)
		}
	}
}

// artifacts returns the file's own artifact, then those of the entries.
func (l *riskLog) artifacts(src source) []domain.Artifact {
	seen := make(map[string]int, len(l.entries))
	entries := make([]domain.Artifact, 0, len(l.entries))
	for i, e := range l.entries {
		id := e.columns.at("id").text
		if line, ok := seen[id]; ok {
			l.file.note(domain.FindingRepeated, e.line, "the id %s is already given on line %d: expected each id once", id, line)
		} else {
			seen[id] = e.line
		}
		if e.overfull {
			l.file.note(domain.FindingCut, e.line, "the entry %s is too long: a column is kept up to %d bytes, and %d columns are", id, maxColumn, maxColumns)
		}
		if e.risk().form == formNull {
			l.file.note(domain.FindingMissingField, e.line, "the entry %s states no risk level", id)
		}
		entries = append(entries, e.artifact(src, i+1, l.file.limits))
	}
	if l.dropped > 0 {
		l.file.note(domain.FindingTruncated, 0, "%d more entries are not listed: a risk log may hold %d", l.dropped, l.file.limits.Entries)
	}
	return append([]domain.Artifact{l.file.finish()}, entries...)
}
