package sqlite_test

import (
	"encoding/hex"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// A checksum that was stored is compared for ever: what it is made of, and in which order, never changes.
func TestTheChecksumOfAChunkIsThisOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	scan := uuid.MustParse("019c0000-0000-7000-8000-000000000001")
	batch := eventstore.Batch{
		Stream: "repository-6f1b1f5e-0000-5000-8000-000000000001", Expected: eventstore.NoStream(),
		Meta: eventstore.Meta{
			Actor: "ann", Reason: "why", Scan: scan.String(), Correlation: "c", Causation: "d", TraceParent: "e", TraceState: "f", Attempt: 2,
		},
	}
	for i, data := range []string{`{"a":1}`, `{}`} {
		batch.Events = append(batch.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(scan, i), Type: "test.happened.v1", Data: []byte(data)})
	}
	if _, err := log.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	var checksum []byte
	if err := raw(t, path).QueryRowContext(t.Context(), "SELECT checksum FROM chunks").Scan(&checksum); err != nil {
		t.Fatal(err)
	}
	const want = "9c33312c11c60a8c5481393ee48c22655341fef74d1de1333a96716cccad1e79"
	if got := hex.EncodeToString(checksum); got != want {
		t.Errorf("the checksum is %s, want %s", got, want)
	}
}
