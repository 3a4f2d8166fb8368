package config

import (
	"errors"
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
	ExportTarget // of [CreateExport]
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

// OneLine joins the lines of joined errors, which drivers indent.
func OneLine(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.ReplaceAll(line, "\t", " "))
		switch {
		case line == "":
			continue
		case strings.HasSuffix(b.String(), ":"):
			b.WriteString(" ")
		case b.Len() > 0:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}
