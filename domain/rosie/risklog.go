package rosie

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"

	"github.com/gxpledger/gxpledger/domain"
)

// riskLog collects the entries of a risk log, each in whichever of the two formats it is written:
//
//	[DATE] RISK-001 | REQ-001 | Risk: HIGH | Impact: ... | Mitigation: ... | Test Coverage: SPEC-001-001
//
//	## RISK-001: title
//	- **Risk Level:** HIGH
//
// A log without headings of entries is a list of lines: each is an entry, a comment that starts with #, blank, or a finding.
// A log with such headings is Markdown, and text between its entries is prose. In both, a line that names a risk belongs to
// an entry or has a finding (I18).
type riskLog struct {
	file    *draft
	lines   []logLine
	body    *body
	entries []*riskEntry
	block   *riskEntry   // the markdown entry that the next lines belong to
	owner   []*riskEntry // by line: the entry that has its text
	noted   map[int]bool // numbers of lines that have a finding
	dropped int          // entries above the limit
	badLine int          // the first line that could not be read
}

// logLine is a line of a risk log, and what it is as Markdown.
type logLine struct {
	text     string // without the blanks around it
	indented bool
	class    lineClass
	heading  *ast.Heading // that starts here
	end      int          // the last line of the list item, or else of the paragraph, that the line is in
}

type lineClass uint8

const (
	lineHidden  lineClass = iota // blank, a mark, HTML, a link definition, or more of a heading
	lineText                     // of a paragraph, wherever it is
	lineCode                     // inside a code block
	lineHeading                  // the first line of a heading that is in no other block
)

// parseRiskLog reads the log as one artifact for the file, with the findings of all lines, and one for each entry.
func parseRiskLog(src source, limits *Limits) ([]domain.Artifact, error) {
	if err := checkUTF8(src.data); err != nil {
		return nil, err
	}
	data := plainLineEnds(withoutBOM(src.data))
	log := &riskLog{file: newDraft(src, limits), noted: make(map[int]bool)}
	if err := log.split(data); err != nil {
		return nil, err
	}
	markdown := log.isMarkdown()
	for i := range log.lines {
		if markdown {
			log.markdownLine(i)
		} else {
			log.plainLine(i)
		}
	}
	if len(log.entries) == 0 && log.badLine > 0 {
		return nil, malformedAt(log.badLine, 1, "no entry of the risk log can be read: "+
			"expected lines \"[DATE] RISK-001 | REQ-001 | Risk: HIGH | ...\" or headings \"## RISK-001: title\"")
	}
	log.checkNames()
	return log.artifacts(src), nil
}

// isMarkdown reports whether the log has a heading that is, or is meant for, the start of an entry. In a log that has entries
// of one line, a heading of the first level is a comment.
func (l *riskLog) isMarkdown() bool {
	first, pipes := false, false
	for _, line := range l.lines {
		if _, _, ok := riskLine(line.text); ok {
			pipes = true
			continue
		}
		if line.heading == nil || !namesRisk(oneLine(l.body.text(line.heading))) {
			continue
		}
		if line.heading.Level > 1 {
			return true
		}
		first = true
	}
	return first && !pipes
}

// plainLine takes a line of a log that is no Markdown.
func (l *riskLog) plainLine(i int) {
	text := l.lines[i].text
	if l.pipe(i, text) || text == "" || strings.HasPrefix(text, "#") {
		return
	}
	l.malformed(i, "the line is neither an entry nor a comment: "+expectedLine)
}

// markdownLine takes a line of a log in Markdown.
func (l *riskLog) markdownLine(i int) {
	line := &l.lines[i]
	switch {
	case line.class == lineText && l.pipe(i, line.text), line.class == lineHeading && l.pipe(i, line.text):
		l.block = nil
	case line.class == lineHeading:
		l.heading(i)
	case line.class == lineText && meantAsEntry(line.text) && !l.goesOn(i):
		l.malformed(i, "the line begins as an entry and is none: "+expectedHeading)
		if !isPart(line.text) {
			l.block = nil
		}
	case l.block == nil || line.text == "":
	case line.class == lineText:
		l.owner[i] = l.block
		l.block.take(line.text, i, line.end)
	case line.class == lineCode:
		l.block.add(line.text)
		l.block.goOn(line.text, i)
	default:
		l.block.add(line.text)
	}
}

// goesOn reports whether a line goes on the value that the block took last, and has neither the columns nor the mark of an entry.
func (l *riskLog) goesOn(i int) bool {
	line := &l.lines[i]
	return l.block != nil && i <= l.block.open && line.indented && !strings.Contains(line.text, "|") && !strings.HasPrefix(line.text, "#")
}

// heading takes the first line of a heading.
func (l *riskLog) heading(i int) {
	line := &l.lines[i]
	text, level := oneLine(l.body.text(line.heading)), line.heading.Level
	id, title, ok := riskHeading(text)
	below := l.block != nil && level > l.block.level
	switch {
	case below && riskIDOf(text) == l.block.at("id"):
		l.owner[i] = l.block
		l.block.add(line.text)
		l.block.note(line.text)
	case ok:
		l.block = l.begin(i)
		l.block.level, l.block.heading = level, title
		l.block.set("id", id)
	case namesRisk(text):
		l.block = nil
		l.malformed(i, "the heading gives no risk id: "+expectedHeading)
	case below:
		l.owner[i] = l.block
		l.block.add(line.text)
		l.block.note(line.text)
	default:
		l.block = nil // another section
	}
}

// begin starts an entry and lists it, unless there are too many.
func (l *riskLog) begin(i int) *riskEntry {
	e := newRiskEntry(i+1, l.lines[i].text)
	l.owner[i] = e
	if len(l.entries) < l.file.limits.Entries {
		l.entries = append(l.entries, e)
	} else {
		e.unlisted = true
		l.dropped++
	}
	return e
}

const (
	expectedLine    = "expected \"[DATE] RISK-001 | REQ-001 | Risk: HIGH | ...\""
	expectedHeading = "expected \"## RISK-001: title\" and a list of fields, or " + "\"[DATE] RISK-001 | REQ-001 | Risk: HIGH | ...\""
)

func (l *riskLog) malformed(i int, problem string) {
	if l.badLine == 0 {
		l.badLine = i + 1
	}
	l.remark(i, problem)
}

func (l *riskLog) remark(i int, problem string) {
	l.noted[i] = true
	l.file.note(domain.FindingMalformed, i+1, "%s", problem)
}

// pipe takes an entry that is one line of columns, and reports whether the line is one, well written or not. A column
// without a label goes on the one before it.
func (l *riskLog) pipe(i int, text string) bool {
	date, columns, dated := riskLine(text)
	if !dated {
		if id, rest := riskID(text); id == "" || !strings.HasPrefix(strings.TrimSpace(rest), "|") {
			return false
		}
		columns = strings.Split(text, "|")
		l.malformed(i, "the entry has no date in brackets before its id: "+expectedLine)
	}
	id, rest := riskID(strings.TrimSpace(columns[0]))
	if id == "" || rest != "" {
		l.malformed(i, "there is no risk id after the date: "+expectedLine)
		return true
	}
	e := l.begin(i)
	if dated {
		e.set("date", date)
	}
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
	return true
}

// checkNames notes each line that names a risk and whose name no entry has.
func (l *riskLog) checkNames() {
	for i := range l.lines {
		e := l.owner[i]
		if l.noted[i] || e != nil && e.unlisted || !mayNameRisk(l.lines[i].text) {
			continue
		}
		for _, name := range riskName.FindAllString(l.lines[i].text, -1) {
			if e == nil || !e.has(name) {
				l.remark(i, "the line names "+name+" and is part of no entry: if it is meant for one, "+expectedHeading)
				break
			}
		}
	}
}

// artifacts returns the file's own artifact, then those of the entries.
func (l *riskLog) artifacts(src source) []domain.Artifact {
	seen := make(map[string]int, len(l.entries))
	entries := make([]domain.Artifact, 0, len(l.entries))
	for i, e := range l.entries {
		id := e.at("id")
		if line, ok := seen[id]; ok {
			l.file.note(domain.FindingRepeated, e.line, "the id %s is already given on line %d: expected each id once", id, line)
		} else {
			seen[id] = e.line
		}
		if e.overfull {
			l.file.note(domain.FindingCut, e.line, "the entry %s is too long: a column is kept up to %d bytes, and %d columns are", id, maxColumn, maxColumns)
		}
		switch level, sure := e.word(riskColumns()...); {
		case !sure:
			l.file.note(domain.FindingMalformed, e.line, "the entry %s states more than one risk level: expected one; the level is unknown", id)
		case level == "":
			l.file.note(domain.FindingMissingField, e.line, "the entry %s states no risk level", id)
		}
		entries = append(entries, e.artifact(src, i+1, l.file.limits))
	}
	if l.dropped > 0 {
		l.file.note(domain.FindingTruncated, 0, "%d more entries are not listed: a risk log may hold %d", l.dropped, l.file.limits.Entries)
	}
	return append([]domain.Artifact{l.file.finish()}, entries...)
}

// split splits the log into lines, and says of each what it is as Markdown.
func (l *riskLog) split(data []byte) error {
	l.lines = make([]logLine, 0, bytes.Count(data, []byte("\n"))+1)
	for raw := range strings.Lines(string(data)) {
		l.lines = append(l.lines, logLine{
			text: strings.TrimSpace(raw), indented: strings.HasPrefix(raw, "  ") || strings.HasPrefix(raw, "\t"),
		})
	}
	l.owner = make([]*riskEntry, len(l.lines))
	if !riskHeadings.Match(data) {
		return nil // a log of lines, which are no Markdown
	}
	var err error
	if l.body, err = parseBody(data); err != nil {
		return err
	}
	c := classifier{lines: l.lines, starts: lineStarts(l.body.source)}
	for node := l.body.root.FirstChild(); node != nil; node = node.NextSibling() {
		c.block(node, true)
	}
	return nil
}

// riskHeadings finds what can be the mark of a heading.
var riskHeadings = regexp.MustCompile(`(?m)^ {0,3}(?:#{1,6}[ \t]|=+[ \t]*$|-+[ \t]*$)`)

func lineStarts(data []byte) []int {
	starts := make([]int, 0, bytes.Count(data, []byte("\n"))+1)
	at := 0
	for line := range bytes.Lines(data) {
		starts = append(starts, at)
		at += len(line)
	}
	return starts
}

// classifier goes through the blocks of a text in the order of its lines.
type classifier struct {
	lines  []logLine
	starts []int
	at     int // the line last asked for
}

// line is the line of an offset into the text. Offsets come in order, but for those of a block's own marks.
func (c *classifier) line(offset int) int {
	for c.at+1 < len(c.starts) && c.starts[c.at+1] <= offset {
		c.at++
	}
	return c.at
}

// block marks the lines of a block, and returns the first one that has text; -1 when none has.
func (c *classifier) block(node ast.Node, top bool) (first int) {
	first = -1
	for i := range node.Lines().Len() {
		if at := c.own(node, i, top); first < 0 {
			first = at
		}
	}
	for child := node.FirstChild(); child != nil && child.Type() == ast.TypeBlock; child = child.NextSibling() {
		if at := c.block(child, false); first < 0 {
			first = at
		}
	}
	switch node.Kind() {
	case ast.KindParagraph, ast.KindTextBlock, ast.KindListItem:
		for i := max(first, 0); first >= 0 && i <= c.at; i++ {
			c.lines[i].end = c.at
		}
	}
	return first
}

// own marks the line on which a line of a block's own text is.
func (c *classifier) own(node ast.Node, i int, top bool) int {
	at := c.line(node.Lines().At(i).Start)
	line := &c.lines[at]
	switch node.Kind() {
	case ast.KindParagraph, ast.KindTextBlock:
		line.class = lineText
	case ast.KindHeading:
		heading, ok := node.(*ast.Heading)
		switch {
		case !top:
			line.class = lineText
		case ok && i == 0:
			line.class, line.heading = lineHeading, heading
		}
	case ast.KindCodeBlock, ast.KindFencedCodeBlock:
		line.class = lineCode
	}
	return at
}

// riskLine takes an entry of one line apart: a date in brackets, and behind it columns between bars.
func riskLine(text string) (date string, columns []string, ok bool) {
	inner, rest, closed := strings.Cut(strings.TrimPrefix(text, "["), "]")
	if !strings.HasPrefix(text, "[") || !closed || !strings.Contains(rest, "|") {
		return "", nil, false
	}
	return strings.TrimSpace(inner), strings.Split(rest, "|"), true
}

// riskHeading takes the text of a heading apart that starts with a risk id.
func riskHeading(text string) (id, title string, ok bool) {
	id, rest := riskID(text)
	title = strings.TrimLeft(rest, " \t:\u2013\u2014-")
	if id == "" || rest != "" && title == rest {
		return "", "", false
	}
	if rest != "" && strings.Trim(rest[:len(rest)-len(title)], " \t") == "" {
		return "", "", false // more words follow the id
	}
	return id, strings.TrimSpace(title), true
}

var (
	// riskName finds what names a risk, in the right spelling or in one that is near it.
	riskName = regexp.MustCompile(`\b(?:(?i:RISK)[-_\x{2010}-\x{2015}\x{2212}](?:[A-Za-z0-9]+[-_])*[A-Za-z]*[0-9][A-Za-z0-9]*|(?:RISK|Risk) ?[0-9]+|[Rr][-_][0-9]+)`)
	// riskStart is what a text that names a risk first starts with.
	riskStart = regexp.MustCompile(`\A(?:` + riskName.String() + `|RISK-)`)
	// entryMarks are what is before the text of a line: marks of headings, quotes, lists, tables and emphasis, and a date.
	entryMarks = regexp.MustCompile(`\A(?:[\s#>|*_~+("'\x60\[<-]|[0-9]{1,9}[.)]\s|\[[^\]]*\])*`)
)

// namesRisk reports whether text starts by naming a risk.
func namesRisk(text string) bool { return mayNameRisk(text) && riskStart.MatchString(text) }

// mayNameRisk is false for most texts that name no risk, and cheap.
func mayNameRisk(text string) bool {
	return strings.ContainsAny(text, "rR") && (strings.ContainsAny(text, "0123456789") || strings.Contains(text, "RISK-"))
}

// riskIDOf is the risk id that text starts with, whatever follows it.
func riskIDOf(text string) string {
	id, _ := riskID(text)
	return id
}

// meantAsEntry reports whether a line looks like the start of an entry: it names a risk first, behind marks, and is a
// heading, a row of columns, or continues with a colon, a dash or nothing. A sentence that begins with a risk is none.
func meantAsEntry(text string) bool {
	if !mayNameRisk(text) {
		return false
	}
	marks := entryMarks.FindString(text)
	name := riskStart.FindString(text[len(marks):])
	if name == "" {
		return false
	}
	if strings.ContainsAny(marks, "#|") || strings.Contains(text, "|") {
		return true
	}
	rest := strings.TrimLeft(text[len(marks)+len(name):], " \t*_~`\"')]>")
	return rest == "" || strings.ContainsAny(rest[:1], ":-=") || strings.HasPrefix(rest, "\u2013") || strings.HasPrefix(rest, "\u2014")
}

// isPart reports whether a line is one of a list, a table or a quote, after which the block around it goes on.
func isPart(text string) bool {
	return strings.HasPrefix(text, "|") || strings.HasPrefix(text, ">") || listMark.MatchString(text)
}

var listMark = regexp.MustCompile(`\A(?:[-+*]|[0-9]{1,9}[.)])\s`)

// riskID splits off the risk id that text starts with; "" when it starts otherwise.
func riskID(text string) (id, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool { return r != '-' && !letter(r) && (r < '0' || r > '9') })
	if end < 0 {
		end = len(text)
	}
	id = strings.TrimRight(text[:end], "-")
	if !strings.HasPrefix(id, "RISK-") {
		return "", text
	}
	return id, text[len(id):]
}

// riskLabel takes "Label: text" apart.
func riskLabel(text string) (label, rest string, ok bool) {
	label, rest, ok = strings.Cut(strings.TrimSpace(text), ":")
	label = strings.TrimSpace(label)
	if !ok || !plainLabel(label) {
		return "", "", false
	}
	return label, rest, true
}

// plainLabel reports whether text can be the name of a column: up to 40 letters, blanks, dashes.
func plainLabel(text string) bool {
	if text == "" || len(text) > 40 || !letter(rune(text[0])) {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return !letter(r) && !strings.ContainsRune(" _-", r) }) < 0
}

func letter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
