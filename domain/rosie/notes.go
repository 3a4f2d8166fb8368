package rosie

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/invisible"
)

// notes collects findings up to a limit, and counts the rest by code.
type notes struct {
	limit int
	list  []domain.Finding
	more  map[string]int
}

func (n *notes) add(f domain.Finding) {
	if len(n.list) < n.limit {
		n.list = append(n.list, f)
		return
	}
	if n.more == nil {
		n.more = make(map[string]int)
	}
	n.more[f.Code]++
}

// findings returns what was collected, with a last one that says what is not listed.
func (n *notes) findings() []domain.Finding {
	if len(n.more) == 0 {
		return n.list
	}
	total := 0
	var kinds []string
	for _, code := range slices.Sorted(maps.Keys(n.more)) {
		total += n.more[code]
		kinds = append(kinds, fmt.Sprintf("%d %s", n.more[code], code))
	}
	return append(n.list, domain.Finding{
		Code: domain.FindingTruncated,
		Text: fmt.Sprintf("%d more findings are not listed: %s", total, strings.Join(kinds, ", ")),
	})
}

// draft is an artifact in the making.
type draft struct {
	domain.Artifact
	notes  notes
	limits *Limits
	linked map[domain.Link]bool
	body   *body // nil until something is looked for in it
}

func newDraft(src source, limits *Limits) *draft {
	return &draft{
		Artifact: domain.Artifact{
			Key: domain.Key{Path: src.path}, Kind: src.kind, Content: src.content, Digest: src.content.SHA256,
		},
		notes:  notes{limit: limits.Findings},
		limits: limits,
	}
}

func (d *draft) note(code string, line int, format string, args ...any) {
	text, _ := cut(fmt.Sprintf(format, args...), maxMessage)
	d.notes.add(domain.Finding{Code: code, Line: line, Text: text})
}

// bounded returns text of at most so many runes. What is longer is cut, marked as cut, and gets a finding that names the field.
func (d *draft) bounded(field, text string, runes int) string {
	if short, wasCut := cut(text, runes-1); wasCut && utf8.RuneCountInString(text) > runes {
		d.note(domain.FindingCut, 0, "%s is longer than %d characters and is kept up to there", field, runes)
		return short + cutMark
	}
	return text
}

// cutMark ends what was cut, so that it is not taken for the whole.
const cutMark = "…"

// setID gives the artifact the id that a field holds, and reports whether the field holds one. An id that is too long is
// not kept, nor a part of it, which might be the id of another (I17).
func (d *draft) setID(field, id string) bool {
	if n := utf8.RuneCountInString(id); n > maxID {
		d.note(domain.FindingIDTooLong, 0, "%s is %d characters long, and at most %d are an id: the artifact is kept without an id, and nothing can link to it", field, n, maxID)
		return true
	}
	d.GxPID = id
	d.checkID(field, id)
	return id != ""
}

// checkID notes characters that make an id look like another one.
func (d *draft) checkID(field, id string) {
	if odd := oddID(id); odd != "" {
		d.note(domain.FindingOddID, 0, "%s %s, and ids are compared exactly: it is %+q", field, odd, id)
	}
}

// oddID says what is in an id that does not show, or looks like something else; "" when nothing is.
func oddID(id string) string {
	if strings.Trim(id, " ") != id {
		return "has a blank at its start or end"
	}
	for _, r := range id {
		switch {
		case r == '\n' || r == '\r':
			return "holds the end of a line"
		case r != ' ' && invisible.Blank(r):
			return fmt.Sprintf("holds the blank %U", r)
		case invisible.Is(r):
			return fmt.Sprintf("holds the character %U, which does not show", r)
		}
	}
	switch {
	case strings.Contains(id, "  "):
		return "has two blanks in a row"
	case !norm.NFC.IsNormalString(id):
		return "has characters put together from parts (it is not in the normal form NFC)"
	}
	return ""
}

// link declares a link, once.
func (d *draft) link(edge domain.Edge, target string) {
	link := domain.Link{Edge: edge, Target: target}
	if n := utf8.RuneCountInString(target); n > maxID {
		link.Target = longTarget(target)
		d.note(domain.FindingCut, 0, "%s names an id of %d characters, and at most %d are one: the link is kept in short, and leads nowhere", edge, n, maxID)
	}
	switch {
	case d.linked[link]:
	case len(d.Links) == d.limits.Links:
		d.note(domain.FindingTruncated, 0, "%s names %q: an artifact may declare %d links, this one is not kept",
			edge, link.Target, d.limits.Links)
	default:
		if d.linked == nil {
			d.linked = make(map[domain.Link]bool)
		}
		d.linked[link] = true
		d.Links = append(d.Links, link)
		if link.Target == target {
			d.checkID(string(edge), target)
		}
	}
}

// longTarget stands for a target that is too long to keep. It is longer than any id, so that it is none, and two of them
// are one only when their texts are.
func longTarget(target string) string {
	start, _ := cut(target, maxID-50)
	sum := sha256.Sum256([]byte(target))
	return start + cutMark + " sha256:" + hex.EncodeToString(sum[:])
}

// setFields keeps a map as the fields of the artifact. Of one that is too large it keeps the first keys that fit.
func (d *draft) setFields(v value) {
	d.Fields = v.appendJSON(nil)
	if len(d.Fields) <= d.limits.FrontMatter {
		return
	}
	fitting := value{form: formMap}
	size := len("{}")
	for i, key := range v.keys {
		size += len(v.items[i].appendJSON(appendString(nil, key))) + len(":,")
		if size > d.limits.FrontMatter {
			d.note(domain.FindingCut, 0, "the fields take more than %d bytes: from %q on they are not kept", d.limits.FrontMatter, key)
			break
		}
		fitting.keys, fitting.items = append(fitting.keys, key), append(fitting.items, v.items[i])
	}
	d.Fields = fitting.appendJSON(nil)
}

func (d *draft) finish() domain.Artifact {
	d.Findings = d.notes.findings()
	return d.Artifact
}
