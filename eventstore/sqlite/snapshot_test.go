package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

// A snapshot is a cache: whatever is in its row, it neither blocks a scan nor ends a verification.
func TestARowWithoutASnapshotIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	if _, err := log.Append(t.Context(), eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 1)); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path+"?_pragma=ignore_check_constraints(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's edits
	tried := 0
	for column, values := range map[string][]any{
		"revision": {int64(-1), int64(-1 << 63), "x", 1.5},
		"event_id": {[]byte{}, []byte{1}, make([]byte, 17), "x"},
		"version":  {"x", 0.5},
		"data":     {"x", 1},
	} {
		for _, value := range values {
			valid := eventstore.Snapshot{Stream: "s", EventID: eventstore.EventID{1}, Data: []byte{1}}
			if err := log.SaveSnapshot(t.Context(), valid); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), fmt.Sprintf("UPDATE snapshots SET %s = ?", column), value); err != nil {
				continue // the table takes no such value
			}
			tried++
			if _, err := log.LoadSnapshot(t.Context(), "s"); !errors.Is(err, eventstore.ErrSnapshotInvalid) {
				t.Errorf("%s %v: %v, want ErrSnapshotInvalid", column, value, err)
			}
		}
	}
	if tried < 4 {
		t.Errorf("the table took %d values", tried)
	}
}
