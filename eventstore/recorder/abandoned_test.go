package recorder_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

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
