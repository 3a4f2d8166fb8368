package sqlite_test

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// store is files of the temporary folders of tests.
func store() eventstoretest.Store {
	return eventstoretest.Store{
		Create: func(t *testing.T) string {
			t.Helper()
			return filepath.Join(t.TempDir(), "log.db")
		},
		Open: func(ctx context.Context, where string) (eventstore.Log, error) {
			return sqlite.Open(ctx, where, sqlite.Options{Now: time.Now, Poll: 5 * time.Millisecond})
		},
	}
}

func TestMain(m *testing.M) {
	store().Child()
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, path string) *sqlite.Log {
	t.Helper()
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func TestLogKeepsTheContract(t *testing.T) {
	t.Parallel()
	features := eventstore.Features{Name: "SQLite", Durable: true, DensePositions: true, SharedByProcess: true, OrderedTimes: true, UniqueIDs: true}
	eventstoretest.Run(t, features, func(t *testing.T) eventstore.Log {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "log.db"))
	})
}

func TestProcessesShareALog(t *testing.T) {
	t.Parallel()
	eventstoretest.RunShared(t, store())
}

func TestRecordedTimesOfACopyAreKept(t *testing.T) {
	t.Parallel()
	eventstoretest.KeepsRecordedTimes(t, open(t, filepath.Join(t.TempDir(), "log.db")))
}

func TestReadsAtTheSizesOfPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			log := open(t, filepath.Join(t.TempDir(), "log.db"))
			log.SetSizes(n)
			eventstoretest.Sizes(t, log)
		})
	}
}
