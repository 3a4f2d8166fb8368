package rosie

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/gxpledger/gxpledger/domain"
)

var (
	reqToken  = regexp.MustCompile(`\bREQ-[A-Za-z0-9-]*[A-Za-z0-9]`)
	specToken = regexp.MustCompile(`\bSPEC-[A-Za-z0-9-]*[A-Za-z0-9]`)
)

// What is kept of one entry. Beyond it only the bytes of the file tell.
const (
	maxColumn  = 16 << 10 // bytes
	maxColumns = 50
)

// riskEntry is one entry of a risk log in the making.
type riskEntry struct {
	line     int             // where it starts
	text     strings.Builder // its own text, which its digest covers
	heading  string          // of the markdown format
	level    int             // of the heading
	keys     []string        // of the columns, in the order of the file
	texts    [][]byte        // beside keys
	open     int             // the last line, from 0, that goes on the last column; behind it, text is a note
	overfull bool            // some of it is not kept
	unlisted bool            // it is above the limit
}

func newRiskEntry(line int, text string) *riskEntry {
	e := &riskEntry{line: line, open: -1}
	e.text.WriteString(text)
	return e
}

// add adds a line to the text of the entry.
func (e *riskEntry) add(text string) {
	e.text.WriteByte('\n')
	e.text.WriteString(text)
}

// take adds a line of the markdown format: a labelled one, one that goes on the value before it, or a note. A value ends
// with the list item or paragraph that it is in; one that is a word of a vocabulary, with its line.
func (e *riskEntry) take(text string, line, end int) {
	e.add(text)
	label, rest, ok := riskBullet(text)
	if !ok {
		e.goOn(text, line)
		return
	}
	key := e.set(label, rest)
	e.open = end
	if slices.Contains(riskColumns(), key) || key == "status" {
		e.open = line
	}
}

// goOn adds a line to the value that it goes on, or else to the notes.
func (e *riskEntry) goOn(text string, line int) {
	if line <= e.open {
		e.append(len(e.keys)-1, "\n", text)
		return
	}
	e.note(text)
}

// note adds to the text of the entry that is no value. It ends the value before it.
func (e *riskEntry) note(text string) {
	e.open = -1
	e.set("note", text)
}

// set gives a column its text; a label that comes again adds to it.
func (e *riskEntry) set(label, text string) (key string) {
	key = columnKey(label)
	i := slices.Index(e.keys, key)
	switch {
	case i >= 0:
		e.append(i, "\n", text)
	case len(e.keys) == maxColumns:
		e.overfull = true
	default:
		e.keys, e.texts = append(e.keys, key), append(e.texts, nil)
		e.append(len(e.keys)-1, "", text)
	}
	return key
}

// columnKey is the key of a label: in lower case, with underscores.
func columnKey(label string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return '_'
		}
		return unicode.ToLower(r)
	}, strings.TrimSpace(label))
}

// extend adds to the last column. Text before any column is a note.
func (e *riskEntry) extend(separator, text string) {
	last := len(e.keys) - 1
	if e.keys[last] == "id" {
		e.set("note", text)
		return
	}
	e.append(last, separator, text)
}

// append adds to a column, unless that would make it too long.
func (e *riskEntry) append(column int, separator, text string) {
	text = strings.TrimSpace(text)
	if len(e.texts[column]) == 0 {
		separator = strings.TrimPrefix(separator, "\n")
	}
	if len(e.texts[column])+len(separator)+len(text) > maxColumn {
		e.overfull = true
		return
	}
	e.texts[column] = append(append(e.texts[column], separator...), text...)
}

// columns are the columns as one map.
func (e *riskEntry) columns() value {
	v := value{form: formMap, keys: e.keys}
	for _, text := range e.texts {
		v.items = append(v.items, value{form: formText, text: string(text)})
	}
	return v
}

// at is the text of a column; "" when there is none.
func (e *riskEntry) at(key string) string {
	if i := slices.Index(e.keys, key); i >= 0 {
		return string(e.texts[i])
	}
	return ""
}

// riskColumns are the names of the column that holds the rating.
func riskColumns() []string { return []string{"risk", "risk_level", fieldRisk} }

// word is the word that the columns of these names hold. When they hold several that differ, none is sure.
func (e *riskEntry) word(keys ...string) (word string, sure bool) {
	for i, key := range e.keys {
		if !slices.Contains(keys, key) {
			continue
		}
		for line := range strings.Lines(string(e.texts[i])) {
			line = strings.Trim(line, " \t\n*_`")
			switch {
			case line == "" || word != "" && term(line).Normal == term(word).Normal:
			case word == "":
				word = line
			default:
				return "", false
			}
		}
	}
	return word, true
}

// has reports whether what is kept of the entry holds a text.
func (e *riskEntry) has(text string) bool {
	return strings.Contains(e.heading, text) || slices.ContainsFunc(e.texts, func(kept []byte) bool { return bytes.Contains(kept, []byte(text)) })
}

// title is a short text that tells entries apart.
func (e *riskEntry) title() string {
	for _, text := range []string{e.heading, e.at("description"), e.at("impact")} {
		if text != "" {
			short, wasCut := cut(text, 120)
			if wasCut {
				short += "…"
			}
			return short
		}
	}
	return ""
}

func (e *riskEntry) artifact(src source, ordinal int, limits *Limits) domain.Artifact {
	d := newDraft(src, limits)
	d.Kind, d.Ordinal = domain.KindRisk, ordinal
	d.setID("the risk id", e.at("id"))
	d.Title = e.title()
	level, _ := e.word(riskColumns()...)
	status, _ := e.word("status")
	d.Risk = d.term("the risk level", value{form: formText, text: level})
	d.Status = d.term("status", value{form: formText, text: status})
	d.setFields(e.columns())
	sum := sha256.Sum256([]byte(e.text.String()))
	d.Digest = hex.EncodeToString(sum[:])
	for i, key := range e.keys {
		text := string(e.texts[i])
		switch key {
		case "req", "req_id", "requirement", "requirements", "component":
			d.linkTokens(domain.EdgeRiskRequirement, reqToken, text)
		case "test_coverage", "coverage", "spec", "specs", "tests", "verification":
			d.linkTokens(domain.EdgeRiskSpec, specToken, text)
		}
	}
	return d.finish()
}

func (d *draft) linkTokens(edge domain.Edge, pattern *regexp.Regexp, text string) {
	for _, id := range pattern.FindAllString(text, d.limits.Links+1) {
		d.link(edge, id)
	}
}

// riskBullet takes a line of a list apart: "- **Label:** text", "**Label**: text" or "- Label: text".
func riskBullet(text string) (label, rest string, ok bool) {
	item := text
	for _, bullet := range []string{"- ", "* ", "+ "} {
		item = strings.TrimPrefix(item, bullet)
	}
	item = strings.TrimSpace(item)
	bold, isBold := strings.CutPrefix(item, "**")
	switch {
	case isBold:
		label, rest, ok = strings.Cut(bold, "**")
		inside, colon := strings.CutSuffix(strings.TrimSpace(label), ":")
		if !colon {
			rest, colon = strings.CutPrefix(strings.TrimSpace(rest), ":")
		}
		label = strings.TrimSpace(inside)
		ok = ok && colon && plainLabel(label)
	case len(item) < len(text):
		label, rest, ok = riskLabel(item)
		ok = ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
	}
	return label, rest, ok
}
