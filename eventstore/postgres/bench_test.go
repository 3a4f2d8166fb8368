package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

// BenchmarkAppend measures durable appends of events of about 300 bytes by several producers, each to a stream of its
// own, beside the strongest simple peer on the same server: a counter row and an INSERT from arrays in one statement, a
// transaction for each batch.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{44, 1000} {
		for _, producers := range []int{1, 8, 32} {
			if testing.Short() && (size > 44 || producers > 8) {
				continue
			}
			b.Run(fmt.Sprintf("%dx%d/gxpledger", producers, size), func(b *testing.B) {
				log := open(b, made(b))
				produce(b, producers, size, func(ctx context.Context, stream string, at, n int) error {
					expected := eventstore.NoStream()
					if at > 0 {
						expected = eventstore.AtRevision(eventstore.Revision(at - 1))
					}
					_, err := log.Append(ctx, payload(eventstore.StreamID(stream), expected, n))
					return err
				})
			})
			b.Run(fmt.Sprintf("%dx%d/peer", producers, size), func(b *testing.B) {
				produce(b, producers, size, newPeer(b, producers).append)
			})
		}
	}
}

// produce runs b.N batches of size events through append, spread over producers, and reports events and milliseconds.
func produce(b *testing.B, producers, size int, write func(ctx context.Context, stream string, at, n int) error) {
	b.Helper()
	ctx := within(b)
	for p := range producers { // connected, and the stream is there
		if err := write(ctx, fmt.Sprint("stream-", p), 0, size); err != nil {
			b.Fatal(err)
		}
	}
	var taken atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for p := range producers {
		running.Go(func() {
			for at := size; taken.Add(1) <= int64(b.N); at += size {
				if err := write(ctx, fmt.Sprint("stream-", p), at, size); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}

func payload(stream eventstore.StreamID, expected eventstore.Expected, n int) eventstore.Batch {
	scan := uuid.Must(uuid.NewV7())
	batch := eventstore.Batch{
		Stream: stream, Expected: expected,
		Meta: eventstore.Meta{Actor: "bench", Scan: scan.String(), Attempt: 1},
	}
	for i := range n {
		batch.Events = append(batch.Events, eventstore.NewEvent{
			ID: eventstore.DeriveEventID(scan, i), Type: "artifact.parsed.v1", Data: data(i),
		})
	}
	return batch
}

func data(i int) []byte {
	return fmt.Appendf(nil, `{"index":%d,"text":%q}`, i, strings.Repeat("x", 270))
}

// peer is the simple way: positions from a counter row, one statement and one transaction for each batch.
type peer struct{ pool *pgxpool.Pool }

func newPeer(b *testing.B, producers int) *peer {
	b.Helper()
	url := made(b)
	conn := connect(b, url)
	exec(b, conn, "CREATE TABLE public.counter (position bigint NOT NULL)")
	exec(b, conn, "INSERT INTO public.counter VALUES (0)")
	exec(b, conn, `CREATE TABLE public.peer (position bigint PRIMARY KEY, stream text NOT NULL, revision bigint NOT NULL,
		id uuid NOT NULL UNIQUE, type text NOT NULL, recorded_at timestamptz NOT NULL, meta text NOT NULL, data bytea NOT NULL,
		UNIQUE (stream, revision))`)
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = int32(producers)
	pool, err := pgxpool.NewWithConfig(within(b), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return &peer{pool}
}

func (p *peer) append(ctx context.Context, stream string, at, n int) error {
	scan := uuid.Must(uuid.NewV7())
	ids, types, bodies := make([][16]byte, n), make([]string, n), make([][]byte, n)
	for i := range n {
		ids[i], types[i], bodies[i] = eventstore.DeriveEventID(scan, i), "artifact.parsed.v1", data(i)
	}
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `WITH head AS (UPDATE public.counter SET position = position + $1 RETURNING position - $1 AS position)
			INSERT INTO public.peer (position, stream, revision, id, type, recorded_at, meta, data)
			SELECT head.position + n, $2, $3 + n - 1, id, type, $4, $5, data
			FROM head, unnest($6::uuid[], $7::text[], $8::bytea[]) WITH ORDINALITY AS t (id, type, data, n)`,
			n, stream, at, time.Now(), `{"actor":"bench","scan":"`+scan.String()+`","attempt":1}`, ids, types, bodies)
		return err
	})
}

// BenchmarkRead measures reading a whole log, checksums included, and what a filter for one type in twenty makes of it.
func BenchmarkRead(b *testing.B) {
	batches := 100
	if testing.Short() {
		batches = 2
	}
	log := open(b, made(b))
	expected := eventstore.NoStream()
	for range batches {
		batch := payload("s", expected, 1000)
		for i := range batch.Events {
			if i%20 == 0 {
				batch.Events[i].Type = "scan.completed.v1"
			}
		}
		expected = eventstore.AtRevision(mustAppend(b, log, batch).LastRevision)
	}
	for name, filter := range map[string]eventstore.Filter{
		"all": {}, "one type": {Types: []string{"scan.completed.v1"}}, "one stream": {StreamPrefix: "s"},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				for _, err := range log.Read(within(b), 0, filter) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N*batches*1000)/b.Elapsed().Seconds(), "positions/s")
		})
	}
}
