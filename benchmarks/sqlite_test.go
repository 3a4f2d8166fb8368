package benchmarks_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

func sqliteContenders(b *testing.B, _ int) []*contender {
	b.Helper()
	return []*contender{sqliteLog(b), sqliteRows(b), fileContender(b)}
}

func sqliteLog(b *testing.B) *contender {
	b.Helper()
	log, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	return ledger(b, log)
}

// ledger is a log of gxpledger, whatever database it is in.
func ledger(b *testing.B, log eventstore.Log) *contender {
	b.Helper()
	b.Cleanup(func() {
		if err := log.Close(); err != nil {
			b.Error(err)
		}
	})
	return &contender{
		name: "gxpledger",
		append: func(ctx context.Context, w work) error {
			_, err := log.Append(ctx, w.batch())
			return err
		},
		count: func(ctx context.Context) (int, error) {
			head, err := log.Head(ctx)
			return int(head), err
		},
	}
}

// sqliteRows is the usual way: a transaction for each batch and a prepared INSERT for each row. SQLite takes one writer
// at a time, so that one connection, for which the producers queue, is the fastest.
func sqliteRows(b *testing.B) *contender {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "rows.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4096)")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	var synchronous int
	if err := db.QueryRowContext(b.Context(), "PRAGMA synchronous").Scan(&synchronous); err != nil || synchronous != 2 {
		b.Fatalf("synchronous is %d, not FULL: %v", synchronous, err)
	}
	if _, err := db.ExecContext(b.Context(), `CREATE TABLE event (position INTEGER PRIMARY KEY, stream TEXT NOT NULL,
		revision INTEGER NOT NULL, id BLOB NOT NULL UNIQUE, type TEXT NOT NULL, recorded_at TEXT NOT NULL, meta TEXT NOT NULL,
		data BLOB NOT NULL, UNIQUE (stream, revision))`); err != nil {
		b.Fatal(err)
	}
	insert, err := db.PrepareContext(b.Context(),
		"INSERT INTO event (stream, revision, id, type, recorded_at, meta, data) VALUES (?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = insert.Close() })
	return &contender{
		name:   "insert-rows",
		append: func(ctx context.Context, w work) error { return insertRows(ctx, db, insert, w) },
		count: func(ctx context.Context) (n int, err error) {
			return n, db.QueryRowContext(ctx, "SELECT count(*) FROM event").Scan(&n)
		},
	}
}

func insertRows(ctx context.Context, db *sql.DB, insert *sql.Stmt, w work) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of a committed one: nothing
	here := tx.StmtContext(ctx, insert)
	defer func() { _ = here.Close() }()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for i, e := range w.events {
		if _, err := here.ExecContext(ctx, w.stream, w.at+i, e.ID[:], e.Type, now, w.json, e.Data); err != nil {
			return fmt.Errorf("insert event %d: %w", i, err)
		}
	}
	return tx.Commit()
}
