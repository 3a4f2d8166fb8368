package rosie

import (
	"cmp"
	"path"
	"regexp"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// recordPrefix begins the file name of a tester's record in ROSIE's FDA-CSA dialect, such as ROT-SPEC-001.md.
const recordPrefix = "ROT-"

var recordKey = regexp.MustCompile(`(?m)^["']?(result|spec_?[iI]d)["']?[ \t]*:`)

// isRecord reports whether a Markdown file below .gxp/evidence/ is the record of a tester: by its name, or by a front matter
// that gives a result or the spec that was tested. It decides by the bytes alone, so that a record which cannot be parsed is
// rejected and not passed over.
func isRecord(file string, data []byte, limits *Limits) bool {
	if len(path.Base(file)) >= len(recordPrefix) && strings.EqualFold(path.Base(file)[:len(recordPrefix)], recordPrefix) {
		return true
	}
	page, err := splitPage(data, limits)
	if err != nil { // a front matter that is not closed, or too long
		page.matter = data[:min(len(data), limits.FrontMatter)]
	}
	return recordKey.Match(page.matter)
}

// parseRecord reads the record of a tester. Nothing signs it, so it never shows that a spec holds; it shows when one fails.
func parseRecord(src source, limits *Limits) (domain.Artifact, error) {
	d, err := openPage(src, limits)
	if err != nil {
		return domain.Artifact{}, err
	}
	root := d.root
	if len(root.keys) > 0 {
		d.Fields = root.appendJSON(nil)
	}
	d.checkKeys(root)
	d.setID(fieldID, cmp.Or(root.fieldText(fieldID), stem(src.path)))
	if err := d.readTitle(root, d.body); err != nil {
		return domain.Artifact{}, err
	}
	if summary := root.field("summary"); d.Title == "" && summary.scalar() {
		d.Title = d.bounded("the summary", summary.text, maxTitle)
	}
	d.Evidence = &domain.Evidence{Signature: domain.Signature{
		Verdict: domain.VerdictUnsigned, Reason: "A record of a tester has no signature.",
	}}
	d.takeResults(resultsSource{file: path.Base(src.path), value: numbered(root), envelope: true, single: true})
	if root.field("result").form == formNull {
		d.note(domain.FindingMissingField, 0, "the field result is missing: expected PASS, FAIL or PASS_WITH_DEVIATIONS")
	}
	d.readClaims(root)
	d.Evidence.Timestamp = cmp.Or(d.Evidence.Timestamp, d.bounded("test_date", root.fieldText("test_date"), maxClaim))
	if kind := d.term("test_type", root.field("test_type")); d.Tier == nil && kind != nil {
		switch kind.Normal {
		case "iq", "oq", "pq":
			d.Tier = kind
		}
	}
	return d.finish(), nil
}

// numbered turns the texts of a front matter that are numbers into numbers: YAML writes them alike.
func numbered(v value) value {
	out := v
	if v.form == formText {
		if n, err := parseJSON([]byte(v.text), &Limits{JSONNodes: 1}); err == nil && n.form == formNumber {
			out.form = formNumber
		}
	}
	out.items = make([]value, len(v.items))
	for i, item := range v.items {
		out.items[i] = numbered(item)
	}
	return out
}
