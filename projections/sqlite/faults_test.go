package sqlite_test

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/internal/race"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func failing(now func() time.Time) sqlite.Options {
	return sqlite.WithDriver(sqlite.Options{Now: now, BusyTries: 2}, drivertest.Name)
}

func TestEveryCallOfTheDriverMayFail(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector")
	}
	path := filepath.Join(t.TempDir(), "tables.db")
	db, err := sqlite.Open(t.Context(), path, failing(time.Now))
	must(t, err)
	defer func() { must(t, db.Close()) }()
	other, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, BusyTries: 2})
	must(t, err)
	defer func() { must(t, other.Close()) }()
	closed := func(opened io.Closer, err error) error {
		if err != nil {
			return err
		}
		return opened.Close()
	}
	databasetest.FailEveryCall(t, db, other, map[string]func(ctx context.Context) error{
		"Open":           func(ctx context.Context) error { return closed(sqlite.Open(ctx, path, failing(time.Now))) },
		"OpenUnwritable": func(ctx context.Context) error { return closed(sqlite.OpenUnwritable(ctx, path, failing(time.Now))) },
		"OpenScratch": func(ctx context.Context) error {
			return closed(sqlite.OpenScratch(ctx, t.TempDir(), failing(time.Now)))
		},
		"WriteOrigin": func(ctx context.Context) error { return writeOrigin(ctx, t, failing(time.Now)) },
	})
}

func TestOperationsWhileTheDriverFails(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector")
	}
	path := filepath.Join(t.TempDir(), "tables.db")
	databasetest.FailOperations(t, func(now func() time.Time, fails bool) databasetest.Database {
		options := sqlite.Options{Now: now, BusyTries: 2}
		if fails {
			options = failing(now)
		}
		db, err := sqlite.Open(t.Context(), path, options)
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	})
}
