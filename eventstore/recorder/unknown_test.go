package recorder_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// fault is what an append may meet, and what a caller may conclude from its error alone.
type fault struct {
	name   string
	writes bool // the log writes the batch all the same
	open   bool // the error leaves that open
	err    error
}

var faults = []fault{
	{"answer lost", true, true, errLost},
	{"batch lost", false, true, errLost},
	{"deadline of the log, written", true, true, fmt.Errorf("%w: %w", eventstore.ErrTransient, context.DeadlineExceeded)},
	{"deadline of the log", false, true, context.DeadlineExceeded},
	{"closed while written", true, true, eventstore.ErrClosed},
	{"strange error, written", true, true, errors.New("strange")},
	{"corrupt", false, true, eventstore.ErrCorrupt},
	{"busy", false, false, eventstore.NotWritten(errLost)},
	{"closed before", false, false, eventstore.NotWritten(eventstore.ErrClosed)},
	{"too large", false, false, eventstore.ErrTooLarge},
	{"invalid", false, false, eventstore.ErrInvalid},
}

// Whatever becomes of each append of a scan, the outcome says unknown when and only when an append was sent whose fate no
// later answer tells, a known outcome is what the log holds, and the next drain leaves one outcome of the scan in the log.
func TestAnOutcomeIsUnknownExactlyWhenTheLogDidNotAnswer(t *testing.T) {
	t.Parallel()
	good, refused := reads(req("REQ-001")), reads(domaintest.UserStory("US-001", "REQ-404"))
	t.Run("each fault, each time", func(t *testing.T) {
		t.Parallel()
		for scan := range faults {
			for failure := -1; failure < len(faults); failure++ {
				checkOutcome(t, t, good, 0, func(call int, failed bool) int {
					if failed {
						return failure
					}
					return scan
				})
			}
			checkOutcome(t, t, refused, 0, func(int, bool) int { return scan })
		}
	})
	t.Run("any faults", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			script := rapid.SliceOfN(rapid.IntRange(-1, len(faults)-1), 0, 12).Draw(rt, "faults")
			read := good
			if rapid.Bool().Draw(rt, "refused") {
				read = refused
			}
			checkOutcome(t, rt, read, rapid.IntRange(0, 5).Draw(rt, "reads that fail after an append"), func(call int, _ bool) int {
				if call > len(script) {
					return -1
				}
				return script[call-1]
			})
		})
	})
}

// checkOutcome records a scan whose appends meet the faults that choose names, -1 for none.
func checkOutcome(t *testing.T, tb rapid.TB, read recorder.ReadFunc, readFails int, choose func(call int, failed bool) int) {
	t.Helper()
	d := newFixture(t)
	var met []string
	open := false
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		n := choose(call, d.log.types == "scan.failed.v2")
		if n < 0 {
			return do()
		}
		f := faults[n]
		met, open = append(met, f.name), open || f.open
		if f.writes {
			if at, err := do(); err != nil {
				return at, err
			}
		}
		return eventstore.Appended{}, f.err
	}
	d.log.onRead = func() error {
		if d.log.calls > 0 && readFails > 0 {
			readFails--
			return errLost
		}
		return nil
	}
	out, err := d.record(read)
	unknown := out.Unknown != recorder.UnknownNothing
	held := d.records()
	switch {
	case unknown != errors.Is(err, eventstore.ErrOutcomeUnknown):
		tb.Fatalf("%q: unknown %d with %v", met, out.Unknown, err)
	case unknown && (!open || out.Position != 0):
		tb.Fatalf("%q: unknown, though it is known: %+v", met, out)
	case out.Position == 0 && !unknown && len(held) > 0:
		tb.Fatalf("%q: it says that nothing was recorded, and the log holds %d events", met, len(held))
	case errors.As(err, new(*domain.RefusedError)) && out.Unknown == recorder.UnknownScan:
		tb.Fatalf("%q: a scan that was refused cannot be in the log", met)
	case len(held) > 1 && out.Completed == nil && out.Unknown != recorder.UnknownScan:
		tb.Fatalf("%q: the log has the scan, and it says %+v", met, out)
	case (out.Position == 0) != (out.Spooled != ""):
		tb.Fatalf("%q: neither recorded nor spooled, or both: %+v, %v", met, out, err)
	}
	d.log.onAppend, d.log.onRead = nil, nil
	drained, err := d.recorder.Drain(t.Context())
	var want recorder.Drained
	if out.Spooled != "" && len(held) > 0 {
		want.Dropped = 1
	} else if out.Spooled != "" {
		want.Recorded = 1
	}
	if err != nil || drained != want {
		tb.Fatalf("%q: drained %+v, %v; want %+v", met, drained, err, want)
	}
	outcomes := 0
	for _, r := range d.records() {
		if strings.HasPrefix(r.Type, "scan.") {
			outcomes++
		}
	}
	if outcomes != 1 {
		tb.Fatalf("%q: the log holds %d outcomes of the scan", met, outcomes)
	}
}

// A scan whose outcome is in the log, and cannot be read, is unknown as well.
func TestAnOutcomeThatCannotBeReadBackIsUnknown(t *testing.T) {
	t.Parallel()
	d, q := newFixture(t), request()
	if _, err := d.recorder.Record(t.Context(), q, reads(req("REQ-001"))); err != nil {
		t.Fatal(err)
	}
	calls := 2 // the second scan of that id, and its failure, are refused
	d.log.onRead = func() error {
		if d.log.calls > calls {
			return errLost
		}
		return nil
	}
	out, err := d.recorder.Record(t.Context(), q, reads(req("REQ-001"), req("REQ-002")))
	if !errors.Is(err, eventstore.ErrOutcomeUnknown) || out.Unknown != recorder.UnknownScan || out.Spooled == "" {
		t.Fatalf("outcome %+v, %v; want an unknown one", out, err)
	}
	d.log.onRead = nil
	if n, err := d.recorder.Drain(t.Context()); n != (recorder.Drained{Dropped: 1}) || err != nil {
		t.Errorf("drained %+v, %v; want it dropped", n, err)
	}
}

// What a scan could not send is known to be in no log: its sentence is another one.
func TestWhatWasNeverSentIsKnown(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(d *fixture){
		"the log cannot be read": func(d *fixture) { d.log.onRead = func() error { return errLost } },
		"the log is busy": func(d *fixture) {
			d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
				return eventstore.Appended{}, eventstore.NotWritten(errLost)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			harm(d)
			out, err := d.record(reads(req("REQ-001")))
			if err == nil || out.Unknown != recorder.UnknownNothing || out.Spooled == "" || out.Failed.Code != domain.ViolationUnavailable {
				t.Errorf("outcome %+v, %v; want a spooled failure that is in no log", out, err)
			}
			if errors.Is(err, eventstore.ErrOutcomeUnknown) || !errors.Is(err, eventstore.ErrTransient) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// Only who waits for a scan stops it: a time that something else set is no cancellation.
func TestOnlyTheEndOfItsContextCancelsAScan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error // of the read
		stop  bool
		code  string
	}{
		"a deadline of git":            {context.DeadlineExceeded, false, domain.ViolationUnreadable},
		"a call of git was cancelled":  {context.Canceled, false, domain.ViolationUnreadable},
		"stopped":                      {nil, true, domain.ViolationCancelled},
		"stopped after another reason": {errors.New("no such revision"), true, domain.ViolationUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			out, _ := d.recorder.Record(ctx, request(), func(ctx context.Context, _ domain.State) (recorder.Reading, error) {
				if c.stop {
					cancel(errors.New("interrupt"))
				}
				if c.cause == nil {
					return recorder.Reading{}, context.Cause(ctx)
				}
				return recorder.Reading{}, c.cause
			})
			if out.Failed == nil || out.Failed.Code != c.code {
				t.Errorf("outcome %+v; want a failure of code %s", out.Failed, c.code)
			}
		})
	}
}

// An admin action whose append was not answered is told as unknown too, and recording it again finds or writes it.
func TestAnAdminActionWithoutAnAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
				if f.writes {
					_, _ = do()
				}
				return eventstore.Appended{}, f.err
			}
			action := domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: "rebuild", Actor: "admin", Reason: "why not", Outcome: "succeeded", At: clock()}
			if _, err := d.recorder.RecordAction(t.Context(), action); !errors.Is(err, f.err) || errors.Is(err, eventstore.ErrOutcomeUnknown) != f.open {
				t.Errorf("error is %v, want one that says unknown: %t", err, f.open)
			}
			d.log.onAppend = nil
			if at, err := d.recorder.RecordAction(t.Context(), action); at != 1 || err != nil {
				t.Errorf("again: %d, %v", at, err)
			}
		})
	}
}
