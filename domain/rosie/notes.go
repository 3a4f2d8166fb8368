package rosie

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
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

// bounded returns text, cut to so many runes with a finding that names the field.
func (d *draft) bounded(field, text string, runes int) string {
	short, wasCut := cut(text, runes)
	if wasCut {
		d.note(domain.FindingCut, 0, "%s is longer than %d characters and is kept up to there", field, runes)
	}
	return short
}

// link declares a link, once. An empty target declares nothing.
func (d *draft) link(edge domain.Edge, target string) {
	if target == "" {
		return
	}
	link := domain.Link{Edge: edge, Target: d.bounded(string(edge), target, maxID)}
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
	}
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
