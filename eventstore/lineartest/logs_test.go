package lineartest_test

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/lineartest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryIsLinearizable(t *testing.T) {
	t.Parallel()
	lineartest.Check(t, memory.New(time.Now))
}

// Three handles on one file, as three processes would have.
func TestSQLiteIsLinearizable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	lineartest.Check(t, three(t, func() (eventstore.Log, error) {
		return sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now})
	})...)
}

// Three handles on one database, as three processes would have.
func TestPostgreSQLIsLinearizable(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	if err := postgres.Up(t.Context(), url, postgres.Namespace{}); err != nil {
		t.Fatal(err)
	}
	lineartest.Check(t, three(t, func() (eventstore.Log, error) {
		return postgres.Open(t.Context(), url, postgres.Options{Now: time.Now})
	})...)
}

// Three handles on one server, as three processes would have: ours over each log that it serves, and one that differs as
// EventStoreDB does.
func TestKurrentDBIsLinearizable(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) string{
		"over SQLite": func(t *testing.T) string {
			t.Helper()
			log, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			return esdbtest.Start(t, log).URL()
		},
		"over PostgreSQL": func(t *testing.T) string {
			t.Helper()
			url := pgtest.Start(t)
			if err := postgres.Up(t.Context(), url, postgres.Namespace{}); err != nil {
				t.Fatal(err)
			}
			log, err := postgres.Open(t.Context(), url, postgres.Options{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			return esdbtest.Start(t, log).URL()
		},
		"like EventStoreDB": func(t *testing.T) string {
			t.Helper()
			return esdbtest.StartFake(t).URL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			lineartest.Check(t, three(t, func() (eventstore.Log, error) {
				return kurrent.Open(t.Context(), url, kurrent.Options{Now: time.Now})
			})...)
		})
	}
}

func three(t *testing.T, open func() (eventstore.Log, error)) []eventstore.Log {
	t.Helper()
	var logs []eventstore.Log
	for range 3 {
		log, err := open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
		logs = append(logs, log)
	}
	return logs
}
