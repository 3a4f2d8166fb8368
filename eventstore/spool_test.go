package eventstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

func TestRecorderSpoolsAFailureAndDrainsItLater(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	out, err := d.record(reads(req("REQ-001")))
	if !errors.Is(err, eventstore.ErrTransient) || out.Spooled == "" || out.Failed == nil || out.Failed.Code != domain.ViolationUnavailable {
		t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
	}
	d.wantTypes()
	if n, err := d.recorder.Drain(t.Context()); err == nil || n != 0 {
		t.Fatalf("drained %d, %v while the log is away; want an error", n, err)
	}
	d.log.onAppend = nil
	d.mustRecord(req("REQ-001"))
	if n, err := d.recorder.Drain(t.Context()); err != nil || n != 1 {
		t.Fatalf("drained %d, %v; want 1", n, err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed", "scan.failed")
	last := d.records()[3]
	failed, ok := decoded(t, last).(domain.ScanFailed)
	if !ok || failed.Number != 2 || failed.Scan != out.Failed.Scan || last.Meta.Scan != failed.Scan || last.Meta.Actor != "tester" {
		t.Errorf("recorded %+v with %+v; want the spooled scan under number 2", failed, last.Meta)
	}
	if n, err := d.recorder.Drain(t.Context()); err != nil || n != 0 {
		t.Errorf("drained %d, %v again; want nothing left", n, err)
	}
}

func TestRecorderDropsASpooledFailureOfAScanThatLandedAfterAll(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		if call == 4 { // the last try arrives, and its answer is lost, too
			_, _ = do()
		}
		return eventstore.Appended{}, errLost
	}
	d.log.onRead = nil
	reading := reads(req("REQ-001"))
	out, err := d.record(func(ctx context.Context, s domain.State) (eventstore.Reading, error) {
		r, err := reading(ctx, s)
		return r, err
	})
	if err == nil || out.Spooled == "" {
		t.Fatalf("outcome %+v, %v; want a spooled failure", out, err)
	}
	d.log.onAppend = nil
	if n, err := d.recorder.Drain(t.Context()); err != nil || n != 1 {
		t.Fatalf("drained %d, %v; want it settled", n, err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed")
}

func TestDrainKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
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
	if n != 0 || !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("drained %d, %v; want ErrInvalid", n, err)
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
