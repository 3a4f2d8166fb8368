package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// openOnSmallDisk opens a log whose file grows to pages, or not at all where it has them already, until the next connection after
// makeRoom.
func openOnSmallDisk(t *testing.T, path string, pages int) (log *sqlite.Log, makeRoom func()) {
	t.Helper()
	var limit atomic.Int64
	limit.Store(int64(pages))
	var limited driver.Driver
	limited.RegisterConnectionHook(func(conn driver.ExecQuerierContext, _ string) error {
		_, err := conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", limit.Load()), nil)
		return err
	})
	name := "a small disk for " + path
	sql.Register(name, &limited)
	log, err := sqlite.Open(t.Context(), path, sqlite.WithDriver(sqlite.Options{Now: time.Now}, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log, func() { limit.Store(1 << 30) }
}

func TestAFullDiskSaysSoAndLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	roomy := open(t, path)
	appendTo(t, roomy, "s", 10)
	log, makeRoom := openOnSmallDisk(t, path, 1)
	b := eventstoretest.NewBatch("t", eventstore.NoStream(), "w", 0, 1000)
	if _, err := log.Append(t.Context(), b); err == nil || !strings.Contains(err.Error(), "disk full") || !errors.Is(err, eventstore.ErrDiskFull) {
		t.Fatalf("error is %v, want one that says that the disk is full", err)
	}
	for name, log := range map[string]*sqlite.Log{"log": log, "another process": roomy} {
		if head, err := log.Head(t.Context()); err != nil || head != 10 {
			t.Errorf("the head of the %s is %d, %v, want 10", name, head, err)
		}
	}
	makeRoom()
	if appended, err := log.Append(t.Context(), b); err != nil || appended.First != 11 {
		t.Errorf("append after making room: %+v, %v", appended, err)
	}
}
