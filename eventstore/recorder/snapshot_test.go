package recorder_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
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

// forgedState is the stored form of a state with the last artifact number changed.
func forgedState(t *testing.T, data []byte) []byte {
	t.Helper()
	body := bytes.Replace(data[sha256.Size:], []byte(`"numbers":120`), []byte(`"numbers":500`), 1)
	if bytes.Equal(body, data[sha256.Size:]) {
		t.Fatal("the state does not tell its last number")
	}
	sum := sha256.Sum256(body)
	return append(sum[:], body...)
}

// TestASnapshotIsNeverTrustedBlindly: each snapshot could be decoded and folded on, and would number the next artifact wrongly,
// so that only the check that it is about keeps it from being used.
func TestASnapshotIsNeverTrustedBlindly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*eventstore.Snapshot)
		want  int // number of the next artifact
	}{
		"nothing but a forged state": {func(*eventstore.Snapshot) {}, 501}, // which verify finds
		"another version":            {func(s *eventstore.Snapshot) { s.Version++ }, 121},
		"another checksum":           {func(s *eventstore.Snapshot) { s.Data[0] ^= 1 }, 121},
		"no JSON": {func(s *eventstore.Snapshot) {
			sum := sha256.Sum256([]byte("{"))
			s.Data = append(sum[:], '{')
		}, 121},
		"cut short":          {func(s *eventstore.Snapshot) { s.Data = s.Data[:10] }, 121},
		"of another event":   {func(s *eventstore.Snapshot) { s.EventID[3] ^= 1 }, 121},
		"ahead of the log":   {func(s *eventstore.Snapshot) { s.Revision += 1000 }, 121},
		"at another event":   {func(s *eventstore.Snapshot) { s.Revision-- }, 121},
		"empty but for zero": {func(s *eventstore.Snapshot) { s.Data = make([]byte, 32) }, 121},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, tree := grown(t)
			s, err := d.log.LoadSnapshot(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			s.Data = forgedState(t, s.Data)
			c.spoil(&s)
			if err := d.log.SaveSnapshot(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			out := d.mustRecord(append(tree, req("REQ-NEW"))...)
			if parsed, ok := out.Events[0].(domain.ArtifactParsed); !ok || parsed.Number != c.want || out.Completed.Number != 3 {
				t.Errorf("recorded %+v of scan %d; want artifact %d of scan 3", out.Events[0], out.Completed.Number, c.want)
			}
		})
	}
}

// gapLog lacks the event at a revision, or cannot read it.
type gapLog struct {
	eventstore.Log
	missing eventstore.Revision
	err     error
}

func (l gapLog) ReadStream(ctx context.Context, s eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range l.Log.ReadStream(ctx, s, from) {
			if err == nil && r.Revision == l.missing {
				if l.err == nil {
					continue
				}
				r, err = eventstore.Record{}, l.err
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// TestAStreamWithAGapIsNotFolded: neither before the event that a snapshot ends with, nor behind it.
func TestAStreamWithAGapIsNotFolded(t *testing.T) {
	t.Parallel()
	unreadable := fmt.Errorf("read: %w", eventstore.ErrCorrupt)
	for name, gap := range map[string]gapLog{
		"at the snapshot":         {missing: 121},
		"behind the snapshot":     {missing: 122},
		"unreadable at it":        {missing: 121, err: unreadable},
		"unreadable behind it":    {missing: 122, err: unreadable},
		"unreadable at the scan":  {missing: 123, err: unreadable},
		"unreadable in the first": {missing: 3, err: unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, tree := grown(t)
			s, err := d.log.LoadSnapshot(t.Context(), stream)
			if err != nil || s.Revision != 121 {
				t.Fatalf("the snapshot is at %d, %v", s.Revision, err)
			}
			if gap.missing < s.Revision {
				s.Version++ // so that the whole stream is read
				if err := d.log.SaveSnapshot(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			gap.Log = d.log.Log
			d.log.Log = gap
			if _, err := d.record(reads(tree...)); !errors.Is(err, eventstore.ErrCorrupt) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
		})
	}
}

// shiftedLog tells the event that ends a snapshot one revision late.
type shiftedLog struct{ eventstore.Log }

func (l shiftedLog) LoadSnapshot(ctx context.Context, s eventstore.StreamID) (eventstore.Snapshot, error) {
	snapshot, err := l.Log.LoadSnapshot(ctx, s)
	snapshot.Revision--
	return snapshot, err
}

func (l shiftedLog) ReadStream(ctx context.Context, s eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	if from == 120 { // the revision before that of the snapshot is gone
		from++
	}
	return l.Log.ReadStream(ctx, s, from)
}

// TestASnapshotOfAnotherRevisionIsNotUsed, also where its event is the first that a read from there returns.
func TestASnapshotOfAnotherRevisionIsNotUsed(t *testing.T) {
	t.Parallel()
	d, tree := grown(t)
	d.log.Log = shiftedLog{d.log.Log}
	d.log.reads = 0
	if out := d.mustRecord(tree...); out.Completed.Number != 3 {
		t.Errorf("scan %d, want 3", out.Completed.Number)
	}
	if d.log.reads < 100 {
		t.Errorf("read %d records, want the whole stream", d.log.reads)
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
