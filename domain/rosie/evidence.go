package rosie

import (
	"cmp"
	"path"
	"regexp"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// parseEvidence reads a single JWS. It is an artifact whenever its payload can be read, whatever its signature is
// worth: that is in the verdict.
func parseEvidence(src source, opts *Options) (domain.Artifact, error) {
	t, err := parseToken(src.data, &opts.Limits)
	if err != nil {
		return domain.Artifact{}, err
	}
	if releaseManifest(t.payload) {
		return parseReleaseManifest(src, t, opts), nil
	}
	d := newDraft(src, &opts.Limits)
	d.setFields(withoutCases(t.payload))
	if !d.setID(fieldID, t.payload.fieldText(fieldID)) {
		d.note(domain.FindingMissingID, 0, "the payload gives no gxp_id: nothing can refer to it")
	}
	d.Evidence = &domain.Evidence{Signature: t.verify(d, opts), Payload: t.sum}
	d.takeResults(resultsSource{file: path.Base(src.path), value: t.payload, envelope: true})
	d.readClaims(t.payload)
	return d.finish(), nil
}

// withoutCases is a payload less its lists of single tests, which only a look at the file needs: [domain.Results] tells their
// number, and names those that did not pass.
func withoutCases(payload value) value {
	for _, key := range []string{"test_results", "testResults", "results"} {
		results := payload.at(key)
		if results.form == formMap {
			payload = payload.with(key, results.without("test_cases").without("testCases"))
		}
		if holdsMaps(results) {
			payload = payload.without(key)
		}
	}
	return payload
}

// releaseManifest reports the payload of a document that lists the evidence of a release. One that gives results of its own,
// or the spec that they are for, is evidence whatever else it gives.
func releaseManifest(payload value) bool {
	return payload.field("release_version").scalar() &&
		payload.field("evidence_summary", "approver").form != formNull &&
		payload.field("spec_id").form == formNull && payload.field("test_results").form == formNull
}

// parseReleaseManifest reads the manifest of a release: a document whose signature is verified, and no evidence of a spec.
func parseReleaseManifest(src source, t token, opts *Options) domain.Artifact {
	src.kind = domain.KindReleaseManifest
	d := newDraft(src, &opts.Limits)
	d.setFields(t.payload)
	d.setID(fieldID, cmp.Or(t.payload.fieldText(fieldID, "manifest_id", "release_id"), stem(src.path)))
	d.Title = d.bounded("the title", cmp.Or(t.payload.fieldText("title"), t.payload.fieldText("release_version")), maxTitle)
	d.Evidence = &domain.Evidence{
		Signature: t.verify(d, opts),
		Payload:   t.sum,
		Results:   domain.Results{State: domain.ResultsUnknown, Reason: domain.ResultsAbsent, Detail: "a release manifest gives no test results"},
		Timestamp: d.bounded("timestamp", t.payload.fieldText("timestamp", "created_at", "released_at", "release_date"), maxClaim),
		GitCommit: d.bounded("git_commit", t.payload.fieldText("git_commit"), maxClaim),
		StateHash: d.bounded("system_state_hash", t.payload.fieldText("system_state_hash"), maxClaim),
	}
	d.readLinks(t.payload)
	return d.finish()
}

// readClaims takes from a payload, or the metadata of a package, what the evidence says it is about.
func (d *draft) readClaims(claims value) {
	e := d.Evidence
	claim := func(names ...string) string { return d.bounded(names[0], claims.fieldText(names...), maxClaim) }
	d.Tier = d.term(fieldTier, claims.field(fieldTier, "tier"))
	e.SpecID, e.UserStory = claim("spec_id"), claim("traced_user_story")
	e.Timestamp = claim("timestamp", "created_at")
	e.StateHash, e.GitCommit = claim("system_state_hash"), claim("git_commit")
	if commit, ok := strings.CutPrefix(claim("system_state"), "git:"); ok && e.GitCommit == "" {
		e.GitCommit = commit
	}
	if claims.field("spec_id").form == formNull {
		d.note(domain.FindingMissingField, 0, "the field spec_id is missing: the evidence says nothing of what it proves")
	}
	d.readLinks(claims)
}

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
