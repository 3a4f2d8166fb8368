package query_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

type tablesDB interface {
	projections.Database
	Query() *sql.DB
	Close() error
}

// serverEnv names the database on PostgreSQL in which a process that runs these tests makes its tables.
const serverEnv = "GXPLEDGER_QUERYTEST_URL"

// TestEveryQueryOnPostgreSQL runs all the other tests of this package once more, in a process whose tables are on
// PostgreSQL.
func TestEveryQueryOnPostgreSQL(t *testing.T) {
	t.Parallel()
	if os.Getenv(serverEnv) != "" {
		t.Skip("these are the others")
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.count=1")
	again.Env = append(os.Environ(), serverEnv+"="+pgtest.Start(t))
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// schemas counts the worlds of this process.
var schemas atomic.Int64

func openTables(t *testing.T) (tablesDB, query.Dialect) {
	t.Helper()
	var db tablesDB
	var err error
	dialect := query.SQLite
	if url := os.Getenv(serverEnv); url != "" {
		place := postgres.Place{Schema: fmt.Sprintf("world_%d", schemas.Add(1))}
		if err := postgres.Up(t.Context(), url, place); err != nil {
			t.Fatal(err)
		}
		dialect = query.Postgres
		db, err = postgres.Open(t.Context(), url, postgres.Options{Now: time.Now, Place: place})
	} else {
		db, err = sqlite.OpenScratch(t.Context(), t.TempDir(), sqlite.Options{Now: time.Now})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, dialect
}
