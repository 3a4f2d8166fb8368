package rosie

import (
	"strconv"
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
	d := newDraft(src, &opts.Limits)
	d.setFields(withoutCases(t.payload))
	d.GxPID = d.bounded(fieldID, t.payload.fieldText(fieldID), maxID)
	if d.GxPID == "" {
		d.note(domain.FindingMissingID, 0, "the payload gives no gxp_id: nothing can refer to it")
	}
	d.Evidence = &domain.Evidence{Signature: t.verify(d, opts), Tests: d.testTotals(t.payload.field("test_results"))}
	d.readClaims(t.payload)
	return d.finish(), nil
}

// withoutCases is a payload less the list of single tests, which only a look at the file needs.
func withoutCases(payload value) value {
	for _, key := range []string{"test_results", "testResults"} {
		payload = payload.with(key, payload.at(key).without("test_cases").without("testCases"))
	}
	return payload
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

// testTotals reads the counts of a test run; nil when there are none.
func (d *draft) testTotals(results value) *domain.TestTotals {
	if results.form != formMap {
		return nil
	}
	return &domain.TestTotals{
		Tool:       d.bounded("tool", results.fieldText("tool"), maxClaim),
		Version:    d.bounded("version", results.fieldText("version"), maxClaim),
		Passed:     d.count(results, "passed"),
		Failed:     d.count(results, "failed"),
		Skipped:    d.count(results, "skipped"),
		DurationMS: d.bounded("duration_ms", results.fieldText("duration_ms"), maxClaim),
	}
}

func (d *draft) count(results value, name string) int {
	v := results.field(name)
	if v.form == formNull {
		return 0
	}
	n, err := strconv.ParseInt(v.text, 10, 32)
	if err != nil || n < 0 {
		d.note(domain.FindingMalformed, 0, "the count %q of the test results is no whole number and is taken as 0", name)
		return 0
	}
	return int(n)
}
