package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/internal/spelling"
)

// Point is a point in time as a person names it: a time, a date, or a place in the record. The zero value is now.
type Point struct {
	form   pointForm
	text   string    // as given
	until  time.Time // the last instant of a time or a date
	from   time.Time // its first
	number int64     // of a position or a scan
	commit string    // the first digits, in lower case
	ref    string    // name of a ref
}

type pointForm int

const (
	formNow pointForm = iota
	formTime
	formPosition
	formScan
	formCommit
	formRef
	formName // a ref or a commit
	formCommitDate
)

// The prefixes of the forms that have one.
const (
	prefixPosition = "pos"
	prefixScan     = "scan"
	prefixCommit   = "commit"
	prefixRef      = "ref"
	prefixDate     = "commit-date"
)

// fewestCommitDigits is how many digits of a commit are needed to mean it: as many as git shows at least.
const fewestCommitDigits = 7

// PointForms names the forms of a point, for help and errors.
const PointForms = "a time such as 2026-03-01T12:00:00Z, a date such as 2026-03-01, pos:N, scan:N, commit:SHA, or a tag or branch that was scanned"

// PointError says that a text is no point in time, and what was expected.
type PointError struct {
	Given string // hostile until neutralised
	Want  string
}

// Error quotes what was given.
func (e *PointError) Error() string {
	return fmt.Sprintf("%q is not a point in time: %s", e.Given, e.Want)
}

// ParsePoint reads a point in time.
//
//	2026-03-01T12:00:00Z    the whole second, in any zone; with a fraction, that instant
//	2026-03-01              the whole day, in UTC
//	pos:N                   the last event at or before N, with the whole batch that it is of
//	scan:N                  the scan with that number in its repository, from 1
//	commit:SHA              the last completed scan of the commit that begins with these digits, at least 7
//	ref:NAME                the last completed scan of that tag, branch or HEAD, short or in full, as it was then
//	NAME                    ref:NAME, or commit:NAME where NAME can be one and no ref of that name was scanned
//	commit-date:TIME        the last completed scan of a commit that was committed at or before a time or date, as git claims
//
// A time means everything that was recorded at or before it. Screens show times to the second, so that a time copied from
// one includes what it was shown for. The error is a *PointError.
func ParsePoint(text string) (Point, error) {
	word, rest, found := strings.Cut(text, ":")
	if strings.Trim(word, "0123456789-T") == "" && (found || strings.Count(word, "-") == 2 || word == "") {
		return parseMoment(text)
	}
	if !found {
		return parseName(text)
	}
	switch word {
	case prefixPosition:
		return numbered(formPosition, text, rest, "pos:N with a position of the log, from 1; gxpledger audit and gxpledger log list them")
	case prefixScan:
		return numbered(formScan, text, rest, "scan:N with the number of a scan, from 1; gxpledger scans lists them")
	case prefixCommit:
		return parseCommit(text, rest)
	case prefixRef:
		if !isRefName(rest) {
			return Point{}, &PointError{Given: text, Want: "want ref:NAME with a tag or branch that was scanned; gxpledger scans shows them"}
		}
		return Point{form: formRef, text: text, ref: rest}, nil
	case prefixDate:
		p, err := parseMoment(rest)
		if wrong, ok := err.(*PointError); ok { //nolint:errorlint // it is never wrapped
			return Point{}, &PointError{Given: text, Want: wrong.Want}
		}
		p.form, p.text = formCommitDate, text
		return p, nil
	}
	want := "want " + PointForms
	if near := spelling.Nearest(word, []string{prefixPosition, prefixScan, prefixCommit, prefixRef, prefixDate}, 1); len(near) > 0 {
		want += "; did you mean " + near[0] + ":?"
	}
	return Point{}, &PointError{Given: text, Want: want}
}

// parseName reads what may be the name of a ref.
func parseName(text string) (Point, error) {
	if !isRefName(text) {
		return Point{}, &PointError{Given: text, Want: "want " + PointForms}
	}
	p := Point{form: formRef, text: text, ref: text}
	if commit, err := parseCommit(text, text); err == nil {
		p.form, p.commit = formName, commit.commit
	}
	return p, nil
}

// isRefName reports whether git may have a ref of that name, and a screen can show it.
func isRefName(text string) bool {
	const longest = 1000
	return text != "" && len(text) <= longest && utf8.ValidString(text) && text[0] != '-' && !strings.ContainsAny(text, " ~^:?*[\\") && !strings.Contains(text, "..") &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func numbered(form pointForm, text, number, want string) (Point, error) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || number[0] == '+' {
		return Point{}, &PointError{Given: text, Want: "want " + want}
	}
	return Point{form: form, text: text, number: n}, nil
}

func parseCommit(text, digits string) (Point, error) {
	const most = 64
	digits = strings.ToLower(digits)
	if len(digits) < fewestCommitDigits || len(digits) > most || strings.Trim(digits, "0123456789abcdef") != "" {
		return Point{}, &PointError{Given: text, Want: fmt.Sprintf(
			"want commit:SHA with the first %d or more hexadecimal digits of a commit that was scanned; gxpledger scans shows them", fewestCommitDigits)}
	}
	return Point{form: formCommit, text: text, commit: digits}, nil
}

// parseMoment reads a date or a time.
func parseMoment(text string) (Point, error) {
	if date, err := time.Parse(time.DateOnly, text); err == nil {
		return Point{form: formTime, text: text, from: date, until: date.AddDate(0, 0, 1).Add(-1)}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	switch _, zoneless := time.Parse("2006-01-02T15:04:05", text); {
	case zoneless == nil:
		return Point{}, &PointError{Given: text, Want: "it has no zone: add Z for UTC, or an offset such as +01:00"}
	case err != nil || strings.Contains(text, ","):
		return Point{}, &PointError{Given: text, Want: "want " + PointForms}
	}
	t = t.UTC()
	if strings.Contains(text, ".") {
		return Point{form: formTime, text: text, from: t, until: t}, nil
	}
	return Point{form: formTime, text: text, from: t, until: t.Add(time.Second - 1)}, nil
}

// String returns the point as it was given; "" for now.
func (p Point) String() string { return p.text }

// IsNow reports whether p is the zero value.
func (p Point) IsNow() bool { return p.form == formNow }

// ByCommitDate reports whether p asks by the dates of commits, which git claims.
func (p Point) ByCommitDate() bool { return p.form == formCommitDate }

// NamesScan reports whether p is a place that only the tables know: a scan, or the commit or ref of one.
func (p Point) NamesScan() bool { return p.form >= formScan }
