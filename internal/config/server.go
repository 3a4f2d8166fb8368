package config

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore"
)

// server is what logs or tables of one kind have in common with others: how their addresses look, and what to do when
// they cannot be used.
type server struct {
	schemes []string // in lower case; none for the SQLite file in the home
	form    string   // an address, for people
	// check refuses addresses that this kind cannot be opened at; nil when any URL will do. Its errors hold no password.
	check func(address string) error
	// redact returns an address as errors of this kind show it; nil when they don't.
	redact func(address string) string
	// misnamed are schemes that are not opened, and which to write instead.
	misnamed map[string]string
	remedies []remedy
}

// remedy is what to do about an error.
type remedy struct {
	err  error
	text string
}

const unreachable = "check that the server runs and can be reached, and try again"

func (s server) kind() server { return s }

// driver is one kind of log or tables.
type driver interface{ kind() server }

// pick returns the driver of an address. An address that none of them can be opened at is an [*Error] that wraps
// [ErrInvalid].
func pick[D driver](setting Setting, at Address, drivers []D) (D, error) {
	var none D
	invalid := func(problem, remedy string) (D, error) {
		return none, &Error{Setting: setting, Problem: problem, Remedy: remedy, Err: ErrInvalid}
	}
	want := "want " + forms(drivers)
	u, wrong := at.parse()
	if wrong != nil {
		return invalid(wrong.Problem, wrong.Remedy+"; "+want)
	}
	if !at.Local() && !strings.Contains(string(at), "://") {
		return invalid("this is a path, not an address", want)
	}
	scheme := strings.ToLower(u.Scheme)
	for _, d := range drivers {
		s := d.kind()
		if right, ok := s.misnamed[scheme]; ok {
			return invalid("cannot open "+u.Scheme+" addresses", "write "+right+":// instead, with all else the same")
		}
		if at.Local() != (s.schemes == nil) || !at.Local() && !slices.Contains(s.schemes, scheme) {
			continue
		}
		if s.check != nil {
			if err := s.check(string(at)); err != nil {
				return invalid("cannot use the address", at.Redact(OneLine(err.Error())))
			}
		}
		return d, nil
	}
	return invalid("cannot open "+u.Scheme+" addresses", want)
}

// forms are how addresses look, for people.
func forms[D driver](drivers []D) string {
	var all []string
	for _, d := range drivers {
		if form := d.kind().form; form != "" {
			all = append(all, form)
		}
	}
	return strings.Join(all, " or ")
}

// unusable says that the log or the tables at an address could not be used. Errors of the files in the home stay what
// they are.
func (s server) unusable(ctx context.Context, setting Setting, at Address, err error) error {
	if _, told := errors.AsType[*Error](err); told || err == nil {
		return err
	}
	redacted := at.RedactError(err)
	if at.Local() || ctx.Err() != nil {
		return redacted
	}
	what := "log"
	if setting == Tables {
		what = "tables"
	}
	why := strings.TrimPrefix(OneLine(redacted.Error()), cannot)
	for _, known := range []string{"open tables" + clause, "open log" + clause} { // once is enough
		why = strings.TrimPrefix(why, known)
	}
	if s.redact != nil {
		why = strings.TrimPrefix(why, "open log at "+s.redact(string(at))+": ")
	}
	e := &Error{Setting: setting, Problem: "cannot use the " + what + " at " + at.String() + ": " + why, Err: redacted}
	if what == "log" && errors.Is(err, eventstore.ErrNotFound) {
		e.Problem = "there is no log at " + at.String()
	}
	for _, r := range s.remedies {
		if errors.Is(err, r.err) {
			e.Remedy = r.text
			break
		}
	}
	return e
}
