package benchmarks_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	logs "github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/projections"
	tables "github.com/gxpledger/gxpledger/projections/sqlite"
)

func sqliteProjectors(b *testing.B, story *story) []*projector {
	b.Helper()
	log, err := logs.Open(b.Context(), filepath.Join(b.TempDir(), "log.db"), logs.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closing(b, log.Close) })
	if err := story.record(b.Context(), log); err != nil {
		b.Fatal(err)
	}
	return append(ledgerProjectors(story, log, sqliteTables), sqliteLimit(story), sqliteUpserts(story, log))
}

// closing closes something in the end.
func closing(b *testing.B, done func() error) {
	b.Helper()
	if err := done(); err != nil {
		b.Error(err)
	}
}

func sqliteTables(b *testing.B) (projections.Database, query) {
	b.Helper()
	db, err := tables.Open(b.Context(), filepath.Join(b.TempDir(), "tables.db"), tables.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closing(b, db.Close) })
	return db, sqliteQuery(db.Query())
}

// sqliteQuery counts the key beside the indexes: it is the number by which the file is ordered.
func sqliteQuery(db *sql.DB) query {
	return query{
		db: db, read: "SELECT " + rowColumns + " FROM requirements ORDER BY number",
		indexes: "SELECT 1 + count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name LIKE 'requirements%'",
	}
}

// sqliteFile opens a new file with an empty table. The settings are those of the tables of gxpledger.
func sqliteFile(b *testing.B) *sql.DB {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "rows.db")+
		"?_txlock=immediate&_journal_mode=WAL&_pragma=page_size(16384)&_pragma=cache_size(-32768)&_pragma=synchronous(NORMAL)"+
		"&_pragma=wal_autocheckpoint(2000)")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { closing(b, db.Close) })
	if _, err := db.ExecContext(b.Context(), `CREATE TABLE requirements (number INTEGER PRIMARY KEY, repository TEXT NOT NULL,
		path TEXT NOT NULL, gxp_id TEXT NOT NULL, title TEXT NOT NULL, risk TEXT NOT NULL, status TEXT NOT NULL, sha256 TEXT NOT NULL,
		version INTEGER NOT NULL, fields TEXT NOT NULL, recorded_at TEXT NOT NULL, moved INTEGER NOT NULL) STRICT`); err != nil {
		b.Fatal(err)
	}
	var size int
	var journal string
	err = db.QueryRowContext(b.Context(), "SELECT page_size, journal_mode FROM pragma_page_size, pragma_journal_mode").Scan(&size, &journal)
	if err != nil || size != 16384 || journal != "wal" {
		b.Fatalf("pages are of %d bytes and the journal is %q: %v", size, journal, err)
	}
	return db
}

func sqliteIndex(ctx context.Context, on interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
},
) error {
	for _, index := range indexes() {
		if _, err := on.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	return nil
}

// sqliteLimit is what the database can do: the rows are at hand, one prepared INSERT for each, all in one transaction, and
// the indexes after them.
func sqliteLimit(story *story) *projector {
	return &projector{name: "insert-at-once", long: true, turn: func(b *testing.B) turn {
		b.Helper()
		db := sqliteFile(b)
		return turn{table: sqliteQuery(db), fill: func(ctx context.Context) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }() // of a committed one: nothing
			insert, err := tx.PrepareContext(ctx, "INSERT INTO requirements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
			if err != nil {
				return err
			}
			defer func() { _ = insert.Close() }()
			for p := 1; p <= story.n; p++ {
				r := story.row(p)
				if _, err := insert.ExecContext(ctx, r.values(r.recordedAt.Format(projections.TimestampLayout))...); err != nil {
					return err
				}
			}
			if err := sqliteIndex(ctx, tx); err != nil {
				return err
			}
			return tx.Commit()
		}}
	}}
}

func sqliteUpserts(story *story, log eventstore.Reader) *projector {
	return &projector{name: "upsert-each", turn: func(b *testing.B) turn {
		b.Helper()
		db := sqliteFile(b)
		if err := sqliteIndex(b.Context(), db); err != nil {
			b.Fatal(err)
		}
		if _, err := db.ExecContext(b.Context(), "CREATE TABLE checkpoint (position INTEGER NOT NULL); INSERT INTO checkpoint VALUES (0)"); err != nil {
			b.Fatal(err)
		}
		return turn{table: sqliteQuery(db), fill: func(ctx context.Context) error {
			upsert, err := db.PrepareContext(ctx, upsertRow)
			if err != nil {
				return err
			}
			defer func() { _ = upsert.Close() }() // all was answered
			return upsertEach(ctx, story, log, func(ctx context.Context) (upserting, error) {
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					return nil, err
				}
				return sqliteTx{tx, tx.StmtContext(ctx, upsert)}, nil
			})
		}}
	}}
}

// sqliteTx is a transaction with the statement that upserts.
type sqliteTx struct {
	tx   *sql.Tx
	stmt *sql.Stmt
}

func (t sqliteTx) upsert(ctx context.Context, r row) error {
	_, err := t.stmt.ExecContext(ctx, r.values(r.recordedAt.Format(projections.TimestampLayout))...)
	return err
}

func (t sqliteTx) commit(ctx context.Context, at eventstore.Position) error {
	if _, err := t.tx.ExecContext(ctx, "UPDATE checkpoint SET position = ?", int64(at)); err != nil {
		return err
	}
	return t.tx.Commit()
}

func (t sqliteTx) abandon() { _ = t.tx.Rollback() }
