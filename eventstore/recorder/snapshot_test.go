package recorder_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

var stream = eventstore.RepositoryStream(request().Repository.ID)

// grown is a fixture whose repository has a snapshot and some events behind it.
func grown(t *testing.T) (*fixture, []domain.File) {
	t.Helper()
	d := newFixture(t)
	var tree []domain.File
	for i := range 120 {
		tree = append(tree, req(fmt.Sprintf("REQ-%03d", i)))
	}
	d.mustRecord(tree...)
	if _, err := d.log.LoadSnapshot(t.Context(), stream); err != nil {
		t.Fatalf("no snapshot after %d events: %v", len(tree)+2, err)
	}
	tree[7] = domaintest.Requirement("REQ-007", "changed")
	d.mustRecord(tree...)
	return d, tree
}

func TestAScanFoldsOnlyWhatCameAfterTheSnapshot(t *testing.T) {
	t.Parallel()
	d, tree := grown(t)
	d.log.reads = 0
	if out := d.mustRecord(tree...); len(out.Events) != 1 {
		t.Errorf("a scan of the same tree recorded %d events, want 1", len(out.Events))
	}
	if d.log.reads != 3 { // the event that the snapshot ends with, and the two of the scan behind it
		t.Errorf("read %d records, want 3", d.log.reads)
	}
}

func TestTheCostOfAScanDoesNotGrowWithItsPast(t *testing.T) {
	t.Parallel()
	d, tree := grown(t)
	most := 0
	for i := range 200 {
		tree[0] = domaintest.Requirement("REQ-000", fmt.Sprint(i))
		d.log.reads = 0
		d.mustRecord(tree...)
		most = max(most, d.log.reads)
	}
	if most > 110 {
		t.Errorf("a scan read %d records; want no more than lie between two snapshots", most)
	}
}

func TestASnapshotIsNeverTrustedBlindly(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*eventstore.Snapshot){
		"another version":    func(s *eventstore.Snapshot) { s.Version++ },
		"a flipped byte":     func(s *eventstore.Snapshot) { s.Data[len(s.Data)/2] ^= 1 },
		"cut short":          func(s *eventstore.Snapshot) { s.Data = s.Data[:10] },
		"of another event":   func(s *eventstore.Snapshot) { s.EventID[3] ^= 1 },
		"ahead of the log":   func(s *eventstore.Snapshot) { s.Revision += 1000 },
		"at another event":   func(s *eventstore.Snapshot) { s.Revision-- },
		"empty but for zero": func(s *eventstore.Snapshot) { s.Data = make([]byte, 32) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, tree := grown(t)
			s, err := d.log.LoadSnapshot(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			spoil(&s)
			if err := d.log.SaveSnapshot(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			out := d.mustRecord(tree...)
			if len(out.Events) != 1 || out.Completed.Number != 3 {
				t.Errorf("outcome %+v; want a scan that found everything as it was", out.Completed)
			}
		})
	}
}

func TestVerifySnapshotFindsAPlausibleForgery(t *testing.T) {
	t.Parallel()
	d, _ := grown(t)
	if err := d.recorder.VerifySnapshot(t.Context(), stream); err != nil {
		t.Fatalf("an honest snapshot: %v", err)
	}
	if err := d.recorder.VerifySnapshot(t.Context(), "repository-none"); !errors.Is(err, eventstore.ErrNotFound) {
		t.Errorf("no snapshot: %v, want ErrNotFound", err)
	}
	s, err := d.log.LoadSnapshot(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Replace(s.Data[sha256.Size:], []byte(`"numbers":120`), []byte(`"numbers":121`), 1)
	sum := sha256.Sum256(body)
	s.Data = append(sum[:], body...)
	if err := d.log.SaveSnapshot(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := d.recorder.VerifySnapshot(t.Context(), stream); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("a snapshot that says something else: %v, want ErrCorrupt", err)
	}
}

func TestARecordThatNoDecoderKnowsStopsTheScan(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	_, err := d.log.Append(t.Context(), eventstore.Batch{
		Stream: stream, Expected: eventstore.NoStream(), Meta: eventstore.Meta{Attempt: 1},
		Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(request().Scan, 0), Type: "artifact.dreamt.v9", Data: []byte("{}")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.record(reads(req("REQ-001"))); !errors.Is(err, eventstore.ErrUnknownType) {
		t.Errorf("got %v, want ErrUnknownType", err)
	}
}

// invalidSnapshotLog has rows in the place of snapshots that are none.
type invalidSnapshotLog struct{ eventstore.Log }

func (invalidSnapshotLog) LoadSnapshot(context.Context, eventstore.StreamID) (eventstore.Snapshot, error) {
	return eventstore.Snapshot{}, fmt.Errorf("load: %w", eventstore.ErrSnapshotInvalid)
}

func TestWhatIsNoSnapshotBlocksNothing(t *testing.T) {
	t.Parallel()
	d, tree := grown(t)
	d.log.Log = invalidSnapshotLog{d.log.Log}
	if out := d.mustRecord(tree...); out.Completed.Number != 3 {
		t.Errorf("scan %d, want 3", out.Completed.Number)
	}
	faults := 0
	done, err := verify.Run(t.Context(), d.log, verify.Watch{Fault: func(f eventstore.Fault) {
		if f.Code == eventstore.FaultSnapshot { // the contents of these files are not stored
			faults++
		}
	}})
	if err != nil || faults != 1 {
		t.Errorf("verified %+v with %d faults, %v; want one of the snapshot", done, faults, err)
	}
}
