package postgres

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Form returns what the schema at url is made of, as form.txt holds it.
func Form(ctx context.Context, url, schema string) (text string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all was answered
	if _, err := conn.Exec(ctx, "SELECT set_config('search_path', quote_ident($1) || ', pg_temp', false)", schema); err != nil {
		return "", err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		held, err := formOf(ctx, tx, schema)
		var lines strings.Builder
		for _, name := range slices.Sorted(maps.Keys(held)) {
			lines.WriteString(name + "\t" + held[name] + "\n")
		}
		text = lines.String()
		return err
	})
	return text, err
}

// SetSizes makes l read n batches, n events up to 2n, and n hashes at once.
func (l *Log) SetSizes(n int) {
	l.sizes.batches, l.sizes.firstPage, l.sizes.largestPage, l.sizes.hashes = n, n, 2*n, n
}

// Translate gives errors the meaning that package eventstore defines.
func Translate(ctx context.Context, err error) error { return translate(ctx, err) }

// Statement returns a statement of the log in the schema by default. What follows a slash in its name is left out.
func Statement(name string) string {
	s := newStatements(DefaultSchema)
	name, _, _ = strings.Cut(name, "/")
	return map[string]string{
		"ends": s.ends, "findIDs": s.findIDs, "countEvents": s.countEvents,
		"eventsForward": s.eventsForward, "eventsBackward": s.eventsBackward,
		"batchesForward": s.batchesForward, "batchesBackward": s.batchesBackward,
		"streamBatchesForward": s.streamBatchesForward, "streamBatchesBackward": s.streamBatchesBackward,
	}[name]
}

// WithTracer makes Open use connections that tell tracer what they do.
func WithTracer(o Options, tracer pgx.QueryTracer) Options {
	o.tracer = tracer
	return o
}
