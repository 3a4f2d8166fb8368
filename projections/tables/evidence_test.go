package tables_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
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
	single.Artifacts[0].Evidence = &domain.Evidence{
		Signature: domain.Signature{Verdict: domain.VerdictUnverifiable, Reason: "no key was given"},
		Results:   domain.Results{State: domain.ResultsUnknown, Reason: domain.ResultsAbsent},
	}
	given(t, tree(single)).
		thenRows("evidence", "kind | overall | verdict | reason | iat | exp | passed | failed | skipped | check_presence | check_completeness | spec_number",
			"evidence_jws | unverifiable | unverifiable | no key was given | - | - | - | - | - | - | - | -").
		thenRows("evidence_files", "path").
		thenRows("artifact_versions", "evidence", `{"signature":{"verdict":"unverifiable","reason":"no key was given"},"results":{"state":"unknown","reason":"absent"}}`)
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

// I15: counts of results that are unknown are NULL, and what the evidence is worth is shown with them.
func TestUnknownResultsHaveNoCounts(t *testing.T) {
	t.Parallel()
	const columns = "state | state_reason | results | results_reason | passed | failed | skipped"
	valid := domain.Signature{Verdict: domain.VerdictValid}
	for name, test := range map[string]struct {
		results domain.Results
		want    string
	}{
		"unknown":          {domain.Results{State: domain.ResultsUnknown, Reason: domain.ResultsMalformed}, "unverified | results_unknown | unknown | malformed | - | - | -"},
		"not even said":    {domain.Results{}, "unverified | results_unknown | unknown | - | - | - | -"},
		"unknown, failing": {domain.Results{State: domain.ResultsUnknown, Failing: true}, "failed | - | unknown | - | - | - | -"},
		"an older reader":  {domain.Results{State: domain.ResultsUnknown, Reason: domain.ResultsOlderReader}, "unverified | older_reader | unknown | older_reader | - | - | -"},
		"known":            {Totals(2, 0, 1), "passed | - | known | - | 2 | 0 | 1"},
		"all skipped":      {Totals(0, 0, 9), "unverified | nothing_passed | known | - | 0 | 0 | 9"},
		"failed":           {Totals(2, 1, 0), "failed | - | known | - | 2 | 1 | 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := File(domain.KindEvidenceJWS, ".gxp/evidence/EV-1.jws", "EV-1", "")
			f.Artifacts[0].Evidence = &domain.Evidence{Signature: valid, Results: test.results}
			given(t, tree(f)).thenRows("evidence", columns, test.want)
		})
	}
}

// What version 1 of an event did not record is NULL, and never 0 or false.
func TestWhatVersion1DidNotRecordIsNull(t *testing.T) {
	t.Parallel()
	s := given(t, tree(Requirement("REQ-001", "one"), evidencePackage("PKG-1")))
	for i := range s.log {
		e := &s.log[i]
		v1, ok := strings.CutSuffix(e.Type, ".v2")
		if !ok {
			continue
		}
		// The stored form of version 1 had none of the fields that version 2 added.
		data := map[string]json.RawMessage{}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		for _, added := range []string{"actor_from", "settings", "ignored", "coverage", "relinked_links", "violations_total"} {
			delete(data, added)
		}
		if raw, evidence := data["evidence"]; evidence {
			data["evidence"] = bytes.ReplaceAll(raw, []byte(`"results":`), []byte(`"tests":{"passed":7,"failed":0,"skipped":1},"was":`))
		}
		e.Type = v1 + ".v1"
		var err error
		if e.Data, err = json.Marshal(data); err != nil {
			t.Fatal(err)
		}
		if e.Event, err = eventstore.Decode(e.Record); err != nil {
			t.Fatal(err)
		}
	}
	s.thenRows("scans", "unsigned_policy | allow_secrets | actor_from | relation | evidence_keys | limits | settings_revision | overrides | ignored | ignored_paths | coverage | relinked | violations",
		"invalid | - | - | - | - | - | - | - | - | - | - | 0 | 0").
		thenRows("evidence", "state | state_reason | results | passed | failed | skipped | payload_sha256",
			"unverified | older_reader | unknown | - | - | - | -")
}
