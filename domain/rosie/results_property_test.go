package rosie_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
)

// oddResults draws any JSON value, with the names that results have more often than others.
func oddResults(depth int) *rapid.Generator[string] {
	names := []string{
		"passed", "failed", "skipped", "errors", "failures", "pass_count", "failCount", "test_count", "total", "tests", "test_cases", "results",
		"summary", "stats", "numFailedTests", "numPassedTests", "numTotalTests", "expected", "unexpected", "flaky", "ok", "success", "status",
		"result", "state", "name", "error", "suites", "steps", "pending", "exitcode", "action", "Test", "x", "Passed", "classname",
	}
	scalars := []string{
		"0", "1", "2", "3", "2.0", "2e0", "-0", "-1", "1.5", "3000000000", "1e999", "true", "false", "null", `""`, `"pass"`, `"fail"`, `"PASSED"`,
		`"skipped"`, `"maybe"`, `"3"`, `"2.0"`, `"completed"`, "{}", "[]",
	}
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 || kind > 3 {
			return rapid.SampledFrom(scalars).Draw(t, "scalar")
		}
		size := rapid.IntRange(0, 4).Draw(t, "size")
		var parts []string
		seen := make(map[string]bool)
		for range size {
			item := oddResults(depth-1).Draw(t, "item")
			name := rapid.SampledFrom(names).Draw(t, "name")
			switch {
			case kind == 0:
				parts = append(parts, item)
			case !seen[name]:
				seen[name] = true
				parts = append(parts, fmt.Sprintf("%q:%s", name, item))
			}
		}
		if kind == 0 {
			return "[" + strings.Join(parts, ",") + "]"
		}
		return "{" + strings.Join(parts, ",") + "}"
	})
}

// Whatever JSON stands for results: evidence that passed has known results, a test that passed, none that failed, and nothing
// anywhere says otherwise.
func TestPropertyEvidenceThatPassedHasKnownResults(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	rapid.Check(t, func(rt *rapid.T) {
		results := oddResults(4).Draw(rt, "results")
		a := readEvidence(t, s.sign(t, signedPayload(`"test_results":`+results)), s.options()).Artifacts[0]
		checkPassed(rt, a, results)
	})
}

func checkPassed(t rapid.TB, a domain.Artifact, results string) {
	t.Helper()
	r := a.Evidence.Results
	if r.State == domain.ResultsUnknown && (r.Totals != nil || r.Reason == "" || r.Detail == "") {
		t.Fatalf("%s: unknown results %+v", results, r)
	}
	if state, _ := a.Evidence.Judge(); state != domain.EvidencePassed {
		return
	}
	if r.State != domain.ResultsKnown || r.Totals == nil || r.Totals.Passed < 1 || r.Totals.Failed != 0 || r.Failing ||
		r.Cases != nil && (r.Cases.Failed > 0 || r.Cases.Unknown > 0) {
		t.Fatalf("%s passed: %+v", results, r)
	}
	var tree any
	decoder := json.NewDecoder(strings.NewReader(results))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		t.Fatalf("%s: %v", results, err)
	}
	if says := failureIn(tree); says != "" {
		t.Fatalf("%s passed, and says %s", results, says)
	}
}

// failureIn finds what says that a test failed, with the standard library and names of its own.
func failureIn(tree any) string {
	switch v := tree.(type) {
	case []any:
		for _, item := range v {
			if item == "fail" {
				return "fail"
			}
			if says := failureIn(item); says != "" {
				return says
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			switch key {
			case "failed", "failures", "errors", "failCount", "numFailedTests", "unexpected", "exitcode":
				if n, ok := v[key].(json.Number); ok {
					if f, err := n.Float64(); err != nil || f > 0 {
						return key
					}
				}
			case "status", "result", "state":
				if v[key] == "fail" {
					return key
				}
			}
			if says := failureIn(v[key]); says != "" {
				return says
			}
		}
	}
	return ""
}

// counted draws a form of results that is published, with these counts.
func counted(t *rapid.T, passed, failed, skipped int) string {
	total := passed + failed + skipped
	form := rapid.SampledFrom([]string{
		`{"passed":P,"failed":F,"skipped":S}`, `{"passed":P.0,"failed":Fe0,"skipped":S}`, `{"tests":T,"failures":F,"errors":0,"skipped":S}`,
		`{"tests":T,"failures":0,"errors":F,"skipped":S}`, `{"test_count":T,"pass_count":P,"fail_count":F,"skip_count":S}`,
		`{"testCount":T,"passCount":P,"failCount":F,"skipCount":S}`, `{"test_summary":{"total_tests":T,"passed":P,"failed":F,"skipped":S}}`,
		`{"numTotalTests":T,"numPassedTests":P,"numFailedTests":F,"numPendingTests":S,"numTodoTests":0}`,
		`{"stats":{"tests":T,"passes":P,"failures":F,"pending":S}}`, `{"summary":{"passed":P,"failed":F,"skipped":S,"total":T}}`,
		`{"results":{"summary":{"tests":T,"passed":P,"failed":F,"pending":0,"skipped":S,"other":0}}}`,
		`{"stats":{"expected":P,"unexpected":F,"flaky":0,"skipped":S}}`, `{"total":T,"passed":P,"failed":F,"skipped":S}`,
		`{"passed":P,"failed":F,"skipped":S,"test_cases":[C]}`, `{"test_cases":[C]}`, `[C]`, `[W]`, `{"results":{"tests":[C]}}`,
		`{"testResults":[{"name":"x","assertionResults":[C]}]}`, `{"tests":[C],"summary":{"passed":P,"failed":F,"skipped":S,"total":T}}`,
		`{"suites":[{"specs":[{"title":"x","tests":[C]}]}]}`, `{"testsuites":[{"tests":T,"failures":F,"errors":0,"skipped":S}]}`,
	}).Draw(t, "form")
	var cases, statuses []string
	for words, n := range map[string]int{"pass passed PASS ok success Passed": passed, "fail failed FAILED error broken failure": failed, "skip skipped pending todo disabled": skipped} {
		for range n {
			status := rapid.SampledFrom(strings.Fields(words)).Draw(t, "status")
			key := rapid.SampledFrom([]string{"status", "outcome", "state", "result"}).Draw(t, "key")
			cases = append(cases, fmt.Sprintf(`{"name":"a","%s":"%s","duration":1.5}`, key, status))
			statuses = append(statuses, `"`+status+`"`)
		}
	}
	slices.Sort(cases)
	slices.Sort(statuses)
	return strings.NewReplacer(
		"Fe0", fmt.Sprintf("%de0", failed), "P.0", fmt.Sprintf("%d.0", passed),
		":P", fmt.Sprintf(":%d", passed), ":F", fmt.Sprintf(":%d", failed), ":S", fmt.Sprintf(":%d", skipped), ":T", fmt.Sprintf(":%d", total),
		"[C]", "["+strings.Join(cases, ",")+"]", "[W]", "["+strings.Join(statuses, ",")+"]",
	).Replace(form)
}

// Every published form with passes and no failure passes; with a failure it fails.
func TestPropertyPublishedFormsAreJudgedByTheirCounts(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	rapid.Check(t, func(rt *rapid.T) {
		passed := rapid.IntRange(0, 3).Draw(rt, "passed")
		failed := rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(rt, "failed")
		skipped := rapid.IntRange(0, 2).Draw(rt, "skipped")
		if passed+failed+skipped == 0 {
			return
		}
		results := counted(rt, passed, failed, skipped)
		a := readEvidence(t, s.sign(t, signedPayload(`"test_results":`+results)), s.options()).Artifacts[0]
		want := fmt.Sprintf("passed %d/%d/%d", passed, failed, skipped)
		switch {
		case failed > 0:
			want = strings.Replace(want, "passed", "failed", 1)
		case passed == 0:
			want = strings.Replace(want, "passed", "unverified nothing_passed", 1)
		}
		if got := judged(a.Evidence); got != want || len(a.Findings) > 0 {
			rt.Fatalf("%s: %s, want %s; findings %+v", results, got, want, a.Findings)
		}
	})
}

// objectsIn lists all objects of a JSON tree.
func objectsIn(tree any) []map[string]any {
	var all []map[string]any
	switch v := tree.(type) {
	case []any:
		for _, item := range v {
			all = append(all, objectsIn(item)...)
		}
	case map[string]any:
		all = append(all, v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = append(all, objectsIn(v[key])...)
		}
	}
	return all
}

// A failure in any object of a published form makes the evidence fail, whatever the rest says.
func TestPropertyAFailureAnywhereFails(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	marks := []string{
		`{"failed":1}`, `{"failures":2.0}`, `{"errors":1}`, `{"fail_count":1}`, `{"numFailedTests":3}`, `{"status":"FAILED"}`, `{"outcome":"error"}`,
		`{"failures":[{"name":"x"}]}`, `{"error":{"message":"boom"}}`, `{"success":false}`, `{"extra":{"deep":[{"status":"fail"}]}}`,
		`{"extra":[{"more":{"failed":1}}]}`, `{"steps":[{"result":{"status":"failed"}}]}`, `{"tests":[{"state":"failed"}]}`, `{"result":"fail"}`,
		`{"summary":{"failed":1}}`, `{"exit_code":2}`, `{"test_cases":["fail"]}`, `{"results":["failed"]}`,
	}
	rapid.Check(t, func(rt *rapid.T) {
		var tree any
		results := counted(rt, rapid.IntRange(1, 3).Draw(rt, "passed"), 0, rapid.IntRange(0, 1).Draw(rt, "skipped"))
		if err := json.Unmarshal([]byte(results), &tree); err != nil {
			rt.Fatal(err)
		}
		objects := objectsIn(tree)
		if len(objects) == 0 {
			return // statuses alone
		}
		var mark map[string]any
		if err := json.Unmarshal([]byte(rapid.SampledFrom(marks).Draw(rt, "mark")), &mark); err != nil {
			rt.Fatal(err)
		}
		maps.Copy(rapid.SampledFrom(objects).Draw(rt, "object"), mark)
		changed, err := json.Marshal(tree)
		if err != nil {
			rt.Fatal(err)
		}
		a := readEvidence(t, s.sign(t, signedPayload(`"test_results":`+string(changed))), s.options()).Artifacts[0]
		if state, reason := a.Evidence.Judge(); state != domain.EvidenceFailed {
			rt.Fatalf("%s: %s %s", changed, state, reason)
		}
	})
}

// FuzzResults reads any text as the results of a signed package and, when it is JSON, of a signed payload.
func FuzzResults(f *testing.F) {
	for _, test := range publishedResults() {
		f.Add(test.json)
	}
	s := newSigner(f)
	f.Fuzz(func(t *testing.T, text string) {
		file := fuzzed(t, placed(s.packWith(t, map[string]string{"artifacts/test-results.json": text})), packagePath, s.options())
		if file.Rejected != nil {
			t.Fatalf("rejected: %s", file.Rejected.Message)
		}
		passed, _ := file.Artifacts[0].Evidence.Judge()
		if passed == domain.EvidencePassed && text != "" && !json.Valid([]byte(strings.TrimPrefix(text, "\ufeff"))) {
			t.Fatalf("%q is no JSON and passed", text)
		}
		file = fuzzed(t, files{jwsPath: s.sign(t, signedPayload(`"test_results":`+text))}, jwsPath, s.options())
		if file.Rejected == nil {
			r := file.Artifacts[0].Evidence.Results
			if state, _ := file.Artifacts[0].Evidence.Judge(); state == domain.EvidencePassed && (r.Totals.Passed < 1 || r.Totals.Failed > 0) {
				t.Fatalf("%q passed: %+v", text, r)
			}
		}
	})
}
