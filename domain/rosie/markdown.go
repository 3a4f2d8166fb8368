package rosie

import (
	"bytes"
	"errors"
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/gxpledger/gxpledger/domain"
)

// The spellings of fields that more than one name is used for.
const (
	fieldID   = "gxp_id"
	fieldRisk = "gxp_risk_rating"
	fieldTier = "verification_tier"
)

// parseDocument reads the kinds that are markdown with a front matter.
func parseDocument(src source, limits *Limits) (domain.Artifact, error) {
	if err := checkUTF8(src.data); err != nil {
		return domain.Artifact{}, err
	}
	page, err := splitPage(src.data, limits)
	if err != nil {
		return domain.Artifact{}, err
	}
	d := newDraft(src, limits)
	if !page.fronted {
		d.note(domain.FindingNoFrontMatter, 1, "the file has no front matter: expected a first line of three dashes, fields, and three dashes again")
	}
	root, err := parseMatter(page.matter, limits)
	if err != nil {
		return domain.Artifact{}, err
	}
	d.read(root, page.body)
	return d.finish(), nil
}

// read fills the draft from the fields of a front matter and the headings of a body.
func (d *draft) read(root value, body []byte) {
	if len(root.keys) > 0 {
		d.Fields = root.appendJSON(nil)
	}
	d.checkKeys(root)
	d.readID(root)
	d.readTitle(root, body)
	d.Risk = d.term(fieldRisk, riskField(root))
	d.Tier = d.term(fieldTier, root.field(fieldTier, "tier"))
	d.Status = d.term("status", root.field("status"))
	d.ValidationStatus = d.term("validation_status", root.field("validation_status"))
	d.AssuranceStatus = d.term("assurance_status", root.field("assurance_status"))
	d.readLinks(root)
	d.checkRequired(root)
	d.checkListItems(root)
}

// riskField finds the risk rating in each of its spellings; a map carries it as "overall".
func riskField(root value) value {
	for _, key := range []string{fieldRisk, "risk_level", "risk"} {
		v := root.field(key)
		if v.form == formMap {
			v = v.field("overall")
		}
		if v.scalar() {
			return v
		}
	}
	return value{}
}

func (d *draft) term(field string, v value) *domain.Term {
	if !v.scalar() {
		return nil
	}
	return term(d.bounded(field, v.text, maxTerm))
}

func (d *draft) readID(root value) {
	switch d.Kind {
	case domain.KindVendorAssessment:
		d.GxPID = d.bounded("the file name", stem(d.Path), maxID)
		return
	case domain.KindADR:
		d.GxPID = d.bounded("the file name", decisionID(d.Path), maxID)
		return
	case domain.KindSystemContext, domain.KindRequirement, domain.KindUserStory, domain.KindSpec,
		domain.KindRiskLog, domain.KindRisk, domain.KindEvidenceJWS, domain.KindEvidencePackage:
	}
	d.GxPID = d.bounded(fieldID, root.fieldText(fieldID), maxID)
	if d.GxPID == "" && d.Kind != domain.KindSystemContext {
		near, line := misspelt(root, fieldID)
		d.note(domain.FindingMissingID, line, "the file gives no gxp_id: nothing can link to it%s", near)
	}
}

// stem is the file name without its extension.
func stem(file string) string {
	return strings.TrimSuffix(path.Base(file), path.Ext(file))
}

func (d *draft) readTitle(root value, body []byte) {
	title := root.fieldText(titleField(d.Kind))
	if title == "" {
		title = firstHeading(body)
	}
	d.Title = d.bounded("the title", title, maxTitle)
}

func titleField(kind domain.Kind) string {
	switch kind {
	case domain.KindSystemContext:
		return "project_name"
	case domain.KindVendorAssessment:
		return "vendor_name"
	case domain.KindRequirement, domain.KindUserStory, domain.KindSpec, domain.KindADR, domain.KindRiskLog,
		domain.KindRisk, domain.KindEvidenceJWS, domain.KindEvidencePackage:
	}
	return "title"
}

// readLinks declares what the edges of this kind name, in the order of the file.
func (d *draft) readLinks(root value) {
	edges := []domain.Edge{
		domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeImplements, domain.EdgeDerivesFrom,
		domain.EdgeSpecID, domain.EdgeTracedUserStory,
	}
	for i, key := range root.keys {
		for _, edge := range edges {
			if (key == string(edge) || key == camel(string(edge))) && len(domain.Targets(d.Kind, edge)) > 0 {
				d.linkAll(edge, root.items[i])
			}
		}
	}
}

// linkAll declares one link for a scalar, and one for each item of a list.
func (d *draft) linkAll(edge domain.Edge, v value) {
	switch v.form {
	case formText, formNumber, formBool:
		d.link(edge, v.text)
	case formList:
		for _, item := range v.items {
			if item.scalar() {
				d.link(edge, item.text)
			}
		}
	case formMap:
		d.note(domain.FindingBadLink, v.line, "%s is a map: expected an id or a list of ids", edge)
	case formNull:
	}
}

// checkRequired notes the fields that the kind requires and the file does not have.
func (d *draft) checkRequired(root value) {
	for _, names := range requiredFields(d.Kind) {
		if root.field(names...).form == formNull {
			near, line := misspelt(root, names...)
			d.note(domain.FindingMissingField, line, "the field %s is missing%s", strings.Join(names, " or "), near)
		}
	}
}

// requiredFields lists, for each field that a kind requires, the names that it may have.
func requiredFields(kind domain.Kind) [][]string {
	risk := []string{fieldRisk, "risk_level", "risk"}
	switch kind {
	case domain.KindSystemContext:
		return [][]string{{"project_name"}, risk}
	case domain.KindRequirement:
		return [][]string{{"title"}, risk}
	case domain.KindUserStory:
		return [][]string{{"title"}, {"parent_id", "satisfies"}}
	case domain.KindSpec:
		return [][]string{{"title"}, {"parent_id", "implements", "satisfies"}, {fieldTier, "tier"}}
	case domain.KindVendorAssessment:
		return [][]string{{"vendor_name"}}
	case domain.KindADR, domain.KindRiskLog, domain.KindRisk, domain.KindEvidenceJWS, domain.KindEvidencePackage:
	}
	return nil
}

// checkKeys notes a front matter that mixes two spellings of keys.
func (d *draft) checkKeys(root value) {
	snake := slices.IndexFunc(root.keys, func(key string) bool { return strings.Contains(strings.Trim(key, "_"), "_") })
	hump := slices.IndexFunc(root.keys, func(key string) bool {
		return strings.IndexFunc(key, unicode.IsLower) == 0 && strings.IndexFunc(key, unicode.IsUpper) > 0
	})
	if snake >= 0 && hump >= 0 {
		d.note(domain.FindingMixedKeys, root.items[max(snake, hump)].line,
			"the front matter mixes snake_case (%s) and camelCase (%s): use one of them", root.keys[snake], root.keys[hump])
	}
}

// checkListItems notes list items that a stray ": " made into maps. They are kept as they are.
func (d *draft) checkListItems(root value) {
	for i, list := range root.items {
		if list.form != formList {
			continue
		}
		for j, item := range list.items {
			if item.form == formMap {
				d.note(domain.FindingListItem, item.line,
					"item %d of %s is a map: expected text, and a text with a colon in it needs quotes", j+1, root.keys[i])
			}
		}
	}
}

// parseDecision reads an ADR: its id is in the file name, its title and status are headings. A front matter is not
// expected, and read when there is one.
func parseDecision(src source, limits *Limits) (domain.Artifact, error) {
	if err := checkUTF8(src.data); err != nil {
		return domain.Artifact{}, err
	}
	page, err := splitPage(src.data, limits)
	if fault, ok := errors.AsType[*malformedError](err); ok && fault.line == 1 {
		page.body, err = src.data, nil // a ruler on the first line, not a front matter
	}
	if err != nil {
		return domain.Artifact{}, err
	}
	root, err := parseMatter(page.matter, limits)
	if err != nil {
		return domain.Artifact{}, err
	}
	d := newDraft(src, limits)
	d.read(root, page.body)
	if d.Status == nil {
		d.Status = d.term("the status", value{form: formText, text: sectionLine(page.body, "status")})
	}
	if d.Status == nil {
		d.note(domain.FindingMissingField, 0, "the heading \"## Status\" with a status below it is missing")
	}
	if d.Title == "" {
		d.note(domain.FindingMissingField, 0, "the heading \"# title\" is missing")
	}
	return d.finish(), nil
}

var decisionPattern = regexp.MustCompile(`^ADR-(?:[A-Z0-9]+-)*?[0-9]+`)

// decisionID is "ADR-001" of "ADR-001-some-title.md", or else the whole stem.
func decisionID(file string) string {
	name := stem(file)
	if id := decisionPattern.FindString(name); id != "" {
		return id
	}
	return name
}

// firstHeading is the text of the first heading of the first level.
func firstHeading(body []byte) string {
	for line := range proseLines(body) {
		if text, ok := strings.CutPrefix(line, "# "); ok {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// sectionLine is the first line of text below a heading of this name.
func sectionLine(body []byte, name string) string {
	inside := false
	for line := range proseLines(body) {
		text := strings.TrimSpace(line)
		if heading := strings.TrimLeft(text, "#"); heading != text {
			inside = strings.EqualFold(strings.TrimSpace(heading), name)
			continue
		}
		if inside && text != "" {
			return text
		}
	}
	return ""
}

// proseLines yields the lines of a markdown text that are not in a fenced code block.
func proseLines(body []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		fence := ""
		for raw := range bytes.Lines(body) {
			line := strings.TrimRight(string(raw), "\r\n")
			mark := strings.TrimLeft(line, " ")
			if fence == "" && (strings.HasPrefix(mark, "```") || strings.HasPrefix(mark, "~~~")) {
				fence = mark[:3]
				continue
			}
			if fence != "" {
				if strings.HasPrefix(mark, fence) {
					fence = ""
				}
				continue
			}
			if !yield(line) {
				return
			}
		}
	}
}
