package rosie

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// roles are the counts that something states, converted to the same terms. Nil: it does not say.
type roles struct {
	where                          string // file and place of what states them
	passed, failed, skipped, total *int
	errors                         int  // stated without the number of failures; they are failures too
	outside                        int  // failures that the total does not count: of suites that could not be run
	split                          bool // failures and errors are both stated: the form knows how tests end
}

func (s roles) none() bool {
	return s.passed == nil && s.failed == nil && s.skipped == nil && s.total == nil && s.errors == 0
}

// tally counts tests one by one.
type tally struct{ passed, failed, skipped, unknown int }

func (t tally) plus(o tally) tally {
	return tally{t.passed + o.passed, t.failed + o.failed, t.skipped + o.skipped, t.unknown + o.unknown}
}

func (t tally) of() int { return t.passed + t.failed + t.skipped + t.unknown }

func (t tally) roles(where string) roles {
	return roles{where: where, passed: &t.passed, failed: &t.failed, skipped: &t.skipped}
}

// counter collects the counts of one object, by class.
type counter struct {
	reader *resultsReader
	at     *jsonPath
	// envelope says that the object holds other things beside results.
	envelope bool
	found    []found
	stated   roles // of objects in it
}

// found is one count.
type found struct {
	countName

	count int
}

func (c *counter) set(n countName, count int, at *jsonPath) {
	i := slices.IndexFunc(c.found, func(f found) bool { return f.class == n.class })
	if i < 0 {
		c.found = append(c.found, found{n, count})
		return
	}
	before := &c.found[i].count
	if *before != count {
		c.reader.contradiction("%s gives %d, and another name of the same count gives %d", c.reader.name(at), count, *before)
	}
	if n.role == rolePassed {
		*before = min(*before, count)
	} else {
		*before = max(*before, count)
	}
}

// read takes a count: a whole number, or a list of the tests that ended so.
func (c *counter) read(n countName, item value, at *jsonPath, out *run) {
	r := c.reader
	r.given = true
	switch item.form {
	case formNumber:
		if count, ok := whole(item.text); ok {
			c.set(n, count, at)
			return
		}
	case formList:
		c.readList(n, item, at, out)
		return
	case formMap:
		if len(item.keys) == 0 {
			return
		}
		if r.suspectAll(item, at); n.role == roleErrors {
			r.fail(at) // what went wrong, as an object
		}
	case formBool:
		if item.text == "false" && n.role == rolePassed && n.mark() {
			r.fail(at)
		}
		if n.flag || item.text == "false" && n.role == roleErrors {
			return
		}
	case formText:
		if empty(item) && n.role == roleErrors {
			return
		}
	case formNull:
	}
	r.doubt(domain.ResultsMalformed, at, "is %s: expected a whole number from 0 to %d", shown(item), math.MaxInt32)
}

// readList takes a list under the name of a count: the tests that ended so, or all of them.
func (c *counter) readList(n countName, list value, at *jsonPath, out *run) {
	if n.role == roleTotal {
		inner := c.reader.list(list, at)
		out.lists(inner.listed, inner.where)
		out.whole = true
		return
	}
	c.set(n, len(list.items), at)
	for i, test := range list.items {
		out.lists(c.reader.leaf(test, at.item(i), word{outcome: n.role.outcome(), text: n.class}), c.reader.name(at))
	}
}

// roles converts the counts to common terms.
func (c *counter) roles() roles {
	out := roles{where: c.reader.name(c.at)}
	if len(c.found) == 0 {
		return roles{}
	}
	failures := false
	var failed int
	for _, f := range c.found {
		count := f.count
		switch f.role {
		case rolePassed:
			out.passed = &count
		case roleTotal:
			out.total = &count
		case roleFailed:
			failures = true
			failed += count
		case roleErrors:
			out.split = true
			out.errors += count
		case roleOutside:
			out.outside += count
		case roleSkipped:
			if out.skipped != nil {
				count += *out.skipped
			}
			out.skipped = &count
		case roleSuites, roleOther:
		}
		c.reader.note(f.countName, count, c.at)
	}
	if out.split = out.split && failures; failures || out.outside > 0 {
		failed += out.errors + out.outside
		out.failed, out.errors = &failed, 0
	}
	return out
}

// note tells what a count says of the run beside its number.
func (r *resultsReader) note(n countName, count int, at *jsonPath) {
	if count == 0 {
		return
	}
	switch n.role {
	case roleFailed, roleErrors, roleOutside, roleSuites:
		r.fail(at)
	case roleOther:
		r.doubt(domain.ResultsUnrecognised, at, "counts %d tests as %s, which is neither passed nor failed", count, n.class)
	case rolePassed, roleSkipped, roleTotal:
	}
}

// reconcile combines what an object states with the tests that it lists. Where they differ, the worse one counts.
func (r *resultsReader) reconcile(v run) roles {
	s, l := v.stated, v.listed
	if l.of() == 0 || !v.whole && (s.passed == nil || s.failed == nil) {
		return r.derive(s) // tests that ended in one way say nothing about the others
	}
	if s.none() {
		return l.roles(v.where)
	}
	if s.passed != nil && s.failed != nil {
		s = r.derive(s)
		s.total = nil
	}
	stated, failed := s.String(), max(s.errors, l.failed)
	s.passed, s.failed, s.skipped = cmp.Or(s.passed, &l.passed), cmp.Or(s.failed, &failed), cmp.Or(s.skipped, &l.skipped)
	s.errors = 0
	onlyFailures := l.passed == 0 && l.failed > 0
	if *s.failed != l.failed || l.passed > *s.passed || l.passed < *s.passed && !onlyFailures || l.skipped > *s.skipped {
		r.contradiction("%s gives %s, and of the tests in %s %s", s.where, stated, v.where, l.roles(""))
		s.passed, s.failed, s.skipped = least(s.passed, &l.passed), most(s.failed, &l.failed), most(s.skipped, &l.skipped)
		s.total = nil
	}
	return r.derive(s)
}

// String tells the counts that are there.
func (s roles) String() string {
	var parts []string
	for _, c := range []struct {
		n    *int
		text string
	}{{s.passed, "%d passed"}, {s.failed, "%d failed"}, {s.skipped, "%d skipped"}, {s.total, "%d in all"}} {
		if c.n != nil {
			parts = append(parts, fmt.Sprintf(c.text, *c.n))
		}
	}
	if s.errors > 0 {
		parts = append(parts, fmt.Sprintf("%d in error", s.errors))
	}
	return strings.Join(parts, ", ")
}

// derive fills in what follows from the total, and doubts counts that do not add up to it.
func (r *resultsReader) derive(s roles) roles {
	if s.total == nil {
		return s
	}
	skipped := 0
	if s.skipped != nil {
		skipped = *s.skipped
	}
	switch {
	case s.passed == nil && s.failed != nil && (s.skipped != nil || s.split):
		rest := *s.total - skipped - *s.failed + s.outside
		s.passed = &rest
	case s.failed == nil && s.passed != nil && *s.total == *s.passed+skipped+s.errors:
		failed := s.errors
		s.failed, s.errors = &failed, 0
	}
	if s.passed == nil || s.failed == nil {
		return s
	}
	if counted := *s.passed + skipped + *s.failed - s.outside; counted != *s.total || *s.passed < 0 {
		r.given = true
		r.find(domain.FindingContradiction, fmt.Sprintf("%s gives %d tests in all, and %d that passed, failed or were skipped; the results are unknown",
			s.where, *s.total, max(counted, 0)))
		r.unknown(domain.ResultsMalformed, s.where+" gives counts that do not add up to its total")
		s.total = nil
	}
	return s
}

// unknown makes the results unknown without another finding.
func (r *resultsReader) unknown(reason, detail string) {
	if r.doubts == 0 {
		r.reason = reason
		r.detail, _ = cut(detail, maxMessage)
	}
	r.doubts++
}

// lack says what counts do not say; "" when they are whole.
func (s roles) lack() string {
	switch {
	case s.failed == nil && s.passed == nil:
		return "does not say how many tests passed and how many failed"
	case s.failed == nil:
		return "does not say how many tests failed"
	case s.passed == nil:
		return "does not say how many tests passed"
	}
	return ""
}

// merge combines two statements of the same run.
func (r *resultsReader) merge(a, b roles) roles {
	if a.none() {
		return b
	}
	if b.none() {
		return a
	}
	differ := func(a, b *int) bool { return a != nil && b != nil && *a != *b }
	if differ(a.passed, b.passed) || differ(a.failed, b.failed) || differ(a.skipped, b.skipped) || differ(a.total, b.total) {
		r.contradiction("%s gives %s, and %s gives %s", a.where, a, b.where, b)
	}
	return roles{
		where: a.where, passed: least(a.passed, b.passed), failed: most(a.failed, b.failed), skipped: most(a.skipped, b.skipped),
		total: most(a.total, b.total), errors: max(a.errors, b.errors), outside: max(a.outside, b.outside), split: a.split || b.split,
	}
}

func least(a, b *int) *int {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

func most(a, b *int) *int {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// whole reads a count: a whole number in any spelling that JSON has, such as 2, 2.0, 2e0, 20e-1 or -0, from 0 to the
// greatest that 31 bits hold.
func whole(text string) (int, bool) {
	text, negative := strings.CutPrefix(text, "-")
	mantissa, power := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, power = text[:i], text[i+1:]
	}
	before, after, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(before+after, "0")
	if digits == "" {
		return 0, true
	}
	exponent, ok := smallExponent(power)
	exponent -= len(after)
	for strings.HasSuffix(digits, "0") {
		digits, exponent = digits[:len(digits)-1], exponent+1
	}
	if !ok || negative || exponent < 0 || len(digits)+exponent > 10 {
		return 0, false
	}
	n := 0
	for _, d := range digits + strings.Repeat("0", exponent) {
		n = n*10 + int(d-'0')
	}
	return n, n <= math.MaxInt32
}

// smallExponent reads an exponent of at most seven digits, more than any document that is read can even out.
func smallExponent(text string) (int, bool) {
	text = strings.TrimPrefix(text, "+")
	text, negative := strings.CutPrefix(text, "-")
	text = strings.TrimLeft(text, "0")
	if len(text) > 7 {
		return 0, false
	}
	n := 0
	for _, d := range text {
		n = n*10 + int(d-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}
