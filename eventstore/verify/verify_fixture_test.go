package verify_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// fixture is a log in memory and a recorder that writes to it.
type fixture struct {
	t        *testing.T
	log      *memory.Log
	recorder *recorder.Recorder
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, log: memory.New(clock)}
	var err error
	if f.recorder, err = recorder.New(f.log, recorder.DefaultConfig(clock, filepath.Join(t.TempDir(), "spool"))); err != nil {
		t.Fatal(err)
	}
	return f
}

// reads returns a reader of one tree.
func reads(files ...domain.File) recorder.ReadFunc {
	return func(context.Context, domain.State) (recorder.Reading, error) {
		return recorder.Reading{Reader: domaintest.Stamp, Files: files}, nil
	}
}

func (f *fixture) record(read recorder.ReadFunc) (recorder.Outcome, error) {
	f.t.Helper()
	return f.recorder.Record(f.t.Context(), recorder.Request{
		Scan:       uuid.Must(uuid.NewV7()),
		Repository: domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000001", Name: "demo", URL: "https://example.org/demo"},
		Actor:      "tester", Reason: "to see", Policy: domain.DefaultPolicy(), StartedAt: clock(),
	}, read)
}

func (f *fixture) mustRecord(files ...domain.File) {
	f.t.Helper()
	out, err := f.record(reads(files...))
	if err != nil || out.Completed == nil {
		f.t.Fatalf("record: %v, %+v", err, out)
	}
}
