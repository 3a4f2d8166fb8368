package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/eventstore/verify"
	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/internal/race"
)

// failing are options with a driver that fails.
func failing() sqlite.Options {
	return sqlite.WithDriver(sqlite.Options{Now: time.Now, BusyTimeout: time.Millisecond, Poll: time.Hour}, drivertest.Name)
}

func TestEveryCallOfTheDriverMayFail(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector")
	}
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, failing())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	eventstoretest.FailEveryCall(t, log, open(t, path))
}

// A verification that could not read says so.
func TestEveryCallOfTheDriverMayFailWhileALogIsVerified(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector")
	}
	path := filepath.Join(t.TempDir(), "log.db")
	isWhole(t, open(t, path), "nothing")
	log, err := sqlite.OpenReadOnly(t.Context(), path, failing())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	var faults []eventstore.Fault
	use := func(ctx context.Context) error {
		faults = nil
		result, err := verify.Run(ctx, log, verify.Watch{Fault: func(f eventstore.Fault) { faults = append(faults, f) }})
		if err == nil && result.Events != 3 && len(faults) == 0 {
			t.Errorf("result is %+v", result)
		}
		return err
	}
	drivertest.SweepFaults(t, drivertest.Faults(), use, func(t *testing.T, at string, err error) {
		t.Helper()
		if err == nil && len(faults) > 0 {
			t.Logf("after %s: %v", at, faults)
		}
		if err := use(t.Context()); err != nil || len(faults) > 0 {
			t.Errorf("after %s, the next verification: %v, %v", at, faults, err)
		}
	})
}

// Whatever fails while a log is made, the next who opens it gets a whole one.
func TestEveryCallOfTheDriverMayFailWhileALogIsMade(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector")
	}
	dir, n := t.TempDir(), 0
	var path string
	drivertest.SweepSomeFaults(t, drivertest.Faults()[:2], 2, func(ctx context.Context) error {
		n++
		path = filepath.Join(dir, fmt.Sprint(n, ".db"))
		return opened(sqlite.Open(ctx, path, failing()))
	}, func(t *testing.T, at string, _ error) {
		t.Helper()
		log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now})
		if err != nil {
			t.Fatalf("after %s: %v", at, err)
		}
		isWhole(t, log, at)
		if err := log.Close(); err != nil {
			t.Errorf("after %s: close: %v", at, err)
		}
	})
}

// isWhole appends three events to a log, once, and checks it.
func isWhole(t *testing.T, log *sqlite.Log, at string) {
	t.Helper()
	scan := uuid.MustParse("019c0000-0000-7000-8000-000000000001")
	batch := eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 3)
	for i := range batch.Events {
		batch.Events[i].ID = eventstore.DeriveEventID(scan, i)
	}
	batch.Meta.Scan = scan.String()
	if _, err := log.Append(t.Context(), batch); err != nil {
		t.Errorf("after %s: append: %v", at, err)
	}
	if head, err := log.Head(t.Context()); err != nil || head != 3 {
		t.Errorf("after %s: head is %d, %v", at, head, err)
	}
	if err := log.CheckIntegrity(t.Context(), func(f eventstore.Fault) { t.Errorf("after %s: %+v", at, f) }); err != nil {
		t.Errorf("after %s: %v", at, err)
	}
}

func TestEveryCallOfTheDriverMayFailWhileALogIsOpened(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector")
	}
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	isWhole(t, log, "nothing")
	for name, use := range map[string]func(ctx context.Context) error{
		"for writing": func(ctx context.Context) error { return opened(sqlite.Open(ctx, path, failing())) },
		"for reading": func(ctx context.Context) error { return opened(sqlite.OpenReadOnly(ctx, path, failing())) },
		"its status": func(ctx context.Context) error {
			status, err := sqlite.StatusWith(ctx, path, drivertest.Name)
			if err == nil && (len(status.Missing) > 0 || len(status.Applied) == 0) {
				t.Errorf("status is %+v", status)
			}
			return err
		},
	} {
		drivertest.SweepSomeFaults(t, drivertest.Faults(), 3, use, func(t *testing.T, at string, _ error) {
			t.Helper()
			isWhole(t, log, name+": "+at)
		})
	}
}

func opened(log *sqlite.Log, err error) error {
	if err != nil {
		return err
	}
	return log.Close()
}
