package recorder_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// unreadable is a reader of a ref that does not resolve.
func unreadable(context.Context, domain.State) (recorder.Reading, error) {
	return recorder.Reading{Source: domain.Source{Ref: "mian"}}, errors.New("there is no revision mian")
}

// What fails under a name that is not known says who asked for what, in the stream of the engine.
func TestAFailureOfWhatIsNotKnownIsAnAttempt(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	out, err := d.record(unreadable)
	if !errors.Is(err, recorder.ErrSource) {
		t.Fatal(err)
	}
	d.wantTypes("scan.attempt_failed")
	r := d.records()[0]
	attempt, ok := decoded(t, r).(domain.ScanAttemptFailed)
	if !ok || r.Stream != eventstore.EngineStream || attempt.Scan != out.Failed.Scan || attempt.Name != "demo" || attempt.Source.Ref != "mian" ||
		attempt.Code != domain.ViolationUnreadable || r.Meta.Scan != attempt.Scan || r.Meta.Actor != "tester" || r.Meta.Reason != "to see" {
		t.Errorf("recorded %+v with %+v in %s", attempt, r.Meta, r.Stream)
	}
}

// away lets no append and no reading of the log through.
func (d *fixture) away() {
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	d.log.onRead = func() error { return errLost }
}

func (d *fixture) back() { d.log.onAppend, d.log.onRead = nil, nil }

func (d *fixture) drain(want recorder.Drained) {
	d.t.Helper()
	if n, err := d.recorder.Drain(d.t.Context()); err != nil || n != want {
		d.t.Errorf("drained %+v, %v; want %+v", n, err, want)
	}
}

// A failure that was spooled because the log could not be asked goes where the rule says when it is recorded.
func TestASpooledFailureGoesWhereItBelongsWhenItIsRecorded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		meanwhile func(d *fixture)
		want      []string
	}{
		"nothing is known still": {func(*fixture) {}, []string{"scan.attempt_failed"}},
		"it is known by then": {
			func(d *fixture) { d.mustRecord(req("REQ-001")) },
			[]string{"repository.registered", "artifact.parsed", "scan.completed", "scan.failed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			d.away()
			if out, _ := d.record(reads(req("REQ-001"))); out.Spooled == "" || out.Unknown != recorder.UnknownNothing {
				t.Fatalf("outcome %+v, want a spooled failure", out)
			}
			d.back()
			test.meanwhile(d)
			d.drain(recorder.Drained{Recorded: 1})
			d.wantTypes(test.want...)
		})
	}
}

// An attempt whose answer was lost is recorded once, in one stream, though its repository is known by the time that it is tried again.
func TestAnAttemptWhoseAnswerWasLostIsRecordedOnce(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		_, _ = do()
		return eventstore.Appended{}, errLost
	}
	out, err := d.record(unreadable)
	if !errors.Is(err, eventstore.ErrOutcomeUnknown) || out.Spooled == "" || out.Unknown != recorder.UnknownFailure {
		t.Fatalf("outcome %+v, %v; want a spooled failure that is unknown", out, err)
	}
	d.back()
	d.mustRecord(req("REQ-001"))
	d.drain(recorder.Drained{Recorded: 1})
	d.wantTypes("scan.attempt_failed", "repository.registered", "artifact.parsed", "scan.completed")
}

// Spool files of older versions say nothing of streams: their failures are scans of their repositories.
func TestASpoolFileOfAnOlderVersionIsAFailedScan(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	failed := domain.Fail(domain.State{}, domain.Head{
		Scan: uuid.Must(uuid.NewV7()).String(), Repository: request().Repository, Actor: "tester", StartedAt: clock(), DecidedAt: clock(),
	}, []domain.Violation{{Code: domain.ViolationUnreadable, Text: "no such ref"}}, 1)
	data, err := json.Marshal(map[string]any{"form": 2, "failed": failed})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(d.spool, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.spool, failed.Scan+".json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	d.drain(recorder.Drained{Recorded: 1})
	d.wantTypes("scan.failed")
}
