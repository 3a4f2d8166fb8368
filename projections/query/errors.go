package query

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels. Match them with [errors.Is].
var (
	// ErrUnknown: what was named is not in the tables. See [UnknownError].
	ErrUnknown = errors.New("not found")
	// ErrAmbiguous: what was named is there more than once. See [AmbiguousError].
	ErrAmbiguous = errors.New("ambiguous")
	// ErrEmpty: no scan was recorded yet. Scan a repository first.
	ErrEmpty = errors.New("nothing was scanned yet")
)

// UnknownError says that what was named is not in the tables, and what is near. It matches [ErrUnknown].
type UnknownError struct {
	What  string   // "repository", "requirement", "scan" and so on
	Given string   // as the user wrote it; hostile until neutralised
	Near  []string // nearest first, may be empty; hostile until neutralised
	Hint  string   // a sentence on where else it is, or ""
}

// Error names what is unknown and the nearest neighbours. Both are quoted.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("no %s %q", e.What, e.Given)
	if len(e.Near) > 0 {
		text += "; nearest: " + quoted(e.Near)
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap returns ErrUnknown.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// AmbiguousError says that what was named is there more than once. It matches [ErrAmbiguous].
type AmbiguousError struct {
	What    string   // what is to be chosen: "repository", "content"
	Given   string   // what is in all of them, or ""
	Choices []string // at least two; hostile until neutralised
}

// Error lists the choices, quoted.
func (e *AmbiguousError) Error() string {
	if e.Given == "" {
		return fmt.Sprintf("the log holds several: name one %s of %s", e.What, quoted(e.Choices))
	}
	return fmt.Sprintf("%q is in several: name one %s of %s", e.Given, e.What, quoted(e.Choices))
}

// Unwrap returns ErrAmbiguous.
func (e *AmbiguousError) Unwrap() error { return ErrAmbiguous }

func quoted(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}
