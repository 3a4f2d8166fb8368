package migrations_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/migrations"
)

const (
	first  = "CREATE TABLE a (x);\nCREATE TABLE b (x);"
	second = "CREATE TABLE c (x);"
)

func set(t *testing.T, name string, texts ...string) migrations.Set {
	t.Helper()
	files := fstest.MapFS{}
	for i, text := range texts {
		files[name+"/000"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := migrations.Load(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, path string) *sql.DB {
	t.Helper()
	return openWith(t, "sqlite", path, "_pragma=busy_timeout(20000)")
}

func openWith(t *testing.T, driver, path, parameters string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, "file:"+path+"?"+parameters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func fresh(t *testing.T) *sql.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "db"))
}

func clock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func tables(t *testing.T, db *sql.DB) string {
	t.Helper()
	var names string
	if err := db.QueryRowContext(t.Context(), `SELECT coalesce(group_concat(name, ' '), '')
		FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)`).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestUpAppliesWhatIsMissingAndNothingTwice(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	for range 2 { // CREATE TABLE fails when it runs again
		if err := set(t, "s", first).Up(t.Context(), db, clock); err != nil {
			t.Fatal(err)
		}
	}
	if got := tables(t, db); got != "a b schema_migrations" {
		t.Errorf("tables are %q", got)
	}
	if err := set(t, "s", first, second).Up(t.Context(), db, clock); err != nil {
		t.Fatal(err)
	}
	if got := tables(t, db); got != "a b c schema_migrations" {
		t.Errorf("tables are %q", got)
	}
	var at string
	if err := db.QueryRowContext(t.Context(), "SELECT applied_at FROM schema_migrations WHERE version = 2").Scan(&at); err != nil {
		t.Fatal(err)
	}
	if at != "2026-03-01T12:00:00Z" {
		t.Errorf("applied at %q", at)
	}
}

func TestUpIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	err := set(t, "s", first, "CREATE TABLE c (x); SELECT nonsense;").Up(t.Context(), db, clock)
	if err == nil || !strings.Contains(err.Error(), "0002_step") {
		t.Fatalf("error is %v, want one that names the step", err)
	}
	if got := tables(t, db); got != "" {
		t.Errorf("tables are %q after a failure, want none", got)
	}
	if err := set(t, "s", first, second).Up(t.Context(), db, clock); err != nil {
		t.Errorf("up after a failure: %v", err)
	}
}

func TestUpLeavesNoTransactionOpenWhenCancelled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	db, probe := open(t, path), open(t, path)
	db.SetMaxOpenConns(1)
	probe.SetMaxOpenConns(1)
	endless := "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM r) SELECT count(*) FROM r;"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- set(t, "s", first, endless).Up(ctx, db, clock) }()
	for !locked(t, probe) {
	}
	cancel()
	if err := <-done; err == nil {
		t.Fatal("up ended without an error after it was cancelled")
	}
	if locked(t, probe) {
		t.Fatal("the transaction is still open")
	}
	if err := set(t, "s", first).Up(t.Context(), db, clock); err != nil {
		t.Errorf("up after a cancelled one: %v", err)
	}
}

// locked reports whether somebody else is in a write transaction.
func locked(t *testing.T, db *sql.DB) bool {
	t.Helper()
	_, err := db.ExecContext(t.Context(), "PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK")
	return err != nil
}

func TestUpRefusesANewerDatabase(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	if err := set(t, "s", first, second).Up(t.Context(), db, clock); err != nil {
		t.Fatal(err)
	}
	err := set(t, "s", first).Up(t.Context(), db, clock)
	var newer *migrations.NewerError
	if !errors.As(err, &newer) || newer.Found != 2 || newer.Known != 1 || newer.Set != "s" {
		t.Fatalf("error is %v, want a NewerError of 2 and 1", err)
	}
	if !strings.Contains(err.Error(), "use the newer gxpledger") {
		t.Errorf("%q does not say what to do", err)
	}
}

func TestUpRefusesAChangedMigration(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	if err := set(t, "s", first, second).Up(t.Context(), db, clock); err != nil {
		t.Fatal(err)
	}
	err := set(t, "s", first+" -- changed", second).Up(t.Context(), db, clock)
	var changed *migrations.ChangedError
	if !errors.As(err, &changed) || changed.Version != 1 || changed.Applied == changed.Available {
		t.Fatalf("error is %v, want a ChangedError of 1", err)
	}
}

func TestUpRefusesAnotherDatabase(t *testing.T) {
	t.Parallel()
	var foreign *migrations.ForeignError

	other := fresh(t)
	if err := set(t, "tables", first).Up(t.Context(), other, clock); err != nil {
		t.Fatal(err)
	}
	if err := set(t, "log", first).Up(t.Context(), other, clock); !errors.As(err, &foreign) || foreign.Held != "tables" {
		t.Errorf("error is %v, want a ForeignError that holds tables", err)
	}

	stranger := fresh(t)
	if _, err := stranger.ExecContext(t.Context(), "CREATE TABLE recipes (x)"); err != nil {
		t.Fatal(err)
	}
	if err := set(t, "log", first).Up(t.Context(), stranger, clock); !errors.As(err, &foreign) || foreign.Held != "" {
		t.Errorf("error is %v, want a ForeignError that holds nothing", err)
	}
	if got := tables(t, stranger); got != "recipes" {
		t.Errorf("a stranger's tables are now %q", got)
	}
}

// Several openers meet at a new file: each handle is a connection of its own, as another process would be.
func TestUpIsSafeWhenManyOpenTheSameNewFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	s := set(t, "s", first, second)
	start := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		db := open(t, path)
		all.Go(func() {
			<-start
			if err := s.Up(t.Context(), db, clock); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	if got := tables(t, open(t, path)); got != "a b c schema_migrations" {
		t.Errorf("tables are %q", got)
	}
}

func TestUpIsSafeWhereverAnotherProcessComesBetween(t *testing.T) {
	t.Parallel()
	for at, calls := 1, 1; at <= calls; at++ {
		path := filepath.Join(t.TempDir(), "db")
		one := openWith(t, drivertest.Name, path, "_pragma=busy_timeout(20000)&_journal_mode=WAL")
		other := openWith(t, "sqlite", path, "_pragma=busy_timeout(0)")
		ctx := drivertest.Before(t.Context(), func(call int) {
			if calls = max(calls, call); call == at {
				_ = set(t, "s", first).Up(t.Context(), other, clock) // it fails where one has the lock
			}
		})
		if err := set(t, "s", first).Up(ctx, one, clock); err != nil {
			t.Errorf("another process came before call %d: %v", at, err)
		}
		if got := tables(t, one); got != "a b schema_migrations" {
			t.Errorf("tables are %q", got)
		}
	}
}

func TestUpMayBeCancelledAnywhere(t *testing.T) {
	t.Parallel()
	var db *sql.DB
	drivertest.Sweep(t, func(ctx context.Context) error {
		db = openWith(t, drivertest.Name, filepath.Join(t.TempDir(), "db"), "_pragma=busy_timeout(0)")
		db.SetMaxOpenConns(1)
		return set(t, "s", first).Up(ctx, db, clock)
	}, func(t *testing.T, at int) {
		t.Helper()
		if err := set(t, "s", first, second).Up(t.Context(), db, clock); err != nil {
			t.Errorf("after call %d was cancelled: %v", at, err)
		}
	})
}

func TestTheLedgerForgetsNothing(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	if err := set(t, "s", first).Up(t.Context(), db, clock); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"UPDATE schema_migrations SET checksum = 'x'",
		"DELETE FROM schema_migrations",
		"INSERT OR REPLACE INTO schema_migrations VALUES (1, 's', 'x', 'x', 'x')",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: error is %v, want a refusal", statement, err)
		}
	}
}
