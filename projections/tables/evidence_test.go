package tables_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

func TestEvidenceShowsItsClaimsItsChecksAndWhereItLeads(t *testing.T) {
	t.Parallel()
	given(t, tree(append(chain(), evidencePackage("PKG-1"))...)).
		thenRows("evidence", "number | kind | gxp_id | spec_id | spec_number | traced_user_story | traced_user_story_number",
			"1 | evidence_package | PKG-1 | SPEC-001 | 3 | US-001 | 4").
		thenRows("evidence", "overall | verdict | reason | alg | kid | fingerprint | iat | exp | expired | signer_file",
			"valid | valid | - | ES256 | kid-1 | "+Hash("key")+" | 2026-02-05T10:00:00.000000Z | 2036-02-05T10:00:00.000000Z | false | manifest.jws").
		thenRows("evidence", "tool | tool_version | passed | failed | skipped | duration_ms | timestamp_claimed | system_state_hash | git_commit",
			"vitest | 1.2 | 7 | 0 | 1 | 12.5 | 2026-02-05T10:00:00Z | abc | c0ffee").
		thenRows("evidence", "check_presence | check_signature | check_integrity | check_completeness | problems", "valid | valid | valid | valid | -").
		thenRows("evidence_files", "number | path | sha256 | blob | size",
			"1 | manifest.json | "+Hash("m")+" | b1 | 11", "1 | manifest.jws | "+Hash("s")+" | b2 | 12").
		thenRows("artifact_versions", "number | members", "1 | "+
			`[{"path":"manifest.json","sha256":"`+Hash("m")+`","blob":"b1","size":11},{"path":"manifest.jws","sha256":"`+Hash("s")+`","blob":"b2","size":12}]`,
			"2 | -", "3 | -", "4 | -")
}

func TestASingleRecordHasNoChecksOfAPackage(t *testing.T) {
	t.Parallel()
	single := File(domain.KindEvidenceJWS, ".gxp/evidence/EV-1.jws", "EV-1", "")
	single.Artifacts[0].Evidence = &domain.Evidence{Signature: domain.Signature{
		Verdict: domain.VerdictUnverifiable, Reason: "no key was given",
	}}
	given(t, tree(single)).
		thenRows("evidence", "kind | overall | verdict | reason | iat | exp | passed | failed | skipped | check_presence | check_completeness | spec_number",
			"evidence_jws | unverifiable | unverifiable | no key was given | - | - | - | - | - | - | - | -").
		thenRows("evidence_files", "path").
		thenRows("artifact_versions", "evidence", `{"signature":{"verdict":"unverifiable","reason":"no key was given"}}`)
}

func TestEveryFaultOfAPackageIsListedWithItsCheck(t *testing.T) {
	t.Parallel()
	bad := evidencePackage("PKG-1")
	bad.Artifacts[0].Evidence.Checks[2] = domain.Check{Name: domain.CheckIntegrity, Verdict: domain.VerdictInvalid, Problems: []domain.Problem{
		{Code: "missing_file", Path: "a\x00.log", Text: "is listed and absent"}, {Code: "hash_mismatch", Path: "b.json"},
	}}
	bad.Artifacts[0].Evidence.Checks[3].Verdict = domain.VerdictNotRun
	given(t, tree(bad)).
		thenRows("evidence", "overall | verdict | check_integrity | check_completeness", "invalid | valid | invalid | not_run").
		thenRows("evidence", "problems", `[{"check":"integrity","code":"missing_file","path":"a`+"\uFFFD"+`.log","text":"is listed and absent"},`+
			`{"check":"integrity","code":"hash_mismatch","path":"b.json"}]`)
}

func TestTheOverallVerdictIsTheWorst(t *testing.T) {
	t.Parallel()
	const valid, invalid, unverifiable, notRun = domain.VerdictValid, domain.VerdictInvalid, domain.VerdictUnverifiable, domain.VerdictNotRun
	for _, c := range []struct {
		signature, check domain.Verdict
		want             string
	}{
		{valid, valid, "valid"},
		{valid, unverifiable, "unverifiable"},
		{valid, notRun, "unverifiable"},
		{unverifiable, valid, "unverifiable"},
		{unverifiable, notRun, "unverifiable"},
		{notRun, valid, "unverifiable"},
		{valid, invalid, "invalid"},
		{invalid, unverifiable, "invalid"},
		{invalid, notRun, "invalid"},
		{notRun, invalid, "invalid"},
		{"of a later version", valid, "unverifiable"},
	} {
		t.Run(string(c.signature)+" and "+string(c.check), func(t *testing.T) {
			t.Parallel()
			f := evidencePackage("PKG-1")
			f.Artifacts[0].Evidence.Signature.Verdict = c.signature
			f.Artifacts[0].Evidence.Checks = []domain.Check{{Name: domain.CheckPresence, Verdict: c.check}}
			given(t, tree(f)).thenRows("evidence", "overall", c.want)
		})
	}
}

func TestEvidenceThatSaysNothingIsUnverifiable(t *testing.T) {
	t.Parallel()
	given(t, tree(File(domain.KindEvidenceJWS, ".gxp/evidence/EV-1.jws", "EV-1", ""))).
		thenRows("evidence", "overall | verdict | spec_id | expired", "unverifiable | not_run | - | false").
		thenRows("artifact_versions", "evidence", "-")
}

func TestReplacedEvidenceReplacesItsFilesAndStaysInTheHistory(t *testing.T) {
	t.Parallel()
	first, second := evidencePackage("PKG-1"), evidencePackage("PKG-2")
	second.Artifacts[0].Members = second.Artifacts[0].Members[:1]
	second.Artifacts[0].Evidence.Signature.Verdict = domain.VerdictInvalid
	given(t, tree(append(chain(), first)...), tree(append(chain(), second)...)).
		thenRows("evidence", "number | gxp_id | version | overall", "1 | PKG-2 | 2 | invalid").
		thenRows("evidence_files", "path", "manifest.json").
		thenRows("traceability_links", "number | link_index | gxp_id", "1 | 0 | PKG-2", "1 | 1 | PKG-2", "3 | 0 | SPEC-001", "4 | 0 | US-001").
		thenRows("artifact_versions", "number | version | gxp_id | end_reason",
			"1 | 1 | PKG-1 | changed", "1 | 2 | PKG-2 | -", "2 | 1 | REQ-001 | -", "3 | 1 | SPEC-001 | -", "4 | 1 | US-001 | -")
}
