package rosie

import "strings"

// The names and words of every published form of test results that is read: ROSIE RFC-001 and RFC-003, GxP.MD, JUnit, jest and
// vitest, mocha and Cypress, CTRF, pytest, go test, Playwright, RSpec, Cucumber, Allure, TAP. Names are compared without case,
// underscores, dashes, blanks and the like, so that snake_case and camelCase are one.

// plain is a name or a word as it is compared.
func plain(text string) string {
	if len(text) > maxTerm {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_- .:@$#", r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
}

// role is what a count says of a run.
type role uint8

const (
	roleOther   role = iota // tests that neither passed, failed nor were skipped: they make the results unknown
	rolePassed              // tests that passed
	roleFailed              // tests that failed; the name for it varies
	roleErrors              // tests that ended in another failure, counted beside those that failed
	roleOutside             // failures that the total of tests does not count
	roleSuites              // suites that failed: their tests are counted too
	roleSkipped             // tests that were not run or whose result does not count
	roleTotal               // all tests
)

// mark reports whether true or false under the name says how a test ended.
func (n countName) mark() bool { return !n.weak || n.flag }

func (r role) outcome() outcome {
	switch r {
	case rolePassed:
		return outcomePassed
	case roleFailed, roleErrors, roleOutside, roleSuites:
		return outcomeFailed
	case roleSkipped:
		return outcomeSkipped
	case roleOther, roleTotal:
	}
	return outcomeNone
}

// countName is what the name of a count means. Names of one class are synonyms: of two in one object, the worse counts.
// Counts of different classes with one role add up.
type countName struct {
	class string
	role  role
	weak  bool // it means something else in an envelope
	flag  bool // it is also used for true or false, of a whole run
}

// countNamed says what the name of a count means, as it stands.
func countNamed(name string) (countName, bool) {
	switch name {
	case "passed", "pass", "passes", "passing", "succeeded", "successes":
		return countName{class: "passed", role: rolePassed}, true
	case "failed", "fail", "fails", "failing", "failure", "failures":
		return countName{class: "failed", role: roleFailed}, true
	case "errors", "error", "errored", "err":
		return countName{class: "errors", role: roleErrors}, true
	case "broken", "crashed", "timedout", "interrupted", "aborted", "unexpectedsuccesses":
		return countName{class: name, role: roleErrors}, true
	case "runtimeerrortestsuites", "errorsoutsideofexamples":
		return countName{class: name, role: roleOutside}, true
	case "failedtestsuites", "failedsuites":
		return countName{class: "failed suites", role: roleSuites}, true
	case "skipped", "skip", "skips":
		return countName{class: "skipped", role: roleSkipped}, true
	case "pending", "todo", "ignored", "disabled", "notrun", "notexecuted", "xfailed", "xpassed", "expectedfailures":
		return countName{class: name, role: roleSkipped}, true
	case "tests", "testcount", "testscount", "testcases", "testcasecount", "testtotal", "totaltests", "totaltestcount", "totaltestcases",
		"numtests", "numtotaltests", "numberoftests", "testsrun", "example", "examples", "examplecount":
		return countName{class: "total", role: roleTotal}, true
	case "total", "count", "totalcount":
		return countName{class: "total", role: roleTotal, weak: true}, true
	case "expected":
		return countName{class: "passed", role: rolePassed, weak: true}, true
	case "ok", "success", "successful":
		return countName{class: "passed", role: rolePassed, weak: true, flag: true}, true
	case "unexpected":
		return countName{class: "failed", role: roleFailed, weak: true}, true
	case "flaky", "other", "unknown", "inconclusive", "undefined":
		return countName{class: name, role: roleOther, weak: true}, true
	}
	return countName{}, false
}

// countOf says what the name of a count means. Names such as numFailedTests and fail_count are built from simpler ones.
func countOf(name string) (countName, bool) {
	if n, ok := countNamed(name); ok {
		return n, true
	}
	short := name
	for _, affix := range []string{"numberof", "num", "total", "tests", "test", "count", "nb", "nr", "n"} {
		short = strings.TrimPrefix(short, affix)
	}
	for _, affix := range []string{"count", "cases", "case", "tests", "test", "total"} {
		short = strings.TrimSuffix(short, affix)
	}
	n, ok := countNamed(short)
	return n, ok && n.role != roleTotal && !n.weak
}

// isNested reports the names of objects and lists that hold results.
func isNested(name string) bool {
	switch name {
	case "testresults", "testresult", "results", "result", "testsummary", "resultsummary", "resultssummary",
		"summary", "stats", "statistics", "statistic", "total", "totals", "testtotals", "counts", "counters",
		"testcounts", "testreport", "testrun", "report", "tests", "testcases", "testcase", "cases", "testsuites",
		"testsuite", "suites", "assertionresults", "specs", "examples", "features", "elements", "scenarios",
		"runs":
		return true
	}
	return false
}

// isStatus reports the names that give a result in a word.
func isStatus(name string) bool {
	switch name {
	case "status", "result", "outcome", "state", "conclusion", "verdict", "action", "teststatus", "testresult",
		"testresults", "results", "validationresult", "overallresult", "overallstatus", "testoutcome":
		return true
	}
	return false
}

// isExitCode reports the names of the exit code of a runner, of which 0 alone is good.
func isExitCode(name string) bool {
	switch name {
	case "exitcode", "exitstatus":
		return true
	}
	return false
}

// isFault reports the names of what went wrong in a test. Empty, they say nothing.
func isFault(name string) bool {
	switch name {
	case "failuremessages", "failuredetails", "failuremessage", "errormessage", "exception", "exceptions":
		return true
	}
	return false
}

func holdsMaps(list value) bool {
	for _, item := range list.items {
		if item.form == formMap {
			return true
		}
	}
	return false
}

// outcome is how a test, or a run of tests, ended. A greater one is worse.
type outcome uint8

const (
	outcomeNone    outcome = iota // no word that is known
	outcomeNeutral                // that it ended, and not how
	outcomePassed
	outcomeSkipped
	outcomeFailed
)

// word is an outcome as it was written.
type word struct {
	outcome outcome
	text    string
	where   string
}

// outcomeOf reads a plain status.
func outcomeOf(status string) outcome {
	switch status {
	case "completed", "complete", "finished", "done", "executed", "focused":
		return outcomeNeutral
	case "pass", "passed", "passes", "passing", "ok", "success", "successful", "succeeded", "expected",
		"passwithdeviations", "passedwithdeviations":
		return outcomePassed
	case "skip", "skipped", "pending", "todo", "disabled", "ignored", "ignore", "notrun", "notexecuted", "notapplicable", "na", "n/a",
		"deselected", "blocked", "xfail", "xfailed", "xpass", "xpassed", "expectedfailure":
		return outcomeSkipped
	case "fail", "failed", "fails", "failing", "failure", "failures", "error", "errors", "errored", "broken", "unexpected", "notok",
		"crash", "crashed", "timeout", "timedout", "abort", "aborted", "interrupted", "panic", "buildfail", "failwithdeviations":
		return outcomeFailed
	}
	return outcomeNone
}

// wordIn reads a value as the status of a test.
func wordIn(v value) word {
	if v.form != formText {
		return word{text: v.text}
	}
	return word{outcome: outcomeOf(plain(strings.TrimSpace(v.text))), text: v.text}
}
