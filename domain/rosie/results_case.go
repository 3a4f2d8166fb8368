package rosie

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// list reads a list of tests and suites.
func (r *resultsReader) list(v value, at *jsonPath) run {
	out := run{where: r.name(at), whole: true}
	r.inList++
	defer func() { r.inList-- }()
	for i, item := range v.items {
		here := at.item(i)
		if !suite(item) {
			out.listed = out.listed.plus(r.leaf(item, here, word{}))
			continue
		}
		totals := r.reconcile(r.object(item, here))
		if totals.none() {
			continue
		}
		if lack := totals.lack(); lack != "" {
			r.doubt(domain.ResultsUnrecognised, here, "%s", lack)
			continue
		}
		t := tally{passed: *totals.passed, failed: *totals.failed}
		if totals.skipped != nil {
			t.skipped = *totals.skipped
		}
		out.listed = out.listed.plus(t)
	}
	return out
}

// labels are the names of what names a test, the best first. Their texts are no results.
func labels() []string {
	return []string{"name", "fulltitle", "fullname", "title", "test", "nodeid", "testname", "description", "gxpid", "id"}
}

// isAttempts reports the names of earlier attempts at a test.
func isAttempts(name string) bool {
	switch name {
	case "attempts", "retryattempts", "retries", "reruns":
		return true
	}
	return false
}

// leaf reads one test: its status, or the object that tells about it. What is implied is how the list says that it ended.
func (r *resultsReader) leaf(item value, at *jsonPath, implied word) tally {
	r.given = true
	if item.form == formText && implied.outcome != outcomeNone {
		if wordIn(item).outcome == outcomeFailed {
			implied = wordIn(item)
		}
		return r.one(at, implied.outcome, item.text, implied.text)
	}
	if item.form != formMap {
		w := wordIn(item)
		if w.outcome == outcomeNone || w.outcome == outcomeNeutral {
			w.outcome = outcomeNone
			r.suspectAll(item, at)
			r.doubt(domain.ResultsMalformed, at, "is %s: expected the status of a test, or an object that gives it", shown(item))
		}
		return r.one(at, w.outcome, "", w.text)
	}
	if event, failure := goEvent(item); event {
		if failure {
			r.fail(at)
		}
		return tally{}
	}
	c := readCase(item, at)
	w := c.status
	switch {
	case c.failed:
		w.outcome = outcomeFailed
	case c.strange && w.outcome != outcomeFailed:
		w.outcome, w.text = outcomeNone, c.odd
	case implied.outcome > w.outcome:
		w = word{outcome: implied.outcome, text: cmp.Or(w.text, implied.text)}
	}
	if w.outcome == outcomeNone {
		what := "gives no status"
		if c.strange {
			what = fmt.Sprintf("has the status %q", c.odd)
		}
		r.doubt(domain.ResultsMalformed, at, "%s: expected one such as passed, failed or skipped", what)
	}
	return r.one(at, w.outcome, c.name, w.text)
}

// one counts a test, and names it unless it passed.
func (r *resultsReader) one(at *jsonPath, o outcome, name, status string) tally {
	var t tally
	switch o {
	case outcomePassed:
		t.passed = 1
	case outcomeSkipped:
		t.skipped = 1
	case outcomeFailed:
		t.failed = 1
		r.fail(at)
	case outcomeNone, outcomeNeutral:
		t.unknown = 1
	}
	c := &r.cases
	c.Passed, c.Failed, c.Skipped, c.Unknown = c.Passed+t.passed, c.Failed+t.failed, c.Skipped+t.skipped, c.Unknown+t.unknown
	if t.passed == 0 && len(c.NotPassed) < domain.MaxTestCases {
		name, _ = cut(name, maxClaim)
		status, _ = cut(status, maxTerm)
		c.NotPassed = append(c.NotPassed, domain.TestCase{Name: name, Status: status})
	}
	return t
}

// testCase is what an object says of one test.
type testCase struct {
	name   string
	status word
	// strange says that the status is no word that is known, or that the test failed and passed: odd shows it.
	strange bool
	odd     string
	failed  bool // something beside the status says so
}

func (c *testCase) worse(w word) {
	if w.outcome >= c.status.outcome {
		c.status = w
	}
}

func (c *testCase) doubt(odd string) {
	if !c.strange {
		c.strange, c.odd = true, odd
	}
}

// readCase reads an object that tells about one test: how it ended, by whatever says worst.
func readCase(v value, at *jsonPath) testCase {
	var c testCase
	expects := expectsStatus(v)
	var steps word
	for i, key := range v.keys {
		item, here, name := v.items[i], at.in(key), plain(key)
		n, isCount := countOf(name)
		if item.form == formNull || expects && name == "results" { // attempts: the status takes the expectation into account
			continue
		}
		failure := suspicion(item, here) != nil
		if isAttempts(name) {
			if failure {
				c.doubt("flaky")
			}
			continue
		}
		c.failed = c.failed || failure
		switch {
		case name == "steps":
			steps = stepsOf(item)
		case isStatus(name):
			c.readStatus(item, here)
		case isCount && n.role != roleTotal:
			c.readMark(n, item)
		case isFault(name), isExitCode(name):
			c.failed = c.failed || !empty(item)
		}
	}
	if c.status.outcome == outcomeNone && !c.strange {
		c.status = steps
	}
	if c.status.outcome == outcomeNone && !c.strange && !c.failed && hasName(v, "classname") {
		c.status = word{outcome: outcomePassed} // JUnit: a test without failure, error or skipped passed
	}
	c.name = label(v)
	return c
}

// expectsStatus reports a test of Playwright, whose status says whether it ended as expected.
func expectsStatus(v value) bool { return hasName(v, "expectedstatus") }

func hasName(v value, name string) bool {
	for i, key := range v.keys {
		if plain(key) == name && v.items[i].form != formNull {
			return true
		}
	}
	return false
}

func label(v value) string {
	for _, name := range labels() {
		for i, key := range v.keys {
			if plain(key) == name && v.items[i].scalar() && v.items[i].text != "" {
				return v.items[i].text
			}
		}
	}
	return ""
}

// readStatus reads the status of a test; an object may hold it.
func (c *testCase) readStatus(item value, at *jsonPath) {
	if item.form == formMap {
		inner := readCase(item, at)
		c.failed = c.failed || inner.failed
		if inner.strange {
			c.doubt(inner.odd)
		}
		c.worse(inner.status)
		return
	}
	w := wordIn(item)
	if w.outcome == outcomeNone || w.outcome == outcomeNeutral {
		c.doubt(cmp.Or(item.text, shown(item)))
		return
	}
	c.worse(w)
}

// readMark reads a part such as "passed": true, "skipped": {} or "error": "...".
func (c *testCase) readMark(n countName, item value) {
	yes := !empty(item)
	switch n.role {
	case rolePassed:
		switch {
		case item.form != formBool || !n.mark():
		case yes:
			c.worse(word{outcome: outcomePassed, text: n.class})
		default:
			c.failed = true
		}
	case roleFailed, roleErrors, roleOutside, roleSuites:
		c.failed = c.failed || yes
	case roleSkipped:
		if yes || item.form == formMap {
			c.worse(word{outcome: outcomeSkipped, text: n.class})
		}
	case roleOther:
		if item.form == formBool && yes {
			c.doubt(n.class)
		}
	case roleTotal:
	}
}

// stepsOf is how a test ended that gives the status of its steps alone.
func stepsOf(list value) word {
	var worst testCase
	for i, item := range list.items {
		c := readCase(item, (&jsonPath{}).item(i))
		if c.strange || c.status.outcome == outcomeNone {
			return word{}
		}
		worst.worse(c.status)
	}
	return worst.status
}

// empty reports a value that says nothing went wrong: null, false, zero, or nothing at all.
func empty(v value) bool {
	switch v.form {
	case formNull:
		return true
	case formText:
		switch plain(strings.TrimSpace(v.text)) {
		case "", "none", "null", "nil", "no":
			return len(v.text) <= maxTerm // plain gives up on longer texts
		}
		return false
	case formNumber:
		n, ok := whole(v.text)
		return ok && n == 0
	case formBool:
		return v.text == "false"
	case formList, formMap:
		return len(v.items) == 0
	}
	return false
}

// suite reports an item of a list that is not one test and holds or counts several.
func suite(v value) bool {
	if v.form != formMap {
		return false
	}
	counts, status := false, false
	for i, key := range v.keys {
		item, name := v.items[i], plain(key)
		if (item.form == formList || item.form == formMap) && isNested(name) && name != "result" && (name != "results" || !expectsStatus(v)) {
			return true
		}
		if n, ok := countOf(name); ok && item.form == formNumber && n.role != roleOther {
			counts = true
		}
		status = status || isStatus(name) && item.scalar()
	}
	return counts && !status
}

// goEvent reports an event of go test that is not the end of a test, and whether it is the failure of a package.
func goEvent(v value) (event, failure bool) {
	for i, key := range v.keys {
		if plain(key) != "action" {
			continue
		}
		switch action := plain(v.items[i].text); action {
		case "start", "run", "pause", "cont", "output", "bench", "attr", "buildoutput":
			return true, false
		case "pass", "skip", "fail", "buildfail":
			return !hasName(v, "test"), outcomeOf(action) == outcomeFailed
		}
	}
	return false, false
}

// suspicion finds the first place in a value at which something says that a test failed, whatever holds it; nil when nothing
// does.
func suspicion(v value, at *jsonPath) *jsonPath {
	switch v.form {
	case formList:
		for i, item := range v.items {
			if found := suspicion(item, at.item(i)); found != nil {
				return found
			}
		}
	case formMap:
		for i, key := range v.keys {
			item, here, name := v.items[i], at.in(key), plain(key)
			if saysFailed(name, item) {
				return here
			}
			if expectsStatus(v) && name == "results" {
				continue
			}
			if found := suspicion(item, here); found != nil {
				return found
			}
		}
	case formNull, formText, formNumber, formBool:
	}
	return nil
}

// saysFailed reports whether one value under a name says that a test failed.
func saysFailed(name string, item value) bool {
	if isStatus(name) {
		return wordIn(item).outcome == outcomeFailed
	}
	if isExitCode(name) || isFault(name) {
		return !empty(item)
	}
	n, ok := countOf(name)
	switch {
	case !ok:
		return false
	case n.role == rolePassed:
		return n.mark() && item.form == formBool && item.text == "false"
	}
	return n.role.outcome() == outcomeFailed && !empty(item)
}
