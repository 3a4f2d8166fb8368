package recorder_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// recordsOf records one scan of files with so much of the batch in memory, and returns what the log holds.
func recordsOf(t *testing.T, asked recorder.Request, held int, reading recorder.Reading) ([]eventstore.Record, error) {
	t.Helper()
	log := memory.New(clock)
	c := recorder.DefaultConfig(clock, "")
	c.HeldBytes = held
	r, err := recorder.New(log, c)
	if err != nil {
		t.Fatal(err)
	}
	_, failed := r.Record(t.Context(), asked, func(context.Context, domain.State) (recorder.Reading, error) { return reading, nil })
	var records []eventstore.Record
	for record, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records, failed
}

func TestABatchThatIsEncodedAsItIsWrittenIsTheSame(t *testing.T) {
	t.Parallel()
	files := Covered()
	read, light := map[domain.Key]domain.Artifact{}, make([]domain.File, len(files))
	for i, f := range files {
		light[i] = f
		light[i].Artifacts = nil
		for _, a := range f.Artifacts {
			a.Title = "title of " + a.Path
			f.Artifacts[a.Ordinal] = a
			read[a.Key] = a
			light[i].Artifacts = append(light[i].Artifacts, a.Light())
		}
	}
	whole := func(e domain.ArtifactParsed) (domain.ArtifactParsed, error) { return e.Whole(read[e.Key]), nil }
	asked := request()
	want, err := recordsOf(t, asked, 1<<20, recorder.Reading{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	for _, held := range []int{0, 1, 1 << 20} {
		got, err := recordsOf(t, asked, held, recorder.Reading{Files: light, Whole: whole})
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d held: %d events, %v, want %d", held, len(got), err, len(want))
		}
		for i := range got {
			if got[i].ID != want[i].ID || got[i].Type != want[i].Type || !bytes.Equal(got[i].Data, want[i].Data) {
				t.Errorf("%d held: event %d is %s, want %s", held, i, got[i].Data, want[i].Data)
			}
		}
	}
}

func TestABatchThatCannotBeEncodedToItsEndFailsTheScan(t *testing.T) {
	t.Parallel()
	lost := errors.New("temporary file is gone")
	calls := 0
	records, err := recordsOf(t, request(), 0, recorder.Reading{Files: Covered(), Whole: func(e domain.ArtifactParsed) (domain.ArtifactParsed, error) {
		if calls++; calls > 2 {
			return e, lost
		}
		return e, nil
	}})
	if !errors.Is(err, lost) {
		t.Errorf("error is %v, want that of the artifact", err)
	}
	if len(records) != 1 || records[0].Type != eventstore.TypeScanFailed {
		t.Errorf("the log holds %v, want one scan that failed", records)
	}
}
