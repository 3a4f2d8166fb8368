package recorder_test

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// link is a log whose connection a test can harm.
type link struct {
	eventstore.Log
	// onAppend, when set, is called before the log: call is how often Append was called, from 1.
	onAppend func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error)
	onRead   func() error
	calls    int
	attempts []int
	types    string // of the events of the last append
	reads    int    // records read from streams
}

func (l *link) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	l.calls++
	l.attempts = append(l.attempts, b.Meta.Attempt)
	l.types = ""
	for _, e := range b.Events {
		l.types += e.Type
	}
	do := func() (eventstore.Appended, error) { return l.Log.Append(ctx, b) }
	if l.onAppend == nil {
		return do()
	}
	return l.onAppend(l.calls, do)
}

func (l *link) ReadStream(ctx context.Context, s eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		if l.onRead != nil {
			if err := l.onRead(); err != nil {
				yield(eventstore.Record{}, err)
				return
			}
		}
		for r, err := range l.Log.ReadStream(ctx, s, from) {
			l.reads++
			if !yield(r, err) {
				return
			}
		}
	}
}

var errLost = fmt.Errorf("%w: connection reset", eventstore.ErrTransient)

// fixture is a recorder on a log in memory, and what it was told on the way.
type fixture struct {
	t        *testing.T
	log      *link
	recorder *recorder.Recorder
	spool    string
	failures []recorder.Retry
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	d := &fixture{t: t, log: &link{Log: memory.New(clock)}, spool: filepath.Join(t.TempDir(), "spool")}
	config := recorder.DefaultConfig(clock, d.spool)
	config.Tries, config.Rounds, config.FirstWait, config.LongestWait = 4, 3, time.Microsecond, 10*time.Microsecond
	config.Observe = func(tr recorder.Retry) { d.failures = append(d.failures, tr) }
	var err error
	if d.recorder, err = recorder.New(d.log, config); err != nil {
		t.Fatal(err)
	}
	return d
}

func request() recorder.Request {
	return recorder.Request{
		Scan:       uuid.Must(uuid.NewV7()),
		Repository: domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000001", Name: "demo", URL: "https://example.org/demo"},
		Actor:      "tester", Reason: "to see", Policy: domain.DefaultPolicy(), StartedAt: clock(),
	}
}

// reads returns a reader of one tree, which skips what the state holds.
func reads(files ...domain.File) recorder.ReadFunc {
	return func(_ context.Context, state domain.State) (recorder.Reading, error) {
		out := slices.Clone(files)
		for i, f := range out {
			if state.Holds(f.Path, f.Blob, f.Stamp) {
				out[i] = domaintest.Unchanged(f)
			}
		}
		return recorder.Reading{Reader: domaintest.Stamp, Files: out}, nil
	}
}

func (d *fixture) record(read recorder.ReadFunc) (recorder.Outcome, error) {
	d.t.Helper()
	return d.recorder.Record(d.t.Context(), request(), read)
}

func (d *fixture) mustRecord(files ...domain.File) recorder.Outcome {
	d.t.Helper()
	out, err := d.record(reads(files...))
	if err != nil || out.Completed == nil {
		d.t.Fatalf("record: %v, %+v", err, out)
	}
	return out
}

func (d *fixture) records() []eventstore.Record {
	d.t.Helper()
	var all []eventstore.Record
	for r, err := range d.log.Read(d.t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func (d *fixture) wantTypes(want ...string) {
	d.t.Helper()
	var got []string
	for _, r := range d.records() {
		got = append(got, r.Type[:strings.LastIndex(r.Type, ".v")])
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("log holds %v\nwant %v", got, want)
	}
}

func req(id string) domain.File { return domaintest.Requirement(id, "") }

func decoded(t *testing.T, r eventstore.Record) domain.Event {
	t.Helper()
	e, err := eventstore.Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
