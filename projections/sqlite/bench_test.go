package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func BenchmarkRebuild(b *testing.B) {
	databasetest.BenchmarkRebuild(b, func(tb testing.TB) projections.Database {
		tb.Helper()
		db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "tables.db"), sqlite.Options{Now: time.Now})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = db.Close() })
		return db
	})
}
