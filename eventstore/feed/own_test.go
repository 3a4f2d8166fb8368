package feed_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// ownDatabase is a consumer's database with a table of what it made of events.
func ownDatabase(t *testing.T, cursor feed.OwnCursor) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "own.db")+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	schema, err := cursor.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{schema, schema, "CREATE TABLE made (position integer PRIMARY KEY, by text)"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// inTx runs work in a transaction, and rolls back what fails.
func inTx(ctx context.Context, db *sql.DB, work func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// TestRowsOfAConsumerAreThereExactlyOnce has several consumers handle the same events at once: each event makes one row.
func TestRowsOfAConsumerAreThereExactlyOnce(t *testing.T) {
	t.Parallel()
	const events, consumers = 60, 4
	own := feed.OwnCursor{Table: "cursors", Name: "mail"}
	db, log := ownDatabase(t, own), uuid.New()
	now := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	if err := inTx(t.Context(), db, func(tx *sql.Tx) error {
		return own.Create(t.Context(), feed.SQLTx(tx), feed.Cursor{Name: own.Name, LogID: log, UpdatedAt: now})
	}); err != nil {
		t.Fatal(err)
	}
	record := func(at int) eventstore.Record {
		return eventstore.Record{Position: eventstore.Position(at), ID: uuid.NewSHA1(log, fmt.Append(nil, at))}
	}
	var consuming sync.WaitGroup
	for consumer := range consumers {
		consuming.Go(func() {
			for {
				var cursor feed.Cursor
				err := inTx(t.Context(), db, func(tx *sql.Tx) (err error) {
					cursor, err = own.Load(t.Context(), feed.SQLTx(tx))
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				if cursor.Position == events {
					return
				}
				next := record(int(cursor.Position) + 1)
				err = inTx(t.Context(), db, func(tx *sql.Tx) error {
					if _, err := tx.ExecContext(t.Context(), "INSERT INTO made VALUES (?, ?) ON CONFLICT DO UPDATE SET by = by || '!'", int64(next.Position), consumer); err != nil {
						return err
					}
					_, err := own.Move(t.Context(), feed.SQLTx(tx), cursor, next, now)
					return err
				})
				if err != nil && !errors.Is(err, feed.ErrMoved) {
					t.Error(err)
					return
				}
			}
		})
	}
	consuming.Wait()
	var rows, twice int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*), sum(by LIKE '%!%') FROM made").Scan(&rows, &twice); err != nil || rows != events || twice != 0 {
		t.Errorf("%d rows, %d of them made twice, %v; want %d rows", rows, twice, err, events)
	}
}

func TestAnOwnCursorIsRefusedWhatItCannotBe(t *testing.T) {
	t.Parallel()
	own := feed.OwnCursor{Table: "cursors", Name: "mail"}
	db, log := ownDatabase(t, own), uuid.New()
	at := feed.Cursor{Name: own.Name, LogID: log, Position: 3, EventID: uuid.New(), UpdatedAt: time.Now()}
	try := func(want error, work func(feed.Tx) error) {
		t.Helper()
		if err := inTx(t.Context(), db, func(tx *sql.Tx) error { return work(feed.SQLTx(tx)) }); !errors.Is(err, want) {
			t.Errorf("error is %v, want %v", err, want)
		}
	}
	try(feed.ErrNoCursor, func(tx feed.Tx) error { _, err := own.Load(t.Context(), tx); return err })
	try(nil, func(tx feed.Tx) error { return own.Create(t.Context(), tx, at) })
	try(feed.ErrCursorExists, func(tx feed.Tx) error { return own.Create(t.Context(), tx, at) })
	move := func(from feed.Cursor, to eventstore.Position) func(feed.Tx) error {
		return func(tx feed.Tx) error {
			_, err := own.Move(t.Context(), tx, from, eventstore.Record{Position: to, ID: uuid.New()}, time.Now())
			return err
		}
	}
	try(eventstore.ErrInvalid, move(at, 3)) // it does not go back, nor stay
	try(eventstore.ErrInvalid, move(at, 2))
	for name, other := range map[string]feed.Cursor{
		"another log": {Name: own.Name, LogID: uuid.New(), Position: 3, EventID: at.EventID}, "another event": {Name: own.Name, LogID: log, Position: 3, EventID: uuid.New()},
		"another position": {Name: own.Name, LogID: log, Position: 2, EventID: at.EventID},
	} {
		if err := inTx(t.Context(), db, func(tx *sql.Tx) error { return move(other, 4)(feed.SQLTx(tx)) }); !errors.Is(err, feed.ErrMoved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	try(nil, move(at, 4))
	for _, bad := range []feed.OwnCursor{{Table: "x; DROP TABLE made", Name: "a"}, {Table: "", Name: "a"}, {Table: "a.b.c", Name: "a"}, {Table: "a", Name: ""}, {Table: `a"b`, Name: "a"}} {
		if _, err := bad.Schema(); err == nil {
			t.Errorf("%+v has a schema", bad)
		}
		load := func(tx feed.Tx) error { _, err := bad.Load(t.Context(), tx); return err }
		if err := inTx(t.Context(), db, func(tx *sql.Tx) error { return load(feed.SQLTx(tx)) }); err == nil || errors.Is(err, feed.ErrNoCursor) {
			t.Errorf("%+v is loaded: %v", bad, err)
		}
	}
}
