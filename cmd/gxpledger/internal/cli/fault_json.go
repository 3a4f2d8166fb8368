package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/internal/config"
)

// errorDocument is what a command writes to standard error, in one line, when it fails and --json was given.
type errorDocument struct {
	Error string `json:"error"`          // the sentence, as it is shown to people
	Hint  string `json:"hint,omitempty"` // the part of it that says what to do, when it is known apart
	Code  string `json:"code"`           // usage or failed, or what exactly failed: see causes
	Exit  int    `json:"exit"`           // the exit code
}

// reportJSON writes an error for programs and returns its exit code.
func (a *app) reportJSON(ctx context.Context, code int, text string, err error) int {
	d := errorDocument{Error: text, Code: "failed", Exit: code}
	fault, worded := errors.AsType[*faultError](err)
	known := causeOf(err)
	switch {
	case code == exitUsage:
		d.Code = "usage"
	case !worded && ctx.Err() != nil:
		d.Code = "interrupted"
	case known != nil:
		d.Code, d.Hint = known.code, strings.TrimPrefix(known.text, ": ")
	}
	if _, ok := unrecordedAction(err); ok { // the action itself is done: nothing is to be tried again
		d.Hint = recordedLater
	} else if worded {
		if hint := oneLine(fault.hint); hint != "" || !strings.Contains(text, d.Hint) { // which the sentence may have of its cause
			d.Hint = hint
		}
	} else if wrong, ok := errors.AsType[*config.Error](err); ok {
		_, _, remedy := wordSetting(wrong)
		d.Hint = oneLine(remedy)
	}
	for _, part := range []*string{&d.Error, &d.Hint} {
		*part = a.redact(*part)
	}
	_ = render.Line(a.system.Stderr, d) // there is nowhere to say that standard error is closed
	return code
}

// hintOf returns what follows the last colon of a format, where an error says what to do.
func hintOf(format string, args []any) string {
	at := strings.LastIndex(format, ": ")
	if at < 0 {
		return ""
	}
	before := strings.Count(strings.ReplaceAll(format[:at], "%%", ""), "%")
	if before > len(args) {
		return ""
	}
	return sentence(format[at+len(": "):], args[before:])
}

// asksForJSON reports whether arguments that cannot be parsed hold --json.
func asksForJSON(args []string) bool {
	asked := false
	for _, arg := range args {
		if arg == "--" {
			break
		}
		if name, value, given := strings.Cut(arg, "="); name == "--json" {
			set, err := strconv.ParseBool(value)
			asked = !given || set || err != nil
		}
	}
	return asked
}
