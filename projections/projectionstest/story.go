package projectionstest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

// Row is a row as a query returns it: nil, string, int64, float64 or []byte. An int stands for an int64, a bool for 0 or
// 1, a time for its text.
type Row []any

// Story is a projection that has folded a log.
type Story struct {
	t      *testing.T
	p      projections.Projection
	log    projections.Log
	db     *sqlite.DB
	runner *run.Runner
}

// Given folds log into a new database.
func Given(t *testing.T, p projections.Projection, log projections.Log) *Story {
	t.Helper()
	db := Open(t)
	s := &Story{t: t, p: p, log: log, db: db, runner: Runner(t, log, db, p)}
	s.CatchUp()
	return s
}

// CatchUp folds what was appended since.
func (s *Story) CatchUp() {
	s.t.Helper()
	if err := s.runner.CatchUp(s.t.Context(), 0); err != nil {
		s.t.Fatalf("catch up: %v", err)
	}
}

// DB returns the database, for queries of the test's own.
func (s *Story) DB() *sqlite.DB { return s.db }

// Then fails the test unless the columns of the table's rows, in the order of the table's key, are want.
func (s *Story) Then(table string, columns []string, want ...Row) {
	s.t.Helper()
	got := s.Rows(table, columns...)
	if a, b := lines(got), lines(want); a != b {
		s.t.Errorf("table %s\n got: %s\nwant: %s", table, a, b)
	}
}

// Rows returns columns of the rows of a table that readers see, in the order of its key.
func (s *Story) Rows(table string, columns ...string) []Row {
	s.t.Helper()
	for _, t := range s.p.Tables {
		if t.Name == table {
			return s.Query(fmt.Sprintf(`SELECT "%s" FROM "%s" ORDER BY "%s"`,
				strings.Join(columns, `", "`), table, strings.Join(t.Key, `", "`)))
		}
	}
	s.t.Fatalf("projection %s has no table %q", s.p.Name, table)
	return nil
}

// Query returns what a query over the views returns.
func (s *Story) Query(query string, args ...any) []Row {
	s.t.Helper()
	rows, err := s.db.Query().QueryContext(s.t.Context(), query, args...)
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	var found []Row
	for rows.Next() {
		row := make(Row, len(names))
		targets := make([]any, len(names))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			s.t.Fatalf("%s: %v", query, err)
		}
		found = append(found, row)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return found
}

// Fails folds log and returns the error, which names the event: it fails the test when there is none.
func Fails(t *testing.T, p projections.Projection, log projections.Log) error {
	t.Helper()
	err := Runner(t, log, Open(t), p).CatchUp(t.Context(), 0)
	if err == nil {
		t.Errorf("projection %s folded the log without an error", p.Name)
	}
	return err
}

// Open returns a new database that ends with the test.
func Open(tb testing.TB) *sqlite.DB {
	tb.Helper()
	db := open(tb)
	tb.Cleanup(func() { closing(tb, db) })
	return db
}

func open(tb testing.TB) *sqlite.DB {
	tb.Helper()
	db, err := sqlite.OpenScratch(tb.Context(), tb.TempDir(), sqlite.Options{Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func closing(tb testing.TB, db *sqlite.DB) {
	tb.Helper()
	if err := db.Close(); err != nil {
		tb.Errorf("close database: %v", err)
	}
}

// Runner returns a runner with the decoder of the engine and short waits. Change its config with options.
func Runner(tb testing.TB, log projections.Log, db projections.Database, p projections.Projection, options ...func(*run.Config)) *run.Runner {
	tb.Helper()
	config := run.DefaultConfig(time.Now, eventstore.Decode, tb.Name())
	config.FirstWait, config.LongestWait, config.Poll = time.Millisecond, 10*time.Millisecond, time.Millisecond
	for _, change := range options {
		change(&config)
	}
	runner, err := run.NewRunner(log, db, []projections.Projection{p}, config)
	if err != nil {
		tb.Fatal(err)
	}
	return runner
}

// PageEvents bounds pages to n events, to be given to [Runner].
func PageEvents(n int) func(*run.Config) {
	return func(c *run.Config) { c.PageEvents = n }
}

func lines(rows []Row) string {
	var b strings.Builder
	for _, row := range rows {
		b.WriteString("\n  ")
		for i, value := range row {
			if i > 0 {
				b.WriteString(" | ")
			}
			b.WriteString(plain(value))
		}
	}
	return b.String()
}

func plain(value any) string {
	switch v := value.(type) {
	case nil:
		return "NULL"
	case bool:
		if v {
			return "1"
		}
		return "0"
	case string:
		return fmt.Sprintf("%q", v)
	case []byte:
		return fmt.Sprintf("%q", string(v))
	case json.RawMessage:
		return fmt.Sprintf("%q", string(v))
	case time.Time:
		return fmt.Sprintf("%q", v.UTC().Format(projections.TimestampLayout))
	default:
		return fmt.Sprintf("%v", v)
	}
}
