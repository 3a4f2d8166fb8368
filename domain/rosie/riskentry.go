package rosie

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

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
	columns  value           // a map, in the order of the file
	overfull bool            // some of it is not kept
}

func newRiskEntry(line int, text string) *riskEntry {
	e := &riskEntry{line: line, columns: value{form: formMap}}
	e.text.WriteString(text)
	return e
}

// take adds a line of the markdown format: a labelled one, or one that goes on the column before it.
func (e *riskEntry) take(text string) {
	if text == "" {
		return
	}
	e.text.WriteByte('\n')
	e.text.WriteString(text)
	if label, rest, ok := riskBullet(text); ok {
		e.set(label, rest)
		return
	}
	e.extend("\n", text)
}

// set gives a column its text; a label that comes again adds to it.
func (e *riskEntry) set(label, text string) {
	key := strings.ToLower(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.TrimSpace(label)))
	i := slices.Index(e.columns.keys, key)
	switch {
	case i >= 0:
		e.append(i, "\n", text)
	case len(e.columns.keys) == maxColumns:
		e.overfull = true
	default:
		e.columns.keys = append(e.columns.keys, key)
		e.columns.items = append(e.columns.items, value{form: formText})
		e.append(len(e.columns.items)-1, "", text)
	}
}

// extend adds to the last column. Text before any column is a note.
func (e *riskEntry) extend(separator, text string) {
	last := len(e.columns.items) - 1
	if e.columns.keys[last] == "id" {
		e.set("note", text)
		return
	}
	e.append(last, separator, text)
}

// append adds to a column, unless that would make it too long.
func (e *riskEntry) append(column int, separator, text string) {
	item := &e.columns.items[column]
	text = strings.TrimSpace(text)
	if len(item.text)+len(separator)+len(text) > maxColumn {
		e.overfull = true
		return
	}
	item.text += separator + text
}

func (e *riskEntry) risk() value {
	return e.columns.field("risk", "risk_level", fieldRisk)
}

// title is a short text that tells entries apart.
func (e *riskEntry) title() string {
	for _, text := range []string{e.heading, e.columns.fieldText("description"), e.columns.fieldText("impact")} {
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
	d.GxPID = d.bounded("the risk id", e.columns.at("id").text, maxID)
	d.Title = e.title()
	d.Risk = d.term("the risk level", e.risk())
	d.Status = d.term("status", e.columns.field("status"))
	d.setFields(e.columns)
	sum := sha256.Sum256([]byte(e.text.String()))
	d.Digest = hex.EncodeToString(sum[:])
	for i, key := range e.columns.keys {
		text := e.columns.items[i].text
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
