package gxpledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/race"
)

// forest is a tree of n specs below one requirement and one story.
func forest(n int) fstest.MapFS {
	tree := fstest.MapFS{
		".gxp/system_context.md":    {Data: []byte("---\nproject_name: Big\ngxp_risk_rating: LOW\n---\n")},
		".gxp/requirements/REQ.md":  {Data: []byte("---\ngxp_id: REQ\ntitle: A requirement\ngxp_risk_rating: LOW\n---\n")},
		".gxp/user_stories/US.md":   {Data: []byte("---\ngxp_id: US\ntitle: A story\nparent_id: REQ\n---\n")},
		".gxp/specs/malformed.md":   {Data: []byte("---\n{\n---\n")},
		".gxp/specs/empty.md":       {Data: []byte{}},
		".gxp/evidence/EV-1.jws":    {Data: []byte("no.jws.at-all")},
		".gxp/risk_assessment.log":  {Data: []byte("| ID | Risk |\n|---|---|\n| R-1 | one |\n| R-2 | two |\n")},
		".gxp/specs/SPEC-copy.md":   {Data: spec(1)},
		".gxp/specs/not-a-spec.txt": {Data: []byte("x")},
	}
	for i := range n {
		if i != 1 { // which is the copy
			tree[fmt.Sprintf(".gxp/specs/SPEC-%06d.md", i)] = &fstest.MapFile{Data: spec(i)}
		}
	}
	return tree
}

func spec(i int) []byte {
	return fmt.Appendf(nil, "---\ngxp_id: SPEC-%06d\ntitle: \"Spec %d <é>\"\nparent_id: US\nverification_tier: OQ\ndesign_approach: |\n  %s\n---\n\n%s\n",
		i, i, strings.Repeat("approach ", 20), strings.Repeat("text ", 80))
}

// record scans tree into log, with so much of it in memory.
func record(t *testing.T, log recorder.Log, asked recorder.Request, tree fstest.MapFS, held int) (recorder.Outcome, error) {
	t.Helper()
	folder := t.TempDir()
	kept := &keeper{folder: folder, limit: int64(held)}
	c := recorder.DefaultConfig(func() time.Time { return asked.StartedAt }, "")
	c.HeldBytes = held
	r, err := recorder.New(log, c)
	if err != nil {
		t.Fatal(err)
	}
	outcome, failed := r.Record(t.Context(), asked, func(ctx context.Context, state domain.State) (recorder.Reading, error) {
		read, err := rosie.Read(ctx, tree, rosie.Options{At: asked.StartedAt, Known: state.Holds, Keeper: kept})
		reading := recorder.Reading{Files: read.Files, Ignored: read.Ignored, Findings: read.Findings, Faults: read.Faults, Whole: kept.whole}
		for _, c := range read.Contents {
			reading.Contents = append(reading.Contents, eventstore.Blob(c))
		}
		return reading, err
	})
	if err := kept.close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left of the temporary file", left, err)
	}
	return outcome, failed
}

func asking() recorder.Request {
	return recorder.Request{
		Scan: uuid.Must(uuid.NewV7()), Repository: domain.Repository{ID: RepositoryID("big"), Name: "big"},
		Actor: "ada", Policy: domain.DefaultPolicy(), StartedAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}
}

// Whether a scan fits in memory changes nothing of what is recorded (I6, I12).
func TestAScanThatDoesNotFitInMemoryIsRecordedAsOneThatDoes(t *testing.T) {
	t.Parallel()
	tree, asked := forest(200), asking()
	recorded := map[int][]eventstore.Record{}
	for _, held := range []int{1 << 30, 20_000, 0} {
		log := memory.New(func() time.Time { return asked.StartedAt })
		outcome, err := record(t, log, asked, tree, held)
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			recorded[held] = append(recorded[held], r)
			event, err := eventstore.Decode(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, hash := range eventstore.ContentsNamed(event) {
				if _, err := log.Content(t.Context(), hash); err != nil {
					t.Errorf("%d held: %v", held, err)
				}
			}
		}
		got, want := recorded[held], recorded[1<<30]
		if len(got) != len(want) || len(outcome.Events) != len(want) {
			t.Fatalf("%d held: %d events, want %d", held, len(got), len(want))
		}
		for i := range got {
			if got[i].ID != want[i].ID || !bytes.Equal(got[i].Data, want[i].Data) {
				t.Errorf("%d held: event %d is\n %s\nwant\n %s", held, i, got[i].Data, want[i].Data)
			}
		}
	}
}

// full is a log that does not take a batch, and is asked for the memory that is in use then.
type full struct {
	*memory.Log
	inUse uint64
}

func (f *full) Append(_ context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	if len(b.Events) > 1 {
		f.inUse = inUse()
	}
	runtime.KeepAlive(b)
	return eventstore.Appended{}, eventstore.ErrTooLarge
}

// inUse is the size of what the heap holds, without garbage and what pools keep.
func inUse() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What is in memory of a scan when it is appended is bounded for each file, whatever the files say.
func TestTheMemoryOfAScanIsBoundedForEachFile(t *testing.T) { //nolint:paralleltest // it measures the heap of the process
	files, most := 20_000, uint64(1500)
	switch {
	case testing.Short(), race.Enabled:
		files = 2_000
		most += 1000 // what does not depend on the number of files
	}
	tree := forest(files)
	log := &full{Log: memory.New(time.Now)}
	before := inUse()
	if _, err := record(t, log, asking(), tree, 1<<20); !errors.Is(err, eventstore.ErrTooLarge) {
		t.Fatal(err)
	}
	each := (log.inUse - min(before, log.inUse)) / uint64(files)
	t.Logf("%d bytes for each of %d files", each, files)
	if each > most {
		t.Errorf("%d bytes are in memory for each file, want at most %d", each, most)
	}
	runtime.KeepAlive(tree)
}

func TestWhatAKeeperKeepsComesBack(t *testing.T) {
	t.Parallel()
	k := &keeper{folder: t.TempDir(), limit: 100}
	var contents sync.Map
	var working sync.WaitGroup
	for w := range 4 {
		working.Go(func() {
			for i := range 300 {
				data := bytes.Repeat(fmt.Appendf(nil, "%d/%d ", w, i), 1+i*7)
				c, err := k.KeepContent(rosie.Content{Bytes: data})
				if err != nil {
					t.Error(err)
					return
				}
				contents.Store(string(data), c)
			}
		})
	}
	working.Wait()
	loaded := 0
	contents.Range(func(want, kept any) bool {
		c, _ := kept.(rosie.Content)
		got := c.Bytes
		if c.Load != nil {
			loaded++
			var err error
			if got, err = c.Load(); err != nil {
				t.Error(err)
			}
		}
		if string(got) != want {
			t.Errorf("%d bytes came back, want %v", len(got), want)
		}
		return true
	})
	if loaded < 1100 {
		t.Errorf("%d of 1200 contents went to the file", loaded)
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	if err := k.close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestAFolderThatTakesNoFileFailsTheScan(t *testing.T) {
	t.Parallel()
	k := &keeper{folder: filepath.Join(t.TempDir(), "missing")}
	if _, err := k.KeepContent(rosie.Content{Bytes: []byte("x")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want that the folder does not exist", err)
	}
}

// The report of a scan is the same when its events were dropped.
func TestAReportOutlivesTheEventsOfItsScan(t *testing.T) {
	t.Parallel()
	log := memory.New(time.Now)
	outcome, err := record(t, log, asking(), forest(20), 0)
	if err != nil {
		t.Fatal(err)
	}
	result := ScanResult{Outcome: outcome}
	want := result.Report()
	if len(want.Rejected) == 0 || len(want.Findings) == 0 {
		t.Fatalf("the report says too little to be compared: %+v", want)
	}
	result.summary, result.Events = summarise(nil, outcome.Events), nil
	if got := result.Report(); !reflect.DeepEqual(got, want) {
		t.Errorf("report is\n %+v\nwant\n %+v", got, want)
	}
}
