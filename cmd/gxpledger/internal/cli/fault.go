package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/projections"
)

// faultError is an error with the sentence that a user reads.
type faultError struct {
	code int
	text string // "" when the screen has it already
	hint string // the end of text that says what to do; "" when it does not end so
	err  error  // the cause, or nil
}

// Error returns the sentence.
func (f *faultError) Error() string { return f.text }

// Unwrap returns the cause.
func (f *faultError) Unwrap() error { return f.err }

// usage is the error of a command that was called wrongly.
func usage(format string, args ...any) error {
	return &faultError{code: exitUsage, text: fmt.Sprintf(format, args...), hint: hintOf(format, args)}
}

// failed is the error of a command that could not do its work. The sentence says all that a user needs of the cause.
func failed(cause error, format string, args ...any) error {
	return &faultError{code: exitFailed, text: fmt.Sprintf(format, args...), hint: hintOf(format, args), err: cause}
}

// found is the error of a command that succeeded and found a problem, which is on the screen.
func found() error { return &faultError{code: exitFindings} }

// The sentences on a command that was interrupted.
const (
	interrupted         = "interrupted; nothing was recorded"
	interruptedAfterAct = "interrupted; what was done before may be recorded: see gxpledger audit"
)

// recordedLater is what to do about an action that the audit log does not have yet.
const recordedLater = "the next gxpledger projections command records it"

// explain returns the exit code and the sentence of an error.
func explain(ctx context.Context, err error) (code int, text string) {
	if unrecorded, ok := unrecordedAction(err); ok {
		action := "the action succeeded but"
		if unrecorded.Cause != nil {
			_, why := explain(ctx, unrecorded.Cause)
			if why == interrupted { // that the action failed is kept, and will be recorded
				why = "interrupted"
			}
			action = why + "; this"
		}
		return exitFailed, action + " is not in the audit log yet (" + oneLine(unrecorded.Err.Error()) + "): " +
			recordedLater
	}
	if fault, ok := errors.AsType[*faultError](err); ok {
		return fault.code, oneLine(fault.text)
	}
	if wrong, ok := errors.AsType[*config.Error](err); ok {
		code, text, _ := wordSetting(wrong)
		return code, oneLine(text)
	}
	if ctx.Err() != nil && !errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return exitFailed, interrupted
	}
	if problem, ok := errors.AsType[*gitrepo.Error](err); ok {
		return exitFailed, oneLine(problem.Text)
	}
	if stopped, ok := errors.AsType[*projections.EventError](err); ok {
		look := ""
		if stopped.Before > 0 { // a position that the log gave (I19)
			look = fmt.Sprintf("look at the tables before it with --as-of pos:%d, ", stopped.Before)
		}
		return exitFailed, oneLine(stopped.Error()) + fmt.Sprintf(": use a gxpledger that can apply it, %sor skip it with "+
			"gxpledger projections skip %s %d --reason TEXT", look, stopped.Projection, stopped.Position)
	}
	if mismatch, ok := errors.AsType[*projections.MismatchError](err); ok { // the same of every projection: once is enough
		return exitFailed, oneLine(mismatch.Error()) + ": gxpledger projections rebuild --all --adopt-log --reason TEXT"
	}
	return exitFailed, oneLine(err.Error()) + remedy(err)
}

// unrecordedAction returns the action that an error is about, where its command has no sentence of its own for that.
func unrecordedAction(err error) (*gxpledger.UnrecordedError, bool) {
	if errors.As(err, new(*faultError)) {
		return nil, false
	}
	return errors.AsType[*gxpledger.UnrecordedError](err)
}

// replaceTables is the remedy for damaged tables: the log holds all that is in them.
func replaceTables(err error) string {
	if errors.As(err, new(*pgconn.PgError)) {
		return "check the server, then run gxpledger projections rebuild --all --reason TEXT; the log holds all data"
	}
	return "move that file, and those beside it that end in -wal and -shm, away: the next command builds it again from the log"
}

// oneLine joins the lines of joined errors.
func oneLine(text string) string { return config.OneLine(text) }

// remedy says what to do about errors whose texts do not.
func remedy(err error) string {
	if known := causeOf(err); known != nil {
		return known.text
	}
	return ""
}

// outcomeUnknown is what to do when the log may have what was sent.
const outcomeUnknown = ": the log did not answer, so it is unknown whether this was recorded: run the command again, nothing is recorded twice"

// sharedCauses are those of the settings, too.
func sharedCauses() []cause {
	var all []cause
	for _, c := range config.Causes() {
		all = append(all, cause{c.Err, c.Code, ": " + c.Remedy})
	}
	return all
}

// cause is an error that has a code for programs and a remedy for people.
type cause struct {
	err        error
	code, text string
}

// causeOf returns the first known cause of an error; nil when there is none. The codes are documented and stable.
func causeOf(err error) *cause {
	for _, known := range slices.Concat([]cause{{eventstore.ErrOutcomeUnknown, "outcome_unknown", outcomeUnknown}}, sharedCauses(), []cause{
		{eventstore.ErrCorrupt, "log_corrupt", ": stop writing to this log, restore it from a backup and run gxpledger verify"},
		{eventstore.ErrUnknownType, "event_type_unknown", ": a newer gxpledger wrote this log, use that one"},
		{fs.ErrPermission, "permission_denied", ": grant this user access, or choose another folder with --home"},
		{eventstore.ErrTransient, "log_busy", ": the log is busy or its server does not answer: try again"},
		{projections.ErrTransient, "tables_busy", ": the tables are busy or their server does not answer: try again"},
		{projections.ErrDamaged, "tables_damaged", ": " + replaceTables(err)},
		{projections.ErrCancelled, "cancelled", ": an administrator cancelled it, see gxpledger audit"},
		{projections.ErrLeaseHeld, "lease_held", ": wait for it, or look at gxpledger projections status"},
	}) {
		if errors.Is(err, known.err) {
			return &known
		}
	}
	return nil
}

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
	case !worded && ctx.Err() != nil && !errors.Is(err, eventstore.ErrOutcomeUnknown):
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
	return fmt.Sprintf(format[at+len(": "):], args[before:]...)
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
