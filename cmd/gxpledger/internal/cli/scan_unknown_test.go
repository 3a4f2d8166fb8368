package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// harmedLog answers appends as a test says.
type harmedLog struct {
	eventstore.Log

	harm func(do func() error) error
}

func (l harmedLog) Append(ctx context.Context, b eventstore.Batch) (at eventstore.Appended, err error) {
	err = l.harm(func() error {
		at, err = l.Log.Append(ctx, b)
		return err
	})
	return at, err
}

// What a scan that did not complete says: why, what is in the log as far as anybody knows, and what to do.
func TestWhatAScanThatDidNotCompleteSays(t *testing.T) {
	t.Parallel()
	lost := fmt.Errorf("%w: connection reset", eventstore.ErrTransient)
	late := fmt.Errorf("%w: %w", eventstore.ErrTransient, context.DeadlineExceeded)
	logs := map[string]struct {
		harm func(do func() error) error
		left string // what the log has
	}{
		"answers":                     {func(do func() error) error { return do() }, "recorded"},
		"records and does not answer": {func(do func() error) error { return errors.Join(lost, ignore(do())) }, "unknown"},
		"does not answer":             {func(func() error) error { return lost }, "unknown"},
		"is late":                     {func(func() error) error { return late }, "unknown"},
		"is busy":                     {func(func() error) error { return eventstore.NotWritten(lost) }, "nothing"},
		"is full":                     {func(func() error) error { return fmt.Errorf("%w: 2 MB", eventstore.ErrTooLarge) }, "nothing"},
	}
	good := recorder.Reading{Reader: domaintest.Stamp, Files: []domain.File{domaintest.Requirement("REQ-001", "")}}
	causes := map[string]struct {
		read func(stop context.CancelFunc) (recorder.Reading, error)
		why  string
	}{
		"nothing of its own": {func(context.CancelFunc) (recorder.Reading, error) { return good, nil }, ""},
		"refused": {func(context.CancelFunc) (recorder.Reading, error) {
			return recorder.Reading{Reader: domaintest.Stamp, Files: []domain.File{domaintest.UserStory("US-001", "REQ-404")}}, nil
		}, "the scan was refused because of the violation above"},
		"unreadable": {func(context.CancelFunc) (recorder.Reading, error) {
			return recorder.Reading{}, errors.New("no such revision")
		}, "no such revision"},
		"a deadline of git": {func(context.CancelFunc) (recorder.Reading, error) {
			return recorder.Reading{}, fmt.Errorf("fetch: %w", context.DeadlineExceeded)
		}, "fetch: context deadline exceeded"},
		"stopped": {func(stop context.CancelFunc) (recorder.Reading, error) {
			stop()
			return recorder.Reading{}, context.Canceled
		}, "the scan was interrupted"},
		"stopped before it was sent": {func(stop context.CancelFunc) (recorder.Reading, error) {
			stop()
			return good, nil
		}, "the scan was interrupted"},
	}
	for logName, log := range logs {
		for causeName, cause := range causes {
			if logName == "answers" && cause.why == "" {
				continue // it completes
			}
			t.Run(causeName+", the log "+logName, func(t *testing.T) {
				t.Parallel()
				spool := filepath.Join(t.TempDir(), "spool")
				now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
				config := recorder.DefaultConfig(now, spool)
				config.FirstWait, config.LongestWait, config.Tries = time.Microsecond, time.Microsecond, 2
				r, err := recorder.New(harmedLog{memory.New(now), log.harm}, config)
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				outcome, failure := r.Record(ctx, recorder.Request{
					Scan: uuid.Must(uuid.NewV7()), Actor: "tester", Policy: domain.DefaultPolicy(), StartedAt: now(),
					Repository: domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000001", Name: "demo"},
				}, func(context.Context, domain.State) (recorder.Reading, error) { return cause.read(stop) })
				if failure == nil {
					t.Fatal("it completed")
				}
				var stdout, stderr bytes.Buffer
				system := cli.System{Stdout: &stdout, Stderr: &stderr, Now: now, Silence: time.Hour, Env: func(string) (string, bool) { return "", false }}
				if code := system.ShowFailedScan(ctx, outcome, failure); code != 1 {
					t.Errorf("exit code %d", code)
				}
				checkFailedScan(t, [2][]byte{stdout.Bytes(), stderr.Bytes()}, cause.why, log.left, spool)
			})
		}
	}
}

func ignore(error) error { return nil }

func checkFailedScan(t *testing.T, out [2][]byte, why, left, spool string) {
	t.Helper()
	var document struct {
		Outcome        string `json:"outcome"`
		FailureUnknown bool   `json:"failure_unknown"`
		Spooled        string `json:"spooled"`
	}
	var fault struct {
		Error string `json:"error"`
		Hint  string `json:"hint"`
		Code  string `json:"code"`
	}
	if err := errors.Join(json.Unmarshal(out[0], &document), json.Unmarshal(out[1], &fault)); err != nil {
		t.Fatal(err)
	}
	said := fault.Error
	unknown := strings.Contains(said, "it is unknown whether")
	if !strings.Contains(said, why) || strings.Contains(said, "interrupted") != (why == "the scan was interrupted") {
		t.Errorf("says %q, want why: %q", said, why)
	}
	if strings.Contains(said, "nothing was recorded") != (left == "nothing") || unknown != (left == "unknown") ||
		strings.Contains(said, "was recorded as failed") != (left == "recorded") {
		t.Errorf("says %q, want that the log has: %s", said, left)
	}
	if unknown != (document.Outcome == "unknown" || document.FailureUnknown) || unknown != (fault.Code == "outcome_unknown") ||
		unknown != (fault.Hint == "scan again, nothing is recorded twice") || document.Outcome == "completed" {
		t.Errorf("says %q with %+v and %+v", said, document, fault)
	}
	// Only a scan that could have completed may be in the log as completed.
	if (document.Outcome == "unknown") != (left == "unknown" && why == "") {
		t.Errorf("the outcome of one that was %q is %s", why, document.Outcome)
	}
	if strings.Contains(said, spool) != (left != "recorded") || (document.Spooled == "") != (left == "recorded") {
		t.Errorf("says %q, want where the failure waits: %t", said, left != "recorded")
	}
	if strings.Count(said, "nothing is recorded twice") > 1 {
		t.Errorf("says it twice: %q", said)
	}
}
