package rosie

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// resultsSource is one JSON value that may state the results of a test run.
type resultsSource struct {
	file  string // as findings name it
	value value
	// envelope says that results are only a part of the value: the payload of a JWS, the metadata or manifest of a package.
	envelope bool
	// object says that the value must be an object. The tests that another value lists are counted, and are no results.
	object bool
	// single says that the value is the record of one test, of which it gives the result.
	single bool
	// failure says why the value is not there although the file is; "" when it is there.
	failure string
}

// readResults reads the results of one test run from everything that states them. What it cannot read makes them unknown, and
// where two statements contradict each other the worse one counts (I15). The names and words that it knows are in
// results_names.go.
func readResults(sources ...resultsSource) (domain.Results, []domain.Finding) {
	r := &resultsReader{}
	var all roles
	for _, s := range sources {
		r.file = s.file
		if s.failure != "" {
			r.doubt(domain.ResultsMalformed, nil, "cannot be read: %s", s.failure)
			continue
		}
		all = r.merge(all, r.source(s))
	}
	return r.finish(all), r.findings
}

// takeResults reads the test results of a piece of evidence, with the findings about them.
func (d *draft) takeResults(sources ...resultsSource) {
	results, findings := readResults(sources...)
	results.Tool = d.bounded("tool", results.Tool, maxClaim)
	results.Version = d.bounded("version", results.Version, maxClaim)
	results.DurationMS = d.bounded("duration_ms", results.DurationMS, maxClaim)
	d.Evidence.Results = results
	for _, f := range findings {
		d.notes.add(f)
	}
}

// ofEnvelope reports whether a key of an envelope is about the results of tests.
func ofEnvelope(name string, item value) bool {
	if item.form == formMap || item.form == formList {
		if item.form == formList && name == "tests" && !holdsMaps(item) {
			return false // the names of test files
		}
		if isEnvelopeNested(name) {
			return true
		}
	} else if isEnvelopeStatus(name) {
		return true
	}
	n, ok := countOf(name)
	return isExitCode(name) || ok && !n.weak && (n.role != roleSkipped || item.form == formNumber || item.form == formText)
}

// isCriteria reports lists of an envelope beside the tests, each item with a status.
func isCriteria(name string) bool {
	switch name {
	case "acceptancecriteria", "acceptancecriteriaverified":
		return true
	}
	return false
}

// isOther reports parts of an envelope in which nothing is a result of its tests.
func isOther(name string) bool {
	switch name {
	case "files", "coverage", "environment", "testenvironment", "context":
		return true
	}
	return false
}

// isEnvelopeNested reports those of them that mean results in an envelope too.
func isEnvelopeNested(name string) bool {
	switch name {
	case "testresults", "testresult", "results", "result", "testsummary", "resultsummary", "resultssummary",
		"summary", "stats", "statistics", "testtotals", "testcounts", "testreport", "testrun", "tests",
		"testcases", "testsuites":
		return true
	}
	return false
}

// isEnvelopeStatus reports those of them that give the result of the tests in an envelope too.
func isEnvelopeStatus(name string) bool {
	switch name {
	case "result", "outcome", "verdict", "teststatus", "testresult", "testresults", "results", "validationresult",
		"overallresult", "testoutcome":
		return true
	}
	return false
}

// resultsReader collects what the values of one test run say.
type resultsReader struct {
	file     string
	reason   string // why the results are unknown: of the first doubt
	detail   string
	findings []domain.Finding
	doubts   int
	failing  bool
	failedAt string // the first place that says so
	given    bool   // something was reported about results
	inList   int    // how many lists of suites are being read: a result there is not that of the whole run
	verdict  word   // the result of the whole run in a word; none when nothing says it
	cases    domain.TestCases
	tool     domain.Results // its Tool, Version and DurationMS
}

// maxDoubts is how many parts that could not be read are named, each in a finding.
const maxDoubts = 20

// doubt makes the results unknown.
func (r *resultsReader) doubt(reason string, at *jsonPath, format string, args ...any) {
	r.given = true
	text := r.name(at) + " " + fmt.Sprintf(format, args...) + "; the results are unknown"
	if r.doubts == 0 {
		r.reason = reason
		r.detail, _ = cut(text, maxMessage)
	}
	if r.doubts++; r.doubts <= maxDoubts {
		r.find(domain.FindingMalformed, text)
	}
}

// fail takes it from a place that a test failed.
func (r *resultsReader) fail(at *jsonPath) {
	r.failing, r.given = true, true
	if r.failedAt == "" {
		r.failedAt = r.name(at)
	}
}

func (r *resultsReader) contradiction(format string, args ...any) {
	r.find(domain.FindingContradiction, fmt.Sprintf(format, args...)+"; the worse one counts")
}

func (r *resultsReader) find(code, text string) {
	text, _ = cut(text, maxMessage)
	r.findings = append(r.findings, domain.Finding{Code: code, Text: text})
}

// name is the file and the JSON path of a place in it.
func (r *resultsReader) name(at *jsonPath) string {
	if at == nil {
		return r.file
	}
	return r.file + ": " + at.String()
}

// jsonPath is the path of a value in its document.
type jsonPath struct {
	up    *jsonPath // nil for the document
	key   string
	index int // of an item; -1 for a key
}

func (p *jsonPath) in(key string) *jsonPath { return &jsonPath{up: p, key: key, index: -1} }

func (p *jsonPath) item(i int) *jsonPath { return &jsonPath{up: p, index: i} }

func (p *jsonPath) String() string {
	if p.up == nil {
		return "$"
	}
	step := "." + p.key
	switch {
	case p.index >= 0:
		step = fmt.Sprintf("[%d]", p.index)
	case strings.IndexFunc(p.key, func(r rune) bool { return r != '_' && (r < '0' || r > 'z' || '9' < r && r < 'A' || 'Z' < r && r < 'a') }) >= 0 || p.key == "":
		short, _ := cut(p.key, maxTerm)
		step = fmt.Sprintf("[%q]", short)
	}
	return p.up.String() + step
}

// run is what one value says of a test run: the counts that it states, and the sum of the tests and suites that it lists.
type run struct {
	stated roles
	listed tally
	where  string // the first list of tests, as messages name it
	whole  bool   // a list is of all tests, and not of those that ended in one way
}

// lists adds what a list holds.
func (v *run) lists(t tally, where string) {
	v.listed, v.where = v.listed.plus(t), cmp.Or(v.where, where)
}

func (r *resultsReader) source(s resultsSource) roles {
	root := &jsonPath{}
	switch s.value.form {
	case formNull:
		return roles{}
	case formMap:
		r.readTool(s.value)
		if !s.envelope {
			r.byName(s.value, root)
		}
		out := r.reconcile(r.objectOf(&counter{reader: r, at: root, envelope: s.envelope}, s.value))
		if !s.envelope && len(s.value.items) > 0 && !r.given && out.none() {
			r.doubt(domain.ResultsUnrecognised, root, "has no counts and no tests that a published form of results has")
		}
		if s.single && out.none() && r.verdict.outcome != outcomeNone {
			one := r.one(root, r.verdict.outcome, "", r.verdict.text)
			return one.roles(r.name(root))
		}
		return out
	case formList:
		if len(s.value.items) == 0 && !s.object {
			return roles{}
		}
		if s.object {
			r.doubt(domain.ResultsUnrecognised, root, "is a list: expected an object with counts")
		}
		return r.reconcile(r.list(s.value, root))
	case formText, formNumber, formBool:
		r.wordOf(s.value, root)
		r.doubt(domain.ResultsUnrecognised, root, "is neither a list nor an object: expected counts or test cases")
	}
	return roles{}
}

// readTool takes what made the results.
func (r *resultsReader) readTool(v value) {
	for _, key := range []string{"test_results", "results"} {
		if inner := v.field(key); inner.form == formMap {
			v = inner
		}
	}
	tool := v.field("tool")
	if tool.form == formMap {
		tool, v = tool.field("name"), v.with("version", tool.field("version"))
	}
	r.tool.Tool = cmp.Or(r.tool.Tool, tool.text)
	r.tool.Version = cmp.Or(r.tool.Version, v.fieldText("version"))
	r.tool.DurationMS = cmp.Or(r.tool.DurationMS, v.fieldText("duration_ms"))
}

// object reads an object of counts, results and lists of tests.
func (r *resultsReader) object(v value, at *jsonPath) run {
	return r.objectOf(&counter{reader: r, at: at}, v)
}

func (r *resultsReader) objectOf(c *counter, v value) run {
	var out run
	byOutcome := listsByOutcome(v)
	for i, key := range v.keys {
		item, here, name := v.items[i], c.at.in(key), plain(key)
		if item.form == formNull {
			continue
		}
		n, isCount := countOf(name)
		switch {
		case c.envelope && !ofEnvelope(name, item):
			r.strange(name, item, here)
		case byOutcome && n.role == roleTotal && item.form == formList:
			r.given = true // the lists by outcome hold its tests again
			c.set(n, len(item.items), here)
			r.suspectAll(item, here)
		case isNested(name) && (item.form == formMap || item.form == formList):
			before := r.given
			inner := r.nested(item, here)
			if c.envelope && len(item.items) > 0 && !r.given && !before && name != "summary" {
				r.doubt(domain.ResultsUnrecognised, here, "has no counts and no tests that a published form of results has")
			}
			c.stated = r.merge(c.stated, inner.stated)
			out.lists(inner.listed, inner.where)
			out.whole = out.whole || inner.whole
		case isStatus(name):
			r.status(item, here)
		case isCount:
			c.read(n, item, here, &out)
		default:
			if saysFailed(name, item) {
				r.fail(here)
			}
			r.suspectAll(item, here)
		}
	}
	out.stated = r.merge(c.roles(), c.stated)
	return out
}

// nested reads an object or a list that is all about results.
func (r *resultsReader) nested(v value, at *jsonPath) run {
	if v.form == formList {
		return r.list(v, at)
	}
	r.byName(v, at)
	return r.object(v, at)
}

// byName looks for failures in an object from the names of tests to their statuses. No published form has it: it counts nothing.
func (r *resultsReader) byName(v value, at *jsonPath) {
	var failed *jsonPath
	for i, key := range v.keys {
		name, w := plain(key), wordIn(v.items[i])
		_, isCount := countOf(name)
		if w.outcome == outcomeNone || isCount || isStatus(name) {
			return
		}
		if w.outcome == outcomeFailed && failed == nil {
			failed = at.in(key)
		}
	}
	if failed != nil {
		r.fail(failed)
	}
}

// strange looks at a part of an envelope that is not known to be about results: a failure there may be one of the tests.
func (r *resultsReader) strange(name string, item value, at *jsonPath) {
	switch {
	case isStatus(name): // such as the status of the document
		if wordIn(item).outcome == outcomeFailed {
			r.status(item, at)
		}
	case isOther(name):
	case saysFailed(name, item):
		r.doubt(domain.ResultsUnrecognised, at, "is %s, which says that something failed, in a place that no published form of results has", shown(item))
	case isCriteria(name):
		r.suspectAll(item, at)
	default:
		if where := suspicion(item, at); where != nil {
			r.doubt(domain.ResultsUnrecognised, where, "says that something failed, in a place that no published form of results has")
		}
	}
}

// status reads the result of the whole run.
func (r *resultsReader) status(item value, at *jsonPath) {
	if item.form == formMap || item.form == formList {
		r.suspectAll(item, at)
		return
	}
	if r.wordOf(item, at).outcome == outcomeNone && item.text != "" {
		r.doubt(domain.ResultsMalformed, at, "is %s: expected a result such as pass or fail", shown(item))
	}
}

// wordOf takes the result of the whole run in a word.
func (r *resultsReader) wordOf(item value, at *jsonPath) word {
	w := wordIn(item)
	if w.outcome == outcomeFailed {
		r.fail(at)
	}
	if w.outcome != outcomeNone {
		r.given = true
		if r.inList == 0 && w.outcome != outcomeNeutral && w.outcome > r.verdict.outcome {
			w.where = r.name(at)
			r.verdict = w
		}
	}
	return w
}

// suspectAll marks the run as failing when something in a value says that a test failed, wherever that is.
func (r *resultsReader) suspectAll(item value, at *jsonPath) {
	if where := suspicion(item, at); where != nil {
		r.fail(where)
	}
}

// finish says what the run comes to.
func (r *resultsReader) finish(s roles) domain.Results {
	s = r.derive(s)
	out := domain.Results{State: domain.ResultsUnknown, Failing: r.failing}
	out.Tool, out.Version, out.DurationMS = r.tool.Tool, r.tool.Version, r.tool.DurationMS
	if r.cases.Passed+r.cases.Failed+r.cases.Skipped+r.cases.Unknown > 0 {
		out.Cases = &r.cases
	}
	if !r.given && s.none() && !r.failing {
		out.Reason, out.Detail = domain.ResultsAbsent, "the evidence gives no test results"
		return out
	}
	where := cmp.Or(s.where, r.verdict.where, r.failedAt, r.file)
	if lack := s.lack(); lack != "" && r.doubts == 0 {
		r.doubtAt(where, lack)
	}
	if r.doubts == 0 && max(*s.passed, *s.failed, value0(s.skipped)) > math.MaxInt32 {
		r.doubtAt(where, fmt.Sprintf("counts more than %d tests", math.MaxInt32))
	}
	if r.doubts == 0 && r.verdict.outcome == outcomeSkipped && *s.passed > 0 {
		r.doubtAt(r.verdict.where, fmt.Sprintf("says %q, and tests passed", r.verdict.text))
	}
	if r.doubts > 0 {
		if r.doubts > maxDoubts {
			r.find(domain.FindingTruncated, fmt.Sprintf("%d more parts of the test results that cannot be read are not listed", r.doubts-maxDoubts))
		}
		out.Reason, out.Detail = r.reason, r.detail
		return out
	}
	switch {
	case r.verdict.outcome == outcomeFailed && *s.failed == 0, r.verdict.outcome == outcomePassed && (*s.failed > 0 || r.failing):
		r.contradiction("%s says %q, and %s gives %d passed and %d failed", r.verdict.where, r.verdict.text, where, *s.passed, *s.failed)
	case r.failing && *s.failed == 0:
		r.contradiction("%s gives no failed test, and %s says that one failed", where, r.failedAt)
	}
	out.State = domain.ResultsKnown
	out.Totals = &domain.TestTotals{Passed: *s.passed, Failed: *s.failed, Skipped: value0(s.skipped)}
	return out
}

func (r *resultsReader) doubtAt(where, text string) {
	text = where + " " + text + "; the results are unknown"
	r.find(domain.FindingMalformed, text)
	r.unknown(domain.ResultsUnrecognised, text)
}

// value0 is a count of skipped tests; a form that gives none says that there were none.
func value0(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// shown is a value as a finding quotes it.
func shown(v value) string {
	switch v.form {
	case formText:
		short, _ := cut(v.text, maxTerm)
		return fmt.Sprintf("%q", short)
	case formNumber, formBool:
		short, _ := cut(v.text, maxTerm)
		return short
	case formList:
		return "a list"
	case formMap:
		return "an object"
	case formNull:
	}
	return "null"
}

// listsByOutcome reports an object that lists its tests by how they ended, as mocha does.
func listsByOutcome(v value) bool {
	return slices.ContainsFunc(v.keys, func(key string) bool {
		n, ok := countOf(plain(key))
		return ok && n.role != roleTotal && v.at(key).form == formList
	})
}
