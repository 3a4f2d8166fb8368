package rosie_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
)

// judged is the result of reading: the state of the evidence, its reason, and its counts.
func judged(e *domain.Evidence) string {
	state, reason := e.Judge()
	text := strings.TrimSuffix(string(state)+" "+reason, " ")
	if t := e.Results.Totals; t != nil {
		text += fmt.Sprintf(" %d/%d/%d", t.Passed, t.Failed, t.Skipped)
	}
	return text
}

// signedPayload is evidence with these members beside its identity.
func signedPayload(members string) string {
	return `{"gxp_id":"EV-1","spec_id":"SPEC-001-001"` + strings.TrimRight(","+members, ",") + `}`
}

// Every published form is read for what it says, in a signed payload and in the results of a signed package.
func TestPublishedFormsOfResults(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for name, test := range publishedResults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := readEvidence(t, s.sign(t, signedPayload(`"test_results":`+test.json)), s.options()).Artifacts[0]
			equal(t, "signature", a.Evidence.Overall(), domain.VerdictValid)
			equal(t, "payload", judged(a.Evidence), test.want)
			checkFindings(t, a, test.code, "EV-1.jws: $.test_results")
			if !strings.HasPrefix(test.json, "{") {
				return
			}
			a = readPackage(t, s.packWith(t, map[string]string{"artifacts/test-results.json": test.json}), s.options())
			equal(t, "checks", verdicts(a), []string{"valid", "valid", "valid", "valid"})
			equal(t, "package", judged(a.Evidence), test.want)
			checkFindings(t, a, test.code, "artifacts/test-results.json: $")
		})
	}
}

// checkFindings looks for the one code that is wanted, in findings that say where.
func checkFindings(t *testing.T, a domain.Artifact, code, where string) {
	t.Helper()
	found := false
	for _, f := range a.Findings {
		found = found || f.Code == code
		if code == "" {
			t.Errorf("finding %+v", f)
		}
		if !strings.Contains(f.Text, where) {
			t.Errorf("finding %q does not say %q", f.Text, where)
		}
	}
	if code != "" && !found {
		t.Errorf("findings %+v, want one %s", a.Findings, code)
	}
	if r := a.Evidence.Results; r.State == domain.ResultsUnknown && (r.Reason == "" || r.Detail == "" || r.Totals != nil) {
		t.Errorf("unknown results %+v", r)
	}
}

// packWith makes a valid package with other files in it, signed as they are.
func (s signer) packWith(tb testing.TB, changed map[string]string) map[string]string {
	tb.Helper()
	all := packageFiles(spec)
	for path, text := range changed {
		if text == "" {
			delete(all, path)
			continue
		}
		all[path] = text
	}
	manifest := manifestOf(tb, spec, all)
	all["manifest.json"], all["manifest.jws"] = manifest, s.sign(tb, claims(manifest))
	return all
}

// Results in a payload itself, or in the metadata or manifest of a package, count as well.
func TestResultsInAnEnvelope(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for name, test := range map[string]resultsSample{
		"none at all":               {``, unknownResults, ""},
		"null":                      {`"test_results":null`, unknownResults, ""},
		"GxP.MD":                    {`"tier":"OQ","result":"fail","test_count":12,"pass_count":9,"fail_count":3,"skip_count":0`, "failed 9/3/0", ""},
		"GxP.MD that passed":        {`"result":"pass","test_count":12,"pass_count":12,"fail_count":0,"skip_count":0,"coverage":{"lines":97.2}`, "passed 12/0/0", ""},
		"a summary":                 {`"test_summary":{"total_tests":25,"passed":25,"failed":0,"skipped":0},"validation_result":"PASS"`, "passed 25/0/0", ""},
		"a pending validation":      {`"test_summary":{"passed":25,"failed":0},"validation_result":"PENDING"`, unknownResults, malformed},
		"a criterion that failed":   {`"test_summary":{"passed":25,"failed":0},"acceptance_criteria_verified":[{"criterion_id":"AC-1","status":"FAIL"}]`, "failed 25/0/0", contradiction},
		"RFC-003":                   {`"results":[{"gxp_id":"A","status":"PASS"}]`, "passed 1/0/0", ""},
		"two statements":            {`"test_results":{"passed":3,"failed":0},"fail_count":1`, "failed 3/1/0", contradiction},
		"the status of a document":  {`"status":"APPROVED","test_results":{"passed":3,"failed":0}`, "passed 3/0/0", ""},
		"a status that failed":      {`"status":"failed","test_results":{"passed":3,"failed":0}`, "failed 3/0/0", contradiction},
		"an unknown result":         {`"result":"as expected, mostly","test_results":{"passed":3,"failed":0}`, unknownResults, malformed},
		"a failure in another part": {`"test_results":{"passed":3,"failed":0},"extra":{"nightly":{"failures":1}}`, unknownResults, malformed},
		"names of test files":       {`"tests":["a.test.ts"],"environment":{"os":"x"},"test_results":{"passed":3,"failed":0}`, "passed 3/0/0", ""},
		"exit code":                 {`"exit_code":1,"test_results":{"passed":3,"failed":0}`, "failed 3/0/0", contradiction},
		"in camelCase":              {`"testResults":{"passed":3,"failed":1}`, "failed 3/1/0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := readEvidence(t, s.sign(t, signedPayload(test.json)), s.options()).Artifacts[0]
			equal(t, "payload", judged(a.Evidence), test.want)
			checkFindings(t, a, test.code, "EV-1.jws: $")
			members := strings.TrimRight(`"package_id":"P","spec_id":"`+spec+`",`+test.json, ",")
			a = readPackage(t, s.packWith(t, map[string]string{"metadata.json": "{" + members + "}", "artifacts/test-results.json": ""}), s.options())
			equal(t, "checks", a.Evidence.Overall(), domain.VerdictValid)
			equal(t, "metadata", judged(a.Evidence), test.want)
			checkFindings(t, a, test.code, "metadata.json: $")
		})
	}
}

// Where metadata and test results disagree, the worse one counts.
func TestMetadataBesideTestResults(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for name, test := range map[string]struct {
		metadata, results, want string
		codes                   []string
	}{
		"agreed":                {`"result":"pass","test_count":5,"pass_count":3,"fail_count":0,"skip_count":2`, `{"stats":{"tests":5,"passes":3,"pending":2,"failures":0}}`, "passed 3/0/2", nil},
		"metadata is worse":     {`"pass_count":2,"fail_count":1`, `{"passed":3,"failed":0}`, "failed 2/1/0", []string{contradiction}},
		"results are worse":     {`"pass_count":3,"fail_count":0`, `{"passed":2,"failed":1}`, "failed 2/1/0", []string{contradiction}},
		"a word beside results": {`"result":"pass"`, `{"passed":2,"failed":0}`, "passed 2/0/0", nil},
		"a failing word":        {`"result":"fail"`, `{"passed":2,"failed":0}`, "failed 2/0/0", []string{contradiction}},
		"results not read":      {`"pass_count":3,"fail_count":0`, `{"passed":2,"failed":NaN}`, unknownResults, []string{malformed}},
		"results empty":         {`"pass_count":3,"fail_count":0`, `{}`, "passed 3/0/0", nil},
		"another total":         {`"test_count":9`, `{"passed":3,"failed":0,"skipped":0}`, unknownResults, []string{contradiction}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := readPackage(t, s.packWith(t, map[string]string{
				"metadata.json": `{"package_id":"P","spec_id":"` + spec + `",` + test.metadata + `}`, "artifacts/test-results.json": test.results,
			}), s.options())
			equal(t, "checks", a.Evidence.Overall(), domain.VerdictValid)
			equal(t, "judged", judged(a.Evidence), test.want)
			equal(t, "findings", codes(a.Findings), test.codes)
		})
	}
}

// A file of test results that cannot be read makes the results unknown, though every check of the package holds.
func TestTestResultsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for name, text := range map[string]string{
		"NaN":                       `{"passed":3,"failed":2,"duration_ms":NaN}`,
		"UTF-16":                    "\xff\xfe{\x00}\x00",
		"a trailing comma":          `{"passed":3,"failed":0,}`,
		"a repeated key":            `{"passed":3,"failed":2,"failed":0}`,
		"a list at the root":        `[{"passed":3,"failed":0}]`,
		"statuses at the root":      `["pass"]`,
		"an empty list at the root": `[]`,
		"nothing":                   ` `,
		"text":                      `3 passed`,
		"cut off":                   `{"passed":3,"failed":0`,
		"a comment":                 `{"passed":3,"failed":0} // ok`,
		"two documents":             `{"passed":3,"failed":0}{"failed":1}`,
		"lines of JSON":             "{\"Action\":\"pass\"}\n{\"Action\":\"pass\"}\n",
		"a number":                  `3`,
		"too large":                 `{"passed":3,"failed":0,"log":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := readPackage(t, s.packWith(t, map[string]string{"artifacts/test-results.json": text}), s.options())
			equal(t, "presence and signature", verdicts(a)[:2], []string{"valid", "valid"})
			if a.Evidence.Results.State != domain.ResultsUnknown || !slices.Contains(codes(a.Findings), malformed) {
				t.Errorf("results %+v, findings %+v", a.Evidence.Results, a.Findings)
			}
			if state, _ := a.Evidence.Judge(); state != domain.EvidenceUnverified {
				t.Errorf("judged %s", state)
			}
		})
	}
	a := readPackage(t, s.packWith(t, map[string]string{"artifacts/test-results.json": `["pass","fail"]`}), s.options())
	equal(t, "a failure in a list at the root", judged(a.Evidence), "failed")
}

// Of the tests that did not pass, the first are named.
func TestCasesThatDidNotPassAreNamed(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	list := strings.Repeat(`{"name":"bad","status":"Failed"},`, 30) + `{"title":"odd","status":"todo"},"pass"`
	a := readEvidence(t, s.sign(t, signedPayload(`"test_results":[`+list+`]`)), s.options()).Artifacts[0]
	c := a.Evidence.Results.Cases
	equal(t, "counts", []int{c.Passed, c.Failed, c.Skipped, c.Unknown, len(c.NotPassed)}, []int{1, 30, 1, 0, domain.MaxTestCases})
	equal(t, "the first", c.NotPassed[0], domain.TestCase{Name: "bad", Status: "Failed"})
	equal(t, "fields hold no cases", strings.Contains(string(a.Fields), "bad"), false)
}
