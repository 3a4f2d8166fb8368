package recorder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

func TestRecorderRecordsAScanAsOneBatch(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	q := request()
	out, err := d.recorder.Record(t.Context(), q, reads(req("REQ-001"), req("REQ-002")))
	if err != nil {
		t.Fatal(err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "artifact.parsed", "scan.completed")
	for i, r := range d.records() {
		m := r.Meta
		if m.Scan != q.Scan.String() || m.Actor != "tester" || m.Reason != "to see" || m.Index != i || m.Size != 4 || m.Attempt != 1 {
			t.Errorf("record %d has meta %+v", i, m)
		}
		if r.ID != eventstore.DeriveEventID(q.Scan, i) || string(r.Stream) != "repository-"+string(q.Repository.ID) {
			t.Errorf("record %d has id %s in %s", i, r.ID, r.Stream)
		}
	}
	if out.Position != 4 || out.Attempts != 1 || out.Completed.Number != 1 || len(out.Events) != 4 {
		t.Errorf("outcome %+v", out)
	}
	if d.mustRecord(req("REQ-001"), req("REQ-002")).Completed.Number != 2 {
		t.Error("the second scan must have number 2")
	}
}

// TestRecorderSurvivesALostConnection is the fourth scenario of the user story: a connection lost in the middle leaves
// nothing partial, is retried, and the scan is recorded once (I1, I4).
func TestRecorderSurvivesALostConnection(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error){
		"before the log took it": func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
			if call < 3 {
				return eventstore.Appended{}, errLost
			}
			return do()
		},
		"after the log took it": func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
			at, err := do()
			if call < 3 {
				return eventstore.Appended{}, errLost
			}
			return at, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			d.log.onAppend = harm
			out, err := d.record(reads(req("REQ-001")))
			if err != nil || out.Completed == nil || out.Attempts != 3 {
				t.Fatalf("outcome %+v, %v; want a completed scan after 3 attempts", out, err)
			}
			d.wantTypes("repository.registered", "artifact.parsed", "scan.completed")
			if !slices.Equal(d.log.attempts, []int{1, 2, 3}) || len(d.failures) != 2 || d.failures[0].Wait <= 0 {
				t.Errorf("attempts %v, trouble %v; want three attempts with waits between", d.log.attempts, d.failures)
			}
		})
	}
}

func TestRecorderRecordsTheAttemptThatLanded(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		if call == 1 {
			return eventstore.Appended{}, errLost
		}
		return do()
	}
	if _, err := d.record(reads(req("REQ-001"))); err != nil {
		t.Fatal(err)
	}
	for _, r := range d.records() {
		if r.Meta.Attempt != 2 {
			t.Errorf("record %d says attempt %d, want 2", r.Position, r.Meta.Attempt)
		}
	}
}

func TestRecorderDecidesAgainWhenAnotherScanCameBetween(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.mustRecord(req("REQ-001"))
	rounds := 0
	out, err := d.record(func(ctx context.Context, state domain.State) (recorder.Reading, error) {
		rounds++
		if rounds == 1 {
			d.mustRecord(req("REQ-001"), req("REQ-002")) //nolint:contextcheck // somebody else, in the meantime
		}
		return reads(req("REQ-001"), req("REQ-002"), req("REQ-003"))(ctx, state)
	})
	if err != nil || rounds != 2 || out.Completed.Number != 3 {
		t.Fatalf("%d rounds, %+v, %v; want a second round and scan number 3", rounds, out, err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed", "artifact.parsed", "scan.completed",
		"artifact.parsed", "scan.completed")
}

func TestRecorderGivesUpWhenOthersKeepWinning(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	n := 0
	out, err := d.record(func(ctx context.Context, state domain.State) (recorder.Reading, error) {
		n++
		d.mustRecord(req(fmt.Sprintf("REQ-%03d", n))) //nolint:contextcheck // somebody else
		return reads(req("REQ-999"))(ctx, state)
	})
	if !errors.Is(err, eventstore.ErrConflict) || out.Failed == nil || out.Failed.Code != domain.ViolationConflict || n != 3 {
		t.Fatalf("after %d rounds: %+v, %v; want three rounds and a recorded failure", n, out, err)
	}
}

func TestRecorderLeavesOneFactOfAFailure(t *testing.T) {
	t.Parallel()
	errGone := errors.New("no such revision")
	for name, c := range map[string]struct {
		read  recorder.ReadFunc
		code  string
		cause func(error) bool
		texts int
		known bool // whether it is of the repository even when nothing is known of that
	}{
		"refused by the policy": {
			read: reads(domaintest.UserStory("US-001", "REQ-404"), domaintest.UserStory("US-002", "REQ-404")),
			code: domain.ViolationMissingParent, texts: 2, known: true,
			cause: func(err error) bool { var r *domain.RefusedError; return errors.As(err, &r) },
		},
		"source unreadable": {
			read: func(context.Context, domain.State) (recorder.Reading, error) { return recorder.Reading{}, errGone },
			code: domain.ViolationUnreadable, texts: 1,
			cause: func(err error) bool { return errors.Is(err, errGone) && errors.Is(err, recorder.ErrSource) },
		},
		"a reader that breaks its contract": {
			read: reads(domain.File{Path: "x"}), code: domain.ViolationInternal, texts: 1,
			cause: func(err error) bool { return err != nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			out, err := d.record(c.read)
			if !c.cause(err) || out.Failed == nil || out.Completed != nil || out.Failed.Code != c.code || len(out.Failed.Violations) != c.texts {
				t.Fatalf("outcome %+v, %v; want a failure of code %s", out, err, c.code)
			}
			typ, number := "scan.attempt_failed", 0
			if c.known {
				typ, number = "scan.failed", 1
			}
			d.wantTypes(typ)
			if out.Failed.Number != number || out.Position != 1 {
				t.Errorf("failure %+v at %d; want number %d at position 1", out.Failed, out.Position, number)
			}
			if next := d.mustRecord(req("REQ-001")); next.Completed.Number != number+1 {
				t.Errorf("the next scan has number %d, want %d", next.Completed.Number, number+1)
			}
			if out, _ = d.record(c.read); out.Failed == nil || out.Failed.Number != number+2 {
				t.Errorf("a failure of what is known is %+v, want number %d", out.Failed, number+2)
			}
			d.wantTypes(typ, "repository.registered", "artifact.parsed", "scan.completed", "scan.failed")
		})
	}
}

func TestRecorderRecordsACancelledScan(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	out, err := d.recorder.Record(ctx, request(), func(ctx context.Context, _ domain.State) (recorder.Reading, error) {
		cancel()
		return recorder.Reading{}, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) || out.Failed == nil || out.Failed.Code != domain.ViolationCancelled {
		t.Fatalf("outcome %+v, %v; want a recorded cancellation", out, err)
	}
	d.wantTypes("scan.attempt_failed")
}

func TestRecorderStopsWaitingWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		if call == 1 {
			cancel()
			return eventstore.Appended{}, errLost
		}
		return do()
	}
	out, err := d.recorder.Record(ctx, request(), reads(req("REQ-001")))
	if err == nil || out.Failed == nil || d.log.calls != 2 {
		t.Fatalf("outcome %+v, %v after %d appends; want the failure as the second append", out, err, d.log.calls)
	}
}

// TestRecorderFindsABatchWhoseEveryAnswerWasLost: the scan is in the log although no try was ever answered. The failure
// has the id of its first event, so the log refuses it, and the scan is reported as what it is (I2).
func TestRecorderFindsABatchWhoseEveryAnswerWasLost(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		at, err := do()
		if call <= 4 {
			return eventstore.Appended{}, errLost
		}
		return at, err
	}
	out, err := d.record(reads(req("REQ-001")))
	if err != nil || out.Completed == nil || out.Failed != nil || out.Position != 3 {
		t.Fatalf("outcome %+v, %v; want the completed scan that the log holds", out, err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed")
}

func TestRecorderRefusesWhatCannotBeARequest(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*recorder.Request){
		"no scan id":       func(q *recorder.Request) { q.Scan = uuid.Nil },
		"a random scan id": func(q *recorder.Request) { q.Scan = uuid.New() },
		"no repository":    func(q *recorder.Request) { q.Repository.ID = "x" },
		"no name":          func(q *recorder.Request) { q.Repository.Name = "" },
		"no actor":         func(q *recorder.Request) { q.Actor = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, q := newFixture(t), request()
			spoil(&q)
			if _, err := d.recorder.Record(t.Context(), q, reads()); !errors.Is(err, eventstore.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
			d.wantTypes()
		})
	}
}

func TestNewRecorderNamesEveryFaultOfItsConfig(t *testing.T) {
	t.Parallel()
	_, err := recorder.New(memory.New(clock), recorder.Config{})
	if !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	for _, field := range []string{"Now", "Tries", "Rounds", "FirstWait", "LongestWait", "FailureTimeout"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("error %q does not name %s", err, field)
		}
	}
}
