package postgres_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// A snapshot is a cache: whatever is in its row, it neither blocks a scan nor ends a verification. The columns hold
// bytes and integers of 64 bits; what other nonsense they take, the Recorder compares with the log.
func TestARowWithoutASnapshotIsRefused(t *testing.T) {
	t.Parallel()
	address := made(t)
	log := open(t, address)
	mustAppend(t, log, start("s", 1))
	forger := connect(t, address)
	load := func(column string, value any) error {
		t.Helper()
		if err := log.SaveSnapshot(t.Context(), eventstore.Snapshot{Stream: "s", EventID: eventstore.EventID{1}, Data: []byte{1}}); err != nil {
			t.Fatal(err)
		}
		exec(t, forger, fmt.Sprintf("UPDATE gxp_log.snapshots SET %s = $1", column), value)
		_, err := log.LoadSnapshot(t.Context(), "s")
		return err
	}
	for _, revision := range []int64{-1, -2, math.MinInt32, math.MinInt64} {
		if err := load("revision", revision); !errors.Is(err, eventstore.ErrSnapshotInvalid) {
			t.Errorf("revision %d: %v, want ErrSnapshotInvalid", revision, err)
		}
	}
	for column, values := range map[string][]any{
		"revision": {int64(math.MaxInt64)},
		"event_id": {[16]byte{}},
		"version":  {int64(-1), int64(math.MinInt64), int64(math.MaxInt64)},
		"data":     {[]byte{}},
	} {
		for _, value := range values {
			if err := load(column, value); err != nil && !errors.Is(err, eventstore.ErrSnapshotInvalid) {
				t.Errorf("%s %v: %v, want nil or ErrSnapshotInvalid", column, value, err)
			}
		}
	}
	for r, err := range log.ReadStream(within(t), "s", math.MaxInt64) { // what the Recorder compares such a revision with
		t.Errorf("a read from the last revision there can be gave %+v, %v", r, err)
	}
}
