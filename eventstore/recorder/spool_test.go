package recorder_test

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	"github.com/gxpledger/gxpledger/internal/race"
)

func TestRecorderSpoolsAFailureAndDrainsItLater(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	out, err := d.record(reads(req("REQ-001")))
	if !errors.Is(err, eventstore.ErrTransient) || out.Spooled == "" || out.Failed == nil || out.Failed.Code != domain.ViolationUnavailable {
		t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
	}
	d.wantTypes()
	if n, err := d.recorder.Drain(t.Context()); err == nil || n != (recorder.Drained{}) {
		t.Fatalf("drained %+v, %v while the log is away; want an error", n, err)
	}
	d.log.onAppend = nil
	d.mustRecord(req("REQ-001"))
	if n, err := d.recorder.Drain(t.Context()); err != nil || n.Recorded != 1 {
		t.Fatalf("drained %+v, %v; want 1", n, err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed", "scan.failed")
	last := d.records()[3]
	failed, ok := decoded(t, last).(domain.ScanFailed)
	if !ok || failed.Number != 2 || failed.Scan != out.Failed.Scan || last.Meta.Scan != failed.Scan || last.Meta.Actor != "tester" {
		t.Errorf("recorded %+v with %+v; want the spooled scan under number 2", failed, last.Meta)
	}
	if n, err := d.recorder.Drain(t.Context()); err != nil || n != (recorder.Drained{}) {
		t.Errorf("drained %+v, %v again; want nothing left", n, err)
	}
}

func TestDrainRecordsEachSpooledFailure(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	for range 3 {
		if out, err := d.record(reads(req("REQ-001"))); err == nil || out.Spooled == "" {
			t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
		}
	}
	d.log.onAppend = nil
	if n, err := d.recorder.Drain(t.Context()); err != nil || n != (recorder.Drained{Recorded: 3}) {
		t.Errorf("drained %+v, %v; want 3", n, err)
	}
	d.wantTypes("scan.failed", "scan.failed", "scan.failed")
}

// TestASpooledFailureIsFlushedWithItsFolders: a power loss takes neither the file nor the spool that was created for it.
func TestASpooledFailureIsFlushedWithItsFolders(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is gone")
	for name, fails := range map[string]error{"a disk that works": nil, "a disk that fails": broken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			spool := filepath.Join(dir, "home", "spool")
			config := recorder.DefaultConfig(clock, spool)
			config.FirstWait, config.LongestWait = time.Microsecond, time.Microsecond
			var flushed []string
			config = config.WithSync(func(folder string) error {
				flushed = append(flushed, folder)
				if folder == spool { // the last one
					return fails
				}
				return nil
			})
			d := newFixture(t)
			d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
				return eventstore.Appended{}, errLost
			}
			var err error
			if d.recorder, err = recorder.New(d.log, config); err != nil {
				t.Fatal(err)
			}
			out, err := d.record(reads(req("REQ-001")))
			if (out.Spooled == "") != (fails != nil) || !errors.Is(err, fails) && fails != nil {
				t.Errorf("spooled %q, %v", out.Spooled, err)
			}
			if want := []string{filepath.Join(dir, "home"), dir, spool}; !slices.Equal(flushed, want) {
				t.Errorf("flushed %q, want %q", flushed, want)
			}
		})
	}
}

func TestRecorderDropsASpooledFailureOfAScanThatLandedAfterAll(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		if call == 4 { // the last try arrives, and its answer is lost, too
			_, _ = do()
		}
		return eventstore.Appended{}, errLost
	}
	d.log.onRead = nil
	reading := reads(req("REQ-001"))
	out, err := d.record(func(ctx context.Context, s domain.State) (recorder.Reading, error) {
		r, err := reading(ctx, s)
		return r, err
	})
	if err == nil || out.Spooled == "" {
		t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
	}
	d.log.onAppend = nil
	if n, err := d.recorder.Drain(t.Context()); err != nil || n != (recorder.Drained{Dropped: 1}) {
		t.Fatalf("drained %+v, %v; want it dropped", n, err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed")
}

func TestDrainKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	if err := os.MkdirAll(d.spool, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a.json": "{", "b.json": `{"form":99}`, "c.json": `{"form":1,"failed":{"violations":[{"code":"x","text":"y"}],"scan":"no uuid"}}`, "d.txt": "not ours",
	} {
		if err := os.WriteFile(filepath.Join(d.spool, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, err := d.recorder.Drain(t.Context())
	if n != (recorder.Drained{}) || !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("drained %+v, %v; want ErrInvalid", n, err)
	}
	for _, name := range []string{"a.json", "b.json", "c.json"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error %q does not name %s", err, name)
		}
	}
	if left, _ := os.ReadDir(d.spool); len(left) != 4 {
		t.Errorf("%d files left, want all 4", len(left))
	}
}

// named returns a recorder of d's kind on a log of that name, with the spool of d.
func (d *fixture) named(name recorder.LogName) (*recorder.Recorder, *link) {
	d.t.Helper()
	log := &link{Log: memory.New(clock)}
	config := recorder.DefaultConfig(clock, d.spool)
	config.Tries, config.FirstWait, config.LongestWait, config.Log = 1, time.Microsecond, time.Microsecond, name
	r, err := recorder.New(log, config)
	if err != nil {
		d.t.Fatal(err)
	}
	return r, log
}

func TestASpooledFailureWaitsForItsLog(t *testing.T) {
	t.Parallel()
	one, two := uuid.New(), uuid.New()
	for name, test := range map[string]struct {
		spooled, later recorder.LogName
		waits          bool
	}{
		"the same log":                      {recorder.LogName{ID: one, Address: "a"}, recorder.LogName{ID: one, Address: "b"}, false},
		"another log":                       {recorder.LogName{ID: one, Address: "a"}, recorder.LogName{ID: two, Address: "a"}, true},
		"never opened, the same address":    {recorder.LogName{Address: "a"}, recorder.LogName{ID: one, Address: "a"}, false},
		"never opened, another address":     {recorder.LogName{Address: "a"}, recorder.LogName{ID: one, Address: "b"}, true},
		"a failure that names no log":       {recorder.LogName{}, recorder.LogName{ID: one, Address: "a"}, false},
		"a recorder that does not know one": {recorder.LogName{ID: one, Address: "a"}, recorder.LogName{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			away, log := d.named(test.spooled)
			log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
				return eventstore.Appended{}, errLost
			}
			if out, err := away.Record(t.Context(), request(), reads(req("REQ-001"))); err == nil || out.Spooled == "" {
				t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
			}
			later, _ := d.named(test.later)
			n, err := later.Drain(t.Context())
			left, fault := os.ReadDir(d.spool)
			if err != nil || fault != nil || (n.Recorded == 0) != test.waits || (len(left) == 1) != test.waits {
				t.Errorf("drained %+v, %v, %d files left; want waiting %t", n, err, len(left), test.waits)
			}
			if again, _ := d.named(test.spooled); test.waits {
				if n, err := again.Drain(t.Context()); n.Recorded != 1 || err != nil {
					t.Errorf("its own log drained %+v, %v; want 1", n, err)
				}
			}
		})
	}
}

// Files of form 1 were written before failures named their log.
func TestSpoolFilesOfTheFirstFormStillDrain(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	out, err := d.record(reads(req("REQ-001")))
	if err == nil {
		t.Fatal("the log took it")
	}
	text, err := os.ReadFile(out.Spooled)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(string(text), `"form": 2`, `"form": 1`, 1)
	if err := os.WriteFile(out.Spooled, []byte(old), 0o600); err != nil || old == string(text) {
		t.Fatal(err, "the form is not 2")
	}
	later, _ := d.named(recorder.LogName{ID: uuid.New(), Address: "a"})
	if n, err := later.Drain(t.Context()); n.Recorded != 1 || err != nil {
		t.Errorf("drained %+v, %v; want 1", n, err)
	}
}

func TestScansThatDrainOneSpoolAtOnceTellNoFailure(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	for range 3 {
		if _, err := d.record(reads(req("REQ-001"))); err == nil {
			t.Fatal("the log took it")
		}
	}
	// At each append of one, another one drains all that is there: it finds what the first is about to record and remove.
	other, n := *d.recorder, 0
	within := false
	d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		if within {
			return do()
		}
		within = true
		defer func() { within = false }()
		drained, err := other.Drain(t.Context())
		if err != nil {
			t.Errorf("the other one: %v", err)
		}
		n += drained.Recorded
		return do()
	}
	drained, err := d.recorder.Drain(t.Context())
	if n += drained.Recorded; err != nil || n != 3 {
		t.Errorf("drained %d in all, %v; want 3", n, err)
	}
	d.wantTypes("scan.failed", "scan.failed", "scan.failed")
}

// A refusal for very many reasons fits the log: it lists some and counts all, also when it had to wait in the spool.
func TestAFailureForVeryManyReasonsIsRecordedAndSpooled(t *testing.T) {
	t.Parallel()
	stories, missing := 260, 990
	if race.Enabled {
		stories = 26
	}
	files := make([]domain.File, stories)
	for i := range files {
		var targets []domain.Link
		for j := range missing {
			targets = append(targets, domain.Link{Edge: domain.EdgeParentID, Target: fmt.Sprintf("REQ-%06d", i*missing+j)})
		}
		id := fmt.Sprintf("US-%03d", i)
		files[i] = domaintest.File(domain.KindUserStory, ".gxp/user_stories/"+id+".md", id, "REQ-000000", targets...)
	}
	d := newFixture(t)
	check := func(what string, failed *domain.ScanFailed) {
		t.Helper()
		if failed == nil || failed.Total != stories*missing || len(failed.Violations) != domain.MaxViolations {
			t.Fatalf("%s: %d reasons listed, %d counted", what, len(failed.Violations), failed.Total)
		}
	}
	out, err := d.record(reads(files...))
	if _, refused := errors.AsType[*domain.RefusedError](err); !refused || out.Position == 0 {
		t.Fatalf("outcome at %d, %v; want a recorded refusal", out.Position, err)
	}
	check("outcome", out.Failed)
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	if out, err = d.record(reads(files...)); err == nil || out.Spooled == "" {
		t.Fatalf("outcome %+v; want a spooled failure", out)
	}
	if info, err := os.Stat(out.Spooled); err != nil || info.Size() > 1<<20 {
		t.Errorf("the spool file has %d bytes, %v", info.Size(), err)
	}
	d.log.onAppend = nil
	if n, err := d.recorder.Drain(t.Context()); n.Recorded != 1 || err != nil {
		t.Fatalf("drained %+v, %v; want 1", n, err)
	}
	for _, r := range d.records() {
		failed, ok := decoded(t, r).(domain.ScanFailed)
		if !ok || len(r.Data) > 1<<20 {
			t.Fatalf("position %d holds %d bytes of %s", r.Position, len(r.Data), r.Type)
		}
		check("recorded", &failed)
	}
	d.wantTypes("scan.failed", "scan.failed")
}
