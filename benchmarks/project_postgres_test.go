package benchmarks_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	logs "github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/projections"
	tables "github.com/gxpledger/gxpledger/projections/postgres"
)

func postgresProjectors(b *testing.B, story *story) []*projector {
	b.Helper()
	url := pgtest.Start(b)
	if err := logs.Up(b.Context(), url, logs.Namespace{}); err != nil {
		b.Fatal(err)
	}
	log, err := logs.Open(b.Context(), url, logs.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closing(b, log.Close) })
	if err := story.record(b.Context(), log); err != nil {
		b.Fatal(err)
	}
	analyzeAndFlush(b, url)
	projectors := append(ledgerProjectors(story, log, postgresTables), postgresLimit(b, story))
	if *long {
		return projectors // and nothing is stored for the others
	}
	return append(projectors, postgresUpserts(b, story, log), watermillProjector(b, story), hallgrenProjector(b, story))
}

// analyzeAndFlush has the server do now what it would otherwise do during some round: gather statistics, and write out what it keeps
// in memory.
func analyzeAndFlush(b *testing.B, url string) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }() // all was answered
	for _, statement := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := conn.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// postgresTables are in a database of their own.
func postgresTables(b *testing.B) (projections.Database, query) {
	b.Helper()
	url := pgtest.Start(b)
	if err := tables.Up(b.Context(), url, tables.Namespace{}); err != nil {
		b.Fatal(err)
	}
	db, err := tables.Open(b.Context(), url, tables.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closing(b, db.Close) })
	analyzeAndFlush(b, url)
	return db, postgresQuery(db.Query())
}

// postgresQuery reads the same from every session, whatever its time zone is and how it writes times.
func postgresQuery(db *sql.DB) query {
	return query{
		db: db,
		read: `SELECT number, repository, path, gxp_id, title, risk, status, sha256, version, fields::text,
			to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), moved FROM requirements ORDER BY number`,
		indexes: `SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
			WHERE t.relkind = 'r' AND t.relname LIKE 'requirements%' AND i.indisvalid`,
	}
}

// emptied makes the table again, without indexes, and has the server write out what others left to be written.
func emptied(b *testing.B, pool *pgxpool.Pool, more ...string) {
	b.Helper()
	statements := append([]string{
		"DROP TABLE IF EXISTS requirements",
		`CREATE TABLE requirements (number bigint NOT NULL, repository text NOT NULL, path text NOT NULL, gxp_id text NOT NULL,
			title text NOT NULL, risk text NOT NULL, status text NOT NULL, sha256 text NOT NULL, version bigint NOT NULL,
			fields json NOT NULL, recorded_at timestamptz NOT NULL, moved boolean NOT NULL)`,
	}, more...)
	for _, statement := range append(statements, "CHECKPOINT") {
		if _, err := pool.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// postgresIndexes are all three, the key first.
func postgresIndexes() []string {
	return append([]string{"ALTER TABLE requirements ADD PRIMARY KEY (number)"}, indexes()...)
}

// postgresLimit is what the database can do: the rows are at hand and COPY takes them, in one transaction with the indexes,
// which are made after them.
func postgresLimit(b *testing.B, story *story) *projector {
	b.Helper()
	pool := server(b, 1)
	return &projector{name: "copy", long: true, turn: func(b *testing.B) turn {
		b.Helper()
		emptied(b, pool)
		return turn{table: postgresQuery(stdlib.OpenDBFromPool(pool)), fill: func(ctx context.Context) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				position := 0
				_, err := tx.CopyFrom(ctx, pgx.Identifier{"requirements"}, columnNames(), pgx.CopyFromFunc(func() ([]any, error) {
					if position == story.n {
						return nil, nil // the end
					}
					position++
					r := story.row(position)
					return r.values(r.recordedAt), nil
				}))
				if err != nil {
					return err
				}
				for _, index := range postgresIndexes() {
					if _, err := tx.Exec(ctx, index); err != nil {
						return err
					}
				}
				return nil
			})
		}}
	}}
}

func postgresUpserts(b *testing.B, story *story, log eventstore.Reader) *projector {
	b.Helper()
	pool := server(b, 1)
	more := append(postgresIndexes(), "DROP TABLE IF EXISTS checkpoint", "CREATE TABLE checkpoint (position bigint NOT NULL)",
		"INSERT INTO checkpoint VALUES (0)")
	return &projector{name: "upsert-each", turn: func(b *testing.B) turn {
		b.Helper()
		emptied(b, pool, more...)
		return turn{table: postgresQuery(stdlib.OpenDBFromPool(pool)), fill: func(ctx context.Context) error {
			return upsertEach(ctx, story, log, func(ctx context.Context) (upserting, error) {
				tx, err := pool.Begin(ctx)
				return postgresTx{tx}, err
			})
		}}
	}}
}

// postgresTx is a transaction. The connection prepares what it is asked for often.
type postgresTx struct{ tx pgx.Tx }

func (t postgresTx) upsert(ctx context.Context, r row) error {
	_, err := t.tx.Exec(ctx, upsertRow, r.values(r.recordedAt)...)
	return err
}

func (t postgresTx) commit(ctx context.Context, at eventstore.Position) error {
	if _, err := t.tx.Exec(ctx, "UPDATE checkpoint SET position = $1", int64(at)); err != nil {
		return err
	}
	return t.tx.Commit(ctx)
}

func (t postgresTx) abandon() { _ = t.tx.Rollback(context.Background()) }
