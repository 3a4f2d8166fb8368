package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
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
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/eventstore/verify"
	"github.com/gxpledger/gxpledger/eventstore/verify/verifytest"
)

// damaged is a log whose file somebody wrote in.
type damaged struct {
	eventstore.Log
	records   []eventstore.Record
	corrupt   []eventstore.Position // that cannot be read
	head      eventstore.Position
	contents  map[string][]byte
	snapshots map[eventstore.StreamID]eventstore.Snapshot
	fails     error // of LoadSnapshot
}

// damage copies what a log holds.
func damage(t *testing.T, log eventstore.Log) *damaged {
	t.Helper()
	d := &damaged{Log: log, contents: map[string][]byte{}, snapshots: map[eventstore.StreamID]eventstore.Snapshot{}}
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		d.records = append(d.records, r)
		d.head = r.Position
		if s, err := log.LoadSnapshot(t.Context(), r.Stream); err == nil {
			d.snapshots[r.Stream] = s
		}
	}
	for hash, err := range log.ContentHashes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		var errContent error
		if d.contents[hash], errContent = log.Content(t.Context(), hash); errContent != nil {
			t.Fatal(errContent)
		}
	}
	return d
}

func (d *damaged) Head(context.Context) (eventstore.Position, error) { return d.head, nil }

func (d *damaged) Read(_ context.Context, after eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		started := false
		for _, r := range d.records {
			started = started || r.Position > after
			if !started {
				continue
			}
			if slices.Contains(d.corrupt, r.Position) {
				yield(eventstore.Record{}, fmt.Errorf("read: %w: bad checksum", eventstore.ErrCorrupt))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (d *damaged) ReadStream(_ context.Context, s eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for _, r := range d.records {
			if r.Stream == s && r.Revision >= from && !yield(r, nil) {
				return
			}
		}
	}
}

func (d *damaged) ContentHashes(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for hash := range d.contents {
			if !yield(hash, nil) {
				return
			}
		}
	}
}

func (d *damaged) Content(_ context.Context, hash string) ([]byte, error) {
	return d.contents[hash], nil
}

func (d *damaged) LoadSnapshot(_ context.Context, s eventstore.StreamID) (eventstore.Snapshot, error) {
	if d.fails != nil {
		return eventstore.Snapshot{}, d.fails
	}
	snapshot, ok := d.snapshots[s]
	if !ok {
		return snapshot, eventstore.ErrNotFound
	}
	return snapshot, nil
}

// drop removes the record at a position.
func (d *damaged) drop(at eventstore.Position) {
	d.records = slices.DeleteFunc(d.records, func(r eventstore.Record) bool { return r.Position == at })
}

// at is the record at a position.
func (d *damaged) at(p eventstore.Position) *eventstore.Record {
	return &d.records[slices.IndexFunc(d.records, func(r eventstore.Record) bool { return r.Position == p })]
}

// check returns the code and place of each fault.
func check(t *testing.T, log verify.Log) (faults []string, v verify.Result) {
	t.Helper()
	v, err := verify.Run(t.Context(), log, verify.Watch{Fault: func(f eventstore.Fault) {
		if f.Text == "" || f.Remedy == "" {
			t.Errorf("fault %+v says nothing or not what to do", f)
		}
		faults = append(faults, string(f.Code)+": "+f.Where)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if v.Faults != uint64(len(faults)) {
		t.Errorf("counted %d faults, reported %d", v.Faults, len(faults))
	}
	return faults, v
}

// intact is a log of two scans that completed, one that failed, an admin action, and a snapshot: positions 1 to 4 (registration,
// REQ-001, REQ-002, scan), 5 (failed scan), 6 (admin action) and 7 to 8 (REQ-001 changed, scan).
func intact(t *testing.T) *fixture {
	t.Helper()
	d := newFixture(t)
	stored := func(files ...domain.File) recorder.ReadFunc {
		return func(context.Context, domain.State) (recorder.Reading, error) {
			reading := recorder.Reading{Reader: domaintest.Stamp}
			for _, f := range files {
				saying := map[string]string{
					domaintest.Hash("REQ-001a"): "REQ-001a", domaintest.Hash("REQ-001b"): "REQ-001b", domaintest.Hash("REQ-002a"): "REQ-002a",
				}[f.Artifacts[0].Content.SHA256]
				f, blobs := verifytest.Stored(f, []byte(saying))
				reading.Files = append(reading.Files, f)
				reading.Contents = append(reading.Contents, blobs...)
			}
			return reading, nil
		}
	}
	if _, err := d.record(stored(domaintest.Requirement("REQ-001", "a"), domaintest.Requirement("REQ-002", "a"))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.record(reads(domaintest.UserStory("US-001", "REQ-404"))); err == nil {
		t.Fatal("a broken link passed")
	}
	action := domain.AdminActed{ID: "019c0000-0000-7000-8000-000000000099", Action: "rebuild", Actor: "tester", Reason: "r", Outcome: "succeeded", At: clock()}
	if _, err := d.recorder.RecordAction(t.Context(), action); err != nil {
		t.Fatal(err)
	}
	if _, err := d.record(stored(domaintest.Requirement("REQ-001", "b"), domaintest.Requirement("REQ-002", "a"))); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAnIntactLogHasNoFault(t *testing.T) {
	t.Parallel()
	faults, v := check(t, intact(t).log)
	if len(faults) != 0 {
		t.Errorf("faults %v, want none", faults)
	}
	if v.Head != 8 || v.Events != 8 || v.Batches != 4 || v.Streams != 2 || v.Contents != 3 {
		t.Errorf("looked at %+v", v)
	}
	empty, v := check(t, newFixture(t).log)
	if len(empty) != 0 || v.Events != 0 {
		t.Errorf("an empty log: %v, %+v", empty, v)
	}
}

func TestVerifyWarnsOfStepsOfTheClock(t *testing.T) {
	t.Parallel()
	move := func(by time.Duration) func(d *damaged) { // when the last scan was recorded
		return func(d *damaged) {
			d.at(7).RecordedAt, d.at(8).RecordedAt = clock().Add(by), clock().Add(by)
		}
	}
	decide := func(at string) func(d *damaged) { // when the engine decided it
		return func(d *damaged) {
			was := []byte(`"decided_at":"2026-03-04T05:06:07Z"`)
			if !bytes.Contains(d.at(8).Data, was) {
				t.Errorf("the scan does not say when it was decided: %s", d.at(8).Data)
			}
			d.at(8).Data = bytes.Replace(d.at(8).Data, was, []byte(`"decided_at":"`+at+`"`), 1)
		}
	}
	for name, c := range map[string]struct {
		harm func(d *damaged)
		want string
	}{
		"nothing":                  {func(*damaged) {}, ""},
		"a minute late":            {move(time.Minute), ""},
		"late":                     {move(11 * time.Minute), "long after it was decided"},
		"a minute early":           {move(-time.Minute), ""},
		"back":                     {move(-2 * time.Minute), "the clock went back"},
		"before it started":        {move(-11 * time.Minute), "before it started"},
		"decided a minute earlier": {decide("2026-03-04T05:05:07Z"), ""},
		"decided earlier":          {decide("2026-03-04T05:03:07Z"), "the clock of the engine went back"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := damage(t, intact(t).log)
			c.harm(d)
			var warnings []eventstore.Fault
			v, err := verify.Run(t.Context(), d, verify.Watch{
				Fault: func(eventstore.Fault) {}, Warning: func(f eventstore.Fault) { warnings = append(warnings, f) },
			})
			if err != nil || v.Warnings != uint64(len(warnings)) {
				t.Fatalf("verify: %v, %d warnings counted of %d", err, v.Warnings, len(warnings))
			}
			if c.want == "" && len(warnings) == 0 {
				return
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0].Text, c.want) || c.want == "" || warnings[0].Code != eventstore.WarningClock ||
				warnings[0].Position != 8 || warnings[0].Remedy == "" {
				t.Errorf("warned of %+v, want %q at position 8", warnings, c.want)
			}
		})
	}
}

func TestVerifyNamesEachKindOfDamage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm func(d *damaged)
		want []string
	}{
		"an event was deleted": {
			func(d *damaged) { d.drop(3) },
			[]string{"position: position 3", "revision: position 4"},
		},
		"two events were deleted": {
			func(d *damaged) { d.drop(2); d.drop(3) },
			[]string{"position: positions 2 to 3", "revision: position 4"},
		},
		"the last event was deleted": {
			func(d *damaged) { d.drop(8) },
			[]string{"position: position 8", "batch: position 7"},
		},
		"the log was cut inside a batch": {
			func(d *damaged) { d.drop(8); d.head = 7 },
			[]string{"batch: position 7"},
		},
		"an event stands twice": {
			func(d *damaged) { d.records = slices.Insert(d.records, 6, d.records[5]) },
			[]string{"position: position 6", "revision: position 6"},
		},
		"an event has another id": {
			func(d *damaged) { d.at(2).ID[15]++ },
			[]string{"event_id: position 2"},
		},
		"an event names no scan": {
			func(d *damaged) { d.at(6).Meta.Scan = "" },
			[]string{"event_id: position 6", "scan: position 6"},
		},
		"an event has another actor than its batch": {
			func(d *damaged) { d.at(3).Meta.Actor = "mallory" },
			[]string{"batch: position 3", "batch: position 4"},
		},
		"an event was recorded before the ones before it": {
			func(d *damaged) { d.at(6).RecordedAt = clock().Add(-time.Second) },
			[]string{"time: position 6"},
		},
		"an event has an index beyond its batch": {
			func(d *damaged) { d.at(6).Meta.Index = 3 },
			[]string{"batch: position 6", "event_id: position 6"},
		},
		"a batch begins in its middle": {
			func(d *damaged) { d.at(6).Meta.Index, d.at(6).Meta.Size = 1, 2 },
			[]string{"batch: position 6", "event_id: position 6"},
		},
		"data is no JSON": {
			func(d *damaged) { d.at(2).Data = []byte("{") },
			[]string{"undecodable: position 2"},
		},
		"a type is unknown": {
			func(d *damaged) { d.at(6).Type = "admin.acted.v9" },
			[]string{"unknown_type: position 6"},
		},
		"an artifact has another id than the tree says": {
			func(d *damaged) { d.at(2).Data = bytes.ReplaceAll(d.at(2).Data, []byte("REQ-001"), []byte("REQ-009")) },
			[]string{"scan: position 4", "scan: position 7", "scan: position 8"},
		},
		"a scan has another number": {
			func(d *damaged) {
				d.at(5).Data = bytes.Replace(d.at(5).Data, []byte(`"number":2`), []byte(`"number":7`), 1)
			},
			[]string{"scan: position 5", "scan: position 8"},
		},
		"a scan stands in another stream": {
			func(d *damaged) {
				r := d.at(5)
				r.Stream, r.Revision = "repository-other", 0
				d.at(7).Revision, d.at(8).Revision = 4, 5
			},
			[]string{"scan: position 5", "scan: position 8"},
		},
		"events cannot be read": {
			func(d *damaged) { d.corrupt = []eventstore.Position{2, 3} },
			[]string{"unreadable: positions 2 to 3"},
		},
		"the last event cannot be read": {
			func(d *damaged) { d.corrupt = []eventstore.Position{8} },
			[]string{"unreadable: position 8"},
		},
		"a batch was cut and made whole again": {
			func(d *damaged) { d.drop(8); d.head = 7; d.at(7).Meta.Size = 1 },
			[]string{"batch: position 7"},
		},
		"the last batch is gone": {
			func(d *damaged) { d.drop(8); d.drop(7); d.head = 6 },
			[]string{"content_loose: content " + domaintest.Hash("REQ-001b")},
		},
		"one event of a batch has another correlation": {
			func(d *damaged) { d.at(3).Meta.Correlation = "" },
			[]string{"batch: position 3", "scan: position 3", "batch: position 4"},
		},
		"a content has another size in its event": {
			func(d *damaged) {
				d.at(3).Data = bytes.Replace(d.at(3).Data, []byte(`"size":8`), []byte(`"size":9`), 1)
			},
			[]string{"scan: position 3"},
		},
		"a content is gone": {
			func(d *damaged) { delete(d.contents, domaintest.Hash("REQ-002a")) },
			[]string{"content_lost: content " + domaintest.Hash("REQ-002a")},
		},
		"a content has other bytes": {
			func(d *damaged) { d.contents[domaintest.Hash("REQ-002a")] = []byte("REQ-002x") },
			[]string{"content_broken: content " + domaintest.Hash("REQ-002a")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := damage(t, intact(t).log)
			c.harm(d)
			if faults, _ := check(t, d); !slices.Equal(faults, c.want) {
				t.Errorf("faults\n  %s\nwant\n  %s", strings.Join(faults, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func TestVerifyComparesSnapshotsWithTheFold(t *testing.T) {
	t.Parallel()
	const stream = "repository-6f1b1f5e-0000-5000-8000-000000000001"
	d := newFixture(t)
	var files []domain.File
	for i := range 120 {
		f, _ := verifytest.Stored(domaintest.Requirement(fmt.Sprintf("REQ-%03d", i), "a"), fmt.Appendf(nil, "REQ-%03da", i))
		files = append(files, f)
	}
	d.mustRecord(files...)
	quiet := func(log eventstore.Log) *damaged {
		x := damage(t, log)
		for _, f := range files {
			x.contents[f.Artifacts[0].Content.SHA256] = []byte(f.Artifacts[0].GxPID + "a")
		}
		return x
	}
	faults, v := check(t, quiet(d.log))
	if len(faults) != 0 || v.Snapshots != 1 {
		t.Fatalf("a sound snapshot: %v, %+v; want one snapshot and no fault", faults, v)
	}
	for name, harm := range map[string]func(s *eventstore.Snapshot){
		"another state":          func(s *eventstore.Snapshot) { s.Data = bytes.Replace(s.Data, []byte("REQ-007"), []byte("REQ-999"), 1) },
		"another event":          func(s *eventstore.Snapshot) { s.EventID[3]++ },
		"beyond the stream":      func(s *eventstore.Snapshot) { s.Revision += 5 },
		"at an earlier revision": func(s *eventstore.Snapshot) { s.Revision-- },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := quiet(d.log)
			s := x.snapshots[stream]
			harm(&s)
			x.snapshots[stream] = s
			if faults, _ := check(t, x); len(faults) != 1 || !strings.HasPrefix(faults[0], "snapshot: snapshot of stream") {
				t.Errorf("faults %v, want that of the snapshot", faults)
			}
		})
	}
	t.Run("of another version", func(t *testing.T) {
		t.Parallel()
		x := quiet(d.log)
		s := x.snapshots[stream]
		s.Version, s.Data = 99, []byte("anything")
		x.snapshots[stream] = s
		if faults, _ := check(t, x); len(faults) != 0 {
			t.Errorf("faults %v, want none: another binary made it", faults)
		}
	})
}

func TestVerifyReturnsTheErrorOfALogThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	d := damage(t, intact(t).log)
	d.fails = fmt.Errorf("%w: connection reset", eventstore.ErrTransient)
	_, err := verify.Run(t.Context(), d, verify.Watch{Fault: func(f eventstore.Fault) {
		t.Errorf("%+v: silence is no fault of what is stored", f)
	}})
	if !errors.Is(err, eventstore.ErrTransient) {
		t.Errorf("got %v, want ErrTransient", err)
	}
}

func TestVerifyTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	var events, contents int
	_, err := verify.Run(t.Context(), intact(t).log, verify.Watch{
		Fault: func(f eventstore.Fault) { t.Error(f) },
		Events: func(at, head eventstore.Position) {
			events++
			if int(at) != events || head != 8 {
				t.Errorf("told position %d of %d, want %d of 8", at, head, events)
			}
		},
		Contents: func(done uint64) { contents = int(done) },
	})
	if err != nil || events != 8 || contents != 3 {
		t.Errorf("told of %d events and %d contents, %v", events, contents, err)
	}
}

func TestACopyOfAnIntactLogHasNoFaults(t *testing.T) {
	t.Parallel()
	to := memory.New(clock)
	if _, err := transfer.Copy(t.Context(), intact(t).log, to, transfer.Request{
		Action: uuid.Must(uuid.NewV7()), Actor: "tester", Reason: "a larger server",
	}, nil); err != nil {
		t.Fatal(err)
	}
	if faults, v := check(t, to); len(faults) != 0 || v.Events != 9 || v.Contents != 3 {
		t.Errorf("faults %v of %+v, want none of 9 events", faults, v)
	}
}
