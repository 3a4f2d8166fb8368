package config

import (
	"errors"
	"slices"
	"strings"
)

// Setting names what has to be changed, or what cannot be used as it is set.
type Setting int

// The settings, see [Settings].
const (
	Home Setting = iota
	Log
	Tables
	Lease
	RolePrefix
	ExportTarget // of [CreateExport]
	Configured   // whichever the problem names: see [Resolve] and [ReadFile]
)

// Error says that a setting is wrong, or that what it names cannot be used. Its texts hold no password.
type Error struct {
	Setting Setting
	Problem string // what cannot be used, and why
	Remedy  string // what to do about it; "" when that is not known
	Err     error  // the cause, to be matched and not to be shown
}

// Error returns the problem and the remedy.
func (e *Error) Error() string {
	if e.Remedy == "" {
		return e.Problem
	}
	return e.Problem + ": " + e.Remedy
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// What an [*Error] may wrap, beside the errors of the packages eventstore and projections.
var (
	// ErrInvalid says that a setting has a value that nothing can be opened with.
	ErrInvalid = errors.New("invalid setting")
	// ErrNoLog says that the home holds no log.
	ErrNoLog = errors.New("no log")
	// ErrLogLost says that the home holds tables, but not the log that they were made from.
	ErrLogLost = errors.New("log is missing")
)

// OneLine makes one sentence of the text of an error, for people. Each layer that wraps an error says "cannot": the first does
// so in the sentence. The lines of joined errors, which drivers indent, follow one another, and a reason that several of
// them end with is given once.
func OneLine(text string) string {
	var lines []string
	var b strings.Builder
	for line := range strings.Lines(text) {
		whole := sayCannotOnce(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")))
		if line = withoutReason(whole, lines); line == "" {
			continue
		}
		lines = append(lines, whole)
		switch {
		case strings.HasSuffix(b.String(), ":"):
			b.WriteString(" ")
		case b.Len() > 0:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}

const (
	cannot = "cannot "
	clause = ": " // what is behind it is why
)

// sayCannotOnce removes "cannot" from the beginning of every clause behind the first one that begins with it.
func sayCannotOnce(line string) string {
	first, rest, ok := strings.Cut(line, cannot)
	if !ok || first != "" && !strings.HasSuffix(first, clause) && !strings.HasSuffix(first, "(") {
		return line
	}
	return first + cannot + strings.NewReplacer(clause+cannot, clause, "("+cannot, "(").Replace(rest)
}

// withoutReason returns a line that says what cannot be done without a reason that is one of the lines before it, or the reason
// that one of them gives; "" for a line that is there already.
func withoutReason(line string, before []string) string {
	given := func(reason string) bool {
		return slices.ContainsFunc(before, func(b string) bool {
			_, why, _ := strings.Cut(b, clause)
			return reason == b || cannot+reason == b || reason == why
		})
	}
	if given(line) {
		return ""
	}
	if !strings.HasPrefix(line, cannot) {
		return line
	}
	for at, rest := 0, line; ; {
		head, reason, ok := strings.Cut(rest, clause)
		if !ok {
			return line
		}
		if at += len(head); given(reason) {
			return line[:at] + ", for the same reason"
		}
		at, rest = at+len(clause), reason
	}
}
