package recorder_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// A process that was killed while it spooled a failure leaves a part of it. One that is being written now is left alone.
func TestWhatAKilledProcessLeftInTheSpoolIsRemoved(t *testing.T) {
	t.Parallel()
	spool := t.TempDir()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, age := range map[string]time.Duration{
		"spool-1.tmp": 2 * time.Hour, "spool-2.tmp": time.Minute, "spool-3.tmp": -time.Hour, "mine.tmp": 48 * time.Hour, "spool-4.txt": 48 * time.Hour,
	} {
		path := filepath.Join(spool, name)
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	clock := func() time.Time { return now }
	r, err := recorder.New(memory.New(clock), recorder.DefaultConfig(clock, spool))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := r.Drain(t.Context()); err != nil || done != (recorder.Drained{}) {
		t.Errorf("drained %+v, %v, want nothing", done, err)
	}
	left, err := filepath.Glob(filepath.Join(spool, "*"))
	if err != nil || len(left) != 4 {
		t.Errorf("the spool holds %v, %v, want all but the one that nobody writes", left, err)
	}
	if _, err := os.Stat(filepath.Join(spool, "spool-1.tmp")); err == nil {
		t.Error("what a killed process left is still there")
	}
}

// However many tries are left, an append is tried again for as long as Config.Wait.
func TestAnAppendIsTriedAgainForAsLongAsTheWait(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		return eventstore.Appended{}, errLost
	}
	config := recorder.DefaultConfig(time.Now, "")
	config.Tries, config.FirstWait, config.LongestWait, config.Wait = math.MaxInt, time.Microsecond, 10*time.Microsecond, 2*time.Millisecond
	r, err := recorder.New(d.log, config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Record(t.Context(), request(), reads(req("REQ-001"))); !errors.Is(err, errLost) || !strings.Contains(err.Error(), "gave up after 2ms") {
		t.Errorf("error is %v, want that it gave up after a while", err)
	} else if text := err.Error(); !strings.Contains(text, "cannot append 1 event to repository-") || strings.Contains(text, "1 events") {
		t.Errorf("error is %v, want that it names one event, that of the failure", err)
	}
	config.Wait = -1
	if _, err := recorder.New(d.log, config); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a negative wait: error is %v, want ErrInvalid", err)
	}
}
