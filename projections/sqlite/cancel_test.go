package sqlite_test

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func TestEveryCallOfTheDriverMayBeCancelled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tables.db")
	options := sqlite.WithDriver(sqlite.Options{Now: time.Now, BusyTries: 2}, drivertest.Name)
	db, err := sqlite.Open(t.Context(), path, options)
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
	databasetest.CancelEveryCall(t, db, other, map[string]func(ctx context.Context) error{
		"Open":           func(ctx context.Context) error { return closed(sqlite.Open(ctx, path, options)) },
		"OpenUnwritable": func(ctx context.Context) error { return closed(sqlite.OpenUnwritable(ctx, path, options)) },
		"OpenScratch":    func(ctx context.Context) error { return closed(sqlite.OpenScratch(ctx, t.TempDir(), options)) },
		"WriteOrigin":    func(ctx context.Context) error { return writeOrigin(ctx, t, options) },
	})
}

// writeOrigin writes the table about of new tables: there is one in each file.
func writeOrigin(ctx context.Context, t *testing.T, options sqlite.Options) error {
	t.Helper()
	exported, err := sqlite.OpenScratch(t.Context(), t.TempDir(), options)
	must(t, err)
	defer func() { must(t, exported.Close()) }()
	about := projections.Origin{Given: "now", RecordedAt: time.Unix(1, 0), MadeAt: time.Unix(1, 0), MadeBy: "test"}
	if err = exported.WriteOrigin(ctx, about); err == nil {
		return nil
	}
	written, fault := sqlite.IsExport(t.Context(), exported.Path()) // although the answer was lost
	must(t, fault)
	if !written {
		must(t, exported.WriteOrigin(t.Context(), about))
	}
	return err
}
