package recorder_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
)

// fill sets each field of v to something, so that one that is dropped is missed.
func fill(t *rapid.T, v reflect.Value) {
	if _, ok := reflect.TypeAssert[time.Time](v); ok {
		v.Set(reflect.ValueOf(clock().Add(time.Duration(rapid.IntRange(1, 1e6).Draw(t, "seconds")) * time.Second)))
		return
	}
	switch v.Kind() { //nolint:exhaustive // the default refuses the others
	case reflect.String:
		v.SetString(rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "text"))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(rapid.IntRange(1, 1e6).Draw(t, "number")))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(t, v.Index(i))
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key)
		fill(t, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	default:
		t.Fatalf("cannot fill a %s", v.Type())
	}
}

// Whatever a failure says of itself, and who asked for the scan under which trace, survives the spool (I2).
func TestASpooledFailureKeepsEveryFact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := newFixture(t)
		var want domain.ScanFailed
		fill(rt, reflect.ValueOf(&want).Elem())
		scan := uuid.Must(uuid.NewV7())
		want.Scan, want.Repository.ID = scan.String(), request().Repository.ID
		want.Code, want.Total = want.Violations[0].Code, 2+want.Total
		parent, state := rapid.StringMatching(`[a-f]{4}`).Draw(rt, "traceparent"), rapid.StringMatching(`[a-f]{4}`).Draw(rt, "tracestate")
		file, err := json.Marshal(map[string]any{
			"form": 2, "failed": want, "request": map[string]string{"traceparent": parent, "tracestate": state},
		})
		if err != nil {
			rt.Fatal(err)
		}
		if err := os.MkdirAll(d.spool, 0o700); err != nil {
			rt.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.spool, want.Scan+".json"), file, 0o600); err != nil {
			rt.Fatal(err)
		}
		if n, err := d.recorder.Drain(t.Context()); err != nil || n.Recorded != 1 {
			rt.Fatalf("drained %+v, %v", n, err)
		}
		r := d.records()[0]
		want.Number = 1 // it is given when it is recorded
		if got := decoded(t, r); !reflect.DeepEqual(got, domain.Event(want)) {
			rt.Errorf("recorded\n%+v\nwant\n%+v", got, want)
		}
		meta := eventstore.Meta{
			Actor: want.Actor, Reason: want.Reason, Scan: want.Scan, Correlation: want.Scan, TraceParent: parent, TraceState: state, Attempt: 1, Size: 1,
		}
		if r.Meta != meta {
			rt.Errorf("recorded under %+v, want %+v", r.Meta, meta)
		}
	})
}

// A failure that is spooled says what the scan knew, as one that is recorded does.
func TestASpooledFailureSaysWhatTheScanKnew(t *testing.T) {
	t.Parallel()
	d, q := newFixture(t), request()
	q.TraceParent, q.TraceState, q.ActorFrom = "00-parent", "state=1", domain.ActorAuthenticated
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	out, err := d.recorder.Record(t.Context(), q, reads(req("REQ-001")))
	if err == nil || out.Spooled == "" {
		t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
	}
	d.log.onAppend = nil
	if n, err := d.recorder.Drain(t.Context()); err != nil || n.Recorded != 1 {
		t.Fatalf("drained %+v, %v", n, err)
	}
	want := *out.Failed
	want.Number = 1
	r := d.records()[0]
	if got := decoded(t, r); !reflect.DeepEqual(got, domain.Event(want)) || want.Reader != domaintest.Stamp || !want.StartedAt.Equal(q.StartedAt) ||
		want.DecidedAt.IsZero() || want.ActorFrom != q.ActorFrom || want.Reason != q.Reason || want.Policy != q.Policy {
		t.Errorf("recorded\n%+v\nwant\n%+v", got, want)
	}
	if r.Meta.TraceParent != q.TraceParent || r.Meta.TraceState != q.TraceState || r.Meta.Correlation != q.Scan.String() {
		t.Errorf("recorded under %+v", r.Meta)
	}
}

// The trace of the caller is with each event of a scan.
func TestEventsOfAScanCarryItsTrace(t *testing.T) {
	t.Parallel()
	d, q := newFixture(t), request()
	q.TraceParent, q.TraceState = "00-parent", "state=1"
	if _, err := d.recorder.Record(t.Context(), q, reads(req("REQ-001"))); err != nil {
		t.Fatal(err)
	}
	for i, r := range d.records() {
		want := eventstore.Meta{
			Actor: q.Actor, Reason: q.Reason, Scan: q.Scan.String(), Correlation: q.Scan.String(),
			TraceParent: q.TraceParent, TraceState: q.TraceState, Attempt: 1, Index: i, Size: 3,
		}
		if r.Meta != want {
			t.Errorf("event %d is under %+v, want %+v", i, r.Meta, want)
		}
	}
}

// A scan whose answer was lost is told with its own events alone, also where the log has scans before and after it.
func TestARecoveredScanIsItsOwnEventsAlone(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.mustRecord(req("REQ-001"))
	lost := d.log.calls
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		at, err := do()
		if call > lost && call <= lost+4 {
			if call == lost+4 {
				d.log.onAppend = nil
				d.mustRecord(req("REQ-001"), req("REQ-002"), req("REQ-003"))
			}
			return eventstore.Appended{}, errLost
		}
		return at, err
	}
	out, err := d.record(reads(req("REQ-001"), req("REQ-002")))
	if err != nil || out.Completed == nil || out.Completed.Number != 2 || len(out.Events) != 2 || out.Position != 5 {
		t.Fatalf("outcome %+v, %v; want the second scan with its 2 events up to position 5", out, err)
	}
	if parsed, ok := out.Events[0].(domain.ArtifactParsed); !ok || parsed.GxPID != "REQ-002" {
		t.Errorf("its first event is %+v", out.Events[0])
	}
}
