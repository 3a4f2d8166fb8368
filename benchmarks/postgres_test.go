package benchmarks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

func postgresContenders(b *testing.B, producers int) []*contender {
	b.Helper()
	return []*contender{
		postgresLog(b), postgresArrays(b, producers), watermillPublish(b, producers), postgresRows(b, producers), fileContender(b),
	}
}

func postgresLog(b *testing.B) *contender {
	b.Helper()
	url := pgtest.Start(b)
	if err := postgres.Up(b.Context(), url, postgres.Namespace{}); err != nil {
		b.Fatal(err)
	}
	log, err := postgres.Open(b.Context(), url, postgres.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	return ledger(b, log)
}

// server returns connections to a database of the contender's own, one for each producer. It fails when the server does
// not wait for its disk.
func server(b *testing.B, producers int) *pgxpool.Pool {
	b.Helper()
	config, err := pgxpool.ParseConfig(pgtest.Start(b))
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = int32(producers)
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := pool.QueryRow(b.Context(), "SELECT current_setting($1)", setting).Scan(&value); err != nil || value != "on" {
			b.Fatalf("%s is %q, want on: %v", setting, value, err)
		}
	}
	return pool
}

// events makes the table of both peers that know streams: dense positions from a counter row, revisions and ids unique.
func events(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	for _, statement := range []string{
		"CREATE TABLE counter (position bigint NOT NULL)",
		"INSERT INTO counter VALUES (0)",
		`CREATE TABLE event (position bigint PRIMARY KEY, stream text NOT NULL, revision bigint NOT NULL, id uuid NOT NULL UNIQUE,
			type text NOT NULL, recorded_at timestamptz NOT NULL, meta text NOT NULL, data bytea NOT NULL, UNIQUE (stream, revision))`,
	} {
		if _, err := pool.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

func countRows(pool *pgxpool.Pool, table string) func(context.Context) (int, error) {
	return func(ctx context.Context) (n int, err error) {
		return n, pool.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n)
	}
}

// postgresArrays is the strongest simple way: the counter and all rows, from arrays, in one statement of one transaction.
func postgresArrays(b *testing.B, producers int) *contender {
	b.Helper()
	pool := server(b, producers)
	events(b, pool)
	return &contender{
		name: "pgx-unnest", count: countRows(pool, "event"),
		append: func(ctx context.Context, w work) error {
			n := len(w.events)
			ids, types, bodies := make([][16]byte, n), make([]string, n), make([][]byte, n)
			for i, e := range w.events {
				ids[i], types[i], bodies[i] = e.ID, e.Type, e.Data
			}
			// A statement alone is a transaction: this saves the peer the round trips of BEGIN and COMMIT.
			_, err := pool.Exec(ctx, `WITH head AS (UPDATE counter SET position = position + $1 RETURNING position - $1 AS position)
				INSERT INTO event (position, stream, revision, id, type, recorded_at, meta, data)
				SELECT head.position + n, $2, $3 + n - 1, id, type, $4, $5, data
				FROM head, unnest($6::uuid[], $7::text[], $8::bytea[]) WITH ORDINALITY AS t (id, type, data, n)`,
				n, w.stream, w.at, time.Now(), w.json, ids, types, bodies)
			return err
		},
	}
}

// postgresRows is the usual way: a transaction for each batch and a prepared INSERT for each row.
func postgresRows(b *testing.B, producers int) *contender {
	b.Helper()
	pool := server(b, producers)
	events(b, pool)
	return &contender{
		name: "insert-rows", count: countRows(pool, "event"),
		append: func(ctx context.Context, w work) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				var head int64
				if err := tx.QueryRow(ctx, "UPDATE counter SET position = position + $1 RETURNING position - $1",
					len(w.events)).Scan(&head); err != nil {
					return err
				}
				now := time.Now()
				for i, e := range w.events {
					if _, err := tx.Exec(ctx, `INSERT INTO event (position, stream, revision, id, type, recorded_at, meta, data)
						VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
						head+int64(i)+1, w.stream, w.at+i, e.ID, e.Type, now, w.json, e.Data); err != nil {
						return fmt.Errorf("insert event %d: %w", i, err)
					}
				}
				return nil
			})
		},
	}
}
