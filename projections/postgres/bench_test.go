package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
)

// BenchmarkRebuild is a rebuild, and beside it, in the same run, what the server can do at best: plain COPY of the same rows
// in one transaction, without and with the same keys and indexes afterwards.
func BenchmarkRebuild(b *testing.B) {
	n := databasetest.BenchEvents()
	b.Run(fmt.Sprintf("peer=copy/%d", n), func(b *testing.B) { benchmarkCopy(b, n) })
	b.Run(fmt.Sprintf("peer=copy+indexes/%d", n), func(b *testing.B) {
		benchmarkCopy(b, n, "ALTER TABLE requirements ADD PRIMARY KEY (number)", "CREATE INDEX ON requirements (gxp_id)", "CREATE INDEX ON requirements (path)")
	})
	databasetest.BenchmarkRebuild(b, func(tb testing.TB) projections.Database {
		tb.Helper()
		return open(tb, made(tb))
	})
}

func benchmarkCopy(b *testing.B, n int, after ...string) {
	b.Helper()
	rows := benchRows(b)
	for b.Loop() {
		b.StopTimer()
		conn := connect(b, pgtest.Start(b))
		exec(b, conn, `CREATE TABLE requirements (number bigint NOT NULL, repository text COLLATE "C" NOT NULL, path text COLLATE "C" NOT NULL,
			gxp_id text COLLATE "C" NOT NULL, title text COLLATE "C" NOT NULL, risk text COLLATE "C" NOT NULL, status text COLLATE "C" NOT NULL,
			sha256 text COLLATE "C" NOT NULL, version bigint NOT NULL, fields json NOT NULL, recorded_at timestamptz NOT NULL, moved boolean NOT NULL)`)
		b.StartTimer()
		i := 0
		_, err := conn.CopyFrom(b.Context(), pgx.Identifier{"requirements"}, columns(), pgx.CopyFromFunc(func() ([]any, error) {
			if i++; i > n {
				return nil, nil
			}
			row := rows[i%len(rows)]
			row[0] = int64(i)
			return row, nil
		}))
		if err != nil {
			b.Fatal(err)
		}
		exec(b, conn, after...)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func columns() []string {
	var names []string
	for _, c := range databasetest.Requirements(databasetest.InsertRequirement).Tables[0].Columns {
		names = append(names, c.Name)
	}
	return names
}

// benchRows are rows of the table as the projection makes them.
func benchRows(b *testing.B) [][]any {
	b.Helper()
	p := databasetest.Requirements(databasetest.InsertRequirement)
	var rows projections.Rows
	for record, err := range databasetest.NewEndless(b, 64).Read(b.Context(), 0, eventstore.Filter{}) {
		must(b, err)
		event, err := eventstore.Decode(record)
		must(b, err)
		must(b, p.Apply([]projections.Event{{Record: record, Event: event}}, &rows))
	}
	var out [][]any
	for _, op := range rows.Ops() {
		out = append(out, op.Row)
	}
	return out
}
